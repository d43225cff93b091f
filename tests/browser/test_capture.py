"""Bringing incidents in and editing them, as a person does it."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.test_pages import violations
from tests.cli.support import INCIDENT

pytestmark = pytest.mark.browser

SHOTS = os.environ.get("SHOTS")  # a folder for pictures, to look at


def shot(page, name: str) -> None:
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / f"{name}.png"), full_page=True)


def pages(site) -> list[tuple[str, str]]:
    base, key = site.known["base"], site.known["main"]
    hostile = site.known["hostile"]
    return [
        ("new", f"{base}/incidents/new/"),
        ("yaml", f"{base}/incidents/new/?as=yaml"),
        ("import", f"{base}/import/"),
        ("edit", f"{base}/incidents/{key}/edit/"),
        ("edit-hostile", f"{base}/incidents/{hostile}/edit/"),
        ("revisions", f"{base}/incidents/{key}/revisions/"),
        ("list", f"{base}/incidents/"),
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_every_page_is_accessible_and_fits(open_page, site, scheme, width):
    page = open_page(width=width, color_scheme=scheme)
    found: list[str] = []
    for name, path in pages(site):
        page.goto(path)
        shot(page, f"{name}-{scheme}-{width}")
        found += [f"{name}: {words}" for words in violations(page)]
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
    assert found == []


@pytest.mark.parametrize("script", [True, False], ids=["with JavaScript", "without"])
def test_an_incident_is_reported_by_form(open_page, site, script):
    page = open_page(java_script_enabled=script)
    page.goto(f"{site.known['base']}/incidents/")
    page.get_by_role("link", name="New incident").click()
    page.get_by_label("Title").fill("It made up a figure")
    page.get_by_label("Input").fill("What was the revenue?")
    page.get_by_role("button", name="Add a call").click()
    expect(page.locator(".one-call")).to_have_count(3)
    page.locator(".one-call").nth(2).get_by_label("Tool").fill("market_data_api")
    page.locator(".one-call").nth(2).get_by_label("Status").fill("504")
    page.get_by_label("Recorded answer").fill("It was $4.2 million, according to us.")
    if not script:
        page.get_by_role("button", name="Check").click()
    expect(page.locator("#checked")).to_contain_text("This contract catches the incident")
    shot(page, f"filled-{script}")
    assert page.get_by_label("Title").input_value() == "It made up a figure"
    page.get_by_role("button", name="Report the incident").click()
    expect(page.locator("h1")).to_have_text("It made up a figure")
    assert violations(page) == [] if script else True


def test_files_are_imported_and_the_receipt_leads_on(open_page, site, tmp_path):
    (tmp_path / "good.yaml").write_text(INCIDENT.replace("incident-2026-02-15", "imported"))
    (tmp_path / "bad<b>.yaml").write_text("id: 7\ninputs: x")
    page = open_page()
    page.goto(f"{site.known['base']}/import/")
    page.set_input_files("#id_files", [tmp_path / "good.yaml", tmp_path / "bad<b>.yaml"])
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.locator(".headline")).to_contain_text("1 new incident, 1 refused")
    expect(page.locator("table")).to_contain_text("did you mean input?")
    shot(page, "receipt")
    assert violations(page) == []
    page.get_by_role("link", name=re.compile(r"^[A-Z]+-\d+$")).click()
    expect(page.locator("h1")).to_contain_text("fabricated revenue figure")


def test_a_recording_is_edited_and_compared(open_page, site):
    page = open_page()
    page.goto(site.path("main"))
    page.get_by_role("link", name="Edit", exact=True).click()
    area = page.locator("#id_text")
    area.fill(area.input_value().replace("briefing", "report") + "junk: 1\n")
    expect(page.locator("#checked")).to_contain_text("unknown field junk")
    shot(page, "edit-problem")
    area.fill(area.input_value().replace("junk: 1\n", ""))
    expect(page.locator("#checked")).to_contain_text("This contract catches the incident")
    page.get_by_label("Why it is changed").fill("a clearer word")
    page.get_by_role("button", name="Save as a new revision").click()
    page.get_by_role("link", name="revisions").click()
    expect(page.locator("ins").first).to_contain_text("report")
    shot(page, "diff")
    assert violations(page) == []
