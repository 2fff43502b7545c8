"""A form of the registry as a person fills it in by keyboard: a real Chromium."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, expect

from simulators.web import WebServer

pytestmark = pytest.mark.system


@pytest.mark.parametrize("language", ["ko", "en"])
def test_a_refused_form_says_why_keeps_what_was_typed_and_leads_to_the_field(
    chromium: Chromium,
    registry_web: WebServer,
    token_of: Callable[..., str],
    check_page: Callable[[Page, str], None],
    language: str,
) -> None:
    headers = {"Authorization": f"Bearer {token_of('*')}"}
    context = chromium.new_context(reduced_motion="reduce", extra_http_headers=headers)
    context.add_cookies([{"name": "ccs_language", "value": language, "url": registry_web.url}])
    page = context.new_page()
    page.goto(f"{registry_web.url}/new/organization")
    page.locator("#in-business_no").fill("124-81-00999")
    page.keyboard.press("Enter")
    expect(page.locator("#trouble")).to_be_visible()
    check_page(page, "a refused form")
    expect(page.locator("#in-business_no")).to_have_value("124-81-00999")
    page.locator("#trouble a").first.press("Enter")
    expect(page.locator("#in-name")).to_be_focused()
    context.close()
