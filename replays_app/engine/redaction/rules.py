"""What a project redacts: which recognisers are off, patterns of its own, and paths of fields."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import re2

from replays_app.engine.redaction.recognisers import RECOGNISERS
from replays_app.engine.values import Json

MOST = 50  # patterns, and paths
LONGEST_PATTERN = 500  # characters
LONGEST_PATH = 300
NAME = re.compile(r"[a-z][a-z0-9 _\-]{0,39}")
_STEP = re.compile(r"\.?([^.\[\]]+)|\[(\*|\d+)\]|\.?(\*)")
PARTS_OF_CALL = ("args", "response", "error", "headers", "seen")  # the rest is the format's own
PARTS_OF_MODEL = ("text", "tool_calls", "error")
ROOTS = (
    *("input", "context", "tool_responses", "model_responses", "recorded_output"),
    *("expected_failure", "name"),
)


class BadRules(ValueError):
    """What is wrong, and what would do; `field` is off, patterns or paths."""

    def __init__(self, message: str, remedy: str, *, field: str) -> None:
        super().__init__(f"{message} {remedy}".strip())
        self.message, self.remedy, self.field = message, remedy, field


@dataclass(frozen=True, slots=True)
class Pattern:
    """One of a project: RE2; its first group is the value, or all of it where there is none."""

    name: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Rules:
    off: frozenset[str] = frozenset()  # names of recognisers
    patterns: tuple[Pattern, ...] = ()
    paths: tuple[str, ...] = ()  # such as tool_responses[*].response.customer.name

    @classmethod
    def from_value(cls, value: Mapping[str, Json]) -> Self:
        """What `to_value` wrote; an empty mapping is the default. Raises BadRules."""
        off, patterns, paths = (value.get(name) or [] for name in ("off", "patterns", "paths"))
        if not all(isinstance(part, list) for part in (off, patterns, paths)):
            raise BadRules("The rules are no lists.", "Save them again.", field="off")
        return cls(
            off=frozenset(check_recogniser(str(name)) for name in off),
            patterns=check_patterns(
                [Pattern(str(p.get("name")), str(p.get("pattern"))) for p in patterns]
            ),
            paths=check_paths([str(path) for path in paths]),
        )

    def to_value(self) -> dict[str, Any]:
        return {
            "off": [r.name for r in RECOGNISERS if r.name in self.off],
            "patterns": [{"name": p.name, "pattern": p.pattern} for p in self.patterns],
            "paths": list(self.paths),
        }


def check_recogniser(name: str) -> str:
    known = [r.name for r in RECOGNISERS]
    if name not in known:
        raise BadRules(
            f"{name[:60]!r} is no recogniser.", f"One of: {', '.join(known)}.", field="off"
        )
    return name


def check_patterns(patterns: Sequence[Pattern]) -> tuple[Pattern, ...]:
    """Raises BadRules."""
    if len(patterns) > MOST:
        raise BadRules(
            f"{len(patterns)} patterns, limit {MOST}.", "Join some with |.", field="patterns"
        )
    taken = {r.name for r in RECOGNISERS} | {"field"}
    for each in patterns:
        if not NAME.fullmatch(each.name) or each.name in taken:
            raise BadRules(
                f"{each.name[:60]!r} is no name for a pattern, or is taken.",
                "Start with a letter; lower case, digits, blanks, - and _; each once.",
                field="patterns",
            )
        taken.add(each.name)
        _check_pattern(each)
    return tuple(patterns)


def _check_pattern(each: Pattern) -> None:
    if not 1 <= len(each.pattern) <= LONGEST_PATTERN:
        raise BadRules(
            f"The pattern {each.name} has {len(each.pattern)} characters.",
            f"It needs 1 to {LONGEST_PATTERN}.",
            field="patterns",
        )
    try:
        compiled = re2.compile(each.pattern, quiet_options())
    except re2.error as error:
        raise BadRules(
            f"The pattern {each.name} cannot be read: {_words(error)}.",
            "Patterns are RE2's: no look-around and no back-references.",
            field="patterns",
        ) from error
    if compiled.search("") is not None:
        raise BadRules(
            f"The pattern {each.name} matches an empty text, so it would be found everywhere.",
            "Say at least one character that it must have.",
            field="patterns",
        )


def check_paths(paths: Sequence[str]) -> tuple[str, ...]:
    """Raises BadRules."""
    if len(paths) > MOST:
        raise BadRules(f"{len(paths)} paths, limit {MOST}.", "Use * for many.", field="paths")
    for path in paths:
        steps_of(path)
    return tuple(paths)


def steps_of(path: str) -> tuple[str, ...]:
    """`context[*].content` as (context, *, content). Raises BadRules."""
    steps, at = [], 0
    while len(path) <= LONGEST_PATH and at < len(path) and (found := _STEP.match(path, at)):
        steps.append(found[1] or found[2] or found[3])
        at = found.end()
    if at != len(path) or not steps or steps[0] not in ROOTS:
        raise BadRules(
            f"{path[:80]!r} is no path of a recording.",
            f"Start with one of {', '.join(ROOTS)}, such as "
            "tool_responses[*].response.customer.name; * stands for every key or item.",
            field="paths",
        )
    is_call = steps[0] == "tool_responses"
    if is_call and (len(steps) < 3 or steps[2] not in PARTS_OF_CALL):
        raise BadRules(
            f"{path[:80]!r} does not say which part of a call is meant.",
            f"Write tool_responses[*]. and one of {', '.join(PARTS_OF_CALL)}.",
            field="paths",
        )
    is_model = steps[0] == "model_responses"
    if is_model and (len(steps) < 3 or steps[2] not in PARTS_OF_MODEL):
        raise BadRules(
            f"{path[:80]!r} does not say which part of an answer is meant.",
            f"Write model_responses[*]. and one of {', '.join(PARTS_OF_MODEL)}.",
            field="paths",
        )
    return tuple(steps)


def quiet_options(max_memory: int = 8 << 20) -> Any:
    """RE2 writes nothing to stderr. `max_memory`: bytes that a compiled pattern may take."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = max_memory
    return options


def _words(error: Exception) -> str:
    said = error.args[0] if error.args else error
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)
