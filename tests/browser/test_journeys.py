"""What people do, by mouse, by keyboard and without JavaScript."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.world import PASSWORD

pytestmark = pytest.mark.browser


def rows(page):
    return page.locator("tbody tr")


def test_the_list_is_filtered_as_one_types_and_the_back_button_undoes_it(open_page, site):
    page = open_page()
    page.goto(site.path(""))
    expect(rows(page)).to_have_count(50)
    page.fill("#id_q", "price list")
    page.wait_for_url("**/incidents/?q=price+list")
    expect(rows(page).first).to_contain_text("Quotes last year's price list")
    assert page.evaluate("document.activeElement.id") == "id_q"
    assert page.input_value("#id_q") == "price list"
    page.go_back()
    expect(rows(page)).to_have_count(50)
    assert page.input_value("#id_q") == ""


def test_a_tab_filters_by_state_and_keeps_the_search(open_page, site):
    page = open_page()
    page.goto(site.path("?q=price"))
    page.get_by_role("radio", name="regressed").check(force=True)
    page.wait_for_url("**/incidents/?q=price&state=regressed")
    expect(page.get_by_role("radio", name="regressed")).to_be_checked()


def test_pages_go_forth_and_back(open_page, site):
    page = open_page()
    page.goto(site.path(""))
    first = rows(page).first.inner_text()
    page.get_by_role("link", name="Next").click()
    expect(rows(page).first).not_to_have_text(first)
    page.get_by_role("link", name="Previous").click()
    assert rows(page).first.inner_text().split()[0] == first.split()[0]


def test_the_list_works_by_keyboard(open_page, site):
    page = open_page()
    page.goto(site.path(""))
    links = page.locator("[data-row]")
    page.keyboard.press("j")
    expect(links.nth(0)).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    expect(links.nth(1)).to_be_focused()
    page.keyboard.press("/")
    expect(page.locator("#id_q")).to_be_focused()
    page.keyboard.type("jk?")
    page.wait_for_url("**/?q=jk%3F")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#keys")).to_be_hidden()


def test_enter_opens_the_incident(open_page, site):
    page = open_page()
    page.goto(site.path("?q=Fabricated"))
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{site.path('main')}")


def test_the_first_row_is_a_few_tabs_away(open_page, site):
    page = open_page()
    page.goto(site.path(""))
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # the skip link, past the project's navigation
    presses = 0
    while not page.evaluate("document.activeElement.matches('[data-row]')"):
        page.keyboard.press("Tab")
        presses += 1
        assert presses <= 8


def test_the_skip_link_leads_past_the_header(open_page, site):
    page = open_page()
    page.goto(site.path("main"))
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


@pytest.mark.parametrize("javascript", [True, False])
def test_replay_now_leads_to_the_run(open_page, site, javascript):
    page = open_page(java_script_enabled=javascript)
    page.goto(site.path("main"))
    page.get_by_label("v1.8").check()
    page.get_by_label("Until the verdict").check()
    page.get_by_role("button", name="Replay").click()
    page.wait_for_url("**/runs/*/")
    expect(page.locator(".headline")).to_contain_text("Waiting for a worker.")
    assert page.title().startswith("queued 0/40 — ")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".headline")).to_contain_text("Stopped.")


def test_without_javascript_the_filters_are_a_form(open_page, site):
    page = open_page(java_script_enabled=False)
    page.goto(site.path(""))
    page.fill("#id_q", "price")
    page.get_by_role("radio", name="regressed").check(force=True)
    page.get_by_role("button", name="Filter").click()
    page.wait_for_url("**q=price&state=regressed**")
    expect(rows(page).first).to_contain_text("price list")


def test_an_open_run_is_live_and_stops_asking_when_it_has_ended(open_page, site):
    page = open_page()
    page.goto(site.path("queued"))
    expect(page.locator(".headline")).to_contain_text("Waiting for a worker.")
    page.evaluate("window.here = true")
    site.drive("work")
    expect(page.locator(".headline")).to_contain_text("Failed 1/3")
    expect(page.locator("#attempt-2")).to_contain_text("never-fabricate-when-tools-fail")
    assert page.title().startswith("failed — ")
    assert page.evaluate("window.here") is True  # never reloaded
    expect(page.locator("[hx-trigger]")).to_have_count(0)


def test_what_one_has_opened_stays_open_while_the_page_polls(open_page, site):
    page = open_page()
    page.goto(site.path("main"))
    page.get_by_label("v1.8").check()
    page.get_by_role("button", name="Replay").click()
    page.wait_for_url("**/runs/*/")
    page.locator(".menu summary").click()
    stamp = page.locator("[id^=poll-]").get_attribute("id")
    page.wait_for_function("id => !document.getElementById(id)", arg=stamp)
    expect(page.locator(".menu-body")).to_be_visible()
    page.get_by_role("button", name="Stop").click()


def test_a_poll_after_the_login_ran_out_leads_to_the_login(open_page, site):
    page = open_page()
    page.goto(site.path("main"))
    page.get_by_label("v1.8").check()
    page.get_by_role("button", name="Replay").click()
    page.wait_for_url("**/runs/*/")
    run = page.url.removeprefix(site.url)
    page.context.clear_cookies()
    page.wait_for_url("**/login/?next=**")
    page.fill("#id_username", "ada")
    page.fill("#id_password", PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"**{run}")
    page.get_by_role("button", name="Stop").click()


def test_a_comment_survives_a_reload_until_it_is_sent(open_page, site):
    page = open_page()
    page.goto(site.path("main"))
    page.get_by_label("Comment").fill("half a thought")
    page.reload()
    expect(page.get_by_label("Comment")).to_have_value("half a thought")
    page.get_by_role("button", name="Comment").click()
    expect(page.locator(".message")).to_contain_text("The comment is saved.")
    expect(page.get_by_label("Comment")).to_have_value("")


def test_the_matched_text_is_marked_on_the_incident_and_on_the_run(open_page, site):
    page = open_page()
    page.goto(site.path("main"))
    expect(page.locator("mark.by-failed")).to_have_text("$4.2")
    page.goto(site.path("quick"))
    expect(page.locator("mark.by-failed")).to_have_text("$4.2")


def test_going_back_to_a_form_lets_it_be_sent_again(open_page, site):
    page = open_page()
    page.goto(site.path("main"))
    page.get_by_role("button", name="Set").click()
    expect(page.locator(".message")).to_contain_text("The state is changed.")
    page.go_back()
    expect(page.get_by_role("button", name="Set")).to_be_enabled()


def test_a_login_that_ran_out_costs_nothing_of_a_new_incident(open_page, site):
    page = open_page()
    page.goto(site.path("new/"))
    page.fill("#id_title", "Promised a refund twice")
    page.fill("#id_input", "Where is my money?")
    page.context.clear_cookies(name="sessionid")
    page.get_by_role("button", name="Report the incident").click()
    page.fill("#id_username", "ada")
    page.fill("#id_password", PASSWORD)
    page.click("button.primary")
    page.wait_for_url("**/incidents/new/")
    expect(page.locator("#id_title")).to_have_value("Promised a refund twice")
    expect(page.locator("#id_input")).to_have_value("Where is my money?")
    page.get_by_role("button", name="Report the incident").click()
    expect(page.locator(".message.success")).to_be_visible()
    page.goto(site.path("new/"))
    expect(page.locator("#id_title")).to_have_value("")
