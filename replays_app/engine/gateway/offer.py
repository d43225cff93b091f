"""The tools that the MCP door offers: those of the recording, and those that somebody described.

A recording seldom says how a tool described its arguments. Without a description, the schema is
read from the arguments that were seen: it accepts all of them, and any others beside them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from replays_app.engine.formats.agent import AgentConfig, ToolRule
from replays_app.engine.formats.session import Session, ToolReplay
from replays_app.engine.values import Json


@dataclass(frozen=True, slots=True)
class OfferedTool:
    name: str
    description: str | None
    input_schema: dict[str, Json]


Offer = tuple[OfferedTool, ...]


def offer_of(session: Session, agent: AgentConfig) -> Offer:
    """In this order: as they were called, as the session names them, as the agent's block does.
    What the session says of a tool wins."""
    seen: dict[str, list[Mapping[str, Json]]] = {}
    for record in session.tool_responses:
        seen.setdefault(record.tool, []).extend([record.args] if record.args is not None else [])
    for name, replay in session.replay.tools.items():
        seen.setdefault(name, []).extend(s.args for s in replay.stubs if s.args is not None)
    for name, rule in agent.tools.items():
        if rule.input_schema is not None:
            seen.setdefault(name, [])
    return tuple(_offered(name, args, session, agent) for name, args in seen.items())


def _offered(
    name: str, args: Sequence[Mapping[str, Json]], session: Session, agent: AgentConfig
) -> OfferedTool:
    replay = session.replay.tools.get(name, ToolReplay())
    rule = agent.tools.get(name, ToolRule())
    description = replay.description or rule.description
    schema = replay.input_schema or rule.input_schema
    return OfferedTool(name, description, _object(schema) if schema else args_schema(args))


def args_schema(seen: Sequence[Mapping[str, Json]]) -> dict[str, Json]:
    """A JSON Schema for the arguments of one tool, by those of its recorded calls."""
    return {**_schema([dict(args) for args in seen] or [{}]), "additionalProperties": True}


def _object(schema: Mapping[str, Json]) -> dict[str, Json]:
    """MCP wants `type: object` at the root; a schema without it may mean nothing else."""
    return {"type": "object", **schema}


def _schema(values: Sequence[Json]) -> dict[str, Json]:
    """Of values that were seen in one place. Several types are `anyOf`, which more of the models'
    APIs take than a list of types."""
    by_type: dict[str, list[Json]] = {}
    for value in values:
        by_type.setdefault(_type(value), []).append(value)
    if "number" in by_type and "integer" in by_type:
        by_type["number"] += by_type.pop("integer")
    options = [_of_type(name, group) for name, group in by_type.items()]
    return options[0] if len(options) == 1 else {"anyOf": options} if options else {}


def _of_type(name: str, values: Sequence[Json]) -> dict[str, Json]:
    if name == "array":
        return {"type": name, "items": _schema([item for value in values for item in value])}
    if name != "object":
        return {"type": name}
    fields: dict[str, list[Json]] = {}
    for value in values:
        for key, item in value.items():
            fields.setdefault(str(key), []).append(item)
    schema: dict[str, Json] = {
        "type": name,
        "properties": {key: _schema(items) for key, items in fields.items()},
    }
    if always := [key for key, items in fields.items() if len(items) == len(values)]:
        schema["required"] = always
    return schema


def _type(value: Json) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, list | tuple):
        return "array"
    # YAML has dates; JSON says them as text.
    return "object" if isinstance(value, dict) else "string"
