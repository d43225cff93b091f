"""What can be said of a recording that is not saved yet: its problems, or its contract's word."""

from __future__ import annotations

from dataclasses import dataclass, field

from replays_app.engine.contracts.judge import judge_recording, proof_sentence, would_catch
from replays_app.engine.formats.errors import FormatError, Problem
from replays_app.engine.formats.session import Session, session_to_value
from replays_app.models import Contract, Project
from replays_app.services import contracts, redaction, sessions
from replays_app.services.errors import Refused
from replays_app.views.problems import Row, rows_of
from replays_app.views.recording import CheckRow, check_rows


@dataclass(frozen=True, slots=True)
class Checked:
    rows: list[Row] = field(default_factory=list)
    session: Session | None = None
    contract: Contract | None = None
    proof: str = ""  # what the contract says of the recorded answer, in a sentence
    is_caught: bool | None = None
    checks: list[CheckRow] = field(default_factory=list)
    redacted: str = ""  # what it would lose before it is stored: "2 emails, 1 card"


def check_text(text: str, project: Project, *, session_id: str | None = None) -> Checked:
    """A whole replay file as typed; `session_id` is the one that it must keep."""
    try:
        session, document = sessions.read_text(text)
        if session_id is not None and session.id != session_id:
            message = f"is {session.id[:60]!r}, and this recording is {session_id!r}; keep its id"
            raise document.error(("id",), message)
    except FormatError as error:
        return Checked(rows_of(error, text))
    checked = check_session(session, project)
    if checked.rows:
        problem = document.problem(("contract",), checked.rows[0].problem.message)
        return Checked(rows_of(FormatError([problem]), text))
    return checked


def check_session(session: Session, project: Project) -> Checked:
    try:
        contract = contracts.find(project, session.contract)
        judgement = judge_recording(contracts.contract_of(contract.current), session)
        _, counts = sessions.redact(session_to_value(session), project)
    except Refused as error:
        return Checked([Row(Problem(f"{error.message} {error.remedy}".strip(), "contract"))])
    except FormatError as error:
        return Checked([Row(Problem(f"cannot be read: {error.problems[0].message}", "contract"))])
    return Checked(
        session=session,
        contract=contract,
        proof=proof_sentence(judgement),
        is_caught=would_catch(judgement),
        checks=check_rows(contract.current, judgement.checks if judgement else ()),
        redacted=redaction.counted(counts),
    )
