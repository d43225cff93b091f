"""The checks on the calls that the agent made. Every call counts that reached the gateway under the
tool's name, retries included."""

from __future__ import annotations

import json
from abc import abstractmethod
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from replays_app.engine.contracts.invariant import Invariant, Seen, Subject, Text
from replays_app.engine.contracts.patterns import plain
from replays_app.engine.matching import canonical, normalise
from replays_app.engine.values import Call, Json

Calls = tuple[Call, ...]
Number = Annotated[int, Field(ge=0)]


class ToolInvariant(Invariant):
    @abstractmethod
    def settled(self, calls: Calls) -> bool | None:
        """Whether the condition holds whatever calls follow; None: later calls may change it."""

    def check_before_miss(self, subject: Subject) -> Seen:
        """For an attempt that left the recording: `subject` has the calls up to there. Only what
        can no longer change is said."""
        settled = self.settled(subject.calls)
        return Seen(settled, self.look(subject).saw if settled is not None else "")


class ToolCalled(ToolInvariant):
    """`tool` was called: exactly `times`, or at least `min` (default 1) and at most `max` times."""

    type: Literal["tool_called"]
    tool: Text
    times: Number | None = None
    min: Number | None = None
    max: Number | None = None

    @model_validator(mode="after")
    def _bounds_make_sense(self) -> Self:
        if self.times is not None and (self.min is not None or self.max is not None):
            raise ValueError("has times beside min or max; times alone means exactly")
        low, high = self.bounds
        if high is not None and low > high:
            raise ValueError(f"wants at least {low} and at most {high} calls")
        if (low, high) == (0, None):
            raise ValueError("min is 0 and max is missing: any number of calls would do")
        return self

    @property
    def bounds(self) -> tuple[int, int | None]:
        if self.times is not None:
            return self.times, self.times
        if self.min is None:
            return (0 if self.max == 0 else 1), self.max
        return self.min, self.max

    def look(self, subject: Subject) -> Seen:
        low, high = self.bounds
        number = len(calls_of(self.tool, subject.calls))
        wanted = f"{low} to {high}"
        if high is None:
            wanted = f"at least {low}"
        elif low in (0, high):
            wanted = f"exactly {high}" if low else f"at most {high}"
        saw = f"{self.tool} {called(number)}, {'anything but ' if self.negate else ''}{wanted}"
        holds = number >= low and (high is None or number <= high)
        return Seen(holds, saw + ("" if number else others(subject.calls)))

    def settled(self, calls: Calls) -> bool | None:
        low, high = self.bounds
        number = len(calls_of(self.tool, calls))
        if high is not None:
            return False if number > high else None
        return True if number >= low else None


class ToolNotCalled(ToolInvariant):
    """`tool` was never called, whatever its answer would have been."""

    type: Literal["tool_not_called"]
    tool: Text

    def look(self, subject: Subject) -> Seen:
        calls = calls_of(self.tool, subject.calls)
        at = f": {shown(calls[0])}" if calls else others(subject.calls)
        return Seen(not calls, f"{self.tool} {called(len(calls))}{at}")

    def settled(self, calls: Calls) -> bool | None:
        return False if calls_of(self.tool, calls) else None


class MaxToolCalls(ToolInvariant):
    """At most `max` calls of `tool`, or of all tools together."""

    type: Literal["max_tool_calls"]
    tool: Text | None = None
    max: Number

    def look(self, subject: Subject) -> Seen:
        number = len(calls_of(self.tool, subject.calls))
        limit = f"{'must be more than' if self.negate else 'at most'} {self.max}"
        what = f"{self.tool} {called(number)}" if self.tool else f"tools {called(number)}"
        return Seen(number <= self.max, f"{what}, {limit}")

    def settled(self, calls: Calls) -> bool | None:
        return False if len(calls_of(self.tool, calls)) > self.max else None


class ToolArgs(ToolInvariant):
    """Some call of `tool` had these `args` (with `every`: all of its calls). Other arguments may be
    there too; text that spells a number equals the number, and null equals absent."""

    type: Literal["tool_args"]
    tool: Text
    args: Annotated[dict[str, Json], Field(min_length=1)]
    every: bool = False

    def look(self, subject: Subject) -> Seen:
        calls = calls_of(self.tool, subject.calls)
        if not calls:
            return Seen(None if self.every else False, f"{self.tool} was not called")
        known = [call for call in calls if call.args is not None]
        telling = next((call for call in known if self._fits(call) is not self.every), None)
        if telling:
            return Seen(not self.every, shown(telling))
        if len(known) < len(calls):
            return Seen(None, f"{self.tool}: the arguments of a call were not recorded")
        if self.every:
            return Seen(True, f"{self.tool} {called(len(calls))}, with these arguments every time")
        return Seen(False, f"{self.tool} {called(len(calls))}, never so: {shown(calls[0])}")

    def settled(self, calls: Calls) -> bool | None:
        known = [call for call in calls_of(self.tool, calls) if call.args is not None]
        decided = any(self._fits(call) is not self.every for call in known)
        return (not self.every) if decided else None

    def _fits(self, call: Call) -> bool:
        return fits(self.args, call.args)


def fits(wanted: Json, actual: Json) -> bool:
    """A mapping fits one that has all of its keys with fitting values."""
    if isinstance(wanted, dict):
        return isinstance(actual, dict) and all(
            fits(value, actual.get(key)) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(actual, list)
            and len(wanted) == len(actual)
            and all(map(fits, wanted, actual))
        )
    return canonical(normalise(wanted, numeric=True)) == canonical(normalise(actual, numeric=True))


def calls_of(tool: str | None, calls: Calls) -> list[Call]:
    return [call for call in calls if tool is None or call.tool == tool]


def called(number: int) -> str:
    return {0: "was not called", 1: "called once"}.get(number, f"called {number} times")


def others(calls: Calls) -> str:
    tools = list(dict.fromkeys(call.tool for call in calls if call.tool))
    return f" (called: {', '.join(tools[:5])}{', …' if len(tools) > 5 else ''})" if tools else ""


def shown(call: Call) -> str:
    args = "" if call.args is None else json.dumps(call.args, ensure_ascii=False, default=str)
    return f"call {call.number}: {call.tool}({plain(args, 200)})"
