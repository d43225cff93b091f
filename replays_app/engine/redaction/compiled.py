"""A project's rules, compiled once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import re2

from replays_app.engine.redaction.fields import in_text
from replays_app.engine.redaction.recognisers import RECOGNISERS, Find, Recogniser
from replays_app.engine.redaction.rules import Rules, quiet_options

FIELD = "field"  # the kind of what a path names
MEMORY = 64 << 20  # bytes, of all compiled patterns together: letters of any alphabet take room


@dataclass(frozen=True, slots=True)
class Compiled:
    """Recognisers, compiled: one pass over a text says which of them may find something."""

    finds: tuple[tuple[Recogniser, Find, Any], ...]
    any: Any
    fields: Mapping[str, tuple[Recogniser, Callable[[str], bool]]]
    people: frozenset[str]  # fields that hold the name of a person


# What stands for the fields' names in a text; which recogniser it is, its key says.
KEYED = Recogniser(name=FIELD, title="", example="")


@functools.lru_cache(maxsize=64)
def compiled(rules: Rules) -> Compiled:
    own = [
        Recogniser(name=p.name, title="", example="", finds=(Find(p.pattern),))
        for p in rules.patterns
    ]
    active = [*own, *(r for r in RECOGNISERS if r.name not in rules.off)]
    fields = {name: (r, f.accepts) for r in active for f in r.fields for name in f.plain}
    finds = [(r, find) for r in active for find in r.finds]
    if names := [name for r in active for f in r.fields for name in f.names]:
        finds.insert(len(own), (KEYED, Find(in_text(names))))
    options = quiet_options(MEMORY)
    every = re2.Set.SearchSet(options)
    for _, find in finds:
        every.Add(find.pattern)
    every.Compile()
    every_find = tuple((r, find, re2.compile(find.pattern, options)) for r, find in finds)
    people = frozenset(name for name, (r, _) in fields.items() if r.name == "name")
    return Compiled(every_find, every if finds else None, fields, people)
