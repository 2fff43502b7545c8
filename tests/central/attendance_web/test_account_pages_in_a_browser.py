"""The pages of accounts as people meet them: a real Chromium, a phone and a desk, a passkey of a virtual device."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, expect, sync_playwright
from sqlalchemy import Engine, text

from central.kit.db import read_session
from central.kit.sealed import Seal
from simulators.web import WebServer

pytestmark = pytest.mark.system
expect.set_options(timeout=30_000)  # a busy machine draws a page late, not wrong

PASSWORD = "correct horse battery staple"
PersonFor = Callable[..., str]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


def sign_in(page: Page, url: str, email: str) -> None:
    """By keyboard alone."""
    page.goto(f"{url}/sign-in")
    page.keyboard.type(email)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"^(?!.*/sign-in$)"))


def violations(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found]


@pytest.mark.parametrize(("language", "width"), [("ko", 360), ("en", 1280)])
def test_every_page_of_accounts_passes_axe_and_fits_its_screen(
    chromium: Browser,
    central_web: WebServer,
    central_app: FastAPI,
    site_engine: Engine,
    person_for: PersonFor,
    language: str,
    width: int,
) -> None:
    central_app.state.seal = Seal(b"k" * 32)
    object.__setattr__(central_app.state.settings, "smtp_url", "smtp://127.0.0.1:9")
    email = person_for("system_operator", site=None)
    with read_session(site_engine) as session:
        number = session.execute(text("SELECT id FROM identity_user WHERE email = :e"), {"e": email}).scalar_one()
    context = chromium.new_context(viewport={"width": width, "height": 780}, reduced_motion="reduce")
    context.add_cookies([{"name": "ccs_language", "value": language, "url": central_web.url}])
    page = context.new_page()

    def check(where: str) -> None:
        assert violations(page) == [], where
        assert page.evaluate("document.documentElement.scrollWidth") <= width, where
        assert page.locator("html").get_attribute("lang") == language

    for path in ("/sign-in", "/recovery", "/invitation/unknown"):
        page.goto(central_web.url + path)
        check(path)
    sign_in(page, central_web.url, email)
    for path in (
        "/account",
        "/account/password",
        "/account/sessions",
        "/account/roles",
        "/account/delegations",
        "/account/tokens",
        "/account/second-factor",
        "/accounts",
        f"/accounts/{number}",
    ):
        page.goto(central_web.url + path)
        check(path)
    page.goto(f"{central_web.url}/account/second-factor")
    page.locator("form[action$='/app'] button").click()
    expect(page.locator(".qr svg")).to_be_visible()
    check("the QR code")
    context.close()


def test_a_passkey_is_made_and_used_in_a_browser(
    chromium: Browser, central_web: WebServer, person_for: PersonFor
) -> None:
    url = central_web.url.replace("127.0.0.1", "localhost")  # a passkey belongs to a name, not to an address
    email = person_for("safety_officer")
    context = chromium.new_context(viewport={"width": 360, "height": 780})
    context.add_cookies([{"name": "ccs_language", "value": "en", "url": url}])
    page = context.new_page()
    device = context.new_cdp_session(page)
    device.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    options |= {"isUserVerified": True, "automaticPresenceSimulation": True}
    device.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    sign_in(page, url, email)
    page.goto(f"{url}/account/second-factor")
    page.fill("#passkey-name", "my phone")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.locator(".codes li")).to_have_count(10)
    page.get_by_role("link", name="Go on").click()
    page.locator("form[action='/sign-out'] button").click()
    sign_in(page, url, email)
    expect(page.get_by_role("button", name="Use a passkey")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url(f"{url}/")
    page.goto(f"{url}/sites/site-07")
    expect(page.locator("[data-figure=inside]")).to_have_text("40")
    context.close()
