"""The hooks door: tool calls of a Python agent in its own process, and the connections that it
opens beside them. Messages in, messages out; bootstrap/run.py and fence.py are the other side."""

from __future__ import annotations

from collections.abc import Mapping

from replays_app.engine.formats.session import Session
from replays_app.engine.gateway.deck import Deck
from replays_app.engine.matching import differing
from replays_app.engine.play import Play
from replays_app.engine.tape import Seen
from replays_app.engine.values import Json

_PORTS = (443, 80)  # where only a name is asked for


class HooksDoor:
    """One attempt's. `answer` never waits: an answer's delay is waited in the agent's process."""

    def __init__(self, deck: Deck, session: Session) -> None:
        self._deck = deck
        self._open: dict[int, Play] = {}
        self._records = session.tool_responses
        self.tools = sorted({record.tool for record in session.tool_responses})

    def answer(self, message: Mapping[str, Json]) -> dict[str, Json] | None:
        """What to send back; None: nothing. Raises ValueError for what is no message of ours."""
        if "tool" in message:
            return self._call(message)
        if "connect" in message:
            return {"allowed": self._may_connect(message)}
        if "end" in message:
            self._end(message)
            return None
        raise ValueError(f"no message of a hook: {', '.join(message)}")

    def close(self) -> None:
        """The attempt is over; calls that are still open were not waited for."""
        for play in self._open.values():
            lost = "the attempt ended before the answer"
            self._deck.tape.end(play, now_ms=self._deck.now_ms(), lost=lost)
        self._open.clear()

    def _call(self, message: Mapping[str, Json]) -> dict[str, Json]:
        tool, args, defaults = message["tool"], message["args"], message.get("defaults") or {}
        if (
            not isinstance(tool, str)
            or not isinstance(args, dict)
            or not isinstance(defaults, dict)
        ):
            raise ValueError("a call is a tool, arguments and defaults")
        told = self._as_recorded(tool, args, {**args, **defaults}) if defaults else args
        now_ms = self._deck.now_ms()
        seen = Seen(now_ms=now_ms, door="hooks", method="", url="")
        play = self._deck.tape.begin(tool, told, **seen)
        stays = play.kind == "passthrough" or play.delay_ms > 0 or play.latency_ms > 0
        if stays:
            self._open[play.number] = play
        else:
            self._deck.tape.end(play, now_ms=now_ms)
        return _reply(play, stays=stays)

    def _as_recorded(
        self, tool: str, passed: dict[str, Json], every: dict[str, Json]
    ) -> dict[str, Json]:
        """Some recorders note the defaults of a function too, others only what was passed."""
        recorded = [r.args for r in self._records if r.tool == tool and r.args is not None]
        for told in (passed, every):
            if any(not differing(args, told, (), ()) for args in recorded):
                return told
        return passed

    def _end(self, message: Mapping[str, Json]) -> None:
        play = self._open.pop(message["end"], None)
        if play is None:
            return
        limit, waited = message.get("limit"), message.get("waited")
        lost = ""
        if isinstance(limit, int | float):
            lost = f"the agent's own time limit of {limit:,.0f} ms ended it"
        self._deck.tape.end(play, now_ms=self._deck.now_ms(), lost=lost, waited_ms=waited)

    def _may_connect(self, message: Mapping[str, Json]) -> bool:
        host, port = str(message["connect"]), int(message["port"])
        deck, now_ms = self._deck, self._deck.now_ms()
        ports = (port,) if port else _PORTS
        url = f"{host}:{port}" if port else host
        if any(pattern.names_host(host, p) for pattern in deck.live for p in ports):
            play = deck.tape.passed_through("CONNECT", url, now_ms=now_ms, door="hooks")
            deck.tape.end(play, now_ms=now_ms)
            return True
        expected = any(pattern.names_host(host, p) for pattern in deck.unwanted for p in ports)
        play = deck.tape.blocked("CONNECT", url, expected, now_ms=now_ms, door="hooks")
        deck.tape.end(play, now_ms=now_ms)
        return False


def _reply(play: Play, *, stays: bool) -> dict[str, Json]:
    reply: dict[str, Json] = {
        "n": play.number,
        "kind": "value",
        "wait": play.delay_ms,
        "latency": play.latency_ms,
        "start": play.flight.start_ms if play.flight is not None else 0.0,
        "open": stays,
    }
    if play.kind in ("miss", "passthrough"):
        return {**reply, "kind": play.kind, "said": play.detail}
    if play.fault:
        return {**reply, "kind": "fault", "said": play.said, "status": play.status}
    return {**reply, "value": play.response}
