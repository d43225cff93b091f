"""Every list and detail queryset of the pages. Lists load no payload: no body, no answer."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Case, Count, F, IntegerField, Prefetch, Q, QuerySet, Value, When
from django.shortcuts import get_object_or_404

from replays_app.models import (
    Activity,
    AgentVersion,
    Deployment,
    Incident,
    Project,
    Run,
)
from replays_app.models import Count as Counter

PAGE = 50  # incidents on a page
MAX_CURSOR = 200  # characters; those of this list have about 60
NO_VERDICT = "no verdict yet"
NO_CONTRACT = "none"
RECENT = 20  # runs and activities on an incident's page


@dataclass(frozen=True, slots=True)
class Sort:
    """A stable order: `field` first, the incident's number decides between equals."""

    label: str
    field: str
    descending: bool = True
    # A cursor's JSON value, back to the field's type; raises ValueError for what it cannot be.
    read: Callable[[Any], Any] = lambda value: _positive(value)
    nullable: bool = False


def _time(value: Any) -> datetime:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no time")
    when = datetime.fromisoformat(value)
    # Databases keep UTC; at the calendar's ends another zone has no UTC.
    if when.utcoffset() is None or not 1970 <= when.year < 9000:
        raise ValueError(f"{value!r} is no time of a run")
    return when


def _positive(value: Any, most: int = 2**31 - 1) -> int:
    if type(value) is not int or not 0 < value <= most:  # True is an int, too
        raise ValueError(f"{value!r} is no number of a row")
    return value


def _rank(value: Any) -> int:
    return _positive(value, len(Incident.Severity.values))


SORTS = {
    "newest": Sort("Newest", "number"),
    "oldest": Sort("Oldest", "number", descending=False),
    "last-run": Sort("Last run", "last_run_at", read=_time, nullable=True),
    "severity": Sort("Severity", "rank", read=_rank),
}

DEFAULT_SORT = "newest"

_RANK = Case(
    *(When(severity=s, then=Value(4 - i)) for i, s in enumerate(Incident.Severity.values)),
    default=Value(0),
    output_field=IntegerField(),
)


class BadCursor(ValueError):
    """A page link that this list did not write."""


@dataclass(frozen=True, slots=True)
class Page:
    rows: list[Incident]
    before: str | None  # cursor of the newer page
    after: str | None  # cursor of the older page


def incidents(project: Project, wanted: dict[str, Any], user: Any) -> QuerySet[Incident]:
    """`wanted`: q, state, severity, owner, agent, verdict, contract, last, tag; empty ones ask
    nothing."""
    found = Incident.objects.filter(project=project)
    exact = {"state": "state", "severity": "severity", "agent": "agent__name"}
    for name, field in exact.items():
        if wanted.get(name):
            found = found.filter(**{field: wanted[name]})
    verdict = wanted.get("verdict")
    if verdict:
        found = found.filter(verdict="" if verdict == NO_VERDICT else verdict)
    if wanted.get("contract") == NO_CONTRACT:
        found = found.filter(contract=None)
    if wanted.get("last"):
        found = found.filter(strip__endswith=Run.LETTERS[wanted["last"]])
    owner = wanted.get("owner")
    if owner == "me":
        found = found.filter(owner=user)
    elif owner == "nobody":
        found = found.filter(owner=None)
    elif owner:
        found = found.filter(owner__username=owner.removeprefix("@"))
    if wanted.get("tag"):
        found = found.filter(tags__has_element=wanted["tag"])
    if wanted.get("q"):
        found = found.filter(_search(project, wanted["q"].strip()))
    return found


def _search(project: Project, text: str) -> Q:
    said = Q(title__icontains=text)
    key = re.fullmatch(rf"(?:{re.escape(project.prefix)}-)?(\d{{1,9}})", text, re.IGNORECASE)
    return said | Q(number=int(key[1])) if key else said


def state_counts(project: Project, wanted: dict[str, Any], user: Any) -> dict[str, int]:
    """How many of the otherwise filtered incidents are in each state."""
    found = incidents(project, {**wanted, "state": ""}, user)
    return dict(found.order_by().values_list("state").annotate(Count("pk")))


