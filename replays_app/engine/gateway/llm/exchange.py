"""One question of the agent to its model, and the answer, as they become evidence."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from replays_app.engine.gateway.llm.said import MOST_TEXT, Said
from replays_app.engine.masking import Mask
from replays_app.engine.values import ModelApi, ModelCall

KEPT_DETAIL = 1_000  # characters
_NAME = 200  # characters of a model's or a tool's name that are kept


@dataclass(slots=True, eq=False)
class Exchange:
    number: int
    api: ModelApi
    started_ms: float
    model: str = ""
    streamed: bool = False
    said: Said = field(default_factory=Said)
    replaced: list[int] = field(default_factory=list)
    status: int | None = None
    detail: str = ""
    source: Literal["live", "recorded"] = "live"
    fault: bool = False  # a failure that was recorded, or a scenario's
    chaos: bool = False
    latency_ms: float = 0.0  # virtual
    trouble: bool = False  # the model's API failed, which is not the agent's doing
    ended_ms: float | None = None
    mask: Mask = field(default_factory=Mask)  # the agent's own key
    rewritten: bool = False  # a result in the question is not the agent's own
    heard: int = 0  # of said.wanted, those that are told to the talk

    def to_value(self) -> ModelCall:
        said, ended = self.said, self.ended_ms
        unended = "" if ended is not None else "the attempt ended before the answer"
        text = said.text if len(said.text) <= MOST_TEXT else said.text[:MOST_TEXT] + "…"
        call = ModelCall(
            number=self.number,
            api=self.api,
            model=(said.model or self.model)[:_NAME],
            streamed=self.streamed,
            status=self.status,
            input_tokens=said.input_tokens,
            output_tokens=said.output_tokens,
            tools=tuple(tool[:_NAME] for tool in said.begun),
            text=text,
            source=self.source,
            replaced=tuple(self.replaced),
            fault=self.fault,
            chaos=self.chaos,
            latency_ms=self.latency_ms,
            started_ms=self.started_ms,
            real_ms=0.0 if ended is None else ended - self.started_ms,
            detail=(self.detail or unended)[:KEPT_DETAIL],
        )
        return self.mask.model_call(call)
