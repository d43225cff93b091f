"""Sources: what an admin of a project set up to be imported from.

A key is encrypted, never shown again, and goes to no other address than it was typed for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from flakestorm_web.env import SOURCE_HOSTS
from replays_app.engine.hosts import HostRefused
from replays_app.engine.values import Json
from replays_app.models import Agent, Contract, Import, Project, Source
from replays_app.services import (
    activity,
    crypto,
    import_progress,
    source_access,
    source_query,
    storable,
    trace_imports,
)
from replays_app.services.errors import Refused

if TYPE_CHECKING:
    from django.contrib.auth.models import User

LONGEST_NAME, LONGEST_URL = 100, 500  # characters; the columns' width
SHORTEST_KEY, LONGEST_KEY = 8, 500
# Minutes between two scheduled imports. More often than every five tells nothing that a person
# would look at, and costs the source's rate limit.
LEAST_EVERY, MOST_EVERY = 5, 10_080


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a source is to be. `key` empty: the one that it has already, if there is one."""

    name: str
    url: str = ""  # empty: the operator's endpoint
    key: str = field(default="", repr=False)
    from_environment: bool = False
    query: dict[str, Json]
    agent: Agent | None = None
    contract: Contract | None = None
    every_minutes: int | None = None
    untested: bool = False  # save it even if the server cannot be asked


@dataclass(frozen=True, slots=True)
class Saved:
    source: Source
    said: str  # what the test of the key found, in a sentence


def create(project: Project, wanted: Wanted, actor: User | None) -> Saved:
    """Raises Refused."""
    source = Source(project=project, kind=source_access.LANGSMITH, created_by=actor)
    return _save(source, wanted, actor, "source added")


def edit(source: Source, wanted: Wanted, actor: User | None) -> Saved:
    """Raises Refused."""
    return _save(source, wanted, actor, "source changed")


def pause(source: Source, actor: User | None) -> None:
    """No scheduled import until it is resumed; the schedule itself stays known."""
    _switch(source, None, actor, "source paused")


def resume(source: Source, actor: User | None) -> None:
    """The next scheduled import is due at once. Raises Refused without a schedule."""
    if not source.every_minutes:
        raise Refused(
            "This source has no schedule.", remedy="Edit it, and say how often it is imported."
        )
    _switch(source, timezone.now(), actor, "source resumed")


def delete(source: Source, actor: User | None) -> None:
    """What came from it stays. An import that runs stops, and keeps what it has."""
    with transaction.atomic():
        is_open = source.imports.filter(status__in=trace_imports.OPEN)
        is_open.update(stop_requested=True)
        for row in is_open.filter(status=Import.Status.QUEUED):
            import_progress.end_if_stopped(row)
        name, project = source.name, source.project
        if Source.objects.filter(pk=source.pk).delete()[0]:
            activity.record(project, "source deleted", actor=actor, source=name)


def is_paused(source: Source) -> bool:
    return bool(source.every_minutes) and source.next_import_at is None


def _switch(source: Source, at: datetime | None, actor: User | None, verb: str) -> None:
    with transaction.atomic():
        if Source.objects.filter(pk=source.pk).update(next_import_at=at):
            activity.record(source.project, verb, actor=actor, source=source.name)
    source.next_import_at = at


def _save(source: Source, wanted: Wanted, actor: User | None, verb: str) -> Saved:
    before_url, before_every = source.url, source.every_minutes
    source.name = _name(source.project, wanted.name, source.pk)
    source.query = source_query.check(wanted.query)
    source.agent = _of_project(source.project, wanted.agent, "agent")
    source.contract = _of_project(source.project, wanted.contract, "contract")
    source.every_minutes = _every(wanted.every_minutes)
    _give_address(source, wanted, before_url)
    said = _test(source, untested=wanted.untested)
    if source.every_minutes != before_every:
        source.next_import_at = timezone.now() if source.every_minutes else None
    try:
        with transaction.atomic():
            source.save()
            activity.record(source.project, verb, actor=actor, source=source.name)
    except IntegrityError as error:
        raise _taken(source.name) from error
    return Saved(source, said)


