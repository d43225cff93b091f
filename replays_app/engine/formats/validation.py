"""A plain value against a model, with every mistake said in the words of the format."""

from __future__ import annotations

import copy
import difflib
import itertools
import re
from collections.abc import Iterable, Iterator
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from replays_app.engine.formats.document import Document, Path, kind_of
from replays_app.engine.formats.errors import FormatError, Problem
from replays_app.engine.values import Json

Model = TypeVar("Model", bound=BaseModel)

# What a value must be, by pydantic's error type.
_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "list_type": "a list",
    "tuple_type": "a list",
    "none_required": "empty",
}
_LIMITS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'")
_SHOWN = 60  # characters of a value that a message repeats
MAX_PROBLEMS = 100  # said of one value; who mends these sees the rest


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`, did you mean X?`, or nothing when nothing is near."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f", did you mean {near[0]}?" if near else ""


def validate(
    model: type[Model],
    value: Json,
    document: Document,
    path: Path = (),
    *,
    lenient: list[Problem] | None = None,
) -> Model:
    """`value`, found at `path` of the document, as a model. Raises FormatError with all problems.

    With `lenient`, unknown fields are left out and reported into that list instead; everything
    else stays an error.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        details = error.errors(include_url=False)
    if lenient is not None and any(d["type"] == "extra_forbidden" for d in details):
        value = copy.deepcopy(value)
        for detail in details:
            if detail["type"] == "extra_forbidden":
                where = _path_in(value, detail)
                lenient.append(document.problem(path + where, _unknown(model, value, detail)))
                _remove(value, where)
        return validate(model, value, document, path)
    found = _problems(model, value, details, document, path)
    raise FormatError(list(itertools.islice(found, MAX_PROBLEMS)))


def _problems(
    model: type[BaseModel], value: Json, details: list[ErrorDetails], document: Document, path: Path
) -> Iterator[Problem]:
    """One problem a place: the branches of a union that did not fit are put together."""
    by_place: dict[Path, list[ErrorDetails]] = {}
    for detail in details:
        by_place.setdefault(_path_in(value, detail), []).append(detail)
    above = {place[:length] for place in by_place for length in range(len(place))}
    for place, found in by_place.items():
        wanted = list(dict.fromkeys(_WANTED[d["type"]] for d in found if d["type"] in _WANTED))
        others = [d for d in found if d["type"] not in _WANTED]
        if wanted and not others:
            # A mistake further in means that one branch of the union did fit here.
            if place not in above:
                message = _wrong_type(found[0]["input"], wanted)
                yield document.problem(path + place, message)
            continue
        for detail in others:
            if detail["type"] == "extra_forbidden":
                message = _unknown(model, value, detail)
            else:
                message = _message(detail)
            yield document.problem(path + place, message)


def _wrong_type(value: Json, wanted: list[str]) -> str:
    seen = kind_of(value)
    if seen == "a number" and "a whole number" in wanted:
        seen = shown(value)
    elif seen == "text" and any("number" in w for w in wanted):
        seen = f"the text {shown(value)}"
    quotes = "; put it in quotes" if "text" in wanted and isinstance(value, int | float) else ""
    return f"is {seen}, must be {' or '.join(wanted)}{quotes}"


def shown(value: Json) -> str:
    """A value as a message repeats it: bounded."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _message(detail: ErrorDetails) -> str:
    kind, context, seen = detail["type"], detail.get("ctx", {}), detail["input"]
    if kind == "missing":
        return "is missing"
    if kind in _LIMITS:
        words, key = _LIMITS[kind]
        return f"is {shown(seen)}, must be {words} {context[key]:g}"
    if kind in ("literal_error", "enum", "union_tag_invalid"):
        choices = _QUOTED.findall(str(context.get("expected") or context.get("expected_tags")))
        given = context.get("tag", seen)
        near = did_you_mean(given, choices) if isinstance(given, str) else ""
        return f"is {shown(given)}, must be one of {', '.join(choices)}{near}"
    if kind == "union_tag_not_found":
        return "is missing"
    if kind in ("string_too_short", "too_short"):
        least = context["min_length"]
        return "is empty" if least == 1 else f"is too short, must have at least {least}"
    if kind == "string_unicode":
        return f"is {shown(seen)}, must be whole characters; it holds half of one (a surrogate)"
    if kind == "value_error":
        return str(context["error"])
    return detail["msg"]


def _path_in(value: Json, detail: ErrorDetails) -> Path:
    """pydantic's `loc` without the names of union branches, which are no part of the file."""
    loc = detail["loc"]
    path: list[str | int] = []
    for index, step in enumerate(loc):
        is_last = index == len(loc) - 1
        if isinstance(value, dict) and isinstance(step, str):
            if step in value:
                value = value[step]
            elif not (is_last and detail["type"] == "missing"):
                continue
            path.append(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
            path.append(step)
    if detail["type"] in ("union_tag_invalid", "union_tag_not_found"):
        path.append(detail["ctx"]["discriminator"].strip("'"))
    return tuple(path)


def _remove(value: Json, path: Path) -> None:
    for step in path[:-1]:
        value = value[step]
    del value[path[-1]]


def _unknown(model: type[BaseModel], value: Json, detail: ErrorDetails) -> str:
    path = _path_in(value, detail)
    known = sorted({name for m in _models_at(model, value, path[:-1]) for name in fields_of(m)})
    name = str(path[-1])
    near = did_you_mean(name, known)
    return f"unknown field {name}{near or '; known here: ' + ', '.join(known)}"


def fields_of(model: type[BaseModel]) -> list[str]:
    """The names as files write them."""
    return [field.alias or name for name, field in model.model_fields.items()]


def _models_at(annotation: Any, value: Json, path: Path) -> Iterator[type[BaseModel]]:
    """The models that a mapping at `path` could be, by its `type` where that decides."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        yield from _models_at(args[0], value, path)
    elif origin in (Union, UnionType):
        for arg in args:
            yield from _models_at(arg, value, path)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if not isinstance(value, dict) or not _type_fits(annotation, value):
            return
        if not path:
            yield annotation
            return
        for name, field in annotation.model_fields.items():
            if (field.alias or name) == path[0]:
                yield from _models_at(field.annotation, value.get(path[0]), path[1:])
    elif path and args and isinstance(value, dict | list):
        yield from _models_at(args[-1 if origin is dict else 0], _step(value, path[0]), path[1:])


def _step(value: Json, step: str | int) -> Json:
    return value[step]


def _type_fits(model: type[BaseModel], value: dict[str, Json]) -> bool:
    field = model.model_fields.get("type")
    if field is None or get_origin(field.annotation) is not Literal:
        return True
    return value.get("type") in (*get_args(field.annotation), None)
