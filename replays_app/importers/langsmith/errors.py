"""What stops an import, or one part of it, in words for whoever asked for it."""

from __future__ import annotations


class ImportProblem(Exception):
    """What was seen, and what would do. What was imported before stays imported."""

    def __init__(self, message: str, remedy: str = "", *, may_pass: bool = False) -> None:
        super().__init__(f"{message} {remedy}".strip())
        self.message = message
        self.remedy = remedy
        self.may_pass = may_pass  # the same request may work later


class Stopped(Exception):
    """Whoever asked for the import has stopped it."""
