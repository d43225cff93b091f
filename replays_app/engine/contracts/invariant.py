"""What every invariant has: who it is, when it applies, and how its result is said."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field

from replays_app.engine.formats.session import Strict
from replays_app.engine.values import Call, CheckResult, ModelCall, Severity

T = TypeVar("T")
Items = Annotated[tuple[T, ...], Field(strict=False)]  # a list in the file
Text = Annotated[str, Field(min_length=1)]


def _not_empty(value: tuple[T, ...]) -> tuple[T, ...]:
    if not value:
        raise ValueError("is empty")
    return value


# Not `min_length`: pydantic counts items after refusing them, and would call a bad list empty too.
SomeItems = Annotated[tuple[T, ...], Field(strict=False), AfterValidator(_not_empty)]

When = Literal["always", "tool_faults_active", "llm_faults_active", "any_chaos_active", "no_chaos"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What checks look at: the evidence of an attempt, or a recording."""

    answer: str | None
    failure: str = ""  # why there is no answer
    calls: tuple[Call, ...] = ()  # to tools only
    real_ms: float | None = None  # None: no timing is known
    virtual_ms: float = 0.0
    recorded_faults: tuple[str, ...] = ()  # tools that failed in the recording
    model_calls: tuple[ModelCall, ...] = ()


@dataclass(frozen=True, slots=True)
class Seen:
    """`holds`: the condition as the file states it, before `negate`; None: it cannot be said."""

    holds: bool | None
    saw: str
    spans: tuple[tuple[int, int], ...] = ()


class Invariant(Strict, ABC):
    """The fields that all types share. A type adds its own and `look`."""

    id: Text
    type: str
    severity: Annotated[Severity, Field(strict=False)] = Severity.MEDIUM
    when: When = "always"
    negate: bool = False
    description: str = ""
    probes: Items[str] = ()  # kept; probes are prompts for chaos runs

    @abstractmethod
    def look(self, subject: Subject) -> Seen:
        """Whether the condition holds, and what was seen: a fact that reads right negated too."""

    def check(self, subject: Subject) -> CheckResult:
        idle = idle_because(self.when, subject)
        return self.result(Seen(None, idle) if idle else self.look(subject))

    def result(self, seen: Seen) -> CheckResult:
        result: Literal["passed", "failed", "skipped"] = "skipped"
        if seen.holds is not None:
            result = "passed" if seen.holds is not self.negate else "failed"
        return CheckResult(
            id=self.id,
            type=self.type,
            severity=self.severity,
            result=result,
            saw=seen.saw,
            spans=seen.spans,
        )


def idle_because(when: When, subject: Subject) -> str:
    """Why an invariant does not apply here; empty: it does. Faults count when they were delivered:
    an agent that never called the broken tool was not tested against its failure."""
    fault = any(call.fault for call in subject.calls)
    chaos = any(call.chaos for call in subject.calls)
    chaos = chaos or any(call.chaos for call in subject.model_calls)
    if when == "tool_faults_active" and not fault:
        if subject.recorded_faults:
            tools = ", ".join(dict.fromkeys(subject.recorded_faults))
            return f"no tool fault was delivered: the agent did not meet the failure of {tools}"
        return "no tool fault was delivered"
    if when == "llm_faults_active" and not any(call.fault for call in subject.model_calls):
        return "no LLM fault was delivered"
    if when == "any_chaos_active" and not chaos:
        return "no fault of a scenario was delivered"
    if when == "no_chaos" and chaos:
        return "a fault of a scenario was delivered"
    return ""
