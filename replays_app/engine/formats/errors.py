"""What is wrong with a file, said so that its author can mend it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """`source:line: field: message`; `source` is a path or a word such as "upload"."""

    message: str
    field: str = ""  # dotted, e.g. tool_responses[0].status
    line: int | None = None  # from 1
    source: str = ""

    def __post_init__(self) -> None:
        """Names out of a file could hold a terminal's escapes, or what no terminal can encode."""
        for name in ("message", "field", "source"):
            object.__setattr__(self, name, _printable(getattr(self, name)))

    def __str__(self) -> str:
        where = f"{self.source}:{self.line}" if self.line else self.source
        return ": ".join(part for part in (where, self.field, self.message) if part)


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


class FormatError(ValueError):
    """A file that cannot be used; carries every problem found, not only the first."""

    def __init__(self, problems: list[Problem]) -> None:
        if not problems:
            raise ValueError("a FormatError names at least one problem")
        super().__init__("\n".join(str(p) for p in problems))
        self.problems = problems