def page_of(found: QuerySet[Incident], sort: Sort, *, after: str = "", before: str = "") -> Page:
    """One page by cursor; never OFFSET. Raises `BadCursor`."""
    backwards = bool(before) and not after
    cursor = after or before
    if sort.field == "rank":
        found = found.annotate(rank=_RANK)
    if cursor:
        found = found.filter(_beyond(sort, *_read(cursor, sort), backwards=backwards))
    rows = list(
        found.order_by(*_order(sort, backwards))
        .select_related("owner", "agent", "verdict_version")
        .defer("expected_failure", "target_checks", "tags")[: PAGE + 1]
    )
    more, rows = len(rows) > PAGE, rows[:PAGE]
    if backwards:
        rows.reverse()
    has_newer, has_older = (more, True) if backwards else (bool(cursor), more)
    return Page(
        rows,
        before=_write(rows[0], sort) if rows and has_newer else None,
        after=_write(rows[-1], sort) if rows and has_older else None,
    )


def _order(sort: Sort, backwards: bool) -> Iterable[Any]:
    down = sort.descending != backwards
    main = F(sort.field)
    # NULL counts as the smallest value in both directions, on every database.
    yield main.desc(nulls_last=True) if down else main.asc(nulls_first=True)
    if sort.field != "number":
        yield "number" if backwards else "-number"


def _beyond(sort: Sort, value: Any, number: int, *, backwards: bool) -> Q:
    down = sort.descending != backwards
    side = "lt" if down else "gt"
    if sort.field == "number":
        return Q(**{f"number__{side}": number})
    same = Q(**{f"number__{'gt' if backwards else 'lt'}": number})
    if value is None:
        tied = Q(**{f"{sort.field}__isnull": True}) & same
        return tied if down else tied | Q(**{f"{sort.field}__isnull": False})
    further = Q(**{f"{sort.field}__{side}": value})
    if sort.nullable and down:
        further |= Q(**{f"{sort.field}__isnull": True})
    return further | (Q(**{sort.field: value}) & same)


def _write(incident: Incident, sort: Sort) -> str:
    value = getattr(incident, sort.field)
    plain = value.isoformat() if isinstance(value, datetime) else value
    text = json.dumps([plain, incident.number], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read(cursor: str, sort: Sort) -> tuple[Any, int]:
    try:
        text = base64.urlsafe_b64decode(cursor[:MAX_CURSOR] + "=" * (-len(cursor) % 4))
        value, number = json.loads(text)
        if value is None and sort.nullable:
            return None, _positive(number)
        return sort.read(value), _positive(number)
    except (binascii.Error, ValueError, TypeError) as error:
        raise BadCursor(cursor) from error


def incident_by_key(project: Project, key: str) -> Incident:
    """`FIN-12` of this project; another project's prefix is as absent as an unknown number."""
    written = re.fullmatch(rf"{re.escape(project.prefix)}-([1-9][0-9]{{0,8}})", key)
    incident = get_object_or_404(
        Incident.objects.select_related(
            "owner",
            "agent",
            "session__current__erased_by",
            "contract__current",
            "verdict_version",
        ),
        project=project,
        number=int(written[1]) if written else 0,
    )
    incident.project = project
    return incident


def newest_recordings(project: Project, most: int = 10) -> QuerySet[Incident]:
    """Incidents whose recording is still here, for a choice of one; without their payloads."""
    rows = project.incidents.filter(session__current__body__isnull=False)
    return rows.select_related("project").order_by("-number")[:most]


def recent_runs(incident: Incident) -> QuerySet[Run]:
    return (
        incident.runs.select_related("version", "requested_by", "contract_revision")
        .defer("agent_config", "problem")
        .order_by("-pk")[:RECENT]
    )


def counts(incident: Incident) -> QuerySet[Counter]:
    """Counts of the current recording under the current contract."""
    return Counter.objects.filter(
        session_revision=incident.session.current_id,
        contract_revision=incident.contract.current_id if incident.contract else None,
    ).select_related("version")


def activities(incident: Incident) -> QuerySet[Activity]:
    return incident.activities.select_related("actor").order_by("-pk")[:RECENT]


def versions(agent_id: int | None) -> list[AgentVersion]:
    """Newest first by the recorded order of deployments; what was never deployed is newer still."""
    rows = AgentVersion.objects.filter(agent=agent_id).select_related("agent")
    deployed = Prefetch("deployments", Deployment.objects.order_by("-started_at"))

    def order(version: AgentVersion) -> tuple[bool, float, int]:
        known = list(version.deployments.all())
        latest = known[0].started_at.timestamp() if known else 0.0
        return (not known, latest, version.pk)

    return sorted(rows.prefetch_related(deployed), key=order, reverse=True)
