"""How a source is reached: its address, its key, and where that key may go."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as Overdue
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.conf import settings

from replays_app.engine.hosts import AllowedHosts
from replays_app.models import Source
from replays_app.services import crypto
from replays_app.services.errors import Refused

if TYPE_CHECKING:
    from replays_app.importers.langsmith.client import Connection
    from replays_app.importers.langsmith.references import Reference

LANGSMITH = "langsmith"
TEST_FOR = 5.0  # seconds that a page waits for the test of a key
CONNECT_FOR = 4.0  # seconds


class NotReached(Refused):
    """The server could not be asked, so that nothing is known of the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    url: str
    key: str = field(default="", repr=False)
    workspace: str = ""
    hosts: AllowedHosts


def access_to(source: Source) -> Access:
    """For a process that connects now. Raises Refused."""
    ours = settings.ENV.langsmith
    workspace = str(source.query.get("workspace") or "")
    if source.key:
        return Access(
            url=source.url,
            key=crypto.decrypt(source.key),
            workspace=workspace,
            hosts=settings.ENV.source_hosts,
        )
    if source.url != ours.endpoint:
        raise Refused(
            f"This source was set up for the operator's key at {source.url}, and the operator's "
            f"address is {ours.endpoint} now.",
            remedy="Edit the source and save it again.",
        )
    if not ours.key:
        raise Refused(
            "LANGSMITH_API_KEY is not set in the worker's environment.",
            remedy="Have the operator set it, or give the source a key of its own.",
        )
    return Access(
        url=ours.endpoint, key=ours.key, workspace=workspace or ours.workspace, hosts=_ours()
    )


def access_to_shared(reference: str) -> Access:
    """What everybody may read; no key is sent. Raises Refused."""
    shared = _read(reference)
    if not shared.api:
        raise Refused(
            "This share link is not one of LangSmith's cloud.",
            field="reference",
            remedy="Choose a source at the same installation.",
        )
    return Access(url=shared.api, hosts=settings.ENV.source_hosts)


def _read(reference: str) -> Reference:
    """Raises Refused."""
    from replays_app.importers.langsmith.errors import ImportProblem
    from replays_app.importers.langsmith.references import read_reference

    try:
        return read_reference(reference)
    except ImportProblem as problem:
        raise Refused(problem.message, field="reference", remedy=problem.remedy) from problem


def check_reference(reference: str, *, has_source: bool) -> None:
    """Whether the reference can be followed, with or without a key. Raises Refused."""
    found = _read(reference)
    if has_source:
        return
    if not found.share:
        raise Refused(
            "Only a public share link can be read without a key.",
            field="source",
            remedy="Choose the source whose key may read this run.",
        )
    access_to_shared(reference)


def connect(
    access: Access,
    *,
    pause: Callable[[float], object] = time.sleep,
    should_stop: Callable[[], bool] = lambda: False,
    timeout: tuple[float, float] | None = None,
) -> Connection:
    """Asks nothing yet. `timeout`: seconds to connect, and between two bytes of an answer."""
    from replays_app.importers.langsmith.client import TIMEOUT, Connection

    return Connection(
        access.url,
        access.key,
        access.workspace,
        hosts=access.hosts,
        pause=pause,
        should_stop=should_stop,
        timeout=timeout or TIMEOUT,
    )


def test(source: Source) -> str:
    """What the server says to the key, in a sentence. It is asked here and not by a worker: whoever
    typed the key waits for the answer, at most TEST_FOR seconds. Raises Refused when the key is
    no good, and NotReached when nobody answered."""
    from replays_app.importers.langsmith.errors import ImportProblem, Stopped

    access = access_to(source)
    until = time.monotonic() + TEST_FOR
    connection = connect(
        access,
        pause=lambda seconds: _within(until, seconds),
        should_stop=lambda: time.monotonic() > until,
        timeout=(CONNECT_FOR, TEST_FOR),
    )
    asking = ThreadPoolExecutor(1, thread_name_prefix="test of a key")
    try:
        return asking.submit(connection.test).result(TEST_FOR)
    except (Overdue, TimeoutError, Stopped) as error:
        host = urlsplit(access.url).hostname
        raise NotReached(
            f"{host} did not answer within {TEST_FOR:.0f} s.", remedy="Look at the address."
        ) from error
    except ImportProblem as error:
        if error.may_pass:
            raise NotReached(error.message, remedy=error.remedy) from error
        raise Refused(error.message, field="key", remedy=error.remedy) from error
    finally:
        asking.shutdown(wait=False, cancel_futures=True)


def _within(until: float, seconds: float) -> None:
    """A pause that a test of a key has time for. Raises TimeoutError."""
    if time.monotonic() + seconds > until:
        raise TimeoutError
    time.sleep(seconds)


def _ours() -> AllowedHosts:
    """The operator's endpoint beside the allowed hosts: it was given by the same person."""
    allowed = settings.ENV.source_hosts
    host = urlsplit(settings.ENV.langsmith.endpoint).netloc
    return AllowedHosts(
        (*allowed.entries, *AllowedHosts.parse([host]).entries), allowed.purpose, allowed.setting
    )
