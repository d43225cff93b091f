"""flakestorm.yaml: the agent under test, its contract and its sessions."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from replays_app.engine.formats.agent import AgentConfig, ToolRule, VersionFrom, finish_agent
from replays_app.engine.formats.agents_file import (
    AgentVersion,
    OperatorAgent,
    agent_for_version,
    read_agents_file,
)
from replays_app.engine.formats.contract import Contract, read_contract
from replays_app.engine.formats.document import Document, Path
from replays_app.engine.formats.errors import FormatError, Problem
from replays_app.engine.formats.session import Listed, Milliseconds, Strict
from replays_app.engine.formats.session_file import load_file
from replays_app.engine.formats.validation import validate
from replays_app.engine.values import Json

__all__ = [
    "Advanced",
    "AgentConfig",
    "AgentVersion",
    "Config",
    "LangsmithRun",
    "LangsmithSource",
    "OperatorAgent",
    "Scoring",
    "SessionEntry",
    "Source",
    "ToolRule",
    "VersionFrom",
    "agent_for_version",
    "read_agents_file",
    "read_config",
]

_RELATIVE = re.compile(r"last_[1-9]\d*_(minutes|hours|days|weeks)")
_REFERENCE = re.compile(r"\$\{[A-Za-z_]\w*\}", re.ASCII)


def _version_text(value: Any) -> Any:
    """`version: 2.0` without quotes is a number."""
    return f"{value:.1f}" if isinstance(value, int | float) and value is not True else value


def _check_range(text: str) -> str:
    if _RELATIVE.fullmatch(text):
        return text
    try:
        start, end = (datetime.fromisoformat(part) for part in text.split("/"))
        if start < end:
            return text
    except (ValueError, TypeError):  # TypeError: one has a time zone, the other none
        pass
    raise ValueError(
        f"is {text!r}, must be last_<n>_minutes, _hours, _days or _weeks, or an ISO interval "
        "such as 2026-02-01/2026-02-15, its start before its end"
    )


class LangsmithFilter(Strict):
    status: Literal["error", "warning", "all"] = "error"
    date_range: Annotated[str, AfterValidator(_check_range)] | None = None
    min_latency_ms: Milliseconds | None = Field(None, ge=0)


class LangsmithSource(Strict):
    type: Literal["langsmith"]
    project: str = Field(min_length=1)
    filter: LangsmithFilter = LangsmithFilter()
    auto_import: bool = False


class LangsmithRun(Strict):
    type: Literal["langsmith_run"]
    run_id: str = Field(min_length=1)


Source = LangsmithSource | LangsmithRun


class _Replays(Strict):
    sessions: list[dict[str, Json]] = Field(default_factory=list)
    sources: Listed[Annotated[Source, Field(discriminator="type")]] = ()


class Scoring(Strict):
    """The weights of the overall score. flakestorm's documentation also nests them in `weights`."""

    mutation: float = Field(0.20, ge=0, le=1)
    chaos: float = Field(0.35, ge=0, le=1)
    contract: float = Field(0.35, ge=0, le=1)
    replay: float = Field(0.10, ge=0, le=1)

    @model_validator(mode="before")
    @classmethod
    def _unwrap(cls, value: Any) -> Any:
        if isinstance(value, dict) and list(value) == ["weights"]:
            return value["weights"]
        if isinstance(value, dict) and "weights" in value:
            raise ValueError("gives weights in two places; put all of them in one")
        return value

    @model_validator(mode="after")
    def _sums_to_one(self) -> Scoring:
        total = self.mutation + self.chaos + self.contract + self.replay
        if abs(total - 1) > 1e-6:
            raise ValueError(f"its weights sum to {total:g}, must sum to 1")
        return self


class Advanced(Strict):
    concurrency: int | None = Field(None, ge=1, le=1000)
    retries: int = Field(0, ge=0, le=100)
    seed: int | None = None


