"""Taking a sheet in as a person does: a real Chromium, a phone in Korean and a desk in English."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, expect

from central.kit import web
from simulators.web import WebServer

pytestmark = pytest.mark.system

ROWS = ["name,employer,trade,from_on,worker_no,birth_on"]
ROWS += [f"김철수{number},Hanbit,철근공,2026-11-01,{1000 + number},1970-05-17" for number in range(30)]


@pytest.mark.parametrize("language", ["ko", "en"])
def test_a_roll_is_given_refused_corrected_taken_acted_on_and_undone(
    chromium: Browser,
    registry_web: WebServer,
    site_seven: dict[str, int],
    token_of: Callable[..., str],
    tmp_path: Path,
    check_page: Callable[[Page, str], None],
    language: str,
) -> None:
    assert site_seven
    app: FastAPI = registry_web._server.config.app  # type: ignore[assignment]  # the one that it was made with
    app.mount("/static", web.KeptFiles(directory=web.STATIC_FOLDER), name="static")
    headers = {"Authorization": f"Bearer {token_of('*')}"}
    context = chromium.new_context(reduced_motion="reduce", extra_http_headers=headers)
    context.add_cookies([{"name": "ccs_language", "value": language, "url": registry_web.url}])
    page = context.new_page()

    def check(where: str) -> None:
        check_page(page, where)
        page.screenshot(path=tmp_path / f"{where}.png", full_page=True)

    def give(rows: list[str]) -> None:
        path = tmp_path / "roll.csv"
        path.write_text("\n".join(rows), encoding="utf-8-sig")
        page.goto(f"{registry_web.url}/sites/site-07/imports")
        page.locator("#file").set_input_files(path)
        page.locator("form[enctype] button").click()

    page.goto(f"{registry_web.url}/sites/site-07/imports")
    check("nothing given yet")
    give([*ROWS, "박,Nobody Ltd,rebar,2026-11-01,,", "최,Hanbit,rebbar,2026-11-01,,"])
    expect(page.locator("td", has_text="rebbar")).to_be_visible()
    check("refused")
    give([*ROWS, "김철수1,Hanbit,도장공,2026-11-01,,1970-05-17"])
    page.locator("form[action$='/take'] button").click()
    expect(page.locator("a[href$='undo=1']")).to_be_visible()
    check("taken")
    page.goto(f"{registry_web.url}/workers")
    for box in page.locator("input[name=worker]").all()[:3]:
        box.check()
    check("three are ticked")
    page.locator("#chosen button").click()
    check("chosen")
    page.locator("#end-site").fill("site-07")
    page.locator("#end-on").fill("2026-12-01")
    page.keyboard.press("Enter")
    expect(page.locator("tbody tr")).to_have_count(3)
    check("second look")
    page.locator("form[action$='/do'] button").click()
    expect(page.locator(".flash.done")).to_be_visible()
    page.goto(f"{registry_web.url}/sites/site-07/imports")
    check("two were given")
    page.locator("tbody a").first.click()
    page.locator("a[href$='undo=1']").click()
    check("before undoing")
    page.locator("form[action$='/undo'] button").click()
    expect(page.locator(".flash.notice")).to_be_visible()
    check("partly undone")
    answer = httpx.get(f"{registry_web.url}/api/v1/workers", headers=headers)
    assert len(answer.json()["items"]) == 3
    context.close()
