"""A contract tried on what is stored, as pages show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import Http404

from replays_app.engine.formats.contract import Contract as Parsed
from replays_app.engine.formats.contract import contract_to_value
from replays_app.models import Contract, Incident, Project
from replays_app.services import dry_run
from replays_app.views.recording import CheckRow, rows_of


@dataclass(frozen=True, slots=True)
class Look:
    """What each check says of one incident's recorded answer."""

    incident: Incident
    checks: list[CheckRow]
    why_not: str


def look(project: Project, parsed: Parsed, number: int) -> Look | None:
    """`number` is the incident's; 0: none was asked for."""
    if not number:
        return None
    incident = project.incidents.select_related("session__current").filter(number=number).first()
    if incident is None:
        raise Http404("There is no such incident.")
    judgement, why_not = dry_run.look_at(incident, parsed)
    invariants = contract_to_value(parsed)["invariants"]
    return Look(incident, rows_of(invariants, judgement.checks if judgement else ()), why_not)


def show(project: Project, contract: Contract | None, parsed: Parsed) -> dict[str, Any]:
    tried = dry_run.try_out(project, contract, parsed)
    # First what one looks for: the answers that pass, then those that nobody can speak for.
    order = (False, None, True)
    proofs = sorted(tried.proofs, key=lambda proof: order.index(proof.caught))
    return {"tried": tried, "proofs": proofs, "kinds": tried.kinds.most_common()}
