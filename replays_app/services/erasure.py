"""Erasing what an agent or a customer said. A tombstone stays: checksum, when, who and why; so do
outcomes, counts and verdicts, which quote nothing.

Of an attempt go the answer, the calls, what the agent printed, and every sentence that quotes them:
the reasons of its judgements and what their checks saw.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from replays_app.models import (
    Activity,
    Attempt,
    AttemptPayload,
    Import,
    Incident,
    Judgement,
    Project,
    Run,
    SessionRevision,
)
from replays_app.services import activity, states, storable
from replays_app.services.errors import Refused

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MAX_WHY = 200  # characters; the column's width
MAX_TITLE = 300
OPEN = (Run.Status.QUEUED, Run.Status.RUNNING)
_ENDS = ("replay finished", "replay cancelled")
# An incident's headline quotes a reason only where nothing could be judged.
QUOTING = "Not judged on"


def erase_attempt(run: Run, number: int, *, why: str, actor: User | None) -> None:
    """One attempt's evidence. Raises Refused when it is gone already, or `why` is empty."""
    why = _why(why)
    with transaction.atomic():
        row = _ended(run)
        if not _erase(row.attempts.filter(number=number), why, actor):
            raise Refused(f"Attempt {number} has no evidence any more.")
        if not AttemptPayload.objects.filter(attempt__run=row, erased_at=None).exists():
            _note_gone(row)
        _refresh([row.incident_id])
        _record(row, "evidence erased", actor, attempt=number, text=why)


def erase_run(run: Run, *, why: str, actor: User | None) -> int:
    """The evidence of all attempts of an ended run; how many had some. Raises Refused."""
    why = _why(why)
    with transaction.atomic():
        row = _ended(run)
        # Retention leaves the run's problem, which may quote the agent, to whoever asks.
        if row.payloads_erased_at and not row.problem:
            raise Refused("This run's evidence was erased before.")
        erased = erase_runs([row], why=why, actor=actor)
        _forget_problem(row)
        _record(row, "evidence erased", actor, attempts=erased, text=why)
    return erased


def erase_recording(
    incident: Incident, *, title: str, why: str, with_answers: bool, actor: User | None
) -> None:
    """Every revision of the recording, the trace that it was made from, what the incident and its
    receipts quote of it, and, if so wished, the evidence of all its replays. It can never be
    replayed again.

    `title` is what the incident is called from now on. Raises Refused while a replay is under way.
    """
    why, title = _why(why), storable.text(title).strip()
    if not title or len(title) > MAX_TITLE:
        raise Refused(
            f"The title needs 1 to {MAX_TITLE} characters.", field="title", remedy="Write one."
        )
    with transaction.atomic():
        # Runs before their incident, as everywhere else.
        runs = list(
            incident.runs.select_for_update(no_key=True, of=("self",))
            .filter(Q(payloads_erased_at=None) | ~Q(problem=""))
            .order_by("pk")
        )
        if any(run.is_open for run in runs):
            raise Refused("A replay of it is under way.", remedy="Stop it, then erase.")
        row = _locked(incident)
        runs = runs if with_answers else []
        attempts = erase_runs(runs, why=why, actor=actor)
        for run in runs:
            _forget_problem(run)
        revisions = SessionRevision.objects.filter(session=row.session_id, erased_at=None)
        said = attempts or any(run.problem for run in runs)
        if not revisions.update(body=None, **_tombstone(why, actor)) and not said:
            raise Refused("The recording was erased before.")
        # Not from the row read above: `erase_runs` may have written its headline.
        Incident.objects.filter(pk=row.pk).update(title=title, expected_failure="")
        forget_imports(row.project, only=row)
        # The row stays until it expires: spans that come late must not make a new one.
        row.traces.update(body=None, size=0, summary={})
        activity.record(
            row.project,
            "recording erased",
            actor=actor,
            incident=row,
            attempts=attempts,
            text=why,
        )


def erase_runs(runs: Iterable[Run], *, why: str, actor: User | None) -> int:
    """For callers that hold the rows' locks and write the log; how many attempts had evidence."""
    runs = list(runs)
    erased = _erase(Attempt.objects.filter(run__in=runs), why, actor)
    now = timezone.now()
    left = Run.objects.filter(pk__in=[run.pk for run in runs], payloads_erased_at=None)
    left.update(payloads_erased_at=now)
    _refresh({run.incident_id for run in runs})
    return erased


