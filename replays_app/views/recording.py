"""What the incident page says of the recording and of its contract."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.safestring import SafeString

from replays_app.engine.contracts.judge import judge_recording, proof_sentence, would_catch
from replays_app.engine.formats.errors import FormatError
from replays_app.engine.tool_settings import match_of, tools_of
from replays_app.engine.values import CheckResult, Judgement
from replays_app.models import ContractRevision, SessionRevision
from replays_app.services.contracts import contract_of
from replays_app.services.sessions import erased_sentence, session_of
from replays_app.templatetags.shown import TEXT_LIMIT, json_text, marked
from replays_app.views.timeline import Bar, Window, bars_of_recording
from replays_app.views.words import invariant_words, when_words


@dataclass(frozen=True, slots=True)
class Record:
    """One recorded call, for the timeline."""

    number: int  # from 1
    value: dict[str, Any]
    bar: Bar

    @property
    def latency_ms(self) -> float | None:
        """None: not recorded."""
        return self.value.get("latency_ms")

    @property
    def status(self) -> int:
        """As it goes out over HTTP: absent is 200, an error without a status 500."""
        if self.value.get("status") is not None:
            return int(self.value["status"])
        return 500 if self.value.get("error") is not None else 200

    @property
    def status_words(self) -> str:
        return "connection failed" if self.status == 0 else str(self.status)

    @property
    def is_fault(self) -> bool:
        return self.value.get("error") is not None or self.status == 0 or self.status >= 400


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One invariant in words, with what it saw when there is something to see."""

    id: str
    words: str
    when: str
    severity: str
    description: str = ""
    result: CheckResult | None = None


@dataclass(frozen=True, slots=True)
class Recording:
    input: str
    turns: list[tuple[str, str]]  # (role, text) of the earlier turns
    records: list[Record]
    window: Window
    answer: SafeString | None
    answer_is_cut: bool
    checks: list[CheckRow]
    proof: str  # what the contract says of the recorded answer, in a sentence
    is_caught: bool | None
    settings: list[str]  # how its tools are replayed, where that is not left to the agent
    problem: str = ""
    erased: str = ""  # when, by whom and why, in a sentence; nothing else is left then

    @property
    def has_faults(self) -> bool:
        return any(r.is_fault for r in self.records)


def show(
    session: SessionRevision, contract: ContractRevision | None, *, call: int = 1
) -> Recording:
    body = session.body or {}
    values = body.get("tool_responses") or []
    bars = bars_of_recording(values)
    window = Window.at(call, len(values))
    judgement, problem = _judged(session, contract)
    answer = body.get("recorded_output")
    results = judgement.checks if judgement else ()
    return Recording(
        input=_message_text(body.get("input", "")),
        turns=[_turn(t) for t in body.get("context") or ()],
        records=[Record(i + 1, values[i], bars[i]) for i in range(len(values))][window.slice],
        window=window,
        answer=None if answer is None else marked(answer[:TEXT_LIMIT], marks_of(results)),
        answer_is_cut=len(answer or "") > TEXT_LIMIT,
        checks=check_rows(contract, results),
        proof=proof_sentence(judgement) if contract and body and not problem else "",
        is_caught=would_catch(judgement),
        settings=_settings(body),
        problem=problem,
        erased="" if body else erased_sentence(session),
    )


def _settings(body: dict[str, Any]) -> list[str]:
    """A line for all tools and for each of the first ten that have settings of their own."""
    match = match_of(body)
    lines = [f"match of all tools: {match}"] if match else []
    if said := len(body.get("model_responses") or ()):
        lines.append(f"{said} answer{'s' if said > 1 else ''} of its model recorded")
    tools = [tool for tool in tools_of(body) if tool.is_set]
    for tool in tools[:10]:
        what = [f"ignores {', '.join(tool.ignore_args[:10])}"] if tool.ignore_args else []
        what += [f"on a miss {tool.on_miss}"] if tool.on_miss else []
        what += [f"match {tool.match}"] if tool.match else []
        stubs = tool.stubs + tool.has_stub
        what += [f"{stubs} stub{'s' if stubs > 1 else ''}"] if stubs else []
        lines.append(f"{tool.name}: {'; '.join(what)}")
    return [*lines, *([f"{len(tools) - 10} more tools"] if len(tools) > 10 else [])]


def _judged(
    session: SessionRevision, contract: ContractRevision | None
) -> tuple[Judgement | None, str]:
    """The contract proved on the recorded answer, or why that cannot be done."""
    if contract is None or session.body is None:
        return None, ""
    try:
        return judge_recording(contract_of(contract), session_of(session)), ""
    except FormatError as error:
        return None, (
            f"This version cannot read what is stored ({error.problems[0]}). "
            "Export it, mend it and report it again."
        )


def marks_of(checks: tuple[CheckResult, ...]) -> list[tuple[int, int, str, str]]:
    """Matched text of the checks, failed ones first so that they win where two overlap."""
    ordered = sorted(checks, key=lambda c: c.result != "failed")
    return [
        (start, end, f"by-{check.result}", f"{check.id} {check.result}")
        for check in ordered
        for start, end in check.spans
    ]


def check_rows(
    contract: ContractRevision | None, results: tuple[CheckResult, ...]
) -> list[CheckRow]:
    """The contract's invariants in their order, then checks that it does not name (`completes`)."""
    return rows_of(contract.body.get("invariants", []) if contract else [], results)


def rows_of(invariants: list[dict[str, Any]], results: tuple[CheckResult, ...]) -> list[CheckRow]:
    """The same of invariants as values."""
    by_id = {r.id: r for r in results}
    rows = []
    for position, invariant in enumerate(invariants, 1):
        name = invariant.get("id") or f"{invariant.get('type')}-{position}"
        rows.append(
            CheckRow(
                id=name,
                words=invariant_words(invariant),
                when=when_words(invariant),
                severity=invariant.get("severity", "medium"),
                description=invariant.get("description", ""),
                result=by_id.pop(name, None),
            )
        )
    for result in by_id.values():
        words = invariant_words({"type": result.type})
        rows.append(CheckRow(result.id, words, "", result.severity, result=result))
    return rows


def _message_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "\n\n".join(f"{role}: {text}" for role, text in map(_turn, value))


def _turn(value: Any) -> tuple[str, str]:
    if isinstance(value, dict) and "content" in value:
        return str(value.get("role", "context")), json_text(value["content"])
    return "context", json_text(value)
