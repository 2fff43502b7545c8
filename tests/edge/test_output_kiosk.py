"""The terminal's screen in a real browser: seen, heard, by keyboard, without a network, and without the agent."""

from __future__ import annotations

import dataclasses
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, TimeoutError, sync_playwright  # noqa: A004 - the browser's own

from edge_agent.output.base import TEXT_KEYS, KioskState, ScreenEvent
from edge_agent.output.feed import EVENTS_WAITING_MAX, WATCHERS_MAX
from edge_agent.output.kiosk import Kiosk, KioskUnavailable
from edge_agent.output.texts import languages
from edge_agent.wire.messages import Incident, Inside
from simulators.servers import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.system

AT = datetime(2026, 11, 22, 22, 41, 3, tzinfo=UTC)
WHOLE = """el.stage.scrollHeight <= el.stage.clientHeight && el.stage.scrollWidth <= el.stage.clientWidth
    && document.documentElement.scrollWidth <= innerWidth"""
SIZES = [(800, 480), (360, 740), (1280, 800)]
READY = KioskState(
    link_up=True,
    readers={"r1": True, "r2": True},
    clock_state="synced",
    roster_version=3,
    roster_at=AT - timedelta(minutes=3),
    inside=[
        Inside(person="worker:1", name="김철수", since=AT, employer="한빛건설", trade="철근공", zone="gate-01"),
        Inside(person="worker:2", name="Nguyen Van An", since=AT - timedelta(hours=20), employer="대한전기"),
    ],
)


class RunningKiosk:
    """A kiosk on a free port whose state a test sets."""

    def __init__(self, port: int = 0) -> None:
        self.state = READY
        self.beats = 0
        self.kiosk = Kiosk(
            "127.0.0.1",
            port,
            terminal_name="3번 출입구 · Gate 3",
            languages=["ko", "en", "vi", "th"],
            state=lambda: self.state,
            now=lambda: AT,
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.kiosk.run, args=(self._stop, self._beat))

    def _beat(self) -> None:
        self.beats += 1

    def start(self) -> RunningKiosk:
        self._thread.start()
        assert self.kiosk.ready.wait(10)
        wait_until(lambda: self.beats > 0, what="the kiosk's first beat")
        return self

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(10)
        assert not self._thread.is_alive()

    def set(self, **changes: Any) -> None:
        self.state = dataclasses.replace(self.state, **changes)
        self.kiosk.show(ScreenEvent("link", AT))


@pytest.fixture
def running() -> Iterator[RunningKiosk]:
    kiosk = RunningKiosk().start()
    yield kiosk
    kiosk.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 800, "height": 480}, reduced_motion="reduce")
    page.set_default_timeout(20_000)
    mistakes: list[str] = []
    page.on("pageerror", lambda error: mistakes.append(str(error)))
    yield page
    page.close()
    assert mistakes == []


def tap(**changes: object) -> ScreenEvent:
    fields: dict[str, object] = {
        "kind": "tap",
        "at": AT,
        "shown": "green",
        "direction": "in",
        "name_masked": "N***** A*",
        "lang": "vi",
        "text_key": "in",
        "seq": 7,
    }
    return ScreenEvent(**(fields | changes))  # type: ignore[arg-type]


def see(page: Page, running: RunningKiosk, screen: str = "idle") -> None:
    page.goto(running.kiosk.url)
    page.wait_for_selector(f"body[data-screen={screen}]")


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


@pytest.mark.promise("INC-02")
def test_the_list_at_the_gate_outlives_link_and_agent_and_prints(page: Page) -> None:
    """Mutant: replacing the list with the browser's error page, or with an empty list, when a refresh fails."""
    kiosk = RunningKiosk().start()
    kiosk.set(link_up=False)
    page.clock.install()
    page.goto(kiosk.kiosk.url + "muster?names=whole")
    assert "3 min ago" in page.inner_text("#age")
    kiosk.stop()
    page.clock.run_for(16_000)
    page.wait_for_selector("#frozen:visible")
    assert "Nguyen Van An" in page.inner_text("main")
    page.emulate_media(media="print")
    assert not page.is_visible("#print")
    assert page.is_visible("td.name:has-text('김철수')")
    assert "3 min ago" in page.inner_text("#age")


def test_the_list_follows_the_agent(page: Page, running: RunningKiosk) -> None:
    page.clock.install()
    page.goto(running.kiosk.url + "muster")
    assert page.inner_text(".count strong") == "2"
    running.set(inside=[])
    page.clock.run_for(16_000)
    page.wait_for_selector(".count strong:has-text('0')")


def test_show_neither_waits_nor_raises_whether_or_not_a_screen_runs() -> None:
    kiosk = RunningKiosk()
    for _ in range(EVENTS_WAITING_MAX + 10):
        kiosk.kiosk.show(tap())
    assert kiosk.kiosk.dropped == 10
    kiosk.start()
    kiosk.kiosk.show(tap())
    kiosk.stop()
    kiosk.kiosk.show(tap())


def test_a_page_that_does_not_read_holds_up_neither_the_tap_path_nor_another_page(
    page: Page, running: RunningKiosk
) -> None:
    port = int(running.kiosk.url.rsplit(":", 1)[1].strip("/"))
    with socket.create_connection(("127.0.0.1", port)) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        deaf.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        see(page, running)
        for number in range(3000):
            running.kiosk.show(tap(seq=number))
        running.kiosk.show(tap(name_masked="끝"))
        page.wait_for_selector("#name:has-text('끝')")


def test_too_many_open_screens_are_told_to_wait(running: RunningKiosk) -> None:
    with httpx.Client(base_url=running.kiosk.url) as client:
        streams = [client.stream("GET", "/events") for _ in range(WATCHERS_MAX)]
        frames = [stream.__enter__().iter_raw() for stream in streams]
        assert all(next(frame).startswith(b"retry:") for frame in frames)
        refused = client.get("/events")
        assert refused.status_code == 503
        assert "close one of the other pages" in refused.text
        for stream in streams:
            stream.__exit__(None, None, None)

        def free_again() -> bool:
            with client.stream("GET", "/events") as answer:
                return answer.status_code == 200

        wait_until(free_again, what="the closed pages to be forgotten")


def test_a_page_from_elsewhere_cannot_read_the_names(running: RunningKiosk) -> None:
    answer = httpx.get(running.kiosk.url + "muster", headers={"Host": "evil.example"})
    assert answer.status_code == 400
    answer = httpx.get(running.kiosk.url)
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_a_taken_port_is_explained() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        kiosk = RunningKiosk(port).kiosk
        with pytest.raises(KioskUnavailable, match=rf"127.0.0.1:{port}.*change \[kiosk\] port"):
            kiosk.run(threading.Event(), lambda: None)


def test_an_unknown_time_zone_is_explained() -> None:
    with pytest.raises(KioskUnavailable, match="Asia/Soul"):
        Kiosk("127.0.0.1", 0, terminal_name="g", languages=["ko"], state=KioskState, time_zone="Asia/Soul")


def test_the_loop_beats_and_stops(running: RunningKiosk) -> None:
    before = running.beats
    wait_until(lambda: running.beats > before + 1, what="two more beats")
    started = time.monotonic()
    running.stop()
    assert time.monotonic() - started < 10