def forget_imports(
    project: Project, *, only: Incident | None = None, rows: Iterable[Import] = ()
) -> None:
    """Titles, notes and problems of receipts: of one incident's lines, or of whole `rows`, with
    what previews show."""
    if only is not None:
        for pk in project.imports.filter(erased_at=None).values_list("pk", flat=True):
            _forget_in(pk, only)
    for row in rows:
        items = [_bare(item) for item in row.items]
        state = {k: v for k, v in row.state.items() if k not in ("rows", "recent")}
        Import.objects.filter(pk=row.pk).update(items=items, state=state, erased_at=timezone.now())


def _forget_in(pk: int, incident: Incident) -> None:
    """Under the row's lock: a worker may be adding lines to it."""
    row = Import.objects.select_for_update(no_key=True).get(pk=pk)

    def bare(lines: list[dict]) -> list[dict]:
        return [_bare(line) if line.get("incident") == incident.key else line for line in lines]

    state = dict(row.state)
    if "recent" in state:
        state["recent"] = bare(state["recent"])
    if "rows" in state:
        session = incident.session.session_id
        state["rows"] = [each for each in state["rows"] if each.get("session") != session]
    items = bare(row.items)
    if (items, state) != (row.items, row.state):
        Import.objects.filter(pk=pk).update(items=items, state=state)


def _bare(item: dict) -> dict:
    return {**item, "title": "", "notes": [], "problems": []}


def _erase(attempts: Iterable[Attempt], why: str, actor: User | None) -> int:
    ids = list(
        AttemptPayload.objects.filter(attempt__in=attempts, erased_at=None).values_list(
            "pk", flat=True
        )
    )
    AttemptPayload.objects.filter(pk__in=ids).update(evidence=None, **_tombstone(why, actor))
    Attempt.objects.filter(pk__in=ids).exclude(first_divergence="").update(first_divergence="")
    said = list(Judgement.objects.filter(attempt__in=ids))
    for judgement in said:
        judgement.reason = ""
        judgement.checks = [{**check, "saw": "", "spans": []} for check in judgement.checks]
    Judgement.objects.bulk_update(said, ["reason", "checks"], batch_size=100)
    return len(ids)


def _tombstone(why: str, actor: User | None) -> dict:
    return {"erased_at": timezone.now(), "erased_by": actor, "erased_why": why}


def _refresh(incident_ids: Iterable[int | None]) -> None:
    """Headlines that quote what is gone now."""
    quoting = Incident.objects.filter(
        pk__in=[pk for pk in incident_ids if pk], headline__startswith=QUOTING
    )
    for row in quoting.select_for_update(no_key=True, of=("self",)).order_by("pk"):
        states.refresh(row)


def _forget_problem(run: Run) -> None:
    """A run that could not be done says why, and may quote what the agent printed last."""
    if not run.problem:
        return
    headline = f"The reason was erased; failed {run.failed}/{run.passed + run.failed}."
    Run.objects.filter(pk=run.pk).update(problem="", headline=headline)
    for row in Activity.objects.filter(run=run, verb__in=_ENDS):
        row.data = {**row.data, "headline": headline}
        row.save(update_fields=["data"])


def _note_gone(run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(payloads_erased_at=timezone.now())


def _ended(run: Run) -> Run:
    row = Run.objects.select_for_update(no_key=True, of=("self",)).select_related("project")
    found = row.get(pk=run.pk)
    if found.status in OPEN:
        raise Refused("This replay is under way.", remedy="Stop it, then erase.")
    return found


def _locked(incident: Incident) -> Incident:
    rows = Incident.objects.select_for_update(no_key=True, of=("self",)).select_related("project")
    return rows.get(pk=incident.pk)


def _record(run: Run, verb: str, actor: User | None, **data: object) -> None:
    activity.record(run.project, verb, actor=actor, incident=run.incident, run=run, **data)


def _why(text: str) -> str:
    text = " ".join(storable.text(text).split())
    if not text:
        raise Refused("Why is empty.", field="why", remedy="Say why: it stays as the tombstone.")
    if len(text) > MAX_WHY:
        raise Refused(f"Why has {len(text)} characters, limit {MAX_WHY}.", field="why")
    return text
