"""Every page in light and dark, wide and narrow, with and without JavaScript."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.browser

AXE = (Path(__file__).parent / "vendor" / "axe-4.14.1.min.js").read_text()
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
PAGES = (
    "",
    "?severity=critical&sort=severity",
    "?q=nothing+like+this",
    "?state=bogus",
    "main",
    "hostile",
    "quick",
    "reproduction",
    "fixed",
    "mixed",
    "diverged",
    "errored",
    "hostile",
    "live",
    "once",
)


def violations(page) -> list[str]:
    page.evaluate(AXE)
    found = page.evaluate(
        "rules => axe.run(document, {runOnly: {type: 'tag', values: rules}})", RULES
    )
    return [
        f"{v['id']}: {node['html'][:200]} {node['failureSummary'][:200]}"
        for v in found["violations"]
        for node in v["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_every_page_is_accessible_and_fits(open_page, site, scheme, width):
    page = open_page(width=width, color_scheme=scheme)
    found: list[str] = []
    for name in (*PAGES, *site.known["pages"]):
        page.goto(site.path(name))
        for details in page.query_selector_all("main details:not([open]) > summary"):
            details.click()
        found += [f"{name}: {words}" for words in violations(page)]
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
    assert found == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/login/", "/"])
def test_the_doors_are_accessible(open_page, scheme, path):
    page = open_page(anonymous=True, width=400, color_scheme=scheme)
    page.goto(path)
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 400


def test_the_not_found_page_is_accessible(open_page, site, complaints):
    page = open_page()
    page.goto(site.path("P9-1/"))
    assert violations(page) == []
    assert [c for c in complaints if "404" not in c] == []
    complaints.clear()  # Chromium reports the page's own 404


@pytest.mark.parametrize("width", [1280, 400])
def test_every_page_fits_without_javascript(open_page, site, width):
    page = open_page(width=width, java_script_enabled=False)
    for name in (*PAGES, "queued", *site.known["pages"]):
        page.goto(site.path(name))
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        assert page.inner_text("main")


def test_a_page_is_light_in_requests_and_nodes(open_page, site):
    page = open_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(site.path(""))
    assert len([url for url in asked if not url.endswith("logo.svg")]) <= 5
    assert page.evaluate("document.querySelectorAll('*').length") <= 1_500
