"""Contracts in the browser: written, checked while one types, tried, and never lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_pages import violations

pytestmark = pytest.mark.browser

PAGES = (
    "",
    "new/",
    "1/",
    "1/edit/",
    "1/r1/",
    "1/r1/try/",
    "1/r2/try/?look=1",
    "1/changes/",
)


def at(site, path: str) -> str:
    return f"{site.known['base']}/contracts/{path}"


def typed(page: Page, text: str) -> None:
    """At the end of the text, as a person would."""
    page.locator("#id_text").press("Control+End")
    page.keyboard.insert_text(text)


@pytest.fixture(scope="module")
def revised(chromium, site, logged_in) -> None:
    """The contract of the world gets a second revision, without JavaScript."""
    context = chromium.new_context(
        base_url=site.url, storage_state=logged_in, java_script_enabled=False
    )
    page = context.new_page()
    page.goto(at(site, "1/edit/"))
    typed(page, "- {id: not-empty, type: output_not_empty}  # new\n")
    page.get_by_role("button", name="Try it on what is stored").click()
    expect(page.locator("#dry-run")).to_contain_text("Would have caught")
    assert "# new" in page.input_value("#id_text")
    page.get_by_role("button", name="What each saw").first.click()
    expect(page.locator("#dry-run .check").first).to_be_visible()
    page.get_by_role("button", name="Save as a new revision").click()
    expect(page.locator(".message.success")).to_have_text("Saved as r2.")
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_every_page_of_contracts_is_accessible_and_fits(open_page, site, revised, scheme, width):
    page = open_page(width=width, color_scheme=scheme)
    found: list[str] = []
    for name in PAGES:
        page.goto(at(site, name))
        found += [f"{name}: {words}" for words in violations(page)]
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        _picture(page, f"contracts-{name}-{scheme}-{width}")
    assert found == []


def test_what_is_wrong_is_told_while_one_types(open_page, site):
    page = open_page()
    page.goto(at(site, "new/"))
    page.fill("#id_text", "name: Manners\ninvariants:\n  - {type: contanis, value: please}\n")
    expect(page.locator("#checked")).to_contain_text("did you mean contains?")
    assert violations(page) == []
    page.fill("#id_text", "name: Manners\ninvariants:\n  - {type: contains, value: please}\n")
    expect(page.locator("#checked")).to_contain_text("It reads well: 1 invariant.")
    page.get_by_role("button", name="Check").click()
    expect(page.locator("#checked")).to_contain_text("It reads well: 1 invariant.")


def test_a_dry_run_opens_what_each_check_saw_in_its_place(open_page, site, revised):
    page = open_page()
    page.goto(at(site, "1/edit/"))
    page.get_by_role("button", name="Try it on what is stored").click()
    page.get_by_role("button", name="What each saw").first.click()
    expect(page.locator("#dry-run .check").first).to_be_visible()
    assert violations(page) == []
    assert page.locator("#dry-run").count() == 1
    page.goto(at(site, "1/r1/try/"))
    page.get_by_role("link", name="What each saw").first.click()
    expect(page.locator("#dry-run .check").first).to_be_visible()
    assert page.url.endswith("/try/")


def test_a_draft_comes_back_and_can_be_given_up(open_page, site, revised):
    page = open_page()
    page.goto(at(site, "1/edit/"))
    saved = page.input_value("#id_text")
    typed(page, "# a thought\n")
    page.goto(at(site, ""))
    page.goto(at(site, "1/edit/"))
    expect(page.locator("#id_text")).to_have_value(saved + "# a thought\n")
    page.get_by_role("button", name="Take the saved text instead").click()
    expect(page.locator("#id_text")).to_have_value(saved)
    page.reload()
    expect(page.locator("#id_text")).to_have_value(saved)
    expect(page.locator("#id_text-restored")).to_be_hidden()


def test_a_saved_draft_is_gone(open_page, site):
    page = open_page()
    text = "name: Short\ninvariants:\n  - {type: contains, value: please}\n"
    page.goto(at(site, "new/"))
    page.fill("#id_text", text)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("h1")).to_have_text("Short")
    page.goto(at(site, "new/"))
    assert "Short" not in page.input_value("#id_text")


def test_the_incidents_contract_is_chosen_on_its_page(open_page, site):
    page = open_page(java_script_enabled=False)
    page.goto(site.path("main"))
    page.get_by_role("button", name="Use").click()
    expect(page.locator(".message.success")).to_contain_text("The contract is chosen.")


def _picture(page: Page, name: str) -> None:
    """For whoever wants to look: FLAKESTORM_PICTURES names a folder."""
    if folder := os.environ.get("FLAKESTORM_PICTURES"):
        plain = "".join(c if c.isalnum() or c == "-" else "_" for c in name)
        page.screenshot(path=Path(folder) / f"{plain}.png", full_page=True)
