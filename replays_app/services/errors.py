"""A service's "no", said so that the person who asked can mend it."""

from __future__ import annotations

from replays_app.engine.formats.errors import FormatError


class Refused(Exception):
    """What was asked cannot be done. Shown to users: what was seen, and what would do.

    `field` is the form field or payload key that is at fault; empty when none is.
    """

    def __init__(self, message: str, *, field: str = "", remedy: str = "") -> None:
        super().__init__(f"{message} {remedy}".strip())
        self.message = message
        self.field = field
        self.remedy = remedy

    @classmethod
    def from_format(cls, error: FormatError) -> Refused:
        """All problems of a file or payload, a line each."""
        return cls(str(error), field=error.problems[0].field)


class LostClaim(Exception):
    """The run belongs to someone else by now (or ended): whoever sees this must save nothing."""