class _Top(Strict):
    version: Annotated[Literal["2.0", "1.0"], BeforeValidator(_version_text)] = "2.0"
    agent: dict[str, Json]
    contract: dict[str, Json] | None = None
    chaos_matrix: list[Json] | None = None
    replays: _Replays | None = None
    scoring: Scoring | None = None
    advanced: Advanced | None = None
    # flakestorm's own: read by its other commands, not by a replay
    model: dict[str, Json] | None = None
    mutations: dict[str, Json] | list[Json] | None = None
    golden_prompts: list[Json] | None = None
    invariants: list[Json] | None = None
    output: dict[str, Json] | None = None
    chaos: dict[str, Json] | None = None


@dataclass(frozen=True, slots=True)
class SessionEntry:
    """One item of `replays.sessions`, read when it is replayed: a broken one stops no other."""

    value: dict[str, Json]
    path: Path


@dataclass(frozen=True, kw_only=True)
class Config:
    path: pathlib.Path
    agent: AgentConfig
    contracts: dict[str, Contract]
    sessions: tuple[SessionEntry, ...]
    sources: tuple[Source, ...]
    scoring: Scoring
    advanced: Advanced
    notes: tuple[str, ...]  # sentences for the user: what was read, and not applied
    document: Document = field(repr=False)

    @property
    def directory(self) -> pathlib.Path:
        """What paths in the file are relative to."""
        return self.path.parent


def read_config(
    path: pathlib.Path, environ: Mapping[str, str], *, lenient: list[Problem] | None = None
) -> Config:
    """Raises FormatError. `environ` is where `${VAR}` looks; `lenient` as in validation.py."""
    documents = load_file(path)
    if len(documents) != 1:
        message = f"holds {len(documents)} documents, must be one with agent:"
        raise FormatError([Problem(message, source=str(path))])
    document = documents[0]
    top = validate(_Top, document.value, document, lenient=lenient)
    is_old = top.version == "1.0"
    problems = [*_refused(top, document)]
    agent: AgentConfig | None = None
    contract: Contract | None = None
    try:
        agent = finish_agent(
            top.agent,
            document,
            lambda at: ("agent", *at),
            environ=environ,
            directory=path.parent,
            lenient=lenient,
        )
    except FormatError as error:
        problems += error.problems
    try:
        contract = None if is_old else _contract(top, document)
    except FormatError as error:
        problems += error.problems
    if problems or agent is None:
        raise FormatError(problems)
    replays = (None if is_old else top.replays) or _Replays()
    return Config(
        path=path,
        agent=agent,
        contracts={contract.name: contract} if contract else {},
        sessions=tuple(
            SessionEntry(value, ("replays", "sessions", index))
            for index, value in enumerate(replays.sessions)
        ),
        sources=replays.sources,
        scoring=top.scoring or Scoring(),
        advanced=top.advanced or Advanced(),
        notes=tuple(_notes(top)),
        document=document,
    )


def _contract(top: _Top, document: Document) -> Contract | None:
    """flakestorm takes the chaos matrix beside the contract as well as in it."""
    if top.contract is None:
        return None
    beside = {} if top.chaos_matrix is None else {"chaos_matrix": top.chaos_matrix}
    return read_contract({"contract": top.contract, **beside}, document)


def _refused(top: _Top, document: Document) -> Iterator[Problem]:
    key = (top.model or {}).get("api_key")
    if key is not None and not (isinstance(key, str) and _REFERENCE.fullmatch(key)):
        message = "is a key written into the file; write ${NAME} and set the variable NAME to it"
        yield document.problem(("model", "api_key"), message)


def _notes(top: _Top) -> Iterator[str]:
    if top.version == "1.0":
        ignored = [name for name in ("contract", "replays", "scoring") if getattr(top, name)]
        if ignored:
            yield (
                f"version 1.0 is read for its agent only: {', '.join(ignored)} not read; "
                'write version: "2.0"'
            )
    if top.chaos is not None:
        yield "chaos: applies to chaos runs, not to a replay"
    if top.chaos_matrix is not None and top.contract is None:
        yield "chaos_matrix: is not applied, there is no contract"
