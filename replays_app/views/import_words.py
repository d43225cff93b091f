"""What became of an import, in a sentence and a shape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from replays_app.models import Import
from replays_app.services import import_progress

_Status = Import.Status
# (status of a line, words for one, words for several), what matters first
_KINDS = (
    ("created", "new incident", "new incidents"),
    ("new revision", "new recording of a known one", "new recordings of known ones"),
    ("refused", "refused", "refused"),
    ("already here", "already here", "already here"),
    ("contract saved", "contract saved", "contracts saved"),
    ("skipped", "skipped", "skipped"),
)


@dataclass(frozen=True, slots=True)
class Said:
    shape: str
    tone: str  # good, bad or open
    short: str
    rest: str

    def __str__(self) -> str:
        return f"{self.short} {self.rest}".strip()


def totals(row: Import) -> Counter[str]:
    """Of an upload from its lines; else from the state, so that a list loads no lines."""
    if not row.request:
        return import_progress.totals(row.items)
    recent = import_progress.totals(row.state.get("recent") or [])
    return recent + Counter(row.state.get("totals") or {})


def came(found: Mapping[str, int]) -> str:
    """`7 new incidents, 2 of them in part; 3 already here`; empty when nothing came."""
    parts = []
    for status, one, several in _KINDS:
        if n := found.get(status, 0):
            partial = found.get("partial", 0) if status == "created" else 0
            more = f" ({partial:,} only in part)" if partial else ""
            parts.append(f"{n:,} {one if n == 1 else several}{more}")
    return ", ".join(parts)


def said(row: Import) -> Said:
    found = totals(row)
    words = came(found)
    if row.status == _Status.QUEUED:
        so_far = f"So far: {words}." if words else "It starts by itself."
        return Said("queued", "open", "Waiting for a worker.", so_far)
    if row.status == _Status.RUNNING:
        return Said("running", "open", _stage(row), f"So far: {words}." if words else "")
    if row.status == _Status.FAILED:
        kept = f"What came before is kept: {words}." if words else "Nothing came before."
        return Said("errored", "bad", "It failed.", f"{row.problem} {kept}")
    if row.status == _Status.CANCELLED:
        kept = f"What came before is kept: {words}." if words else "Nothing came before."
        return Said("cancelled", "open", "Cancelled.", kept)
    if row.status == _Status.PREVIEW:
        return _preview(row)
    if not words:
        return Said("not judged", "open", "Nothing was found.", "")
    is_bad = bool(found.get("refused"))
    shape, tone = ("failed", "open") if is_bad else ("passed", "good")
    return Said(shape, tone, f"{words}.", _left_out(row))


def _stage(row: Import) -> str:
    if row.stop_requested:
        return "Stopping."
    if not row.state.get("found"):
        return "Asking."
    return f"{row.state['found']:,} runs found so far, {seen(row):,} of them looked at."


def seen(row: Import) -> int:
    """Runs that were looked at, those of the page at work included."""
    lines = totals(row).total() - totals(row)["partial"] + (row.state.get("looked") or 0)
    return max(row.state.get("seen") or 0, lines)


def _preview(row: Import) -> Said:
    many = row.state.get("looked") or 0
    if row.erased_at:
        return Said("not judged", "open", "This preview is too old.", "Make a new one.")
    if not many:
        return Said("not judged", "open", "Nothing was found.", "Nothing was written, either.")
    runs = "1 run" if many == 1 else f"{many:,} runs"
    rest = f"Nothing is written yet. {_left_out(row)}".strip()
    return Said("passed", "open", f"{runs} to choose from.", rest)


def _left_out(row: Import) -> str:
    if not row.state.get("is_limited") or row.request.get("ids"):
        return ""
    return (
        f"It takes at most {row.state.get('seen') or 0:,} runs at a time, the newest first: older "
        "ones may have been left out."
    )
