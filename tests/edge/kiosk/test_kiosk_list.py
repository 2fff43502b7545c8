"""The list of who is inside, in a real browser at the gate: without a link, without the agent, on paper."""

from __future__ import annotations

import httpx
import pytest
from playwright.sync_api import Page

from simulators.kiosk_bench import RunningKiosk

pytestmark = pytest.mark.system


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
    assert page.get_attribute("#age", "data-stale") == "true"
    page.clock.run_for(5 * 60_000)
    page.wait_for_function("Number(document.querySelector('#frozen [data-minutes]').textContent) >= 5")
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


def test_a_page_from_elsewhere_cannot_read_the_names(running: RunningKiosk) -> None:
    answer = httpx.get(running.kiosk.url + "muster", headers={"Host": "evil.example"})
    assert answer.status_code == 400
    answer = httpx.get(running.kiosk.url)
    assert "default-src 'none'" in answer.headers["content-security-policy"]
