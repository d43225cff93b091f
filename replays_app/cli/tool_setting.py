"""`flakestorm replay tool`: how one tool of a replay file, or all of them, are replayed."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from replays_app.cli.main import UNUSABLE
from replays_app.cli.one_session import put_session, session_in
from replays_app.cli.screen import Screen
from replays_app.cli.text import one_line
from replays_app.engine.formats.errors import FormatError, Problem
from replays_app.engine.tool_settings import KEEP, Tool, tools_of, with_match, with_tool
from replays_app.engine.values import Json

DEFAULT = "default"  # takes a setting out, so that the agent's own holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The command's options, under their own names."""

    file: Path
    tool: str | None = None
    on_miss: str | None = None
    match: str | None = None
    ignore_arg: tuple[str, ...] = ()
    compare_arg: tuple[str, ...] = ()
    output: Path | None = None
    no_color: bool = False


def set_tool(options: Options) -> int:
    """The exit code: 0, or 2 with what was seen and what would do."""
    screen = Screen(no_color=options.no_color)
    try:
        value = session_in(options.file)
        changed = _changed(value, options)
        put_session(changed, options.file, options.output)
    except FormatError as error:
        for problem in error.problems:
            screen.error(one_line(str(problem), 2_000))
        return UNUSABLE
    recorded = [tool.name for tool in tools_of(value)]
    if options.tool is not None and options.tool not in recorded:
        screen.note(
            f"nothing of {one_line(options.tool, 200)} is recorded there, only of "
            f"{one_line(', '.join(recorded), 1_000) or 'no tool'}; check its name"
        )
    if changed == value:
        screen.note("nothing changed: the file said so before")
    return 0


def _changed(value: dict[str, Json], options: Options) -> dict[str, Json]:
    args = [*options.ignore_arg, *options.compare_arg]
    if options.on_miss is None and options.match is None and not args:
        raise _refused(
            "say what is to change: --on-miss, --match, --ignore-arg or --compare-arg", options
        )
    if both := set(options.ignore_arg) & set(options.compare_arg):
        raise _refused(f"{min(both)} is to be ignored and compared; choose one", options)
    if options.tool is None:
        if options.on_miss or args:
            raise _refused("name the tool after FILE; only --match is for all tools", options)
        return with_match(value, _setting(options.match))
    if options.match == "sequence":
        raise _refused(
            "--match sequence is an order of all tools; leave the tool out, or take auto or exact",
            options,
        )
    known = {tool.name: tool for tool in tools_of(value)}
    tool = known.get(options.tool, Tool(options.tool))
    if options.tool not in known and (near := get_close_matches(options.tool, known, n=1)):
        raise _refused(f"has no tool {options.tool}, did you mean {near[0]}?", options)
    if strange := [name for name in options.compare_arg if name not in tool.ignore_args]:
        raise _refused(f"{tool.name} does not ignore {', '.join(strange)}", options)
    ignored = [name for name in tool.ignore_args if name not in options.compare_arg]
    return with_tool(
        value,
        tool.name,
        on_miss=KEEP if options.on_miss is None else _setting(options.on_miss),
        match=KEEP if options.match is None else _setting(options.match),
        ignore_args=[*ignored, *options.ignore_arg] if args else KEEP,
    )


def _setting(said: str | None) -> str | None:
    return None if said == DEFAULT else said


def _refused(message: str, options: Options) -> FormatError:
    return FormatError([Problem(message, source=str(options.file))])
