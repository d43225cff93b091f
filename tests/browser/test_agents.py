"""Agents in the browser: described, checked while one types, connected; secrets stay secret."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_pages import violations

pytestmark = pytest.mark.browser

TEXT = """\
endpoint: http://127.0.0.1:9/invoke
headers: { Authorization: "Bearer ${AGENT_TOKEN}" }
"""
PAGES = (
    "agents/",
    "agents/new/",
    "agents/1/",
    "agents/1/checks/1/",
    "agents/2/",
    "agents/2/edit/",
    "settings/secrets/",
    "settings/",
)


def at(site, path: str) -> str:
    return f"{site.known['base']}/{path}"


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


@pytest.fixture(scope="module")
def described(chromium, site, logged_in) -> None:
    """A secret, an agent of the project with two versions, and a check that a worker made; all of
    it without JavaScript."""
    context = chromium.new_context(
        base_url=site.url, storage_state=logged_in, java_script_enabled=False
    )
    page = context.new_page()
    page.goto(at(site, "agents/new/"))
    page.fill("#id_name", "support")
    page.fill("#id_label", "v1")
    page.fill("#id_text", TEXT + "start: python agent.py\n")
    press(page, "Save")
    expect(page.locator("#checked")).to_contain_text("no secret of that name")
    expect(page.locator("#checked")).to_contain_text("have the operator add this agent there")
    assert "start: python" in page.input_value("#id_text")
    page.goto(at(site, "settings/secrets/"))
    page.fill("#id_name", "AGENT_TOKEN")
    page.fill("#id_value", "s3cret-value")
    press(page, "Save")
    expect(page.locator(".message.success")).to_contain_text("AGENT_TOKEN is saved")
    page.goto(at(site, "agents/new/"))
    page.fill("#id_name", "support")
    page.fill("#id_label", "v1")
    page.fill("#id_text", TEXT)
    press(page, "Save")
    expect(page.locator("h1")).to_have_text("support")
    register = page.locator("#register")
    register.locator("[name=label]").fill("v2")
    register.locator("[name=commit]").fill("9be07aa")
    register.locator("[name=endpoint]").fill("http://127.0.0.1:9/v2")
    press(page, "Register")
    expect(page.locator("#versions")).to_contain_text("at an endpoint of its own")
    page.locator("#deploy-version").select_option(label="v1")
    press(page, "Record")
    expect(page.locator("#versions")).to_contain_text("production")
    page.goto(at(site, "agents/1/"))
    press(page, "Check connection")
    expect(page.locator(".headline")).to_contain_text("Waiting for a worker")
    site.drive("check")
    page.goto(page.url)  # the page may be fetching its own part just now, which a reload cuts off
    expect(page.locator(".headline")).to_contain_text("No. It ends at “connection”.")
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_every_page_of_agents_is_accessible_and_fits(open_page, site, described, scheme, width):
    page = open_page(width=width, color_scheme=scheme)
    found: list[str] = []
    for name in PAGES:
        page.goto(at(site, name))
        found += [f"{name}: {words}" for words in violations(page)]
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        assert "s3cret-value" not in page.content()
        _picture(page, f"{name}-{scheme}-{width}")
    assert found == []


def test_what_is_wrong_is_told_while_one_types(open_page, site, described):
    page = open_page()
    page.goto(at(site, "agents/2/edit/"))
    page.fill("#id_text", "endpoint: http://169.254.169.254/latest/\n")
    expect(page.locator("#checked")).to_contain_text("never connected to")
    assert violations(page) == []
    page.fill("#id_text", TEXT)
    expect(page.locator("#checked")).to_contain_text("It reads well")


def test_a_check_is_watched_until_it_ended_and_then_the_page_is_quiet(open_page, site, described):
    page = open_page()
    page.goto(at(site, "agents/2/"))
    press(page, "Check connection")
    page.wait_for_url("**/checks/*/")
    expect(page.locator(".headline")).to_contain_text("Waiting for a worker")
    site.drive("check")
    expect(page.locator(".headline")).to_contain_text("It ends at “connection”")
    expect(page).to_have_title(re.compile("^not connected"))
    assert page.locator("[hx-get]").count() == 0
    expect(page.locator(".steps .remedy")).to_contain_text("Check that the agent runs")


def test_a_secret_is_deleted_by_keyboard(open_page, site, described):
    page = open_page()
    page.goto(at(site, "settings/secrets/"))
    page.fill("#id_name", "OLD_KEY")
    page.fill("#id_value", "s3cret-value")
    page.keyboard.press("Enter")
    expect(page.locator(".message.success")).to_contain_text("OLD_KEY is saved")
    page.locator("summary", has_text="Delete OLD_KEY").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".message.success")).to_contain_text("OLD_KEY is deleted")


def _picture(page: Page, name: str) -> None:
    """For whoever wants to look: FLAKESTORM_PICTURES names a folder."""
    if folder := os.environ.get("FLAKESTORM_PICTURES"):
        path = Path(folder) / f"agents-{name.strip('/').replace('/', '-')}.png"
        page.screenshot(path=path, full_page=True)
