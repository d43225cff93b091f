"""The overview, retention and erasure in Chromium: both schemes, wide and narrow, by keyboard, with
and without JavaScript. No Redis runs here, which the overview says in a sentence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.browser.test_pages import violations

pytestmark = pytest.mark.browser


def paths(site) -> list[str]:
    base, runs = site.known["base"], site.known["runs"]
    return [
        f"{base}/",
        f"{base}/settings/retention/",
        f"{base}/runs/{runs['mixed']}/erase/",
        f"{base}/runs/{runs['mixed']}/erase/?attempt=1",
        f"{base}/incidents/{site.known['main']}/erase/",
    ]


@pytest.mark.parametrize("scripts", [True, False])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_every_page_is_accessible_and_fits(open_page, site, scheme, width, scripts):
    page = open_page(width=width, color_scheme=scheme, java_script_enabled=scripts)
    found: list[str] = []
    for number, path in enumerate(paths(site)):
        page.goto(path)
        if folder := os.environ.get("FLAKESTORM_PICTURES"):
            name = f"operations-{number}-{scheme}-{width}-{scripts}.png"
            page.screenshot(path=Path(folder) / name, full_page=True)
        if not scripts:
            assert page.locator("h1").count() == 1, path
            continue
        for details in page.query_selector_all("main details:not([open]) > summary"):
            details.click()
        found += [f"{path}: {words}" for words in violations(page)]
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    assert found == []


def test_the_overview_follows_what_runs_and_then_stops_asking(open_page, site):
    page = open_page()
    base = site.known["base"]
    page.goto(f"{base}/incidents/{site.known['main']}/")
    page.click("#replay button.primary")
    page.wait_for_url("**/runs/**")
    page.goto(f"{base}/")
    assert page.locator("#overview > [hx-trigger]").count() == 1
    page.locator("#in-progress + p", has_text="waiting").wait_for()
    for _ in range(2):  # a claim takes one version, and another run waited before
        site.drive("work")
    page.locator("text=Nothing runs or waits.").wait_for()
    assert page.locator("#overview > [hx-trigger]").count() == 0


def test_a_run_is_erased_by_keyboard_alone(open_page, site):
    page = open_page()
    run = site.known["runs"]["errored"]
    page.goto(f"{site.known['base']}/runs/{run}/erase/")
    page.focus("#id_why")
    page.keyboard.type("A customer asked")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/runs/{run}/")
    assert page.locator(".message", has_text="The evidence is erased.").is_visible()
    assert "A customer asked" in page.locator(".attempt").inner_text()
    assert violations(page) == []
