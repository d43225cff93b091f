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

    def __str__(self) -> str:
        where = f"{self.source}:{self.line}" if self.line else self.source
        return ": ".join(part for part in (where, self.field, self.message) if part)


class FormatError(ValueError):
    """A file that cannot be used; carries every problem found, not only the first."""

    def __init__(self, problems: list[Problem]) -> None:
        if not problems:
            raise ValueError("a FormatError names at least one problem")
        super().__init__("\n".join(str(p) for p in problems))
        self.problems = problems
