"""The terminal's screen in a real browser: seen, heard, by keyboard, without a network, and without the agent."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, TimeoutError  # noqa: A004 - the browser's own

from edge_agent.output.base import TEXT_KEYS
from edge_agent.output.texts import languages
from edge_agent.wire.messages import Incident
from simulators.kiosk_bench import AT, RunningKiosk, see, tap
from simulators.servers import wait_until

pytestmark = pytest.mark.system

WHOLE = """el.stage.scrollHeight <= el.stage.clientHeight && el.stage.scrollWidth <= el.stage.clientWidth
    && document.documentElement.scrollWidth <= innerWidth"""
SIZES = [(800, 480), (360, 740), (1280, 800)]


def test_a_tap_is_seen_with_name_direction_time_and_three_languages(page: Page, running: RunningKiosk) -> None:
    see(page, running)
    running.kiosk.show(tap())
    page.wait_for_selector("body[data-colour=green][data-tone=in]")
    assert page.inner_text("#name") == "N***** A*"
    assert page.inner_text("#title") == "Vào"
    assert page.inner_text("#time") == "07:41:03"
    assert page.get_attribute("#title", "lang") == "vi"
    assert page.get_attribute("#picture", "data-picture") == "in"
    assert "입장" in page.inner_text("#others")
    assert "Work safely" in page.inner_text("#others")
    assert "N***** A*" in (page.text_content("#announce") or "")
    running.kiosk.show(tap(direction="out", text_key="out"))
    page.wait_for_selector("#picture[data-picture=out]")
    running.kiosk.show(tap(shown="amber", text_key="unknown_card", name_masked=None))
    page.wait_for_selector("body[data-colour=amber][data-tone=unknown]")
    assert not page.is_visible("#name")
    running.kiosk.show(tap(shown="red", text_key="barred"))
    page.wait_for_selector("body[data-colour=red][data-tone=refused]")


def test_the_screen_goes_back_to_asking_for_a_card(page: Page, running: RunningKiosk) -> None:
    page.clock.install()
    see(page, running)
    running.kiosk.show(tap())
    page.wait_for_selector("body[data-screen=tap]")
    page.clock.fast_forward(4_500)
    page.wait_for_selector("body[data-screen=idle]")


def test_what_was_not_recorded_is_loud_and_says_whom_to_call(page: Page, running: RunningKiosk) -> None:
    see(page, running)
    running.kiosk.show(tap(kind="not_recorded", shown="red", name_masked=None, lang=None, text_key="not_recorded"))
    page.wait_for_selector("body[data-colour=alarm][data-tone=not_recorded]")
    assert "기록되지 않았습니다" in page.inner_text("#title")
    assert "사무실" in page.inner_text("#sub")
    assert "Call the site office" in page.inner_text("#others")


def test_no_request_leaves_the_machine(page: Page, running: RunningKiosk) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    see(page, running)
    running.kiosk.show(tap())
    page.wait_for_selector("body[data-screen=tap]")
    page.goto(running.kiosk.url + "muster")
    assert len(asked) > 5
    assert [url for url in asked if not url.startswith((running.kiosk.url, "data:"))] == []


def test_a_lost_link_is_a_quiet_line_and_a_lost_reader_is_loud(page: Page, running: RunningKiosk) -> None:
    see(page, running)
    assert "Online" in page.inner_text("#link")
    running.set(link_up=False, unacknowledged=137, clock_state="unset")
    page.wait_for_selector("#link[data-up=false]")
    assert "stored here: 137 not yet sent" in page.inner_text("#stored")
    assert page.is_visible("#clockstate")
    assert page.get_attribute("body", "data-screen") == "idle"
    running.set(readers={"r1": True, "r2": False})
    page.wait_for_selector("#banner[data-kind=reader_lost]:visible")
    assert "r2" in page.inner_text("#banner")
    running.set(readers={"r1": False, "r2": False})
    page.wait_for_selector("body[data-screen=reader_lost][data-colour=alarm]")
    running.set(readers={"r1": True, "r2": True})
    page.wait_for_selector("body[data-screen=idle]")
    page.wait_for_selector("#banner", state="hidden")


def test_an_open_incident_takes_the_screen_and_stays_above_a_tap(page: Page, running: RunningKiosk) -> None:
    see(page, running)
    running.set(incident=Incident(id="i1", kind="drill", since=AT))
    page.wait_for_selector("body[data-screen=drill]")
    running.set(incident=Incident(id="i1", kind="live", since=AT))
    page.wait_for_selector("body[data-screen=evacuate][data-colour=alarm]")
    assert "07:41" in page.inner_text("#time")
    running.kiosk.show(tap())
    page.wait_for_selector("body[data-screen=tap]")
    assert "대피하세요 · Evacuate" in page.inner_text("#banner")
    assert "assembly point" in page.inner_text("#others")
    running.set(incident=Incident(id="i1", kind="test", since=AT))
    page.wait_for_selector("#banner[data-kind=incident_test]:visible")


def test_a_dead_agent_is_not_taken_for_a_ready_terminal_and_the_page_finds_it_again(page: Page) -> None:
    first = RunningKiosk().start()
    page.clock.install()
    see(page, first)
    first.stop()
    page.clock.fast_forward(15_000)
    page.wait_for_selector("body[data-screen=screen_lost][data-colour=alarm]")
    assert "기록되지" in page.inner_text("#words")
    second = RunningKiosk(int(first.kiosk.url.rsplit(":", 1)[1].strip("/"))).start()

    def back() -> bool:
        page.clock.run_for(1_000)
        return page.get_attribute("body", "data-screen") == "idle"

    wait_until(back, what="the page to find the agent again")
    second.kiosk.show(tap())
    page.wait_for_selector("body[data-screen=tap]")
    second.stop()


def test_the_page_opened_before_the_agent_runs_says_so(page: Page, running: RunningKiosk) -> None:
    page.clock.install()
    page.route("**/events", lambda route: route.abort())
    page.goto(running.kiosk.url)
    page.clock.fast_forward(5_000)
    page.wait_for_selector("body[data-screen=screen_lost]")


@pytest.mark.parametrize("size", SIZES)
def test_no_sentence_is_cut_in_any_language_at_any_size(
    page: Page, running: RunningKiosk, size: tuple[int, int]
) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    see(page, running)
    cut: list[str] = []
    for code in languages():
        for key in TEXT_KEYS:
            if key in {"incident", "link", "idle"}:
                continue
            kind = "not_recorded" if key == "not_recorded" else "tap"
            shown = "green" if key in {"in", "out", "tap", "muster", "repeat"} else "red"
            running.kiosk.show(tap(kind=kind, shown=shown, lang=code, text_key=key, name_masked="Ш************"))
            title = languages()[code].texts[key].title
            page.wait_for_function("title => el.title.textContent === title", arg=title)
            try:
                page.wait_for_function(f"() => {WHOLE}", timeout=3_000)
            except TimeoutError:
                cut.append(f"{code} {key}")
    assert cut == []


@pytest.mark.parametrize("size", SIZES)
def test_every_screen_passes_axe(page: Page, running: RunningKiosk, size: tuple[int, int]) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    see(page, running)
    found: list[str] = []

    def check(what: str) -> None:
        results = Axe().run(page)
        found.extend(f"{what}: {violation['id']}" for violation in results.response["violations"])

    check("idle")
    for what, event in {
        "green": tap(),
        "amber": tap(shown="amber", text_key="unknown_card"),
        "red": tap(shown="red", text_key="barred"),
        "alarm": tap(kind="not_recorded"),
    }.items():
        running.kiosk.show(event)
        page.wait_for_selector(f"body[data-colour={what}]")
        check(what)
    page.evaluate("tap = null; render()")
    running.set(link_up=False, unacknowledged=5, readers={"r1": True, "r2": False}, clock_state="unset")
    page.wait_for_selector("#banner:visible")
    check("offline")
    running.set(forked=True, unacknowledged=12)
    page.wait_for_selector("#stored:has-text('12. Call the operator')")
    check("not sending")
    running.set(forked=False)
    for kind, screen in {"drill": "drill", "live": "evacuate"}.items():
        running.set(incident=Incident(id="i", kind=kind, since=AT))  # type: ignore[arg-type]
        page.wait_for_selector(f"body[data-screen={screen}]")
        check(screen)
        page.goto(running.kiosk.url + "muster")
        check(f"muster {kind}")
        page.goto(running.kiosk.url)
    running.set(incident=None, roster_at=None, inside=[])
    page.goto(running.kiosk.url + "muster")
    check("muster without a list")
    assert found == []


def test_everything_is_reached_by_keyboard(page: Page, running: RunningKiosk) -> None:
    see(page, running)
    for _ in range(3):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('footer a')"):
            break
    assert "Who is inside" in page.evaluate("document.activeElement.textContent")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.wait_for_url("**/muster")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "print"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("td.name:has-text('김철수')")


def test_the_hint_for_sound_goes_away_at_the_first_touch(page: Page, running: RunningKiosk) -> None:
    see(page, running)
    if page.is_visible("#sound"):
        page.click("#sound")
    page.wait_for_selector("#sound", state="hidden")
    assert page.evaluate("audio.state") == "running"
