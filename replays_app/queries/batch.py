"""Batches: which incidents are asked for, the list, and what became of each incident."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db.models import Count, Max, OuterRef, Q, QuerySet, Subquery
from django.shortcuts import get_object_or_404

from replays_app.models import Agent, Attempt, Batch, Incident, Project, Run

PAGE = 50  # batches on a page

# What a row of a batch needs of its run; never the payload, nor the agent's configuration.
_RUN = (
    "batch",
    "incident",
    "incident__number",
    "incident__title",
    "incident__severity",
    "status",
    "purpose",
    "planned",
    "outcome",
    "gate",
    "headline",
    "problem",
    "passed",
    "failed",
    "diverged",
    "errored",
    "not_judged",
    "started_at",
    "finished_at",
    "contract_revision__contract__name",
)


def tagged(tags: Iterable[str]) -> Q:
    """Incidents that have any of the tags."""
    wanted = Q(pk__in=[])
    for tag in tags:
        wanted |= Q(tags__has_element=tag)
    return wanted


def selected(
    project: Project, agent: Agent, tags: Sequence[str], keys: Sequence[str]
) -> QuerySet[Incident]:
    """Those that are named by key; else all of the agent, or those of them with one of the tags.
    Where the project has but one agent, incidents without one are its."""
    rows = Incident.objects.filter(project=project)
    if keys:
        return rows.filter(number__in=numbers_of(project, keys))
    mine = Q(agent=agent)
    if not project.agents.filter(retired_at=None).exclude(pk=agent.pk).exists():
        mine |= Q(agent=None)
    rows = rows.filter(mine)
    return rows.filter(tagged(tags)) if tags else rows


def numbers_of(project: Project, keys: Iterable[str]) -> list[int]:
    """The numbers of keys of this project; what is none is left out."""
    numbers = []
    for key in keys:
        prefix, _, number = key.rpartition("-")
        if prefix == project.prefix and number.isascii() and number.isdigit() and len(number) < 10:
            numbers.append(int(number))
    return numbers


# Where the first attempt that did so left the recording.
_PARTED = (
    Attempt.objects.filter(run=OuterRef("pk"))
    .exclude(first_divergence="")
    .order_by("number")
    .values("first_divergence")[:1]
)


def latest_runs(batch: Batch) -> dict[int, Run]:
    """Incident id to its newest run in the batch, in the incidents' order, each with
    `.first_divergence` ("" or None: none)."""
    rows = batch.runs.select_related("incident", "contract_revision__contract").only(*_RUN)
    rows = rows.annotate(first_divergence=Subquery(_PARTED))
    newest = {run.incident_id: run for run in rows.order_by("pk")}
    return dict(sorted(newest.items(), key=lambda item: item[1].incident.number))


@dataclass(frozen=True, slots=True)
class Page:
    rows: list[Batch]
    before: int | None  # the id that the older page begins below


def page_of(project: Project, *, before: int = 0) -> Page:
    """Newest first, each with `.counts`: how many of its incidents have which word; of several runs
    of an incident the newest speaks."""
    found = Batch.objects.filter(project=project).select_related("version__agent", "requested_by")
    if before:
        found = found.filter(pk__lt=before)
    rows = list(found.order_by("-pk")[: PAGE + 1])
    more, rows = len(rows) > PAGE, rows[:PAGE]
    of_page = Run.objects.filter(batch__in=rows).order_by()
    newest = of_page.values("batch", "incident").annotate(newest=Max("pk")).values("newest")
    counted = (
        Run.objects.filter(pk__in=newest)
        .order_by()
        .values_list("batch", "status", "gate", "outcome")
        .annotate(Count("pk"))
    )
    for batch in rows:
        batch.counts = Counter()
    by_id = {batch.pk: batch for batch in rows}
    for pk, *how, many in counted:
        by_id[pk].counts[_word(*how)] += many
    return Page(rows, rows[-1].pk if more else None)


def _word(status: str, gate: str, outcome: str) -> str:
    """What a list says of a run; a batch's page looks closer."""
    if status in (Run.Status.QUEUED, Run.Status.RUNNING):
        return "open"
    return gate or outcome or "stopped"


def batch_by_id(project: Project, pk: int) -> Batch:
    rows = Batch.objects.select_related("version__agent", "requested_by", "project")
    return get_object_or_404(rows, project=project, pk=pk)
