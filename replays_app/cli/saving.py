"""`--save`: incidents and results into the dashboard's database, through its own services."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from flakestorm_web.env import BadSetting
from replays_app.cli.results import Case, SessionResult
from replays_app.engine.contracts.judge import judge_recording
from replays_app.engine.formats.contract import Contract, contract_to_value
from replays_app.engine.formats.document import Document
from replays_app.engine.formats.session import read_session, session_to_value
from replays_app.engine.values import Json
from replays_app.importers.trace import receipt_of

if TYPE_CHECKING:
    from replays_app.models import AgentVersion, ContractRevision, Incident, Project

_NAMED = 5  # incidents that the closing line names


class CannotSave(Exception):
    """Why nothing can be saved, and what would do."""


class Store:
    """The dashboard's database, opened before the replay. Raises CannotSave.

    The version must be one that the dashboard knows: a result counts for a version, and a label
    that was mistyped here would count for one that was never deployed.
    """

    def __init__(self, project: str, label: str | None, *, live_tools: bool) -> None:
        _start_django()
        from django.db import DatabaseError

        self._live_tools = live_tools
        # By name: what was saved of it, and the value that judged.
        self._contracts: dict[str, tuple[ContractRevision, object]] = {}
        self._lost: dict[Json, dict[str, int]] = {}  # by session id: what it lost, of which kind
        self.problems: list[str] = []
        self._saved: list[str] = []
        try:
            self._project = _project(project)
            self._version = _version(self._project, label)
        except DatabaseError as error:
            raise CannotSave(
                f"--save: the database cannot be used ({' '.join(str(error).split())}); "
                "set DATABASE_URL or FLAKESTORM_DATA to the dashboard's, and start it once with "
                "make run"
            ) from error

    def redacted(self, cases: Iterable[Case]) -> tuple[list[Case], str]:
        """The cases as the project keeps them, and in words what they lost: what is replayed is
        what is stored, so neither it nor what the agent makes of it has more. Raises CannotSave.
        """
        from replays_app.services.errors import Refused
        from replays_app.services.redaction import counted
        from replays_app.services.sessions import redact

        lost: Counter[str] = Counter()
        kept = []
        try:
            for case in cases:
                value, counts = redact(session_to_value(case.session), self._project)
                if counts:
                    self._lost[value["id"]] = counts
                    lost.update(counts)
                    case = _with_session(case, value)
                kept.append(case)
        except Refused as error:
            raise CannotSave(f"--save: {error}") from error
        said = f"--save: redacted before the replay, as the project says: {counted(lost)}"
        return kept, said if lost else ""

    def save(self, results: Iterable[SessionResult]) -> str:
        """Saves every session that can be; what could not is in `problems`."""
        from django.db import DatabaseError, transaction

        from replays_app.services.errors import Refused

        for result in results:
            session_id, contract = result.case.session.id, result.case.contract
            try:
                with transaction.atomic():
                    revision = self._revision(contract)
                    said = self._save(result, revision)
            except (Refused, DatabaseError) as error:
                self.problems.append(f"--save: {session_id}: {error}")
            else:
                # Not before the commit: what was taken back is not there for the next one.
                self._contracts[contract.name] = revision, contract_to_value(contract)
                self._saved.append(said)
        more = f" and {len(self._saved) - _NAMED:,} more" if len(self._saved) > _NAMED else ""
        names = ", ".join(self._saved[:_NAMED]) or "nothing"
        return f"saved in project {self._project.slug}: {names}{more}"

    def _save(self, result: SessionResult, revision: ContractRevision) -> str:
        from replays_app.services.incidents import report_incident
        from replays_app.services.runs import record_replay

        payload = session_to_value(result.case.session)
        receipt = report_incident(
            self._project,
            payload,
            actor=None,
            via="cli",
            agent=self._version.agent,
            contract=revision.contract,
            receipt={
                **receipt_of(result.case.session).to_json(),
                "redactions": dict(self._lost.get(payload["id"], {})),
            },
        )
        incident = receipt.incident
        _check_same(incident, revision, payload)
        run = record_replay(
            incident,
            self._version,
            [(attempt.evidence, attempt.judgement) for attempt in result.attempts],
            actor=None,
            live_tools=self._live_tools,
        )
        return f"{incident.key} (run {run.pk})"

    def _revision(self, contract: Contract) -> ContractRevision:
        from replays_app.services.contracts import save_contract
        from replays_app.services.errors import Refused

        value = contract_to_value(contract)
        if contract.name not in self._contracts:
            return save_contract(self._project, value, None)
        revision, judged_by = self._contracts[contract.name]
        if value != judged_by:
            raise Refused(
                f"Two contracts of this replay are called {contract.name}, and the dashboard "
                "holds one of a name.",
                remedy="Give each its own name.",
            )
        return revision


def _with_session(case: Case, value: dict[str, Json]) -> Case:
    session = read_session(value, Document(value, str(case.located)))
    located = replace(case.located, session=session)
    return replace(case, located=located, recorded=judge_recording(case.contract, session))


def _start_django() -> None:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flakestorm_web.settings")
    try:
        django.setup()
    except BadSetting as error:
        raise CannotSave(f"--save: {error}") from error


def _project(slug: str) -> Project:
    from replays_app.models import Project

    found = Project.objects.filter(slug=slug).first()
    if found is None:
        known = ", ".join(Project.objects.order_by("slug").values_list("slug", flat=True)) or "none"
        raise CannotSave(f"--project {slug}: there is no such project; known: {known}")
    return found


def _version(project: Project, label: str | None) -> AgentVersion:
    from replays_app.models import AgentVersion

    versions = AgentVersion.objects.filter(
        agent__project=project, retired_at=None, agent__retired_at=None
    )
    known = ", ".join(f"{v.agent.name} {v.label}" for v in versions.select_related("agent"))
    if label is None:
        raise CannotSave(
            "--save needs the version under test: give --agent-version, or agent.version in the "
            f"configuration; project {project.slug} knows: {known or 'none'}"
        )
    found = list(versions.filter(label=label).select_related("agent__project")[:2])
    if not found:
        raise CannotSave(
            f"--save: project {project.slug} knows no version {label}; add it to the operator's "
            f"agents.yaml; known: {known or 'none'}"
        )
    if len(found) > 1:
        names = " and ".join(version.agent.name for version in found)
        raise CannotSave(
            f"--save: {label} is a version of {names}; give the versions labels of their own"
        )
    return found[0]


def _check_same(incident: Incident, revision: ContractRevision, payload: dict[str, object]) -> None:
    """The dashboard must hold what was replayed here, or the result would count for another."""
    from replays_app.services import storable
    from replays_app.services.errors import Refused
    from replays_app.services.sessions import erased_sentence, redact

    contract = revision.contract
    if incident.contract is None or incident.contract_id != contract.pk:
        raise Refused(
            f"{incident.key} is held to the contract {incident.contract}, and this replay was "
            f"judged by {contract.name}.",
            remedy="Replay it with that contract.",
        )
    if incident.contract.current_id != revision.pk:
        raise Refused(
            f"The contract {contract.name} was revised while the results were saved.",
            remedy="Replay with its newest revision.",
        )
    current = incident.session.current
    if current is not None and current.body is None:
        raise Refused(f"{incident.key}: {erased_sentence(current)}")
    if current is None or current.body != storable.json(redact(payload, incident.project)[0]):
        raise Refused(
            f"{incident.key} has a newer recording in the dashboard.",
            remedy="Export it there, and replay that.",
        )
