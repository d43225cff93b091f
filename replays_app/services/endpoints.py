"""Endpoints that come from a form, the API or a webhook: only where the operator allows it."""

from __future__ import annotations

from django.conf import settings

from replays_app.engine.formats.project_agent import has_credential
from replays_app.engine.hosts import HostRefused
from replays_app.services.errors import Refused


def check_endpoint(url: str, *, field: str = "endpoint") -> None:
    """Raises Refused unless the URL is http(s), holds no credentials, names a host that the
    operator listed (FLAKESTORM_AGENT_HOSTS), and is no link-local or metadata address.

    This looks at the text only. What its name resolves to is checked when a worker connects.
    """
    try:
        settings.ENV.agent_hosts.check(url)
    except HostRefused as refused:
        said = f"{refused.saw[:1].upper()}{refused.saw[1:]}."
        remedy = f"{refused.remedy[:1].upper()}{refused.remedy[1:]}."
        raise Refused(said, field=field, remedy=remedy) from refused
    if has_credential(url):
        raise Refused(
            "The URL holds a credential in the clear.",
            field=field,
            remedy="Save it as a secret of the project, and write ${NAME} in its place.",
        )
