"""Whatever pages do, the tap path does not wait for them, and what cannot be served is said."""

from __future__ import annotations

import socket
import threading
import time

import httpx
import pytest
from playwright.sync_api import Page

from edge_agent.output.base import KioskState
from edge_agent.output.feed import EVENTS_WAITING_MAX, WATCHERS_MAX
from edge_agent.output.kiosk import Kiosk, KioskUnavailable
from simulators.kiosk_bench import RunningKiosk, see, tap
from simulators.servers import wait_until

pytestmark = pytest.mark.system


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
