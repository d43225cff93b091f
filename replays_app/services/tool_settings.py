"""How the tools of an incident's recording are replayed: each change is a revision that says why.

A run keeps the revision that it replayed, and is explained by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from replays_app.engine import tool_settings
from replays_app.engine.formats.writing import to_yaml
from replays_app.engine.values import Call, Evidence, Json, Step
from replays_app.models import Attempt, Incident, SessionRevision
from replays_app.services.errors import Refused
from replays_app.services.revisions import revise
from replays_app.services.sessions import MAX_NOTE, erased_sentence

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MAX_NAME = 200  # characters of a tool's or an argument's name
MAX_IGNORED = 100  # arguments of one tool
_SAID = 60  # characters of a name in a note


def change_tool(
    incident: Incident,
    tool: str,
    *,
    on_miss: str,
    match: str,
    ignore_args: Sequence[str],
    base: int | None,
    why: str = "",
    actor: User | None,
) -> SessionRevision:
    """Other settings of one tool; empty ones are left to the agent. `base` is the revision that
    the person saw. Raises Refused."""
    _check_name(tool, "tool")
    body = _body(incident)
    known = _tool(body, tool)
    _check_choice(on_miss, tool_settings.ON_MISS, "on_miss")
    _check_choice(match, tool_settings.TOOL_MATCH, "match")
    if on_miss == "stub" and not known.has_stub:
        raise Refused(
            f"{tool} has no answer for any call under stub.",
            field="on_miss",
            remedy="Write one under replay.tools in the recording's text first, or choose another.",
        )
    ignored = list(dict.fromkeys(ignore_args))
    if len(ignored) > MAX_IGNORED:
        raise Refused(
            f"{len(ignored)} arguments are too many.", field="more", remedy="100 at most."
        )
    for name in ignored:
        _check_name(name, "more")
    value = tool_settings.with_tool(body, tool, on_miss=on_miss, match=match, ignore_args=ignored)
    what = [f"on a miss: {on_miss}"] if on_miss else []
    what += [f"match: {match}"] if match else []
    what += [f"ignores {', '.join(map(_said, ignored))}"] if ignored else []
    words = f"{_said(tool)}: {'; '.join(what) or 'as the agent says'}"
    return _revise(incident, value, words, why=why, base=base, actor=actor)


def change_match(
    incident: Incident, match: str, *, base: int | None, why: str = "", actor: User | None
) -> SessionRevision:
    """How calls of all tools find their record; empty: as the agent says. Raises Refused."""
    _check_choice(match, tool_settings.MATCH, "match")
    value = tool_settings.with_match(_body(incident), match)
    words = f"match of all tools: {match or 'as the agent says'}"
    return _revise(incident, value, words, why=why, base=base, actor=actor)


def ignore_argument(
    incident: Incident, attempt: Attempt, number: int, argument: str, *, actor: User | None
) -> SessionRevision:
    """From now on the argument in which this call differs does not matter. Raises Refused."""
    call, step = _call(attempt, number)
    if step is None or argument not in step.differing:
        raise Refused(
            f"Call {number} does not differ in an argument {argument[:_SAID]!r}.",
            field="argument",
            remedy="Choose one that the page shows beside the call.",
        )
    assert call.tool is not None
    body = _body(incident)
    known = _tool(body, call.tool)
    if argument in known.ignore_args:
        now = incident.session.current.number
        raise Refused(f"r{now} of the recording ignores {argument[:_SAID]!r} already.")
    value = tool_settings.with_tool(body, call.tool, ignore_args=[*known.ignore_args, argument])
    words = f"{_said(call.tool)} ignores {_said(argument)}"
    return _from_run(incident, attempt, number, value, words, actor)


def repeat_last(
    incident: Incident, attempt: Attempt, number: int, *, actor: User | None
) -> SessionRevision:
    """From now on a call that was made before gets its last answer again. Raises Refused."""
    call, _ = _call(attempt, number)
    assert call.tool is not None
    if call.how != "miss":
        raise Refused(f"Call {number} had an answer.", field="call", remedy="Nothing to repeat.")
    value = tool_settings.with_tool(_body(incident), call.tool, on_miss="last")
    words = f"{_said(call.tool)} repeats its last answer"
    return _from_run(incident, attempt, number, value, words, actor)


def _from_run(
    incident: Incident,
    attempt: Attempt,
    number: int,
    value: dict[str, Json],
    words: str,
    actor: User | None,
) -> SessionRevision:
    words = f"{words} (run {attempt.run_id}, attempt {attempt.number}, call {number})"
    base = incident.session.current.number
    return _revise(incident, value, words, base=base, actor=actor)


def _revise(
    incident: Incident,
    value: dict[str, Json],
    words: str,
    *,
    base: int | None,
    why: str = "",
    actor: User | None,
) -> SessionRevision:
    why = " ".join(why.split())
    note = f"{why} ({words})" if why else words
    if len(note) > MAX_NOTE:
        note = note[: MAX_NOTE - 1] + "…"
    try:
        return revise(incident, to_yaml(value), base=base, note=note, actor=actor)
    except Refused as error:
        if error.field != "base":
            raise
        now = incident.session.__class__.objects.select_related("current").get(
            pk=incident.session_id
        )
        raise Refused(
            f"r{now.current.number} of the recording was saved while this page was open.",
            field="base",
            remedy="It is shown now; look, and choose again.",
        ) from error


def _call(attempt: Attempt, number: int) -> tuple[Call, Step | None]:
    """A tool call of this attempt and its row. Raises Refused."""
    stored = attempt.payload.evidence
    if stored is None:
        raise Refused("The calls of this attempt were erased.")
    evidence = Evidence.from_json(stored)
    call = next((c for c in evidence.calls if c.number == number), None)
    if call is None or call.tool is None:
        raise Refused(f"Call {number} is no tool call of this attempt.", field="call")
    return call, next((s for s in evidence.report.steps if s.call == number), None)


def _tool(body: dict[str, Json], name: str) -> tool_settings.Tool:
    known = (tool for tool in tool_settings.tools_of(body) if tool.name == name)
    return next(known, tool_settings.Tool(name))


def _body(incident: Incident) -> dict[str, Json]:
    current = incident.session.current
    if current.body is None:
        raise Refused(erased_sentence(current))
    return current.body


def _check_name(name: str, field: str) -> None:
    if not 1 <= len(name) <= MAX_NAME:
        raise Refused(
            f"A name of {len(name):,} characters is none.",
            field=field,
            remedy=f"1 to {MAX_NAME} characters.",
        )


def _check_choice(value: str, known: object, field: str) -> None:
    assert isinstance(known, dict)
    if value and value not in known:
        raise Refused(
            f"{field} is {value[:_SAID]!r}.", field=field, remedy=f"One of: {', '.join(known)}."
        )


def _said(name: str) -> str:
    return name if len(name) <= _SAID else name[: _SAID - 1] + "…"
