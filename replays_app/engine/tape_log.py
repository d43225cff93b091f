"""A tape that several processes hand out together, by a log of the attempt's calls.

Whoever is asked something writes it to the log first. The log puts all that was asked into one
order, and says when it was. Each process follows the log with a tape of its own, entry by entry, so
that all of them find the same answer to each call, and each record is consumed once, whoever is
asked and whoever dies meanwhile.

An entry is the time in milliseconds since the attempt began, a blank, and an event in JSON: the
opening of a call, or its end (by the opening's place in the log). A call whose answer need not be
waited for ends where it opens.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Unpack

from replays_app.engine.play import Play
from replays_app.engine.tape import Seen, Tape
from replays_app.engine.values import Door, Json


@dataclass(slots=True, kw_only=True, eq=False)
class Pending(Play):
    """A call that is not in the log yet, and so has no answer."""

    event: str


class Openings:
    """In a tape's place: what it is asked becomes an event, to be written to the log."""

    def begin(
        self,
        tool: str,
        args: Mapping[str, Json] | None,
        *,
        textual: frozenset[str] = frozenset(),
        siblings: bool = False,
        **seen: Unpack[Seen],
    ) -> Play:
        textual_names = sorted(textual)
        return _pending(
            "begin", seen, tool=tool, args=args, textual=textual_names, siblings=siblings
        )

    def blocked(
        self, method: str, url: str, expected: bool, *, now_ms: float, door: Door = "proxy"
    ) -> Play:
        seen = Seen(now_ms=now_ms, door=door, method=method, url=url)
        return _pending("blocked", seen, expected=expected)

    def refused(self, reason: str, *, status: int, **seen: Unpack[Seen]) -> Play:
        return _pending("refused", seen, reason=reason, status=status)

    def passed_through(self, method: str, url: str, *, now_ms: float, door: Door = "proxy") -> Play:
        return _pending("passed", Seen(now_ms=now_ms, door=door, method=method, url=url))


def end_event(of: int, *, status: int | None, lost: str) -> str:
    return json.dumps({"op": "end", "of": of, "status": status, "lost": lost})


class LoggedTape:
    """A tape that follows a log."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.seen = 0  # entries that were followed
        self._plays: dict[int, Play] = {}

    def follow(self, entries: Sequence[str], start: int = 0) -> None:
        """`entries`: of the log, from `start` on. Raises ValueError for a log that is none."""
        if start > self.seen:
            raise ValueError(f"the log from {start} on was read, and {self.seen} were known")
        for entry in entries[self.seen - start :]:
            self._follow(entry)
            self.seen += 1

    def play(self, index: int) -> Play:
        return self._plays[index]

    def is_open(self) -> bool:
        """Whether a call is still under way."""
        return any(play.ended_ms is None for play in self._plays.values())

    def _follow(self, entry: str) -> None:
        time_ms, _, text = entry.partition(" ")
        event, now_ms = json.loads(text), float(time_ms)
        if event["op"] == "end":
            play = self._plays.get(event["of"])
            if play is not None:
                self.tape.end(play, now_ms=now_ms, status=event["status"], lost=event["lost"])
            return
        play = self._plays[self.seen] = self._opened(event, now_ms)
        if play.kind != "passthrough" and not play.delay_ms:
            self.tape.end(play, now_ms=now_ms)

    def _opened(self, event: dict[str, Json], now_ms: float) -> Play:
        seen = Seen(now_ms=now_ms, door=event["door"], method=event["method"], url=event["url"])
        match event["op"]:
            case "begin":
                return self.tape.begin(
                    event["tool"],
                    event["args"],
                    textual=frozenset(event["textual"]),
                    siblings=event["siblings"],
                    **seen,
                )
            case "blocked":
                return self.tape.blocked(
                    event["method"],
                    event["url"],
                    event["expected"],
                    now_ms=now_ms,
                    door=event["door"],
                )
            case "refused":
                return self.tape.refused(event["reason"], status=event["status"], **seen)
            case "passed":
                return self.tape.passed_through(
                    event["method"], event["url"], now_ms=now_ms, door=event["door"]
                )
        raise ValueError(f"the log has an entry of an unknown kind: {event['op']!r}")


def _pending(op: str, seen: Seen, **told: Json) -> Pending:
    place = {"door": seen["door"], "method": seen["method"], "url": seen["url"]}
    return Pending(
        number=0,
        tool=None,
        how="miss",
        kind="miss",
        started_ms=seen["now_ms"],
        event=json.dumps({"op": op, **place, **told}, default=str),
        door=seen["door"],
        method=seen["method"],
        url=seen["url"],
    )
