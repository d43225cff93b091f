"""The words that every part of the engine shares: JSON, outcomes, evidence and judgements.

They are plain frozen values. `to_json`/`from_json` of `Evidence` and `Judgement` are what the
database and the reports store, so that an attempt can be judged again years later.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Literal

# A JSON value. The recursive spelling costs more casts than it finds mistakes.
Json = Any


class Outcome(StrEnum):
    """What one attempt (or a whole run) came to; VERDICT.md's words."""

    PASSED = "passed"
    FAILED = "failed"
    DIVERGED = "diverged"
    ERRORED = "errored"
    NOT_JUDGED = "not judged"


class Severity(StrEnum):
    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


SEVERITY_WEIGHT = {Severity.CRITICAL: 3, Severity.HIGH: 2, Severity.MEDIUM: 1, Severity.LOW: 1}

Door = Literal["proxy", "tool_url", "mcp", "llm", "hooks"]
ModelApi = Literal["chat", "responses", "messages", "other"]

# How a call found its answer on the tape. `miss` and `blocked` are the two that the tape could not
# answer; `args_differ` was answered, and is counted in the headline.
How = Literal[
    "exact",
    "normalised",
    "order",
    "args_differ",
    "repeated",
    "last",
    "stub",
    "passthrough",
    "miss",
    "blocked",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One outbound request that the agent made during an attempt, in order of arrival."""

    number: int  # from 1
    tool: str | None  # None: a host that is no tool (blocked or passed through)
    door: Door
    how: How
    args: dict[str, Json] | None = None
    method: str = ""
    url: str = ""
    record: int | None = None  # index in the session's tool_responses
    status: int | None = None  # HTTP status sent; 0: the connection was dropped
    response: Json = None  # what the agent was given, as recorded (bounded by the gateway)
    fault: bool = False  # a recorded or scenario tool fault was delivered
    chaos: bool = False  # the fault came from the scenario, not from the recording
    latency_ms: float = 0.0  # virtual
    started_ms: float = 0.0  # real, since the attempt began
    real_ms: float = 0.0
    # Of a miss or a block: what was expected and what would do. Of another: why the agent did not
    # take the answer, such as a time limit of its own; and of arguments that differ, how.
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCall:
    """One question of the agent to its model that came to the LLM door, in order of arrival."""

    number: int  # from 1
    api: ModelApi
    model: str = ""  # that answered, or else that was asked
    streamed: bool = False
    source: Literal["live", "recorded"] = "live"
    status: int | None = None  # HTTP status sent; 0: cut off
    input_tokens: int | None = None  # None: the API did not tell
    output_tokens: int | None = None
    tools: tuple[str, ...] = ()  # that the model asked for
    text: str = ""  # what it said, at its beginning
    replaced: tuple[int, ...] = ()  # Call.number of the recorded answers put into the question
    fault: bool = False  # a recorded or scenario failure of the model was delivered
    chaos: bool = False  # a scenario had its hand in the question or the answer
    started_ms: float = 0.0  # real, since the attempt began
    real_ms: float = 0.0
    latency_ms: float = 0.0  # virtual
    detail: str = ""  # what went wrong, and what would do

    @classmethod
    def from_json(cls, data: dict[str, Json]) -> ModelCall:
        lists = {"tools": tuple(data["tools"]), "replaced": tuple(data["replaced"])}
        return cls(**{**data, **lists})


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One row of recorded-against-actual: either side may be missing."""

    kind: Literal["same", "args_differ", "changed", "missing", "extra"]
    record: int | None = None
    call: int | None = None  # Call.number
    differing: dict[str, tuple[Json, Json]] = field(default_factory=dict)  # key: (recorded, actual)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Where the agent left the recording."""

    steps: tuple[Step, ...] = ()
    first_divergence: str = ""  # a sentence; empty: identical
    args_differ: tuple[int, ...] = ()  # Call.number
    unused: tuple[int, ...] = ()  # record indexes never asked for
    misses: tuple[int, ...] = ()  # Call.number, blocked ones that count as misses included
    blocked: tuple[str, ...] = ()  # "METHOD url" of requests to hosts that are no tool
    loops: tuple[str, ...] = ()  # sentences
    notes: tuple[str, ...] = ()  # e.g. "no recorded call reached the gateway"

    @property
    def identical(self) -> bool:
        return not self.first_divergence

    @classmethod
    def from_json(cls, data: dict[str, Json]) -> Report:
        fields: dict[str, Json] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in data.items()
        }
        fields["steps"] = tuple(
            Step(**{**s, "differing": {k: tuple(v) for k, v in s["differing"].items()}})
            for s in data["steps"]
        )
        return cls(**fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why there is no proper answer. `agent`: its own doing (the check `completes` fails);
    `ours`: the attempt is errored and says nothing about the agent."""

    whose: Literal["agent", "ours"]
    code: str  # timeout, http_500, crashed, refused, never_ready, bad_answer, …
    message: str  # what was seen and what would do


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that one attempt left behind."""

    answer: str | None
    failure: Failure | None = None
    calls: tuple[Call, ...] = ()
    model_calls: tuple[ModelCall, ...] = ()
    report: Report = field(default_factory=Report)
    http_status: int | None = None
    real_ms: float = 0.0  # wall time of the agent's answer
    virtual_ms: float = 0.0  # recorded latencies laid over it
    injection: Literal["proxy", "tool_url", "mcp", "llm", "hooks", "none", "live"] = "none"
    version_seen: str | None = None  # what the agent said of itself (agent.version_from)
    started_at: str = ""  # ISO 8601, UTC
    log_tail: str = ""  # last lines that a started agent printed

    @property
    def total_ms(self) -> float:
        return self.real_ms + self.virtual_ms

    def to_json(self) -> dict[str, Json]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Json]) -> Evidence:
        return cls(
            **{
                **data,
                "calls": tuple(Call(**c) for c in data["calls"]),
                # Attempts that were stored before there was an LLM door have none.
                "model_calls": tuple(map(ModelCall.from_json, data.get("model_calls", ()))),
                "failure": Failure(**data["failure"]) if data["failure"] else None,
                "report": Report.from_json(data["report"]),
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """One invariant's result. `spans` mark the matched text: (start, end) in code points."""

    id: str
    type: str
    severity: Severity
    result: Literal["passed", "failed", "skipped"]
    saw: str  # e.g. "took 5,210 ms, limit 5,000 ms"
    spans: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A contract revision's word on one attempt."""

    outcome: Outcome
    checks: tuple[CheckResult, ...] = ()
    reason: str = ""  # for diverged, errored and not judged: the sentence to show

    @property
    def failed_ids(self) -> tuple[str, ...]:
        return tuple(c.id for c in self.checks if c.result == "failed")

    def to_json(self) -> dict[str, Json]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Json]) -> Judgement:
        return cls(
            outcome=Outcome(data["outcome"]),
            reason=data["reason"],
            checks=tuple(
                CheckResult(
                    **{
                        **c,
                        "severity": Severity(c["severity"]),
                        "spans": tuple((a, b) for a, b in c["spans"]),
                    }
                )
                for c in data["checks"]
            ),
        )
