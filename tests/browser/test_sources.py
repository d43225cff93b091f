"""A preview in the browser: what is chosen with the keyboard, and what an import looks like."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.test_pages import violations

pytestmark = pytest.mark.browser


def open_preview(page, site):
    page.goto(site.path("source"))
    page.get_by_role("link", name="Preview").first.click()
    expect(page.locator(".headline")).to_contain_text("4 runs to choose from.")


@pytest.mark.parametrize("width", [1280, 400])
def test_a_preview_is_accessible_and_fits(open_page, site, width):
    page = open_page(width=width)
    open_preview(page, site)
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("script", [True, False], ids=["with JavaScript", "without"])
def test_runs_are_chosen_imported_and_the_import_is_cancelled(open_page, site, script):
    page = open_page(java_script_enabled=script)
    open_preview(page, site)
    page.get_by_role("link", name="none", exact=True).click()
    expect(page.locator("input[name=run]:checked")).to_have_count(0)
    page.locator("input[name=run]").nth(1).press("Space")
    page.get_by_role("button", name="Import the chosen runs").press("Enter")
    expect(page.locator(".facts")).to_contain_text("1 chosen in preview")
    expect(page.locator(".headline")).to_contain_text("Waiting for a worker.")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".headline")).to_contain_text("Cancelled. Nothing came before.")
