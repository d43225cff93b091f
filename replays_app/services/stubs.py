"""A stub for a call that a replay made and the recording does not have: a new revision with one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replays_app.engine.formats.writing import to_yaml
from replays_app.engine.stubs import proposal, with_stub
from replays_app.engine.values import Call, Evidence, Json
from replays_app.models import Attempt, Incident, SessionRevision
from replays_app.services.errors import Refused
from replays_app.services.revisions import revise
from replays_app.services.sessions import erased_sentence

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a stub would answer unless somebody says something else."""

    record: int | None  # from 1; None: the tool has no recorded answer, so it is an empty one
    response: Json

    @property
    def words(self) -> str:
        return f"the answer of record {self.record}" if self.record else "an empty answer"


def missed_call(attempt: Attempt, number: int) -> Call:
    """The call of this attempt that the tape could not answer. Raises Refused."""
    stored = attempt.payload.evidence
    if stored is None:
        raise Refused("The calls of this attempt were erased.")
    evidence = Evidence.from_json(stored)
    call = next((c for c in evidence.calls if c.number == number), None)
    if call is None or call.tool is None or call.how != "miss":
        raise Refused(
            f"Call {number} is no tool call that the recording lacks.",
            field="call",
            remedy="Choose one that the page calls a miss.",
        )
    return call


def propose(incident: Incident, tool: str) -> Proposal:
    """Raises Refused once the recording was erased."""
    index, response = proposal(_body(incident).get("tool_responses") or [], tool)
    return Proposal(None if index is None else index + 1, response)


def add(
    incident: Incident,
    call: Call,
    *,
    response: Json,
    status: int | None = None,
    actor: User | None,
) -> SessionRevision:
    """The incident's recording with a stub for this very call. Raises Refused."""
    body = _body(incident)
    assert call.tool is not None
    stub: dict[str, Json] = {} if call.args is None else {"args": call.args}
    stub["response"] = response
    if status is not None:
        stub["status"] = status
    value = with_stub(body, call.tool, stub)
    number = incident.session.current.number
    return revise(
        incident, to_yaml(value), base=number, note=f"a stub for {call.tool}"[:300], actor=actor
    )


def _body(incident: Incident) -> dict[str, Json]:
    current = incident.session.current
    if current.body is None:
        raise Refused(erased_sentence(current))
    return current.body
