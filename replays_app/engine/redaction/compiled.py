"""A project's rules, compiled once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import re2

from replays_app.engine.redaction.fields import in_line, in_text, in_xml
from replays_app.engine.redaction.find import Find
from replays_app.engine.redaction.recognisers import RECOGNISERS, Recogniser
from replays_app.engine.redaction.rules import Rules, quiet_options

FIELD = "field"  # the kind of what a path names
MEMORY = 16 << 20  # bytes, of the patterns of one set: letters of any alphabet take room
# Patterns that are looked for at once. All in one set would be one pass over the text, but with so
# many states that most of the time goes into making them: five times slower than sets of this size.
TOGETHER = 16


# Whose values are words, so that only patterns tell where they end in a line.
LOOSE = frozenset({"secret", "email", "name"})


@dataclass(frozen=True, slots=True)
class Compiled:
    """Recognisers, compiled: a few passes over a text say which of them may find something."""

    finds: tuple[tuple[Recogniser, Find, Any], ...]
    sets: tuple[Any, ...]
    fields: Mapping[str, tuple[Recogniser, Callable[[str], bool]]]
    people: frozenset[str]  # fields that hold the name of a person

    def matching(self, text: str) -> list[int]:
        """Which of `finds` match somewhere, in their order."""
        encoded = text.encode()
        return [
            at * TOGETHER + index
            for at, patterns in enumerate(self.sets)
            for index in sorted(patterns.Match(encoded) or ())
        ]


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
        finds[len(own) : len(own)] = [(KEYED, Find(in_text(names))), (KEYED, Find(in_xml(names)))]
    # Last: what has a form of its own ends where it ends.
    if bare := [n for r in active if r.name not in LOOSE for f in r.fields for n in f.names]:
        finds.append((KEYED, Find(in_line(bare))))
    options = quiet_options(MEMORY)
    sets = [finds[at : at + TOGETHER] for at in range(0, len(finds), TOGETHER)]
    every_find = tuple((r, find, re2.compile(find.pattern, options)) for r, find in finds)
    people = frozenset(name for name, (r, _) in fields.items() if r.name == "name")
    return Compiled(every_find, tuple(_set(part, options) for part in sets), fields, people)


def _set(finds: list[tuple[Recogniser, Find]], options: Any) -> Any:
    made = re2.Set.SearchSet(options)
    for _, find in finds:
        made.Add(find.pattern)
    made.Compile()
    return made
