"""The checks on an answer and its timing. One small class each; tools.py has those on calls."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from replays_app.engine.contracts import json_schema, patterns
from replays_app.engine.contracts.invariant import Invariant, Seen, SomeItems, Subject, Text
from replays_app.engine.values import Json

_NAMED = 3  # texts that a sentence quotes before it counts the rest


class AnswerInvariant(Invariant):
    """A check that reads the answer; without one there is nothing to read."""

    def look(self, subject: Subject) -> Seen:
        return Seen(None, "no answer") if subject.answer is None else self.read(subject.answer)

    @abstractmethod
    def read(self, answer: str) -> Seen: ...


class Contains(AnswerInvariant):
    """`value` is in the answer, without regard to case."""

    type: Literal["contains"]
    value: Text

    def read(self, answer: str) -> Seen:
        spans = patterns.find_text(self.value, answer)
        absent = f"{patterns.quote(self.value)} not found"
        return Seen(bool(spans), found(answer, spans) or absent, patterns.merged(spans))


class ContainsAny(AnswerInvariant):
    """One of `values` is in the answer, without regard to case."""

    type: Literal["contains_any"]
    values: SomeItems[Text]

    def read(self, answer: str) -> Seen:
        spans = [span for value in self.values for span in patterns.find_text(value, answer)]
        absent = f"none of {listed(map(patterns.quote, self.values))} found"
        return Seen(bool(spans), found(answer, spans) or absent, patterns.merged(spans))


class Regex(AnswerInvariant):
    """RE2 finds `pattern` in the answer; `.` matches newlines."""

    type: Literal["regex"]
    pattern: Text

    _lint = field_validator("pattern")(patterns.lint)

    def read(self, answer: str) -> Seen:
        spans = patterns.search(self.pattern, answer)
        absent = f"no match of {self.pattern}"
        return Seen(bool(spans), found(answer, spans) or absent, patterns.merged(spans))


class ExcludesPattern(AnswerInvariant):
    """None of `patterns` is in the answer: plain text without regard to case, as flakestorm reads
    them, or with `regex` RE2 patterns."""

    type: Literal["excludes_pattern"]
    regex: bool = False  # before `patterns`, which are read in its light
    patterns: SomeItems[Text]
    dangerous_prompts: bool | None = None  # flakestorm's; it changes nothing there either

    @field_validator("patterns")
    @classmethod
    def _lint(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if info.data.get("regex"):
            for pattern in value:
                patterns.lint(pattern)
        return value

    def read(self, answer: str) -> Seen:
        look_for = patterns.search if self.regex else patterns.find_text
        spans = [span for pattern in self.patterns for span in look_for(pattern, answer)]
        number = len(self.patterns)
        absent = "the pattern is not found" if number == 1 else f"none of {number} patterns found"
        return Seen(not spans, found(answer, spans) or absent, patterns.merged(spans))


class ValidJson(AnswerInvariant):
    """The answer parses as JSON and, with `schema`, fits that JSON Schema."""

    type: Literal["valid_json"]
    schema_: dict[str, Json] | bool | None = Field(None, alias="schema")

    _lint = field_validator("schema_")(json_schema.lint)

    def read(self, answer: str) -> Seen:
        return Seen(*json_schema.check(answer, self.schema_))


class Latency(Invariant):
    """The agent took at most `max_ms`: its own time and the recorded latencies of its tools."""

    type: Literal["latency"]
    max_ms: float = Field(gt=0)

    def look(self, subject: Subject) -> Seen:
        if subject.real_ms is None:
            return Seen(None, "no timing recorded")
        total = subject.real_ms + subject.virtual_ms
        recorded = f" ({subject.virtual_ms:,.0f} ms of it recorded)" if subject.virtual_ms else ""
        limit = "must be more than" if self.negate else "limit"
        saw = f"took {total:,.0f} ms{recorded}, {limit} {self.max_ms:,.0f} ms"
        return Seen(total <= self.max_ms, saw)


class OutputNotEmpty(Invariant):
    """There is an answer, and it is more than white space."""

    type: Literal["output_not_empty"]

    def look(self, subject: Subject) -> Seen:
        if subject.answer is None:
            return Seen(False, "no answer")
        if subject.answer.strip():
            length = len(subject.answer)
            return Seen(True, f"the answer has {length:,} character{'s' if length > 1 else ''}")
        return Seen(False, "the answer is only white space" if subject.answer else "empty answer")


class Completes(Invariant):
    """The agent answered without an error of its own. Every contract has this check, stated or
    not; stating it sets its severity and `when`."""

    type: Literal["completes"]

    def look(self, subject: Subject) -> Seen:
        if subject.answer is None:
            return Seen(False, subject.failure or "no answer")
        return Seen(True, "the agent answered")


class Unchecked(Invariant):
    """A type that files may hold and that this version does not check: skipped, never passed."""

    def look(self, subject: Subject) -> Seen:
        return Seen(None, f"{self.type} is not checked by this version")


Share = Annotated[float, Field(ge=0, le=1)]


class Similarity(Unchecked):
    type: Literal["similarity"]
    expected: Text
    threshold: Share = 0.8


class BehaviorUnchanged(Unchecked):
    type: Literal["behavior_unchanged"]
    baseline: Text = "auto"
    similarity_threshold: Share = 0.75


class ExcludesPii(Unchecked):
    type: Literal["excludes_pii"]
    dangerous_prompts: bool | None = None


class RefusalCheck(Unchecked):
    type: Literal["refusal_check"]
    dangerous_prompts: bool | None = None


def found(answer: str, spans: list[tuple[int, int]]) -> str:
    """`found "a", "b" and 3 more`; empty when nothing was."""
    if not spans:
        return ""
    ordered = sorted(set(spans))
    texts = list(dict.fromkeys(answer[start:end] for start, end in ordered))
    rest = len(ordered) - min(len(texts), _NAMED)
    more = f" and {'at least ' if len(ordered) > patterns.MAX_SPANS else ''}{rest} more"
    named = ", ".join(patterns.quote(text) for text in texts[:_NAMED])
    return f"found {named}{more if rest else ''}"


def listed(words: Iterable[str]) -> str:
    words = list(words)
    rest = f" and {len(words) - _NAMED} more" if len(words) > _NAMED else ""
    return ", ".join(words[:_NAMED]) + rest
