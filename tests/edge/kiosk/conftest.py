"""A screen that runs, and a real browser in front of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simulators.kiosk_bench import RunningKiosk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page


@pytest.fixture
def running() -> Iterator[RunningKiosk]:
    kiosk = RunningKiosk().start()
    yield kiosk
    kiosk.stop()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    page = chromium.new_page(viewport={"width": 800, "height": 480}, reduced_motion="reduce")
    page.set_default_timeout(20_000)
    mistakes: list[str] = []
    page.on("pageerror", lambda error: mistakes.append(str(error)))
    yield page
    page.close()
    assert mistakes == []
