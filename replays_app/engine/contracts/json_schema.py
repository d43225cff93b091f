"""JSON answers and JSON Schemas, made safe: nothing is fetched, and patterns are RE2's."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from functools import cache
from typing import Any

from replays_app.engine.contracts import patterns
from replays_app.engine.values import Json

Schema = dict[str, Json] | bool | None


def check(answer: str, schema: Schema) -> tuple[bool | None, str]:
    """Whether the answer is JSON and fits, and what was seen; None: it is beyond checking."""
    try:
        value = _parse(answer)
        misfit = "" if schema is None else _misfit(value, schema)
    except json.JSONDecodeError as error:
        fence = ": it is inside a ``` fence" if answer.lstrip().startswith("```") else ""
        return False, f"not JSON at line {error.lineno}, column {error.colno}: {error.msg}{fence}"
    except RecursionError:
        return None, "JSON that is nested too deeply to be checked"
    except ValueError as error:
        return False, f"not JSON: {error}"
    if misfit:
        return False, misfit
    return True, "valid JSON" if schema is None else "valid JSON, fits the schema"


def _misfit(value: Json, schema: dict[str, Json] | bool) -> str:
    error = next(iter(_validator(schema).iter_errors(value)), None)
    return patterns.plain(f"{error.json_path}: {error.message}", 200) if error else ""


def _parse(answer: str) -> Json:
    def number(text: str) -> float:
        if math.isinf(value := float(text)):
            raise ValueError(f"the number {text[:40]} is too large")
        return value

    def constant(text: str) -> None:
        raise ValueError(f"{text} is no JSON number")

    try:
        return json.loads(answer, parse_float=number, parse_constant=constant)
    except json.JSONDecodeError:
        raise
    except ValueError as error:
        if "integer string conversion" in str(error):
            raise ValueError("it holds a number of thousands of digits") from None
        raise


def lint(schema: Schema) -> Schema:
    """The schema, if it can be applied without fetching anything; else ValueError."""
    if schema is None or isinstance(schema, bool):
        return schema
    from jsonschema.exceptions import SchemaError

    try:
        # Without a format checker: it would try patterns in Python's grammar instead of RE2's.
        _dialect(schema).check_schema(schema, format_checker=None)
        _lint_parts(schema)
    except SchemaError as error:
        where = error.json_path.removeprefix("$").removeprefix(".")
        said = patterns.plain(error.message, 200)
        raise ValueError(
            f"is no valid JSON Schema: {where + ': ' if where else ''}{said}"
        ) from None
    except RecursionError:
        raise ValueError("is nested too deeply to be a JSON Schema") from None
    return schema


def _lint_parts(schema: dict[str, Json]) -> None:
    from referencing.exceptions import Unresolvable

    resolver = _resolver(schema)
    has_patterns = False
    for part in _parts(schema):
        for key in ("$ref", "$dynamicRef", "$recursiveRef"):
            if key not in part:
                continue
            ref = str(part[key])
            if not ref.startswith("#"):
                raise ValueError(f"{key} {ref} is not fetched; copy it into $defs: #/$defs/name")
            try:
                target, met = resolver.lookup(ref).contents, [part]
                while isinstance(target, dict) and key in target and target not in met:
                    met.append(target)
                    target = resolver.lookup(target[key]).contents
            except Unresolvable:
                raise ValueError(f"{key} {ref} points to nothing in this schema") from None
            if target in met:
                raise ValueError(f"{key} {ref} leads back to itself")
        if isinstance(part.get("pattern"), str):
            patterns.compile_pattern(part["pattern"])
        for pattern in part.get("patternProperties", ()):
            has_patterns = True
            patterns.compile_pattern(pattern)
    if has_patterns and any("unevaluatedProperties" in part for part in _parts(schema)):
        raise ValueError(
            "has unevaluatedProperties beside patternProperties, which is not supported; "
            "use additionalProperties"
        )


# Keywords whose mappings are from names to schemas, and those whose values are data.
_NAMED = {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"}
_DATA = {"const", "enum", "default", "examples", "required", "dependentRequired"}


def _parts(schema: Json) -> Iterator[dict[str, Json]]:
    """Every subschema."""
    if isinstance(schema, list):
        for item in schema:
            yield from _parts(item)
    elif isinstance(schema, dict):
        yield schema
        for key, value in schema.items():
            if key in _NAMED and isinstance(value, dict):
                yield from _parts(list(value.values()))
            elif key not in _DATA:
                yield from _parts(value)


def _dialect(schema: dict[str, Json] | bool) -> Any:
    from jsonschema.validators import Draft202012Validator, validator_for

    named = schema.get("$schema") if isinstance(schema, dict) else None
    if named is None:
        return Draft202012Validator
    unknown: Any = None
    known = validator_for({"$schema": str(named)}, default=unknown)
    if known is None:
        raise ValueError(f"$schema {named} is unknown; leave it out for Draft 2020-12")
    return known


def _resolver(schema: dict[str, Json]) -> Any:
    from referencing import Registry
    from referencing.jsonschema import DRAFT202012

    resource = DRAFT202012.create_resource(schema)
    registry: Registry[Any] = Registry()
    return registry.resolver_with_root(resource)


def _validator(schema: dict[str, Json] | bool) -> Any:
    from referencing import Registry

    return _safe(_dialect(schema))(schema, registry=Registry())


@cache
def _safe(dialect: Any) -> Any:
    """The dialect with every keyword that would use Python's `re` replaced."""
    from jsonschema.validators import extend

    return extend(  # type: ignore[no-untyped-call]
        dialect,
        {
            "pattern": _pattern,
            "patternProperties": _pattern_properties,
            "additionalProperties": _additional_properties,
        },
    )


def _pattern(validator: Any, pattern: str, value: Json, schema: Json) -> Iterator[Any]:
    from jsonschema.exceptions import ValidationError

    if validator.is_type(value, "string") and not patterns.search(pattern, value):
        yield ValidationError(f"{value!r} does not match {pattern}")


def _pattern_properties(validator: Any, table: Any, value: Json, schema: Json) -> Iterator[Any]:
    if validator.is_type(value, "object"):
        for pattern, part in table.items():
            for name in value:
                if patterns.search(pattern, name):
                    yield from validator.descend(value[name], part, path=name, schema_path=pattern)


def _additional_properties(validator: Any, part: Any, value: Json, schema: Json) -> Iterator[Any]:
    from jsonschema.exceptions import ValidationError

    if not validator.is_type(value, "object"):
        return
    known, table = schema.get("properties", {}), schema.get("patternProperties", {})
    for name in value:
        if name in known or any(patterns.search(pattern, name) for pattern in table):
            continue
        if part is False:
            yield ValidationError(f"unexpected property {name!r}")
        else:
            yield from validator.descend(value[name], part, path=name)
