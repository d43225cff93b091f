from __future__ import annotations


class CannotStart(Exception):
    """Says what was seen and what would do; the start ends with it and exit code 1."""
