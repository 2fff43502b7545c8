"""The registry's forms and lists as people meet them: a real Chromium, a phone in Korean and a desk in English."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, expect

from simulators.web import WebServer

pytestmark = pytest.mark.system


def violations(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found]


@pytest.mark.parametrize(("language", "width"), [("ko", 360), pytest.param("en", 1280, marks=pytest.mark.long)])
def test_forms_and_lists_pass_axe_fit_their_screen_and_are_filled_in_by_keyboard(
    chromium: Chromium,
    browser: Any,
    registry_web: WebServer,
    token_of: Callable[..., str],
    language: str,
    width: int,
) -> None:
    browser.done("/new/organization", name="City Works", kind="client")
    browser.done("/new/organization", name="Hanbit", kind="prime", business_no="124-81-00998")
    browser.done("/new/project", code="gym", name="Gymnasium", client="City Works")
    browser.done("/projects/gym/sites/new", code="site-07", name="Gymnasium site")
    browser.done("/sites/site-07/employers/new", organization="Hanbit", tier="prime", from_on="2026-01-01")
    terms = {"amount_won": "2000000000", "begins_on": "2026-03-01", "ends_on": "2027-06-30"}
    browser.done("/projects/gym/contracts/new", contractor="Hanbit", kind="prime", work="structure", **terms)
    hired = {"site": "site-07", "employer": "Hanbit", "trade": "rebar", "from_on": "2026-02-01", "language": "vi"}
    worker = browser.done("/new/worker", name="Nguyễn Văn Hùng", birth_on="1990-01-01", **hired)
    browser.done("/new/worker", name="Nguyễn Văn Hùng", birth_on="1990-01-01", language="vi")
    browser.done(f"{worker}/papers/new", kind="visa", value="E-9", from_on="2026-01-01")
    browser.done(f"{worker}/cards/new", card="04A1B2C3D4E5F6", kind="card")
    browser.done(f"{worker}/bars/new", reason="no helmet", site="site-07")
    browser.done("/sites/site-07/day-passes", kind="visitor", name="Park")
    headers = {"Authorization": f"Bearer {token_of('*')}"}
    context = chromium.new_context(
        viewport={"width": width, "height": 780}, reduced_motion="reduce", extra_http_headers=headers
    )
    context.add_cookies([{"name": "ccs_language", "value": language, "url": registry_web.url}])
    page = context.new_page()

    def check(where: str) -> None:
        assert violations(page) == [], where
        assert page.evaluate("document.documentElement.scrollWidth") <= width, where

    for path in (
        "/organizations",
        "/organizations/1",
        "/projects",
        "/projects/gym?on=2026-05-01",
        "/projects/gym/contracts/1",
        "/projects/gym/contracts/1/terms",
        "/sites/site-07/about",
        "/sites/site-07/edit",
        "/sites/site-07/day-passes",
        "/workers",
        worker,
        f"{worker}/merge",
        "/cards",
        "/cards/1",
        "/bars",
        "/new/worker",
    ):
        page.goto(registry_web.url + path)
        check(path)
    page.goto(f"{registry_web.url}/new/organization")
    page.locator("#in-business_no").fill("124-81-00999")
    page.keyboard.press("Enter")
    expect(page.locator("#trouble")).to_be_visible()
    check("a refused form")
    expect(page.locator("#in-business_no")).to_have_value("124-81-00999")
    page.locator("#trouble a").first.press("Enter")
    expect(page.locator("#in-name")).to_be_focused()
    context.close()
