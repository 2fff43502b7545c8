"""The steps of an account as people meet them: a real Chromium, a phone and a desk, a passkey of a virtual device."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import Engine, text

from central.identity import tickets, totp
from central.identity.accounts import Scope, create_user
from central.identity.outside_provider import Provider, Providers
from central.identity.tickets import TicketKind
from central.kit.clock import SystemClock
from central.kit.db import write_session
from central.kit.sealed import Seal
from simulators.filled_site import FilledSite
from simulators.visitor import secret_bytes
from simulators.web import WebServer

pytestmark = pytest.mark.system
expect.set_options(timeout=30_000)  # a busy machine draws a page late, not wrong

PASSWORD = "correct horse battery staple"
PersonFor = Callable[..., str]
CheckPage = Callable[[Page, str], None]


def sign_in(page: Page, url: str, email: str) -> None:
    """By keyboard alone."""
    page.bring_to_front()
    page.goto(f"{url}/sign-in")
    expect(page.locator("#email")).to_be_focused()
    page.keyboard.type(email)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"^(?!.*/sign-in$)"))


@pytest.fixture
def pages(chromium: Browser) -> Iterator[Callable[[], Page]]:
    """Browsers of different people."""
    made: list[Page] = []

    def make() -> Page:
        made.append(chromium.new_context(reduced_motion="reduce").new_page())
        return made[-1]

    yield make
    for page in made:
        page.context.close()


def invited_to(page: Page, url: str, where: str, email: str) -> str:
    """Invite somebody where no mail goes out; return the path of the link."""
    page.goto(url + where)
    page.fill("#email", email)
    page.fill("#name", "이 Lee")
    page.locator("form:has(#email) button").click()
    return page.locator("pre").inner_text().removeprefix(url)


@pytest.mark.parametrize("language", ["ko", "en"])
def test_every_step_of_an_account_passes_axe_and_fits_its_screen(
    pages: Callable[[], Page],
    central_web: WebServer,
    central_app: FastAPI,
    site_engine: Engine,
    filled: FilledSite,
    person_for: PersonFor,
    check_page: CheckPage,
    language: str,
) -> None:
    """What stands at no address of its own: links from letters, refusals, secrets that are shown once."""
    url = central_web.url
    central_app.state.seal = Seal(b"k" * 32)
    central_app.state.providers = Providers((Provider("city", "City sign-on", "https://id.city.example", "ccs", "x"),))
    keeper_email, now = person_for("system_operator", site=None), SystemClock().now()
    with write_session(site_engine) as session:
        prime = text("SELECT organization_id FROM registry_site_employer WHERE site_id = :s AND tier = 'prime'")
        scope = Scope(organization_id=session.execute(prime, {"s": filled.site_id}).scalar_one())
        boss = create_user(
            session, email="boss@example.org", name="박 사장", password=PASSWORD, role="contractor", scope=scope,
            actor="system:test", now=now,
        )  # fmt: skip
        lost = tickets.issue(session, kind=TicketKind.RECOVERY, life=timedelta(hours=1), now=now, user_id=boss)
    stranger, keeper, firm = pages(), pages(), pages()
    for page in (stranger, keeper, firm):
        page.context.add_cookies([{"name": "ccs_language", "value": language, "url": url}])
    sign_in(keeper, url, keeper_email)
    sign_in(firm, url, "boss@example.org")

    def look(page: Page, path: str) -> None:
        page.goto(url + path)
        check_page(page, path)

    new = invited_to(firm, url, "/colleagues", "lee@example.org")
    check_page(firm, "the link of an invitation")
    known = invited_to(firm, url, "/colleagues", keeper_email)
    for path in ("/sign-in", "/recovery", f"/recovery/{lost}", new, known, "/invitation/unknown"):
        look(stranger, path)
    look(firm, known)
    look(keeper, known)
    stranger.goto(f"{url}/sign-in")
    stranger.fill("#email", "nobody@example.org")
    stranger.fill("#password", "not this one")
    stranger.locator(".sign-in button").first.click()
    expect(stranger.get_by_role("alert")).to_be_visible()
    check_page(stranger, "a refused sign-in")
    keeper.goto(f"{url}/account/tokens")
    keeper.fill("#name", "my program")
    keeper.locator("input[name=scopes]").first.check()
    keeper.locator("form[action='/account/tokens'] button").click()
    check_page(keeper, "a new token")
    keeper.goto(f"{url}/account/second-factor")
    keeper.locator("form[action$='/app'] button").click()
    expect(keeper.locator(".qr svg")).to_be_visible()
    check_page(keeper, "the QR code")
    key = secret_bytes(keeper.locator("code").first.inner_text())
    keeper.fill("#code", totp.code_of(key, totp.step_at(SystemClock().now())))
    keeper.locator("form:has(#code) button").click()
    expect(keeper.locator(".codes li")).to_have_count(10)
    check_page(keeper, "the codes on paper")
    keeper.locator("form[action='/sign-out'] button").click()
    sign_in(keeper, url, keeper_email)
    look(keeper, "/sign-in/second-factor")


def test_a_passkey_is_made_and_used_in_a_browser(
    chromium: Browser, central_web: WebServer, person_for: PersonFor, check_page: CheckPage
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
    check_page(page, "asked for a passkey")
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url(f"{url}/")
    page.goto(f"{url}/sites/site-07")
    expect(page.locator("[data-figure=inside]")).to_have_text("40")
    context.close()
