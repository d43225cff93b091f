"""`${NAME}` in what came from elsewhere: nothing fills it in there, so it must not look as if.

Inside a longer text it is evidence (an agent may well answer with a shell script) and stays as it
is written. Where it is the whole value, or stands in a name or a header, its author expects a
value from this machine, which an upload or API call never gets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from replays_app.engine.formats.document import Document, Path
from replays_app.engine.formats.errors import FormatError
from replays_app.engine.values import Json

_VARIABLE = re.compile(r"\$\{[^{}]{0,200}\}")
_NAMES = frozenset({"id", "contract", "source", "agent_version", "tool", "headers"})


def refuse_variables(value: Json, document: Document, path: Path = ()) -> None:
    """`value`, found at `path` of the document, is one session. Raises FormatError."""
    problems = [
        document.problem(
            (*path, *place),
            f"holds {text}, which only the operator's own files may use and nothing fills in "
            "here; write the value itself",
        )
        for place, text in _found(value, ())
    ]
    if problems:
        raise FormatError(problems)


def _found(value: Json, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _found(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _found(item, (*path, index))
    elif isinstance(value, str) and (variable := _VARIABLE.search(value)):
        is_whole = _VARIABLE.fullmatch(value.strip()) is not None
        if is_whole or not _NAMES.isdisjoint(_fields(path)):
            yield path, variable.group()


def _fields(path: Path) -> Iterator[str]:
    """The format's own names on the way; what is inside a response or arguments is the agent's."""
    for step in path:
        if step in ("response", "args", "context", "input", "stub"):
            return
        if isinstance(step, str):
            yield step
