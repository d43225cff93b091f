"""How the tools of a recording are replayed, changed in the value of its replay file."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from replays_app.engine.formats.session import Match, OnMiss, ToolMatch
from replays_app.engine.values import Json

# What there is to choose from, with words for it.
ON_MISS: Final[Mapping[OnMiss, str]] = {
    "repeat_fault": "a repeat of a recorded fault gets it again, anything else is a miss",
    "fail": "always a miss",
    "last": "the tool's last answer again (polling)",
    "stub": "the answer that stands under stub",
    "passthrough": "the real tool, with real effects",
}
MATCH: Final[Mapping[Match, str]] = {
    "auto": "equal arguments, else the next answer, reported as different",
    "exact": "equal arguments only; anything else is a miss",
    "sequence": "the recorded order of all tools",
}
TOOL_MATCH: Final[Mapping[ToolMatch, str]] = {k: v for k, v in MATCH.items() if k != "sequence"}


class Keep:
    """What is not to be changed; None takes a setting out."""


KEEP: Final = Keep()


@dataclass(slots=True)
class Tool:
    """One tool of a recording: the arguments that were seen, and what is set."""

    name: str
    calls: int = 0  # recorded
    args: list[str] = field(default_factory=list)  # names, in the order of the first
    on_miss: str | None = None
    match: str | None = None
    ignore_args: list[str] = field(default_factory=list)
    has_stub: bool = False  # for any call, which `on_miss: stub` needs
    stubs: int = 0

    @property
    def is_set(self) -> bool:
        return bool(self.on_miss or self.match or self.ignore_args or self.has_stub or self.stubs)


def tools_of(body: Mapping[str, Json]) -> list[Tool]:
    """As they were called, then those that only the settings name."""
    found: dict[str, Tool] = {}

    def seen(name: str, args: Json) -> Tool:
        tool = found.setdefault(name, Tool(name))
        tool.args += [key for key in args or () if key not in tool.args]
        return tool

    for record in body.get("tool_responses") or ():
        seen(record["tool"], record.get("args")).calls += 1
    for name, said in _settings(body).items():
        tool = seen(name, None)
        tool.on_miss, tool.match = said.get("on_miss"), said.get("match")
        tool.ignore_args = list(said.get("ignore_args") or ())
        tool.has_stub, tool.stubs = "stub" in said, len(said.get("stubs") or ())
        for stub in said.get("stubs") or ():
            seen(name, stub.get("args"))
    return list(found.values())


def match_of(body: Mapping[str, Json]) -> str | None:
    return (body.get("replay") or {}).get("match")


def with_tool(
    body: Mapping[str, Json],
    tool: str,
    *,
    on_miss: str | Keep | None = KEEP,
    match: str | Keep | None = KEEP,
    ignore_args: Sequence[str] | Keep = KEEP,
) -> dict[str, Json]:
    """The replay-file value `body` with other settings of one tool. Whether they fit is seen when
    the value is read."""

    def change(replay: dict[str, Any]) -> None:
        said = replay.setdefault("tools", {}).setdefault(tool, {})
        for name, value in (("on_miss", on_miss), ("match", match)):
            if not isinstance(value, Keep):
                said[name] = value
        if not isinstance(ignore_args, Keep):
            said["ignore_args"] = list(dict.fromkeys(ignore_args))
        for name in ("on_miss", "match", "ignore_args"):
            if name in said and not said[name]:
                del said[name]
        for place, key in ((replay["tools"], tool), (replay, "tools")):
            if not place[key]:
                del place[key]

    return _changed(body, change)


def with_match(body: Mapping[str, Json], match: str | None) -> dict[str, Json]:
    """The same with another way for all tools."""

    def change(replay: dict[str, Any]) -> None:
        replay["match"] = match
        if not match:
            del replay["match"]

    return _changed(body, change)


def _changed(body: Mapping[str, Json], change: Callable[[dict[str, Any]], None]) -> dict[str, Json]:
    value: dict[str, Any] = copy.deepcopy(dict(body))
    replay = value.setdefault("replay", {})
    change(replay)
    if not replay:
        del value["replay"]
    return value


def _settings(body: Mapping[str, Json]) -> dict[str, Any]:
    return (body.get("replay") or {}).get("tools") or {}
