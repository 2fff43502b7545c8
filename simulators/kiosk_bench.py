"""A terminal's screen on a port of its own, whose state is set by hand, and a browser's way to it."""

from __future__ import annotations

import dataclasses
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from edge_agent.output.base import KioskState, ScreenEvent
from edge_agent.output.kiosk import Kiosk
from edge_agent.wire.messages import Inside
from simulators.servers import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page

AT = datetime(2026, 11, 22, 22, 41, 3, tzinfo=UTC)
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
        """Serve, and wait until the loop turns."""
        self._thread.start()
        wait_until(self.kiosk.ready.is_set, what="the kiosk to serve", timeout_s=10)
        wait_until(lambda: self.beats > 0, what="the kiosk's first beat")
        return self

    def stop(self) -> None:
        """End the loop, and wait until it has. Safe to call twice."""
        self._stop.set()
        wait_until(lambda: not self._thread.is_alive(), what="the kiosk's end", timeout_s=10)

    def set(self, **changes: Any) -> None:  # noqa: ANN401 - fields of `KioskState`
        """Change the state and have the pages hear of it."""
        self.state = dataclasses.replace(self.state, **changes)
        self.kiosk.show(ScreenEvent("link", AT))


def tap(**changes: object) -> ScreenEvent:
    """Return a green entry in Vietnamese, with these changes."""
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
    """Open the screen and wait until it shows."""
    page.goto(running.kiosk.url)
    page.wait_for_selector(f"body[data-screen={screen}]")
