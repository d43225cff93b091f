"""One trace fetched from Langfuse into the inbox. The keys are used for this once and kept
nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.conf import settings

from flakestorm_web.env import SOURCE_HOSTS
from replays_app.models import Project, Trace
from replays_app.services import activity, inbox
from replays_app.services.errors import Refused

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def fetch(
    project: Project, reference: str, *, public_key: str, secret_key: str, actor: User | None
) -> Trace:
    """The trace as it waits. Raises Refused."""
    from replays_app.importers.langfuse import client
    from replays_app.importers.langsmith.errors import ImportProblem

    try:
        found = client.read_reference(reference)
    except ImportProblem as problem:
        raise Refused(problem.message, field="address", remedy=problem.remedy) from problem
    parts = urlsplit(found.url)
    if parts.scheme == "http" and parts.hostname in SOURCE_HOSTS:
        raise Refused(
            "The keys would go over the network in clear.",
            field="address",
            remedy="Begin with https.",
        )
    hosts = settings.ENV.source_hosts
    try:
        connection = client.Connection(found.url, public_key, secret_key, hosts=hosts)
        items = connection.trace(found.trace)
    except ImportProblem as problem:
        raise Refused(problem.message, remedy=problem.remedy) from problem
    put = inbox.put(
        project, "langfuse", found.trace, [item for item in items if isinstance(item, dict)]
    )
    if put.row is None or put.status == "refused":
        raise Refused(put.why)
    activity.record(project, "trace fetched", actor=actor, trace=found.trace, source="Langfuse")
    return put.row
