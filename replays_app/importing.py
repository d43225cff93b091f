"""A worker's import: fetches, has each trace taken in on its own, saves how far it is."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import InterfaceError, OperationalError, connections

from replays_app import logs
from replays_app.engine.values import Json
from replays_app.importers import readers
from replays_app.importers.langsmith.errors import ImportProblem, Stopped
from replays_app.importers.trace import UnusableTrace
from replays_app.models import Agent, Contract, Import
from replays_app.services import (
    import_preview,
    import_progress,
    redaction,
    source_access,
    source_query,
    trace_imports,
    traces,
)
from replays_app.services.errors import LostClaim, Refused

if TYPE_CHECKING:
    from replays_app.importers.langsmith.client import Connection, Fetched
    from replays_app.importers.langsmith.query import Query

log = logging.getLogger(__name__)

LEAST_S = 5.0  # for traces that were fetched when a job's share of time was over already
# What an odd trace may make a reader raise. Anything else (the database, RQ's time-out) concerns
# the whole import.
ODD = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)


class Leaving(BaseException):
    """SIGTERM came while an answer was waited for."""


@dataclass(eq=False)
class Stop:
    """Why an import is left before its end, whoever says so: the worker's end, a person, another
    worker's claim, the end of this job's share of time."""

    until: float  # monotonic clock
    now: threading.Event = field(default_factory=threading.Event)
    leaving: bool = False
    lost: bool = False
    fetching: bool = False  # an answer is waited for, which SIGTERM may cut off
    has_saved: bool = False  # of this import, something that the next job need not do again

    def __call__(self) -> bool:
        """The share's end counts once something is saved: where fetching takes longer than that,
        every job would else begin with the same."""
        return self.now.is_set() or (self.has_saved and self.is_over)

    def saved(self) -> None:
        """What was fetched with the first trace is here: it has some time of its own."""
        if not self.has_saved:
            self.has_saved = True
            self.until = max(self.until, time.monotonic() + LEAST_S)

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self.until

    def next(self) -> None:
        """What was said of one import is not said of the next."""
        self.lost = self.has_saved = False
        if not self.leaving:
            self.now.clear()

    def pause(self, seconds: float) -> None:
        self.now.wait(max(0.0, seconds))

    def leave(self, *_: object) -> None:
        self.leaving = True
        self.now.set()
        if self.fetching:
            raise Leaving

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        if self.leaving:
            raise Leaving
        self.fetching = True
        try:
            yield
        finally:
            self.fetching = False


def make(row: Import, stop: Stop) -> None:
    """To its end, or until `stop`; then it is given back. Raises LostClaim."""
    over = threading.Event()
    beating = threading.Thread(target=_beat, args=(row, stop, over), name="heartbeat", daemon=True)
    beating.start()
    try:
        _Work(row, stop).run()
    except (ImportProblem, Refused) as problem:
        said = f"{problem.message} {problem.remedy}".strip()
        import_progress.finish(row, problem=_clean(row, said))
    except (Leaving, Stopped):
        _leave(row, stop)
    except (OperationalError, InterfaceError, LostClaim):
        raise  # nothing can be saved, or may be
    except Exception as fault:
        import_progress.finish(row, problem=_of_ours(fault))
        raise
    finally:
        over.set()
        beating.join()


def _leave(row: Import, stop: Stop) -> None:
    """Before its end: lost to another worker, cancelled, or given back."""
    if stop.lost:
        raise LostClaim(f"{row} was claimed by another worker")
    if row.stop_requested or (stop.now.is_set() and not stop.leaving):
        import_progress.finish(row)
    else:
        trace_imports.release(row)


def _clean(row: Import, said: str) -> str:
    """A server's words may repeat what they are about."""
    try:
        return redaction.redactor(row.project).text(said)
    except Refused as refused:
        return str(refused)


def _of_ours(fault: Exception) -> str:
    """The type alone: what an error says may hold what it was made of."""
    return (
        f"A fault of ours: {type(fault).__name__}. What came before is kept. The worker's log has "
        "the details; please report them."
    )


def _beat(row: Import, stop: Stop, over: threading.Event) -> None:
    """Keeps the lease, and hears of a wish to stop."""
    try:
        while not over.wait(settings.ENV.lease_seconds / 3):
            try:
                standing = trace_imports.heartbeat(row)
            except (OperationalError, InterfaceError) as error:
                log.warning("The database is away (%s); the lease may run out.", error)
                connections.close_all()
                continue
            stop.lost = not standing.is_held
            if stop.lost or standing.stop_requested:
                stop.now.set()
                return
    finally:
        connections.close_all()


