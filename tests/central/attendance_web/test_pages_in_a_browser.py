"""Pages as people meet them: a real Chromium, both languages, a phone and a desk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect
from sqlalchemy import Engine, text

from central.app import create_app
from central.kit.clock import SystemClock
from central.kit.config import Settings
from central.kit.db import read_session
from simulators.filled_site import FilledSite, enter, fill_site
from simulators.servers import wait_until
from simulators.web import WebServer

pytestmark = pytest.mark.system
expect.set_options(timeout=30_000)  # a busy machine draws a page late, not wrong

PASSWORD = "correct horse battery staple"
PersonFor = Callable[..., str]


@contextmanager
def signed_in(
    browser: Browser, url: str, email: str, *, language: str = "en", width: int = 360, script: bool = True
) -> Iterator[Page]:
    context = browser.new_context(
        viewport={"width": width, "height": 780}, reduced_motion="reduce", java_script_enabled=script
    )
    context.add_cookies([{"name": "ccs_language", "value": language, "url": url}])
    page = context.new_page()
    page.goto(f"{url}/sign-in")
    page.fill("#email", email)
    page.fill("#password", PASSWORD)
    page.click(".sign-in button")
    page.wait_for_url(f"{url}/")
    try:
        yield page
    finally:
        context.close()


def figure(page: Page, name: str) -> str:
    return page.locator(f"[data-figure={name}]").inner_text()


def test_a_person_who_enters_appears_without_a_reload_and_the_look_is_audited(
    chromium: Browser, central_web: WebServer, site_engine: Engine, filled: FilledSite, person_for: PersonFor
) -> None:
    email = person_for("safety_officer")
    with signed_in(chromium, central_web.url, email) as page:
        page.goto(f"{central_web.url}/sites/site-07")
        assert figure(page, "inside") == "40"
        page.evaluate("window.notReloaded = true")
        enter(site_engine, filled, name="새로온 사람", now=SystemClock().now())
        expect(page.locator("[data-figure=inside]")).to_have_text("41")
        expect(page.locator("#live")).to_contain_text("새로온 사람")
        assert page.title().startswith("41 inside")
        assert page.evaluate("window.notReloaded") is True
    with read_session(site_engine) as session:
        sql = "SELECT jsonb_array_length(detail -> 'workers') FROM audit_event WHERE tag = 'people:look' ORDER BY id"
        shown = list(session.execute(text(sql)).scalars())
    assert shown == [40, 1], "whoever was shown first, then who came"


def test_the_list_follows_the_filters_without_a_reload(
    chromium: Browser, central_web: WebServer, person_for: PersonFor
) -> None:
    with signed_in(chromium, central_web.url, person_for("safety_officer"), width=1280) as page:
        page.goto(f"{central_web.url}/sites/site-07")
        rows = page.locator(".people .list > li")
        expect(rows).to_have_count(40)
        page.fill("#q", "두레")
        expect(rows).to_have_count(8)
        page.fill("#q", "")
        page.locator(".more summary").click()
        page.select_option("#trade", "scaffolder")
        expect(rows).to_have_count(8)
        expect(page.locator("#people-head")).to_contain_text("8 of 40 people")
        page.locator("#by-employer a").first.click()
        assert "employer=" in page.url


def test_the_search_in_the_head_is_reached_walked_and_left_by_keys(
    chromium: Browser, central_web: WebServer, person_for: PersonFor
) -> None:
    with signed_in(chromium, central_web.url, person_for("system_operator", site=None), width=1280) as page:
        page.goto(f"{central_web.url}/terminals")
        page.locator("h1").click()
        page.keyboard.press("/")
        expect(page.locator("#find")).to_be_focused()
        page.keyboard.type("site-07")
        found = page.locator("#found a")
        expect(found.first).to_be_visible()
        page.keyboard.press("ArrowDown")
        expect(found.first).to_be_focused()
        page.keyboard.press("ArrowUp")
        expect(page.locator("#find")).to_be_focused()
        page.keyboard.press("ArrowUp")
        expect(found.last).to_be_focused()
        page.keyboard.press("Escape")
        expect(page.locator("#find")).to_be_focused()
        expect(found).to_have_count(0)
        page.keyboard.type("/")
        expect(page.locator("#find")).to_have_value("site-07/")
        page.fill("#find", "중앙체육관")
        expect(found.first).to_be_visible()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        page.wait_for_url("**/sites/site-07*")


def test_an_answer_that_comes_late_never_undoes_a_newer_filter(
    chromium: Browser, central_web: WebServer, person_for: PersonFor
) -> None:
    held: list[Route] = []
    with signed_in(chromium, central_web.url, person_for("safety_officer"), width=1280) as page:
        page.goto(f"{central_web.url}/sites/site-07")
        expect(page.locator(".people .list > li")).to_have_count(40)
        page.locator(".more summary").click()
        page.route(
            "**/live*", lambda route: route.continue_() if "trade=scaff" in route.request.url else held.append(route)
        )
        page.evaluate("document.body.dispatchEvent(new Event('headcountChanged'))")

        def is_held() -> bool:
            page.wait_for_timeout(20)  # Playwright tells of requests only while it waits
            return bool(held)

        # the page may have asked by itself just before, and then asks no second time while that is held
        wait_until(is_held, what="an answer that is late")
        with page.expect_event("requestfailed", lambda request: "/live" in request.url):
            page.select_option("#trade", "scaffolder")
        expect(page.locator("#people-head")).to_contain_text("8 of 40 people")
        assert held


@pytest.mark.usefixtures("filled")
def test_silence_is_loud_and_ends_when_the_server_is_back(
    chromium: Browser, database_url: str, person_for: PersonFor
) -> None:
    settings = Settings(database_url=database_url, secret_key="s" * 32, secure_cookies=False)
    email = person_for("safety_officer")
    with ExitStack() as opened:
        server = WebServer(create_app(settings))
        with server:
            page = opened.enter_context(signed_in(chromium, server.url, email))
            page.goto(f"{server.url}/sites/site-07")
            expect(page.locator("#ago")).to_contain_text("s ago")
            expect(page.locator("#silent")).not_to_be_visible()
        expect(page.locator("#silent")).to_be_visible(timeout=30_000)
        expect(page.locator("#silent")).to_contain_text("NOT LIVE")
        with WebServer(create_app(settings), port=server.port):
            expect(page.locator("#silent")).not_to_be_visible(timeout=30_000)


def test_a_silent_terminal_is_named_above_the_number(
    chromium: Browser, central_web: WebServer, site_engine: Engine, person_for: PersonFor
) -> None:
    fill_site(site_engine, now=SystemClock().now(), code="site-08", inside=3, quiet_gate=True)
    with signed_in(chromium, central_web.url, person_for("system_operator", site=None)) as page:
        page.goto(f"{central_web.url}/sites/site-08")
        alarm, number = page.locator("#trouble .alarm"), page.locator(".huge")
        expect(alarm).to_contain_text("후문: Offline")
        assert (alarm.bounding_box() or {"y": 9e9})["y"] < (number.bounding_box() or {"y": 0})["y"]
        assert figure(page, "unknown") == "3"


@pytest.mark.promise("INC-01")
def test_a_terminal_that_falls_silent_takes_the_bound_away_and_gives_it_back_without_a_reload(
    chromium: Browser, central_web: WebServer, site_engine: Engine, person_for: PersonFor
) -> None:
    """Mutant: "not received" is nothing while a terminal is silent."""
    filled = fill_site(site_engine, now=SystemClock().now(), code="site-08", inside=3)

    def heard(ago: timedelta) -> None:
        with site_engine.begin() as connection:
            sql = (
                "UPDATE attendance_terminal_status SET heard_at = now() - CAST(:ago AS interval) WHERE terminal_id = :t"
            )
            connection.execute(text(sql), {"ago": ago, "t": filled.terminal_ids[0]})
            connection.execute(text("SELECT pg_notify('ccs_site', :site)"), {"site": str(filled.site_id)})

    with signed_in(chromium, central_web.url, person_for("system_operator", site=None)) as page:
        page.goto(f"{central_web.url}/sites/site-08")
        bound, not_received = page.locator(".at-most"), page.locator("#not-received")
        expect(bound).to_have_text("at most 12")
        expect(not_received).to_have_text("9")
        heard(timedelta(minutes=16))
        expect(bound).to_contain_text("12, and whoever passed 정문 들어가는 곳 since")
        expect(page.locator("#bound")).not_to_be_visible()
        expect(not_received).to_have_text("at least 9")
        heard(timedelta(0))
        expect(bound).to_have_text("at most 12")
        expect(not_received).to_have_text("9")


def test_a_terminal_that_recovers_takes_its_alarm_away(
    chromium: Browser, central_web: WebServer, site_engine: Engine, person_for: PersonFor
) -> None:
    filled = fill_site(site_engine, now=SystemClock().now(), code="site-08", inside=3, quiet_gate=True)
    with signed_in(chromium, central_web.url, person_for("system_operator", site=None)) as page:
        page.goto(f"{central_web.url}/sites/site-08")
        expect(page.locator("#trouble .alarm")).to_be_visible()
        with site_engine.begin() as connection:
            connection.execute(text("UPDATE attendance_terminal_status SET heard_at = now()"))
            connection.execute(text("SELECT pg_notify('ccs_site', :site)"), {"site": str(filled.site_id)})
        expect(page.locator("#trouble .alarm")).to_have_count(0)


def test_who_may_not_see_names_sees_numbers_and_why(
    chromium: Browser, central_web: WebServer, site_engine: Engine, filled: FilledSite, person_for: PersonFor
) -> None:
    enter(site_engine, filled, name="비밀이름", now=SystemClock().now() - timedelta(minutes=1))
    with signed_in(chromium, central_web.url, person_for("auditor")) as page:
        page.goto(f"{central_web.url}/sites/site-07")
        assert figure(page, "inside") == "41"
        assert "비밀이름" not in page.content()
        assert "Your role shows numbers, not names" in page.content()
        assert page.locator("a[download]").count() == 0


def test_without_javascript_the_page_says_that_it_stands_still(
    chromium: Browser, central_web: WebServer, person_for: PersonFor
) -> None:
    with signed_in(chromium, central_web.url, person_for("safety_officer"), script=False) as page:
        page.goto(f"{central_web.url}/sites/site-07?employer=두레철근")
        expect(page.locator("noscript .alarm, .alarm.shown").first).to_be_visible()
        assert page.locator(".people .list > li").count() == 8


def test_the_page_prints_without_its_controls(
    chromium: Browser, central_web: WebServer, person_for: PersonFor, tmp_path: Path
) -> None:
    with signed_in(chromium, central_web.url, person_for("safety_officer")) as page:
        page.goto(f"{central_web.url}/sites/site-07")
        page.emulate_media(media="print")
        for hidden in (".top", "#filters", ".look-back", ".files"):
            expect(page.locator(hidden)).not_to_be_visible()
        expect(page.locator(".huge")).to_be_visible()
        expect(page.locator(".people .list > li").first).to_be_visible()
        page.pdf(path=str(tmp_path / "printed.pdf"))
        assert (tmp_path / "printed.pdf").stat().st_size > 1_000
