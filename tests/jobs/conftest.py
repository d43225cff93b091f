from __future__ import annotations

import dataclasses

import pytest

from replays_app.services.agents import sync_operator_agents
from tests import factories
from tests.jobs.site import Site


@pytest.fixture
def site(request, tmp_path_factory, transactional_db, settings):
    """An installation with Redis, whose services this process uses too. `@pytest.mark.site(…)`'s
    keywords go to Site."""
    mark = request.node.get_closest_marker("site")
    # Not tmp_path: a Unix socket's path must be short.
    site = Site(tmp_path_factory.mktemp("site"), **(mark.kwargs if mark else {}))
    site.project = factories.project("shop", prefix="SHOP")
    settings.ENV = dataclasses.replace(
        settings.ENV,
        redis_url=site.redis_url,
        agents_file=site.agents_file,
        lease_seconds=site.lease,
    )
    sync_operator_agents(site.agents_file)
    site.agent = site.project.agents.get()
    site.version = site.agent.versions.get()
    try:
        yield site
    finally:
        site.close()
