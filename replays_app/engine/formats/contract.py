"""The contract: named invariants, and the chaos to hold them against. FORMAT: docs/formats.md,
"Contract"."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from replays_app.engine.contracts import invariants as on_answers
from replays_app.engine.contracts import tools as on_calls
from replays_app.engine.contracts.invariant import Items, SomeItems, Text
from replays_app.engine.formats.document import Document, Path
from replays_app.engine.formats.session import Strict
from replays_app.engine.formats.validation import did_you_mean, validate
from replays_app.engine.values import Json

# The closed set of types. `validate` names them, with the nearest one, when a file has another.
Invariant = Annotated[
    on_answers.Contains
    | on_answers.ContainsAny
    | on_answers.Regex
    | on_answers.ExcludesPattern
    | on_answers.ValidJson
    | on_answers.Latency
    | on_answers.OutputNotEmpty
    | on_answers.Completes
    | on_answers.Similarity
    | on_answers.BehaviorUnchanged
    | on_answers.ExcludesPii
    | on_answers.RefusalCheck
    | on_calls.ToolCalled
    | on_calls.ToolNotCalled
    | on_calls.MaxToolCalls
    | on_calls.ToolArgs,
    Field(discriminator="type"),
]

Probability = Annotated[float, Field(ge=0, le=1)]


class ToolFault(Strict):
    tool: Text  # a name, or * for all
    mode: Literal["timeout", "error", "malformed", "slow", "malicious_response"]
    match_url: str | None = None
    delay_ms: float | None = Field(None, ge=0)
    error_code: int | None = None
    message: str | None = None
    probability: Probability | None = None
    after_calls: int | None = Field(None, ge=0)
    payload: str | None = None


class LlmFault(Strict):
    mode: Literal[
        "timeout", "truncated_response", "rate_limit", "empty", "garbage", "response_drift"
    ]
    max_tokens: int | None = Field(None, ge=0)
    delay_ms: float | None = Field(None, ge=0)
    probability: Probability | None = None
    after_calls: int | None = Field(None, ge=0)
    drift_type: str | None = None
    severity: str | None = None
    direction: str | None = None
    factor: float | None = None


class ContextAttack(Strict):
    type: Literal[
        "indirect_injection",
        "memory_poisoning",
        "overflow",
        "conflicting_context",
        "injection_via_context",
    ]
    inject_tokens: int | None = Field(None, ge=0)
    payloads: Items[str] | None = None
    trigger_probability: Probability | None = None
    inject_at: str | None = None
    payload: str | None = None
    strategy: Literal["prepend", "append", "replace"] | None = None


class Scenario(Strict):
    """Faults laid over a tape. Read and kept: this version replays as recorded only."""

    name: Text
    tool_faults: Items[ToolFault] = ()
    llm_faults: Items[LlmFault] = ()
    context_attacks: Items[ContextAttack] = ()

    @field_validator("context_attacks", mode="before")
    @classmethod
    def _as_list(cls, value: Json) -> Json:
        """flakestorm also takes `{memory_poisoning: {...}}`, and null for none."""
        if value is None:
            return ()
        if isinstance(value, dict):
            return [{"type": name, **(params or {})} for name, params in value.items()]
        return value


class Contract(Strict):
    name: Text
    description: str = ""
    invariants: SomeItems[Invariant]
    chaos_matrix: Items[Scenario] = ()

    @model_validator(mode="before")
    @classmethod
    def _name_invariants(cls, value: Json) -> Json:
        """An invariant without an id is called by its type and position: regex-2."""
        if not isinstance(value, dict) or not isinstance(value.get("invariants"), list):
            return value
        named = [
            {"id": f"{item['type']}-{position}", **item}
            if isinstance(item, dict) and isinstance(item.get("type"), str)
            else item
            for position, item in enumerate(value["invariants"], start=1)
        ]
        return {**value, "invariants": named}

    @field_validator("invariants")
    @classmethod
    def _ids_are_unique(cls, value: tuple[Invariant, ...]) -> tuple[Invariant, ...]:
        seen: dict[str, int] = {}
        for position, invariant in enumerate(value, start=1):
            first = seen.setdefault(invariant.id, position)
            if first != position:
                raise ValueError(
                    f"number {first} and number {position} have the same id {invariant.id}; "
                    "give each its own"
                )
            if invariant.id == "completes" and invariant.type != "completes":
                raise ValueError(
                    f"number {position} has the id completes, which is kept for the check of that "
                    "type; give it another"
                )
        return value


_FILE_KEYS = ("version", "contract", "chaos_matrix")


def read_contract(value: Json, document: Document, path: Path = ()) -> Contract:
    """The contract at `path` of a document. At the top of a file of its own it may be wrapped in
    `contract:`, with its `chaos_matrix` beside it. Raises FormatError with every problem."""
    if path or not isinstance(value, dict) or "contract" not in value:
        return validate(Contract, value, document, path)
    for key in value:
        if key not in _FILE_KEYS:
            near = did_you_mean(key, _FILE_KEYS) or f"; known here: {', '.join(_FILE_KEYS)}"
            raise document.error((key,), f"unknown field {key}{near}")
    contract = value["contract"]
    if "chaos_matrix" in value and isinstance(contract, dict):
        if "chaos_matrix" in contract:
            raise document.error(("chaos_matrix",), "is here and in the contract; keep one")
        # Two places of the file become one contract, so problems of each name their own place.
        scenarios = validate(_Scenarios, {"chaos_matrix": value["chaos_matrix"]}, document)
        read = validate(Contract, contract, document, ("contract",))
        return read.model_copy(update={"chaos_matrix": scenarios.chaos_matrix})
    return validate(Contract, contract, document, ("contract",))


class _Scenarios(Strict):
    chaos_matrix: Items[Scenario]


def contract_to_value(contract: Contract) -> dict[str, Json]:
    """The plain value of a file: what was set, in the order of the format."""
    value: dict[str, Json] = contract.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return value


def contract_warnings(contract: Contract) -> tuple[str, ...]:
    """What this version reads but does not do; `contract validate` shows it."""
    warnings = []
    for invariant in contract.invariants:
        if isinstance(invariant, on_answers.Unchecked):
            warnings.append(f"{invariant.id}: {invariant.type} is not checked by this version")
        elif invariant.when in ("llm_faults_active", "any_chaos_active"):
            warnings.append(
                f"{invariant.id}: when {invariant.when} never holds in this version, which replays "
                "as recorded"
            )
        if invariant.probes:
            warnings.append(f"{invariant.id}: probes are kept, and not sent by this version")
    if contract.chaos_matrix:
        names = ", ".join(scenario.name for scenario in contract.chaos_matrix)
        warnings.append(f"chaos_matrix is kept, and not run by this version: {names}")
    return tuple(warnings)