class _Work:
    """One claimed import on its way."""

    def __init__(self, row: Import, stop: Stop) -> None:
        self.row, self.stop = row, stop
        self.request: dict[str, Any] = row.request
        self.kind: str = self.request["kind"]
        self.previews = self.request["purpose"] == trace_imports.PREVIEW
        self.agent = Agent.objects.filter(pk=self.request.get("agent")).first()
        self.contract = Contract.objects.filter(pk=self.request.get("contract")).first()
        self.done = import_progress.done(row)

    def run(self) -> None:
        """Raises Stopped, Leaving, LostClaim, ImportProblem or Refused where it does not come to
        its end."""
        access = self._access()
        connection = source_access.connect(access, pause=self.stop.pause, should_stop=self.stop)
        if self.request["what"] == trace_imports.RUN:
            self._one(connection)
        else:
            self._project(connection)
        import_progress.finish(self.row)

    def _access(self) -> source_access.Access:
        if self.row.source is not None:
            return source_access.access_to(self.row.source)
        if self.request["what"] == trace_imports.RUN:
            return source_access.access_to_shared(self.request["reference"])
        raise Refused("The source is deleted.", remedy="Choose another one.")

    def _one(self, connection: Connection) -> None:
        with self.stop.cut_off():
            fetched = connection.one(self.request["reference"])
        if fetched.id not in self.done:
            import_progress.note(self.row, found=1)
            self._take(fetched)

    def _project(self, connection: Connection) -> None:
        state = self.row.state
        seen, cursor = state.get("seen", 0), state.get("cursor")
        query = self._query(seen)
        if query is None:
            return
        for page in self._each(connection.find(query, after=cursor)):
            import_progress.note(self.row, found=seen + page.found)
            if wanted := [root for root in page.roots if self._is_wanted(root)]:
                self._page(connection, wanted)
            # Only now: what a page left undone is asked for again, by whoever goes on.
            import_progress.note(
                self.row,
                seen=seen + page.found,
                cursor=page.cursor,
                is_limited=page.found >= (query.limit or 0),
            )
            self.stop.has_saved = True
            if self._has_all():
                return
            self._go_on()

    def _page(self, connection: Connection, roots: list[dict[str, Json]]) -> None:
        rows: list[import_progress.Item] = []
        try:
            for fetched in self._each(connection.traces(project_of(roots), roots)):
                self._go_on()
                if self.previews:
                    looked = self._look(fetched)
                    rows += [looked] if looked else []
                    is_saved = looked is not None
                else:
                    is_saved = self._take(fetched)
                if is_saved:
                    self.stop.saved()
        finally:
            if rows:
                import_progress.add_rows(self.row, rows)

    def _go_on(self) -> None:
        """A person's wish is read again with all that is saved, sooner than the heartbeat tells."""
        if self.row.stop_requested or self.stop():
            raise Stopped

    def _each(self, things: Iterator[Any]) -> Iterator[Any]:
        """One after the other; SIGTERM cuts off the waiting for the next, and nothing else."""
        things = iter(things)
        while True:
            with self.stop.cut_off():
                thing = next(things, None)
            if thing is None:
                return
            yield thing

    def _query(self, seen: int) -> Query | None:
        return source_query.query_of(
            self.request["query"],
            seen=seen,
            since=datetime.fromisoformat(self.request["since"]),
            until=datetime.fromisoformat(self.request["until"]),
        )

    def _is_wanted(self, root: dict[str, Json]) -> bool:
        trace, ids = str(root.get("trace_id") or root.get("id")), self.request.get("ids")
        return trace not in self.done and (ids is None or trace in ids)

    def _has_all(self) -> bool:
        """Every chosen trace has its line: nothing more has to be looked for."""
        ids = self.request.get("ids")
        return ids is not None and set(ids) <= self.done

    def _is_trouble(self, fetched: Fetched) -> bool:
        """A server finds no runs with a warning: it gives all that did not fail, and the whole
        trace tells."""
        if self.request.get("query", {}).get("status") != "warning" or self.request.get("ids"):
            return True
        try:
            return readers.read(self.kind, fetched.runs).is_warning
        except (UnusableTrace, *ODD):
            return True  # which is told on its line

    def _look(self, fetched: Fetched) -> import_progress.Item | None:
        self.done.add(fetched.id)
        try:
            if fetched.problem or self._is_trouble(fetched):
                return import_preview.row_of(self.row, self.kind, fetched)
        except ODD as fault:
            log.error("A trace could not be looked at: %s.", logs.places(fault))
            return import_preview.broken(fetched.id, _odd(fault))
        return None

    def _take(self, fetched: Fetched) -> bool:
        """Whether it has its line now; what is not wanted has none."""
        self.done.add(fetched.id)
        if fetched.problem:
            said = _clean(self.row, fetched.problem)
            import_progress.add(self.row, _refused(fetched.id, said))
            return True
        if not self._is_trouble(fetched):
            return False
        try:
            import_progress.take(self.row, lambda: self._taken(fetched))
        except Refused as refused:
            import_progress.add(self.row, _refused(fetched.id, str(refused)))
        except ODD as fault:
            log.error("A trace could not be taken in: %s.", logs.places(fault))
            import_progress.add(self.row, _refused(fetched.id, _odd(fault)))
        return True

    def _taken(self, fetched: Fetched) -> import_progress.Item:
        taken = traces.take(
            self.row.project,
            self.kind,
            fetched.runs,
            actor=self.row.actor,
            via=self.row.via,
            agent=self.agent,
            contract=self.contract,
            external_id=fetched.id,
        )
        more: dict[str, Json] = {}
        if taken.incident is not None:
            more = import_progress.incident_line(taken.incident)
        return import_progress.line(
            fetched.id,
            taken.status,
            trace=fetched.id,
            notes=taken.notes,
            problems=taken.problems,
            **more,
        )


def project_of(roots: list[dict[str, Json]]) -> str:
    return str(roots[0].get("session_id") or roots[0].get("project_id") or "")


def _refused(trace: str, problem: str) -> import_progress.Item:
    return import_progress.line(trace, "refused", trace=trace, problems=[problem])


def _odd(fault: Exception) -> str:
    return (
        f"A fault of ours with this trace: {type(fault).__name__}. The others are imported; the "
        "worker's log has the details, please report them."
    )
