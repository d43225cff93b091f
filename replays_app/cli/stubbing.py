"""`flakestorm replay stub`: a replay file with answers for calls that its recording lacks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from replays_app.cli.main import UNUSABLE
from replays_app.cli.one_session import put_session, session_in
from replays_app.cli.screen import Screen
from replays_app.cli.text import one_line, plural
from replays_app.engine.formats.errors import FormatError, Problem
from replays_app.engine.formats.session_file import load_file
from replays_app.engine.stubs import proposal, with_stub
from replays_app.engine.values import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The command's options, under their own names."""

    file: Path
    tool: str | None = None
    args: str | None = None
    response: str | None = None
    status: int | None = None
    error: str | None = None
    from_report: Path | None = None
    output: Path | None = None
    no_color: bool = False


@dataclass(frozen=True, slots=True)
class Missed:
    tool: str
    args: dict[str, Json] | None


def add_stubs(options: Options) -> int:
    """The exit code: 0, or 2 with what was seen and what would do."""
    screen = Screen(no_color=options.no_color)
    try:
        value = session_in(options.file)
        calls = _calls(options, str(value["id"]))
        for call in calls:
            value = with_stub(value, call.tool, _stub(options, call, value))
        put_session(value, options.file, options.output)
    except FormatError as error:
        for problem in error.problems:
            screen.error(one_line(str(problem), 2_000))
        return UNUSABLE
    where = f" in {options.output}" if options.output else ""
    tools = ", ".join(dict.fromkeys(call.tool for call in calls))
    screen.note(one_line(f"{plural(len(calls), 'stub')} for {tools}{where}", 2_000))
    return 0


def _calls(options: Options, session_id: str) -> list[Missed]:
    if options.from_report is None:
        if not options.tool:
            raise _refused("--tool", "is missing; name the tool, or a report with --from-report")
        return [Missed(options.tool, _args(options.args))]
    if options.tool or options.args is not None:
        raise _refused("--from-report", "says which calls were missed; leave --tool and --args out")
    found = list(dict.fromkeys(_missed(_report(options.from_report), session_id)))
    if not found:
        message = f"tells of no call of {session_id} that the recording lacks"
        raise FormatError([Problem(message, source=str(options.from_report))])
    return [Missed(tool, None if text is None else json.loads(text)) for tool, text in found]


def _args(text: str | None) -> dict[str, Json] | None:
    if text is None:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _refused("--args", f'is no JSON ({error}); write \'{{"city": "Paris"}}\'') from error
    if not isinstance(value, dict):
        raise _refused("--args", 'is no mapping; write \'{"city": "Paris"}\'')
    return value


def _report(path: Path) -> dict[str, Any]:
    """What `replay run -o report.json` wrote."""
    documents = load_file(path)
    value = documents[0].value if len(documents) == 1 else None
    if not isinstance(value, dict) or not isinstance(value.get("sessions"), list):
        message = "is no report of this command; write one with replay run -o report.json"
        raise FormatError([Problem(message, source=str(path))])
    return value


def _missed(report: dict[str, Any], session_id: str) -> Iterator[tuple[str, str | None]]:
    """Tool and arguments (as JSON) of every miss of the session, in any attempt."""
    for session in report["sessions"]:
        if not isinstance(session, dict) or session.get("id") != session_id:
            continue
        for attempt in session.get("attempts") or []:
            for call in attempt.get("calls") or []:
                if call.get("how") == "miss" and call.get("tool"):
                    args = call.get("args")
                    yield call["tool"], None if args is None else json.dumps(args, sort_keys=True)


def _stub(options: Options, call: Missed, value: dict[str, Any]) -> dict[str, Json]:
    """Without a word about the answer, the last one that the tool gave in the recording."""
    stub: dict[str, Json] = {} if call.args is None else {"args": call.args}
    if options.response is not None:
        stub["response"] = _json_or_text(options.response)
    elif options.error is None and options.status is None:
        stub["response"] = proposal(value.get("tool_responses") or [], call.tool)[1]
    if options.status is not None:
        stub["status"] = options.status
    if options.error is not None:
        stub["error"] = options.error
    return stub


def _json_or_text(text: str) -> Json:
    try:
        value: Json = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value


def _refused(option: str, message: str) -> FormatError:
    return FormatError([Problem(f"{option} {message}")])
