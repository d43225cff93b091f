"""What a worker saves of an import that it has claimed: each trace whole, with its line.

A trace and its line on the receipt are one transaction, under the import's row: a worker that was
killed leaves nothing half done, and one that lost its claim writes nothing. Lines wait in `state`
and go to `items` in portions, since both are written as a whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from typing import Protocol

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from replays_app.engine.values import Json
from replays_app.models import Import, Incident
from replays_app.services import activity, import_schedule, storable
from replays_app.services.errors import LostClaim

Item = dict[str, Json]

PORTION = 25  # lines that wait in `state`
MAX_ITEMS = 3_000  # lines of one receipt
MAX_ROWS = 500  # of one preview
MAX_WORDS, MAX_LINES = 500, 20  # as on the receipt of an upload
LONGEST_PROBLEM = 2_000  # characters
_Status = Import.Status


class Take(Protocol):
    """Takes one trace in, and says what its line is."""

    def __call__(self) -> Item: ...


def held(row: Import) -> QuerySet[Import]:
    mine = Import.objects.filter(pk=row.pk, token=row.token, status=_Status.RUNNING)
    return mine.exclude(token=None)


def done(row: Import) -> set[str]:
    """Ids of the traces that have their line, or their row of a preview."""
    lines = [*row.items, *row.state.get("recent", [])]
    looked = {str(each["id"]) for each in row.state.get("rows", [])}
    return looked | {str(line["trace"]) for line in lines if line.get("trace")}


def take(row: Import, take_it: Take) -> Item:
    """One trace and its line. Whatever `take_it` raises leaves neither. Raises LostClaim."""
    with transaction.atomic():
        _lock(row)
        line = take_it()
        _add(row, line)
    return line


def add(row: Import, line: Item) -> None:
    """The line of a trace that was not taken. Raises LostClaim."""
    with transaction.atomic():
        _lock(row)
        _add(row, line)


def note(row: Import, **state: Json) -> None:
    """How far the import is: `cursor`, `found`, `seen`, … Raises LostClaim."""
    with transaction.atomic():
        _lock(row)
        row.state = {**row.state, **state}
        row.save(update_fields=["state"])


def add_rows(row: Import, rows: Iterable[Item]) -> None:
    """More rows of a preview. Raises LostClaim."""
    known = [*row.state.get("rows", []), *storable.json(list(rows))]
    known = known[:MAX_ROWS]
    note(row, rows=known, looked=len(known), claims=1)


def finish(row: Import, *, problem: str = "") -> None:
    """Ends the import: failed with a problem, cancelled when somebody asked for it, else finished
    or, of a preview, ready to choose from. What came stays. Raises LostClaim."""
    with transaction.atomic():
        _lock(row)
        _portion(row)
        row.state = _end_state(row)
        row.problem = storable.text(problem, LONGEST_PROBLEM)
        row.status = _end(row)
        row.token, row.lease_until, row.finished_at = None, None, timezone.now()
        row.save(
            update_fields=[
                *("items", "state", "problem", "status"),
                *("token", "lease_until", "finished_at"),
            ]
        )
        if row.request.get("purpose") != "preview":
            _announce(row)
        import_schedule.after(row)


def end_if_stopped(row: Import) -> None:
    """A cancelled import that no worker holds is over now."""
    with transaction.atomic():
        rows = Import.objects.select_for_update(no_key=True).filter(
            pk=row.pk, status=_Status.QUEUED, stop_requested=True
        )
        if found := rows.first():
            _portion(found)
            found.state = _end_state(found)
            found.status, found.finished_at = _Status.CANCELLED, timezone.now()
            found.save(update_fields=["items", "state", "status", "finished_at"])


def totals(items: Iterable[Item]) -> Counter[str]:
    """How many lines of each status, and how many new incidents came in part only."""
    found: Counter[str] = Counter()
    for item in items:
        found[str(item["status"])] += 1
        if item["status"] == "created" and item.get("came") not in (None, "full"):
            found["partial"] += 1
    return found


def line(source: str, status: str, *, trace: str, **more: Json) -> Item:
    """A line as it is kept: bounded, and storable."""
    found = {"source": storable.text(source, MAX_WORDS), "status": status, "trace": trace, **more}
    for name in ("notes", "problems"):
        lines = [storable.text(str(text), MAX_WORDS) for text in more.get(name) or ()]
        if len(lines) > MAX_LINES:
            lines[MAX_LINES:] = [f"and {len(lines) - MAX_LINES:,} more"]
        found[name] = lines
    return storable.json(found)


def incident_line(incident: Incident) -> Item:
    receipt = incident.session.current.receipt or {}
    came = receipt.get("completeness", "full")
    return {"incident": incident.key, "title": incident.title, "came": came}


def _lock(row: Import) -> None:
    """Nobody else can end or take over the import while this transaction lasts; its erasure and a
    wish to stop are read again. Raises LostClaim."""
    locked = held(row).select_for_update(no_key=True).defer("items").first()
    if locked is None:
        raise LostClaim(f"{row} is no longer held by token {row.token}")
    row.state, row.erased_at = locked.state, locked.erased_at
    row.stop_requested = locked.stop_requested


def _add(row: Import, line: Item) -> None:
    recent = [*row.state.get("recent", []), line]
    row.state = {**row.state, "recent": recent, "claims": 1}
    row.lease_until = timezone.now() + timedelta(seconds=settings.ENV.lease_seconds)
    fields = ["state", "lease_until"]
    if len(recent) >= PORTION:
        _portion(row)
        fields.append("items")
    row.save(update_fields=fields)


def _portion(row: Import) -> None:
    """Here alone the lines are read, and anew: an erased incident's are others meanwhile. The
    caller holds the row's lock."""
    recent = row.state.get("recent", [])
    there = Import.objects.values_list("items", flat=True).get(pk=row.pk)
    row.items = [*there, *recent][:MAX_ITEMS]
    left = {key: value for key, value in row.state.items() if key != "recent"}
    row.state = {**left, "totals": dict(totals(row.items))}


def _end_state(row: Import) -> dict[str, Json]:
    """What stays of the state: numbers for lists, and a preview's rows."""
    stays = ("found", "seen", "rows", "looked", "totals", "is_limited")
    return {name: row.state[name] for name in stays if name in row.state}


def _end(row: Import) -> str:
    if row.problem:
        return _Status.FAILED
    if row.stop_requested:
        return _Status.CANCELLED
    return _Status.PREVIEW if row.request.get("purpose") == "preview" else _Status.FINISHED


def _announce(row: Import) -> None:
    """A line in the log for what is new or went wrong. That a schedule found nothing is none."""
    found = totals(row.items)
    said: dict[str, Json] = {"import": row.pk, **{k: n for k, n in found.items() if n}}
    if row.source:
        said["source"] = row.source.name
    said["from"] = row.via
    is_scheduled = bool(row.request.get("scheduled"))
    is_news = found["created"] or found["new revision"] or found["refused"]
    if row.problem:
        # Only the first of a row of failures: the overview names a source that goes on failing.
        if not is_scheduled or import_schedule.failures(row.source) <= 1:
            activity.record(row.project, "import failed", actor=row.actor, text=row.problem, **said)
    elif is_news or not is_scheduled:
        activity.record(row.project, "imported", actor=row.actor, **said)
