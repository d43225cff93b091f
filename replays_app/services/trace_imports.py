"""Imports that a worker makes: asked for on a page or by a schedule, claimed like a run.

A claim writes a token and a lease, and every later save is conditional on the token
(services.import_progress). `state` says how far it is, so that another worker can go on. Two
imports of one source never run at a time.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from replays_app.engine.values import Json
from replays_app.models import Agent, Contract, Import, Project, Source
from replays_app.services import (
    activity,
    doorbell,
    import_progress,
    source_access,
    source_query,
    storable,
)
from replays_app.services.errors import Refused

if TYPE_CHECKING:
    from django.contrib.auth.models import User

PROJECT, RUN = "project", "run"  # request["what"]
PREVIEW, IMPORT = "preview", "import"  # request["purpose"]
LONGEST_REFERENCE = 1_000  # characters of an id, a pasted URL or a share link
MOST_CLAIMS = 5  # without anything saved in between: then the import itself kills its workers
OPEN = (Import.Status.QUEUED, Import.Status.RUNNING)
_Status = Import.Status


# --- Asking ---------------------------------------------------------------------------------------


def request_project(
    source: Source,
    *,
    actor: User | None,
    purpose: str = IMPORT,
    window: source_query.Window | None = None,
    query: dict[str, Json] | None = None,
    scheduled: bool = False,
) -> Import:
    """What the source's query finds in its whole time, or in `window`. `query` overrules parts of
    the source's own for this once. One of the same kind that has not begun is given instead.
    Raises Refused."""
    wanted = source_query.check({**source.query, **(query or {})})
    if purpose == PREVIEW:
        wanted["limit"] = min(int(wanted["limit"]), import_progress.MAX_ROWS)
    window = window or source_query.window(wanted, timezone.now())
    request: dict[str, Json] = {
        "what": PROJECT,
        "purpose": purpose,
        "query": wanted,
        "since": window.since.isoformat(),
        "until": window.until.isoformat(),
        "agent": source.agent_id,
        "contract": source.contract_id,
        "scheduled": scheduled,
    }
    with transaction.atomic():
        # Whoever deletes the source meanwhile has either gone first, or waits.
        source = _locked(source)
        waiting = source.imports.filter(status=_Status.QUEUED, token=None, state={})
        for row in waiting:
            if _same(row.request, request):
                return row
        return _queue(source.project, request, actor, source=source, kind=source.kind)


def request_run(
    project: Project,
    reference: str,
    *,
    source: Source | None,
    actor: User | None,
    agent: Agent | None = None,
    contract: Contract | None = None,
) -> Import:
    """One run: its id, the address of its page, or a public share link, which needs no source.
    Raises Refused."""
    reference = storable.text(reference).strip()
    if not 1 <= len(reference) <= LONGEST_REFERENCE:
        raise Refused(
            f"The run has {len(reference):,} characters.",
            field="reference",
            remedy="Paste a run's id, the address of its page, or a share link.",
        )
    source_access.check_reference(reference, has_source=source is not None)
    for row in (source, agent, contract):
        if row is not None and row.project_id != project.pk:
            raise Refused(f"{row} belongs to another project.")
    request: dict[str, Json] = {
        "what": RUN,
        "purpose": IMPORT,
        "reference": reference,
        "agent": agent.pk if agent else source.agent_id if source else None,
        "contract": contract.pk if contract else source.contract_id if source else None,
    }
    with transaction.atomic():
        source = _locked(source) if source else None
        kind = source.kind if source else source_access.LANGSMITH
        return _queue(project, request, actor, source=source, kind=kind)


def choose(preview: Import, ids: Iterable[str], actor: User | None) -> Import:
    """Imports the chosen rows of a preview, which stays as it is. Raises Refused."""
    known = [str(row["id"]) for row in preview.state.get("rows", []) if not row.get("problem")]
    wanted = set(ids)
    chosen = [trace for trace in known if trace in wanted]
    if not chosen:
        raise Refused("Nothing is chosen.", remedy="Tick at least one run.")
    if preview.source is None:
        raise Refused("The source of this preview is deleted.", remedy="Make a new preview.")
    request = {**preview.request, "purpose": IMPORT, "ids": chosen, "preview": preview.pk}
    with transaction.atomic():
        source = _locked(preview.source)
        return _queue(preview.project, request, actor, source=source, kind=source.kind)


def cancel(row: Import, actor: User | None) -> None:
    """What came stays. One that waits is over at once; one that runs ends within seconds."""
    with transaction.atomic():
        mine = Import.objects.filter(pk=row.pk, stop_requested=False)
        if mine.filter(status__in=OPEN).update(stop_requested=True):
            activity.record(row.project, "import cancelled", actor=actor, **{"import": row.pk})
    import_progress.end_if_stopped(row)


def _same(one: dict[str, Json], other: dict[str, Json]) -> bool:
    whatever = ("since", "until", "kind")  # one's times are the other's in a moment
    return all(one.get(key) == other.get(key) for key in {*one, *other} if key not in whatever)


def _locked(source: Source) -> Source:
    """Raises Refused when it is gone."""
    rows = Source.objects.select_for_update(no_key=True, of=("self",)).select_related("project")
    found = rows.filter(pk=source.pk).first()
    if found is None:
        raise Refused("This source is deleted.", remedy="Choose another one.")
    return found


def _queue(
    project: Project,
    request: dict[str, Json],
    actor: User | None,
    *,
    source: Source | None,
    kind: str,
) -> Import:
    row = Import.objects.create(
        project=project,
        actor=actor,
        via=kind,
        status=_Status.QUEUED,
        source=source,
        request={"kind": kind, **request},
    )
    if actor is not None:
        said = {"source": source.name} if source else {}
        activity.record(project, "import requested", actor=actor, **{"import": row.pk}, **said)
    transaction.on_commit(lambda: doorbell.ring(doorbell.IMPORTS))
    return row


# --- Claims ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Standing:
    """What a worker hears when it shows that it lives."""

    is_held: bool
    stop_requested: bool = False


def due() -> bool:
    """Whether a claim would find something."""
    return _due().exists()


def claim() -> Import | None:
    """The import that is due for the longest time, under a new token."""
    skipped: set[int] = set()
    while True:
        with transaction.atomic():
            rows = _due().exclude(pk__in=skipped)
            rows = rows.select_for_update(skip_locked=True, no_key=True, of=("self",))
            row = rows.select_related("project", "source", "actor").first()
            if row is None:
                return None
            if row.source_id is not None:
                # Two workers may have found two imports of one source: its row lets them pass
                # singly.
                Source.objects.select_for_update(no_key=True).filter(pk=row.source_id).first()
                if _alive().filter(source=row.source_id).exclude(pk=row.pk).exists():
                    skipped.add(row.pk)
                    continue
            row.token, row.lease_until, row.status = uuid.uuid4(), _lease(), _Status.RUNNING
            row.state = {**row.state, "claims": row.state.get("claims", 0) + 1}
            row.save(update_fields=["token", "lease_until", "status", "state"])
        if row.stop_requested:
            import_progress.finish(row)
        elif row.state["claims"] > MOST_CLAIMS:
            import_progress.finish(row, problem=_POISON)
        else:
            return row


_POISON = (
    f"Given up: {MOST_CLAIMS} workers died with this import before one trace was taken. Look into "
    "the worker's log for the reason (memory is the commonest), then import again."
)


def heartbeat(row: Import) -> Standing:
    """Renews the lease."""
    stop = Import.objects.filter(pk=row.pk, stop_requested=True).exists()
    is_held = bool(import_progress.held(row).update(lease_until=_lease()))
    return Standing(is_held=is_held, stop_requested=is_held and stop)


def release(row: Import) -> None:
    """Gives an unfinished import back, for another job to go on: this one's worker stops, or has
    done its share. It goes behind those that wait."""
    state = {**row.state, "claims": 0}
    import_progress.held(row).update(
        status=_Status.QUEUED, token=None, lease_until=timezone.now(), state=state
    )


def _due() -> QuerySet[Import]:
    abandoned = Q(status=_Status.RUNNING, lease_until__lt=timezone.now())
    waiting = Import.objects.filter(Q(status=_Status.QUEUED) | abandoned)
    busy = _alive().exclude(source=None).values("source")
    waiting = waiting.filter(Q(source=None) | ~Q(source__in=busy))
    return waiting.order_by(Coalesce("lease_until", "created_at"), "pk")


def _alive() -> QuerySet[Import]:
    return Import.objects.filter(status=_Status.RUNNING, lease_until__gte=timezone.now())


def _lease() -> datetime:
    return timezone.now() + timedelta(seconds=settings.ENV.lease_seconds)
