"""What one attempt and its model say to each other, as the LLM door hears it.

The results of tools that a model asked for are replaced in the next question by the tape's answers.
A tool call keeps the answer that it got once, however often later questions repeat it. One whose
tool was answered through another door meanwhile keeps the result that the agent made of it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from replays_app.engine.agents.reach import llm_of, run_in_agent
from replays_app.engine.formats.agent import AgentConfig
from replays_app.engine.formats.llm import LlmConfig
from replays_app.engine.formats.session import ModelResponse, Session
from replays_app.engine.gateway.llm.answers import Answers
from replays_app.engine.gateway.llm.api import ToolResult
from replays_app.engine.gateway.llm.exchange import KEPT_DETAIL, Exchange
from replays_app.engine.gateway.llm.meddling import Meddler
from replays_app.engine.gateway.llm.said import Wanted
from replays_app.engine.matching import canonical, differing
from replays_app.engine.play import Play
from replays_app.engine.tape import Seen, Tape
from replays_app.engine.values import Json, ModelApi, ModelCall

MOST_CALLS = 1_000  # questions of one attempt
MOST_ASKED = 5_000  # tool calls of one attempt, as of a tape


@dataclass(slots=True, eq=False)
class _Asked:
    """A tool call that the model asked for in this attempt. `since`: plays before it."""

    wanted: Wanted
    since: int
    text: str | None = None  # what the model is told; None: what the agent made itself
    failed: bool = False
    settled: bool = False


class Talk:
    """Of one attempt. `guarded`: tools that must not run in the agent; `allowed`: those that have
    side effects and may. `answers`: recorded ones of the model; None: it is asked itself."""

    def __init__(
        self,
        tape: Tape,
        *,
        guarded: frozenset[str] = frozenset(),
        allowed: frozenset[str] = frozenset(),
        answers: Answers | None = None,
        meddlers: Sequence[Meddler] = (),
    ) -> None:
        self._answers = answers
        self._meddlers = meddlers
        self._tape = tape
        self._guarded = guarded
        self._allowed = allowed
        self._may_run: set[str] = set()  # of the allowed ones
        self._exchanges: list[Exchange] = []
        self._asked: list[_Asked] = []
        self._by_id: dict[str, list[_Asked]] = {}
        self._claimed: set[int] = set()  # Play.number
        self._strangers: set[str] = set()

    def begin(self, api: ModelApi, now_ms: float) -> Exchange | None:
        """None: there were too many."""
        if len(self._exchanges) >= MOST_CALLS:
            return None
        exchange = Exchange(len(self._exchanges) + 1, api, now_ms)
        self._exchanges.append(exchange)
        return exchange

    @property
    def tape(self) -> Tape:
        return self._tape

    @property
    def is_recorded(self) -> bool:
        return self._answers is not None

    def deal(self, exchange: Exchange) -> ModelResponse | None:
        """The next recorded answer; None: there are no more."""
        exchange.source = "recorded"
        return self._answers.deal() if self._answers is not None else None

    def instead(self, exchange: Exchange) -> ModelResponse | None:
        """What a scenario answers in the model's place."""
        for meddler in self._meddlers:
            said = meddler.instead(exchange.number)
            if said is not None:
                exchange.chaos = True
                return said
        return None

    @property
    def run_out(self) -> str:
        count = len(self._exchanges)
        return (
            f"question {count} to the model has no recorded answer: the recording has "
            f"{self._answers.count if self._answers else 0} (model_responses); add it there, or "
            "take agent.llm.answers: recorded out"
        )

    def hear(self, exchange: Exchange) -> str:
        """The tool calls that the answer has by now, before the agent hears of them. What speaks
        against telling it; empty: nothing."""
        said = exchange.said
        if self._guarded and (tool := next(filter(self._guarded.__contains__, said.tools), None)):
            return (
                f"the model asked for {tool}, which has side effects (tools.{tool}.side_effects) "
                "and would really run in the agent, so its answer was withheld"
            )
        if len(self._asked) + len(said.wanted) - exchange.heard > MOST_ASKED:
            return f"the model asked for more than {MOST_ASKED:,} tool calls in one attempt"
        for wanted in said.wanted[exchange.heard :]:
            asked = _Asked(wanted, len(self._tape.plays))
            self._asked.append(asked)
            self._by_id.setdefault(wanted.id, []).append(asked)
            if wanted.tool in self._allowed:
                self._may_run.add(wanted.tool)
        exchange.heard = len(said.wanted)
        return ""

    def replace(self, results: Sequence[ToolResult], exchange: Exchange) -> list[Play]:
        """Puts the recorded answers in. What was taken from the tape; `end` it when the question
        goes on to the model."""
        fresh: list[_Asked] = []
        pairs: list[tuple[ToolResult, _Asked]] = []
        times: Counter[tuple[str, str]] = Counter()
        for result in results:
            asked = self._find(result, times)
            if asked is None:
                if result.is_new and self._is_strange(result):
                    self._strangers.add(result.id)
                continue
            pairs.append((result, asked))
            if not asked.settled and asked not in fresh:
                fresh.append(asked)
        plays = self._settle(fresh, exchange)
        for result, asked in pairs:
            if asked.text is not None:
                result.put(asked.text, failed=asked.failed)
                exchange.rewritten = True
        exchange.replaced += [play.number for play in plays if play.kind != "passthrough"]
        for meddler in self._meddlers:
            if meddler.results(exchange.number, results):
                exchange.rewritten = exchange.chaos = True
        return plays

    def end(self, plays: Sequence[Play], now_ms: float) -> None:
        for play in plays:
            self._tape.end(play, now_ms=now_ms)

    @property
    def model_calls(self) -> tuple[ModelCall, ...]:
        return tuple(exchange.to_value() for exchange in self._exchanges)

    @property
    def notes(self) -> list[str]:
        notes = [
            f"the model asked for {tool}, which has side effects and may really run in the agent "
            f"(tools.{tool}.side_effects: allow)"
            for tool in sorted(self._may_run)
        ]
        if self._answers is not None and self._answers.said:
            notes.append(self._answers.said)
        if self._strangers:
            count = len(self._strangers)
            notes.append(
                f"{count} tool result{'s' if count > 1 else ''} in questions to the model could "
                "not be replaced: no answer of the model that came through the LLM door asked for "
                f"{'them' if count > 1 else 'it'}; let every model of the agent use the LLM URL"
            )
        return notes

    @property
    def trouble(self) -> str:
        """What kept the attempt from having a model to the end; empty: nothing."""
        last = self._exchanges[-1] if self._exchanges else None
        return (
            last.mask.text(last.detail)[:KEPT_DETAIL] if last is not None and last.trouble else ""
        )

    # -- which call of this attempt a result belongs to

    def _find(self, result: ToolResult, times: Counter[tuple[str, str]]) -> _Asked | None:
        """Some APIs use an id again; then the nth result of one call is that of the nth time that
        the model asked for it."""
        known = self._by_id.get(result.id, ())
        if not known:
            return self._renamed(result)
        if result.call is None:
            return known[-1]
        key = _key(result.call)
        nth = times[(result.id, key)]
        times[(result.id, key)] += 1
        same = [asked for asked in known if _key(asked.wanted) == key]
        if same:
            return same[min(nth, len(same) - 1)]
        changed = known[min(nth, len(known) - 1)]
        if not changed.settled:  # the agent, or a person, called it with other arguments
            changed.wanted = result.call
        return changed

    def _renamed(self, result: ToolResult) -> _Asked | None:
        """An agent may give calls ids of its own. What stands in its history was not asked now."""
        if result.call is None or not result.is_new:
            return None
        key = _key(result.call)
        for asked in self._asked:
            if not asked.settled and _key(asked.wanted) == key:
                self._by_id[result.id] = [asked]
                return asked
        return None

    def _is_strange(self, result: ToolResult) -> bool:
        """Results of earlier turns are the conversation's own."""
        return result.call is None or self._tape.knows(result.call.tool)

    # -- what it is answered with

    def _settle(self, fresh: Sequence[_Asked], exchange: Exchange) -> list[Play]:
        for asked in fresh:
            asked.settled = True
        mine = [asked for asked in fresh if not self._was_answered(asked, exactly=True)]
        mine = [asked for asked in mine if not self._was_answered(asked, exactly=False)]
        mine = [asked for asked in mine if not self._is_a_wrapper(asked)]
        times = Counter(asked.wanted.tool for asked in mine)
        seen = Seen(now_ms=exchange.started_ms, door="llm", method="", url="")
        plays = []
        for asked in mine:
            wanted = asked.wanted
            together = times[wanted.tool] > 1
            play = self._tape.begin(wanted.tool, wanted.args, siblings=together, **seen)
            if play.kind != "passthrough":
                asked.text, asked.failed = told(play)
            plays.append(play)
        return plays

    def _was_answered(self, asked: _Asked, *, exactly: bool) -> bool:
        """Through another door, since the model asked for it."""
        wanted = asked.wanted
        for play in self._others(asked):
            if play.tool == wanted.tool and play.number not in self._claimed:
                if exactly and differing(play.args, wanted.args, (), tuple(play.args or ())):
                    continue
                self._claimed.add(play.number)
                return True
        return False

    def _is_a_wrapper(self, asked: _Asked) -> bool:
        """A function of another name around tools that were answered through another door."""
        return not self._tape.knows(asked.wanted.tool) and bool(self._others(asked))

    def _others(self, asked: _Asked) -> list[Play]:
        plays = self._tape.plays[asked.since :]
        return [play for play in plays if play.door != "llm" and play.tool is not None]


def talk_of(agent: AgentConfig, session: Session, tape: Tape) -> tuple[LlmConfig, Talk] | None:
    """What a deck needs for the LLM door; None: the agent has none."""
    config = llm_of(agent)
    if config is None:
        return None
    guarded, allowed = run_in_agent(agent, True), run_in_agent(agent, "allow")
    answers = Answers(session.model_responses) if config.answers == "recorded" else None
    return config, Talk(tape, guarded=guarded, allowed=allowed, answers=answers)


def told(play: Play) -> tuple[str, bool]:
    """What the model is told of a play, and whether it is a failure."""
    if play.kind == "miss":
        return _spelled(play.response), True
    if play.fault:
        return (play.said if play.seen is None else _spelled(play.seen)), True
    return _spelled(play.response), False


def _spelled(value: Json) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def _key(call: Wanted) -> str:
    args: Mapping[str, Json] = call.args
    return canonical([call.tool, dict(args)])
