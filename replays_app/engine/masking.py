"""Takes secrets out of what is kept: an agent may answer with what it was sent, and an error may
name the URL that was asked."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import quote, quote_plus

from replays_app.engine.formats.agent import AgentConfig
from replays_app.engine.values import Call, Evidence, Json, ModelCall, Report, Step

CUT = "…"  # where a text that was too long was ended
PART = 4  # characters of a secret that are still told as one where a text was cut


@dataclass(frozen=True, slots=True)
class Mask:
    """`secrets`: values by name. Empty: everything stays as it is."""

    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    _names: dict[str, str] = field(init=False, repr=False)
    _any: re.Pattern[str] | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        names = {form: name for name, value in self.secrets.items() for form in _forms(value)}
        longest_first = sorted(names, key=len, reverse=True)
        pattern = "|".join(map(re.escape, longest_first))
        object.__setattr__(self, "_names", names)
        object.__setattr__(self, "_any", re.compile(pattern) if pattern else None)

    def text(self, text: str) -> str:
        if self._any is None:
            return text
        text = self._any.sub(lambda found: f"‹secret {self._names[found[0]]}›", text)
        for form, name in self._names.items():
            text = _without_part(text, form, f"‹secret {name}›")
        return text

    def json(self, value: Json) -> Json:
        if self._any is None:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(key): self.json(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self.json(item) for item in value)
        return value

    def evidence(self, evidence: Evidence) -> Evidence:
        """Masked before it is judged, so that what is judged is what is kept."""
        if self._any is None:
            return evidence
        failure = evidence.failure
        return replace(
            evidence,
            answer=None if evidence.answer is None else self.text(evidence.answer),
            failure=failure and replace(failure, message=self.text(failure.message)),
            calls=tuple(self._call(call) for call in evidence.calls),
            model_calls=tuple(self.model_call(call) for call in evidence.model_calls),
            report=self._report(evidence.report),
            version_seen=self.json(evidence.version_seen),
            log_tail=self.text(evidence.log_tail),
        )

    def _call(self, call: Call) -> Call:
        return replace(
            call,
            tool=self.json(call.tool),
            args=self.json(call.args),
            url=self.text(call.url),
            response=self.json(call.response),
            detail=self.text(call.detail),
        )

    def model_call(self, call: ModelCall) -> ModelCall:
        return replace(
            call,
            model=self.text(call.model),
            tools=self.json(call.tools),
            text=self.text(call.text),
            detail=self.text(call.detail),
        )

    def _report(self, report: Report) -> Report:
        def step(of: Step) -> Step:
            return replace(of, differing=self.json(of.differing))

        return replace(
            report,
            steps=tuple(map(step, report.steps)),
            first_divergence=self.text(report.first_divergence),
            blocked=self.json(report.blocked),
            loops=self.json(report.loops),
            notes=self.json(report.notes),
        )


def with_llm_key(mask: Mask, agent: AgentConfig) -> Mask:
    """Masks the model's key too, which an API may name in its errors."""
    key = agent.llm.key if agent.llm is not None else None
    if key is None or key in mask.secrets.values():
        return mask
    return Mask({**mask.secrets, "llm.key": key})


def _without_part(text: str, form: str, instead: str) -> str:
    """`text` without the start of a secret that was cut in its middle: before an ellipsis, or at
    the text's end."""
    kept, at = [], 0
    while (start := text.find(form[:PART], at)) >= 0:
        end = text.find(CUT, start, start + len(form))
        if end < 0 and len(text) - start < len(form):
            end = len(text)
        is_part = end >= start + PART and form.startswith(text[start:end])
        kept += [text[at:start], instead] if is_part else [text[at : start + 1]]
        at = end if is_part else start + 1
    return "".join([*kept, text[at:]])


def _forms(value: str) -> set[str]:
    """How a value is written in a URL, in JSON and in Basic credentials, beside itself."""
    as_json = (json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1])
    in_url = (quote(value), quote(value, safe=""), quote_plus(value))
    return {value, *as_json, *in_url, base64.b64encode(value.encode()).decode()}