def _give_address(source: Source, wanted: Wanted, before: str) -> None:
    """The URL and the key that belong together. Raises Refused."""
    if wanted.from_environment:
        if wanted.key:
            raise Refused(
                "A key was typed, and the operator's key is chosen.",
                field="key",
                remedy="Leave the key empty, or choose a key of its own.",
            )
        source.url, source.key = settings.ENV.langsmith.endpoint, ""
        return
    source.url = _url(wanted.url)
    if wanted.key:
        source.key = crypto.encrypt(_key(wanted.key))
    elif not source.key:
        raise Refused("There is no key yet.", field="key", remedy="Type the key of this source.")
    elif source.url != before:
        raise Refused(
            "The address is another one, and the key that is kept was typed for the old one.",
            field="key",
            remedy="Type the key of the new address.",
        )


def _test(source: Source, *, untested: bool) -> str:
    """A key that is refused is refused here; whether the server could be asked is another matter,
    since only the workers may reach it. Raises Refused."""
    if not source.key and not settings.ENV.langsmith.key:
        return "The key is in the workers' environment: the first import tests it."
    try:
        return source_access.test(source)
    except source_access.NotReached as error:
        if untested:
            return f"Not tested: {error.message}"
        raise Refused(
            error.message,
            field="untested",
            remedy=f"{error.remedy} Or tick “Save it untested”, and the first import tests it.",
        ) from error


def _name(project: Project, name: str, pk: int | None) -> str:
    name = storable.text(" ".join(name.split()))
    if not 1 <= len(name) <= LONGEST_NAME:
        raise Refused(
            f"The name has {len(name)} characters.", field="name", remedy=f"1 to {LONGEST_NAME}."
        )
    if project.sources.filter(name=name).exclude(pk=pk).exists():
        raise _taken(name)
    return name


def _taken(name: str) -> Refused:
    return Refused(
        f"There is a source {name} already.", field="name", remedy="Choose another name."
    )


def _url(text: str) -> str:
    """Raises Refused for what is no address that the operator allows."""
    url = text.strip().rstrip("/")
    if not 1 <= len(url) <= LONGEST_URL:
        raise Refused(
            f"The address has {len(url)} characters.",
            field="url",
            remedy="Write it like https://api.smith.langchain.com.",
        )
    try:
        settings.ENV.source_hosts.check(url)
    except HostRefused as refused:
        raise Refused(f"{refused.saw}.", field="url", remedy=f"{refused.remedy}.") from refused
    parts = urlsplit(url)
    if parts.query or parts.fragment:
        raise Refused(
            "The address has a query or a fragment.", field="url", remedy="Give its start alone."
        )
    if parts.scheme == "http" and parts.hostname in SOURCE_HOSTS:
        raise Refused(
            "A key would go over the network in clear.", field="url", remedy="Begin with https."
        )
    return url


def _key(text: str) -> str:
    key = text.strip()
    if not SHORTEST_KEY <= len(key) <= LONGEST_KEY or not (key.isascii() and key.isprintable()):
        raise Refused(
            "This is no key: it is sent in a header, and so has 8 to 500 printable ASCII "
            "characters.",
            field="key",
            remedy="Paste it again.",
        )
    return key


def _every(minutes: int | None) -> int | None:
    if minutes is not None and not LEAST_EVERY <= minutes <= MOST_EVERY:
        raise Refused(
            f"Every {minutes:,} minutes is not possible.",
            field="every_minutes",
            remedy=f"From {LEAST_EVERY} to {MOST_EVERY:,} minutes (a week).",
        )
    return minutes


Owned = TypeVar("Owned", Agent, Contract)


def _of_project(project: Project, row: Owned | None, field: str) -> Owned | None:
    if row is not None and row.project_id != project.pk:
        raise Refused(f"{row} belongs to another project.", field=field)
    return row
