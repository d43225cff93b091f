"""What the agent's model said in a trace, as a session's `model_responses`.

They are dealt out one after the other, so that one which cannot be told ends them: those after it
would answer the wrong questions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from replays_app.engine.values import Json

MAX_ANSWERS = 500
MAX_ERROR = 2_000  # characters
CUT_SHORT = {"length", "max_tokens", "max_output_tokens", "model_length"}
# `Error code: 429 - {…}` of the SDKs of OpenAI and Anthropic, `HTTP 503`, `status code 500`.
_STATUS = re.compile(
    r"\b(?:error code|status(?:[ _]code)?|HTTP(?:/[\d.]+)?)\b[:= ]{0,3}([45]\d\d)\b", re.I
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAsk:
    """A call that the model asked for."""

    tool: str
    args: dict[str, Json] | None  # None: not recorded
    id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAnswer:
    text: str = ""
    asks: tuple[ModelAsk, ...] = ()
    is_cut: bool = False  # by a limit of tokens
    model: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    latency_ms: float | None = None
    error: str = ""  # the model's API failed with `status`
    status: int | None = None

    @property
    def is_whole(self) -> bool:
        return all(ask.tool and ask.args is not None for ask in self.asks)

    def to_value(self) -> dict[str, Json]:
        """As a session holds it."""
        value: dict[str, Json] = {}
        if self.status is not None:
            value |= {"status": self.status, "error": self.error}
        else:
            value |= {"text": self.text} if self.text or not self.asks else {}
            value |= {"tool_calls": [_ask_value(ask) for ask in self.asks]} if self.asks else {}
        tokens = {"input_tokens": self.input_tokens, "output_tokens": self.output_tokens}
        usage: dict[str, Json] = {key: n for key, n in tokens.items() if n is not None}
        value |= {"finish": "length"} if self.is_cut else {}
        value |= {"model": self.model} if self.model else {}
        value |= {"usage": usage} if usage else {}
        value |= {"latency_ms": round(self.latency_ms, 3)} if self.latency_ms is not None else {}
        return value


def failure(error: str, *, latency_ms: float | None) -> ModelAnswer | None:
    """None: it does not say how the model's API failed, or something else did."""
    found = _STATUS.search(error[:MAX_ERROR])
    if found is None:
        return None
    return ModelAnswer(status=int(found[1]), error=error[:MAX_ERROR], latency_ms=latency_ms)


def dealt(answers: Iterable[ModelAnswer | None]) -> tuple[ModelAnswer, ...]:
    """Up to the first that cannot be told."""
    found: list[ModelAnswer] = []
    for answer in answers:
        if answer is None or not answer.is_whole or len(found) == MAX_ANSWERS:
            break
        found.append(answer)
    return tuple(found)


def count(value: Json) -> int | None:
    """A number of tokens; None: this is none."""
    is_number = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return value if is_number else None


def _ask_value(ask: ModelAsk) -> dict[str, Json]:
    return {"tool": ask.tool, "args": ask.args} | ({"id": ask.id} if ask.id else {})
