"""Whatever an agent, a file or a person writes is text on every page."""

from __future__ import annotations

import re

import pytest
from lxml import html

from tests.browser import world

SCRIPTS = {"/static/vendor/htmx-4.0.1.min.js", "/static/js/app.js", "/static/js/list.js"}


@pytest.fixture
def lived_in(db, bells) -> world.World:
    return world.build(rows=2)


def paths(lived_in) -> list[str]:
    base = f"/p/{lived_in.project.slug}"
    keys = [lived_in.main.key, lived_in.hostile.key]
    return [
        f"{base}/incidents/?q={world.HOSTILE}",
        f"{base}/incidents/?state={world.HOSTILE}",
        f"{base}/incidents/?after={world.HOSTILE}",
        *(f"{base}/incidents/{key}/" for key in keys),
        *(f"{base}/runs/{run.pk}/" for run in lived_in.runs.values()),
        f"{base}/incidents/",
    ]


@pytest.mark.parametrize("headers", [None, {"HX-Request": "true"}], ids=["page", "fragment"])
def test_no_page_runs_or_loads_what_someone_wrote(lived_in, client, headers):
    client.force_login(lived_in.people["ada"])
    for path in paths(lived_in):
        response = client.get(path, headers=headers)
        assert response.status_code == 200, path
        page = response.content.decode()
        # What someone typed into the search stays in its field as it was.
        page = re.sub(r'(name="q" value=)"[^"]*"', r"\1", page)
        assert "\u202e" not in page, path
        assert "\u200b" not in page, path
        assert "\x1b" not in page, path
        tree = html.fromstring(page)
        assert {s.get("src") for s in tree.iter("script")} <= SCRIPTS, path
        assert not list(tree.iter("img", "style", "iframe", "object", "embed", "base")), path
        for element in tree.iter():
            if not isinstance(element.tag, str):
                continue
            names = set(element.keys())
            assert not [n for n in names if n.startswith("on") or n == "style"], path
            for name in ("href", "action", "src"):
                assert not (element.get(name) or "").lower().startswith(("javascript", "data"))


def test_a_refused_form_escapes_what_was_typed(lived_in, client):
    client.force_login(lived_in.people["ravi"])
    base = f"/p/{lived_in.project.slug}/incidents/{lived_in.main.key}"
    for action, form in (
        ("comment", {"text": (world.HOSTILE + " ") * 500}),
        ("state", {"state": world.HOSTILE}),
        ("assign", {"owner": world.HOSTILE}),
        ("replay", {"version": world.HOSTILE, "plan": world.HOSTILE}),
    ):
        response = client.post(f"{base}/{action}/", form)
        assert response.status_code == 422
        assert "<script>alert" not in response.content.decode()


def test_long_text_is_cut_and_leads_to_the_download(lived_in, client):
    client.force_login(lived_in.people["vera"])
    run = lived_in.runs["hostile"]
    page = client.get(f"/p/{lived_in.project.slug}/runs/{run.pk}/").content.decode()
    assert page.count("z") < 20_100
    assert "Cut at 20,000 characters" in page
    page = client.get(f"/p/{lived_in.project.slug}/incidents/{lived_in.hostile.key}/")
    assert page.content.decode().count("y") < 3_000
