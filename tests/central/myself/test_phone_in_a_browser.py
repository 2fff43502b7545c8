"""The worker's own pages as a phone shows them: a real Chromium, in several scripts, and axe."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from central.kit import i18n
from simulators.clocks import HandClock
from simulators.own_site import CODE, OwnSite
from simulators.web import WebServer

pytestmark = pytest.mark.system
expect.set_options(timeout=30_000)  # a busy machine draws a page late, not wrong

HUNG, HUNGS = "26-0001", "01011110001"
PICTURES = os.environ.get("CCS_PICTURES", "")
"""A folder to draw the pages into, for docs/images."""


@pytest.mark.parametrize("language", ["ko", "en", *(pytest.param(one, marks=pytest.mark.long) for one in ("km", "ru"))])
def test_every_page_of_a_workers_view_passes_axe_and_fits_its_screen(
    chromium: Browser,
    own_web: WebServer,
    own_site: OwnSite,
    phone: Callable[..., Any],
    office: Callable[..., httpx.Client],
    hand_clock: HandClock,
    check_page: Callable[[Page, str], None],
    language: str,
) -> None:
    for day in (16, 17, 18, 19, 20):
        own_site.day(HUNG, date(2026, 11, day))
    journal, seq = own_site.tap(HUNG, hand_clock.now() - timedelta(hours=5))
    own_site.tap(HUNG, hand_clock.now() - timedelta(hours=1), "out", decision="barred")
    hung = phone(language)
    hung.sign_in(HUNG, HUNGS)
    context = chromium.new_context(reduced_motion="reduce")
    context.add_cookies([{"name": "ccs_language", "value": language, "url": own_web.url}])
    page = context.new_page()

    def check(name: str) -> None:
        check_page(page, name)
        if PICTURES:
            page.screenshot(path=f"{PICTURES}/me-{name}-{language}.png", full_page=True)

    page.goto(f"{own_web.url}/me")
    check("number")
    page.keyboard.type(HUNG)
    page.keyboard.press("Enter")
    expect(page.locator("#code")).to_be_focused()
    check("code")
    page.keyboard.type("000000")
    page.keyboard.press("Enter")
    expect(page.locator("[role=alert]")).to_be_visible()
    check("wrong")
    context.add_cookies([{"name": "ccs_session", "value": hung.client.cookies["ccs_session"], "url": own_web.url}])
    page.goto(f"{own_web.url}/me")
    check("today")
    page.goto(f"{own_web.url}/me/taps/{journal}/{seq}")
    check("receipt")
    page.locator("a[href^='/receipts/']").click()
    expect(page.locator("h1.sure")).to_be_visible()
    check("genuine")
    page.goto(f"{own_web.url}/receipts/none")
    check("not-genuine")
    page.goto(f"{own_web.url}/me/objections/new?site={CODE}&on=2026-11-20")
    check("object")
    page.fill("#last_out", "19:30")
    page.locator("main button").last.click()
    page.wait_for_url("**/me/objections/*")
    check("objection")
    page.goto(f"{own_web.url}/me/objections")
    check("objections")
    if language in i18n.LANGUAGES:
        desk_pages(page, own_web, own_site, office("contractor", "prime"), language, check)
    context.close()


def desk_pages(
    page: Page, own_web: WebServer, own_site: OwnSite, desk: httpx.Client, language: str, check: Callable[[str], None]
) -> None:
    """The pages of who answers, from the list of one's own objections on."""
    number = page.locator("ul.rows a").get_attribute("href")
    assert number is not None
    page.context.clear_cookies()
    cookies = dict(desk.cookies.items()) | {"ccs_language": language}
    page.context.add_cookies([{"name": name, "value": value, "url": own_web.url} for name, value in cookies.items()])
    page.goto(f"{own_web.url}/objections")
    check("desk-list")
    page.goto(own_web.url + number.removeprefix("/me"))
    check("desk-one")
    page.goto(f"{own_web.url}/workers/{own_site.ids[HUNG]}")
    page.locator("form[action$='/sign-in-code'] button").click()
    expect(page.locator(".huge-code")).to_be_visible()
    check("desk-code")
