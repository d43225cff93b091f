"""Reports of flakestorm among uploads: every failed mutation is an incident."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from replays_app.engine.formats.document import Document
from replays_app.engine.formats.errors import FormatError, Problem
from replays_app.engine.formats.session import read_session
from replays_app.engine.values import Json
from replays_app.importers.flakestorm_report import (
    Failure,
    Report,
    contract_of,
    read_report,
    to_session,
)
from replays_app.importers.trace import receipt_of
from replays_app.models import Agent, Contract, ContractRevision, Incident, Project
from replays_app.services import contracts, incidents, storable
from replays_app.services.errors import Refused
from replays_app.services.traces import IMPORTER, why_erased, why_peoples

if TYPE_CHECKING:
    from django.contrib.auth.models import User

KIND = "flakestorm"  # of the importer, in a revision's receipt
Status = Literal["created", "new revision", "already here", "skipped", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What became of one mutation, or of the report, for the import's receipt."""

    status: Status
    incident: Incident | None = None
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def save_contract(
    project: Project, document: Document, actor: User | None
) -> tuple[ContractRevision, list[str]] | None:
    """The contract that is made of what failed, and what could not be made a check of it; None:
    nothing failed. Raises FormatError or Refused."""
    report = read_report(document)
    if not report.failures:
        return None
    made = contract_of(report)
    return contracts.save_contract(project, made.value, actor), made.notes


def take(
    project: Project,
    document: Document,
    *,
    actor: User | None,
    via: str,
    agent: Agent | None,
    most: int,
) -> Iterator[Line]:
    """At most `most` incidents. Raises FormatError for what is no report."""
    report = read_report(document)
    if report.problems:
        yield Line(status="refused", problems=tuple(map(str, report.problems)))
    contract = _contract(project, report)
    notes = list(report.notes)
    if not report.failures:
        notes.append(f"no failed mutation among {report.passed:,}: there is nothing to take in")
    elif contract is None:
        notes.append("what failed can be made a contract; tick “Save contracts that come along”")
    if notes:
        yield Line(status="skipped", notes=tuple(notes))
    for failure in report.failures[:most]:
        try:
            yield _take(project, failure, report, contract, actor=actor, via=via, agent=agent)
        except (Refused, FormatError) as error:
            problem = Problem(str(error), failure.id, failure.line, document.source)
            yield Line(status="refused", problems=(str(problem),))
    if len(report.failures) > most:
        left = f"{len(report.failures) - most:,} more failed mutations; bring them in another"
        yield Line(status="refused", problems=(left,))


def _contract(project: Project, report: Report) -> Contract | None:
    """The report's, where it was saved with this upload or an earlier one."""
    if not report.failures:
        return None
    name = storable.text(str(contract_of(report).value["name"]))
    return project.contracts.filter(name=name).exclude(current=None).first()


def _take(
    project: Project,
    failure: Failure,
    report: Report,
    contract: Contract | None,
    *,
    actor: User | None,
    via: str,
    agent: Agent | None,
) -> Line:
    """Raises Refused or FormatError."""
    name = contract.name if contract else contracts.DEFAULT
    value = to_session(failure, report, contract=name)
    known = Incident.objects.select_related("session__current", "contract").filter(
        session__project=project, session__session_id=failure.id
    )
    if incident := known.first():
        incident.project = project
        _give_contract(incident, contract, actor)
        if why := why_erased(incident) or why_peoples(incident):
            return Line(status="already here", incident=incident, notes=(why,))
        value["contract"] = incident.session.current.body["contract"]
    said = incidents.report_incident(
        project,
        value,
        actor=actor,
        via=via,
        agent=agent,
        receipt=_receipt(value),
        may_lack_contract=True,
    )
    said.incident.project = project
    return Line(status=said.status, incident=said.incident, notes=said.notes)


def _receipt(value: dict[str, Json]) -> dict[str, Json]:
    return {**receipt_of(read_session(value, Document(value, KIND))).to_json(), IMPORTER: KIND}


def _give_contract(incident: Incident, contract: Contract | None, actor: User | None) -> None:
    """To one that came in without: whoever uploads again with the box ticked wants it judged."""
    if contract is not None and incident.contract is None:
        incidents.set_contract(incident, contract, actor)
