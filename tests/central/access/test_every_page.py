"""Every page there is, found in the route table: in a real Chromium, both languages, on a phone and on a desk.

Axe finds nothing, nothing is cut off, no page is heavy, and nothing is asked of another host.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest
from sqlmodel import col, update

from central.identity import tickets
from central.identity.credentials import secret_hash
from central.identity.models import SignIn
from central.identity.permissions import Role
from central.identity.tickets import TicketKind
from central.kit.clock import SystemClock
from central.kit.db import write_session
from central.registry.import_models import Import
from simulators.filled_site import add_doubt, fill_site, quarantine_one
from simulators.web import read_by

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI
    from playwright.sync_api import Browser, Page, Request
    from sqlalchemy import Engine

    from simulators.two_worlds import World
    from simulators.web import WebServer

pytestmark = pytest.mark.system

OK = 200
FIRST_LOAD_BYTES_MAX = 150_000
LATER_BYTES_MAX = 30_000
PARTS = {"/search/found", "/sites/{code}/live", "/sites/{code}/imports/{import_id}/progress"}
PARTS |= {"/projects/{code}/imports/{import_id}/progress"}
"""What a page asks for while it is open: no page of its own."""
ELSEWHERE = {"/language/{code}", "/sign-in/with/{provider_id}", "/sign-in/back/{provider_id}"}
"""What only sends the browser on."""
NO_PAGES = {"/healthz", "/readyz"}
WALKED_ELSEWHERE = {
    "/invitation/{secret}",
    "/me/taps/{journal_id}/{seq}",
    "/receipts/{text}",
    "/sign-in/second-factor",
}
"""Pages of a step that has to be gone first: `test_account_pages_in_a_browser.py`, `test_phone_in_a_browser.py`."""
LONG_AGO = "somebody who signed in long ago"
STATES = (
    "/sites?q=nothing",
    "/terminals?q=nothing",
    "/terminals?state=faulty",
    "/workers?q=nobody",
    "/workers?q=worker&on=2026-05-01",
    "/projects?q=nothing",
    "/organizations?q=nothing",
    "/cards?q=nothing",
    "/bars?q=nothing",
    "/search?q=site",
    "/search?q=nothingatall",
    "/sites/site-07",
    "/sites/site-07?q=nobody",
    "/sites/site-07?true_at=2026-11-22T20:00",
    "/sites/site-08",
    "/sites/site-09",
    "/sites/site-07/terminals/gate-02",
    "/quarantine?reason=forked",
    "/projects/p-site-07",
    "/sites/unknown",
    "/workers/999999",
    "/nothing/here",
    "/sites?page=x",
)
"""What the same pages say when there is much, nothing, doubt, silence, or a wrong address."""


@pytest.fixture
def people(
    access_engine: Engine,
    people_of: dict[Role, int],
    worlds: tuple[World, World],
    session_for: Callable[..., str],
) -> dict[str, dict[str, str]]:
    """Cookies of somebody of every role, of who has their days at `/me`, and of nobody."""
    whose: dict[str, dict[str, int]] = {role: {"user_id": people_of[role]} for role in Role}
    whose[Role.WORKER] = {"worker_id": worlds[0].ids["worker_prime"]}
    whose[LONG_AGO] = whose[Role.AUDITOR]
    found = {name: {"ccs_session": session_for(**one)} for name, one in whose.items()}
    with write_session(access_engine) as session:
        hashed = secret_hash(found[LONG_AGO]["ccs_session"])
        long_ago = SystemClock().now() - timedelta(hours=1)
        session.exec(update(SignIn).where(col(SignIn.secret_hash) == hashed).values(proven_at=long_ago))
    return {**found, "nobody": {}}


@pytest.fixture
def filled(access_engine: Engine, worlds: tuple[World, World]) -> None:
    """Sites with people inside, in doubt, and with none."""
    assert worlds
    now = SystemClock().now()
    add_doubt(access_engine, fill_site(access_engine, now=now), now=now)
    fill_site(access_engine, now=now, code="site-08", inside=3, quiet_gate=True)
    fill_site(access_engine, now=now, code="site-09", inside=0)
    quarantine_one(access_engine, now=now)


@pytest.fixture
def letters(access_engine: Engine, people_of: dict[Role, int]) -> dict[str, str]:
    """Addresses that come in a letter: of a recovery and of an invitation, by the route they belong to."""
    with write_session(access_engine) as session:
        given = {"life": timedelta(hours=1), "now": SystemClock().now(), "user_id": people_of[Role.CONTRACTOR]}
        lost = tickets.issue(session, kind=TicketKind.RECOVERY, **given)  # type: ignore[arg-type]  # each of its own kind
    return {"/recovery/{secret}": f"/recovery/{lost}"}


@pytest.fixture
def contracts_given(access_engine: Engine, worlds: tuple[World, World]) -> int:
    """A sheet of contracts that was given and taken."""
    with write_session(access_engine) as session:
        now = SystemClock().now()
        given: dict[str, Any] = {"file": "contracts.csv", "digest": "0" * 64, "uploaded_at": now, "uploaded_by": "t"}
        given["found"] = {"rows": 1, "counts": {}, "already_there": 0}
        row = Import(kind="contracts", project_id=worlds[0].ids["project"], state="taken", **given)
        session.add(row)
        session.flush()
        return row.id or 0


@pytest.fixture
def addresses(
    access_app: FastAPI, worlds: tuple[World, World], letters: dict[str, str], contracts_given: int
) -> dict[str, str]:
    """Every address that a person may open, by its route."""
    paths = {path for path in read_by(access_app) if not path.startswith("/api/")}
    paths -= {path for path in paths if path.endswith((".{form}", ".json"))} | PARTS | ELSEWHERE | NO_PAGES
    found = {path: worlds[0].address(path, event="remove") for path in paths - WALKED_ELSEWHERE} | letters
    sheet = "/projects/{code}/imports/{import_id}"
    return found | {sheet: worlds[0].address(sheet, import_id=contracts_given)}


def openers(url: str, found: dict[str, str], people: dict[str, dict[str, str]]) -> dict[str, str]:
    """Say who is shown which address as a page: the operator where possible, else whoever is."""
    shown = {}
    for name in (Role.SYSTEM_OPERATOR, Role.CONTRACTOR, Role.WORKER, LONG_AGO, "nobody"):
        with httpx.Client(base_url=url, cookies=people[name], timeout=30) as client:
            for path in found.keys() - shown.keys():
                answer = client.get(found[path])
                if answer.status_code == OK and answer.text.lstrip().lower().startswith("<!doctype html"):
                    shown[path] = str(name)
    return shown


class Scales:
    """Weighs what a page asks for, as it comes over the wire, and notes what comes from elsewhere."""

    def __init__(self, page: Page, url: str) -> None:
        self._host = urlsplit(url).netloc
        self.foreign: set[str] = set()
        self._asked: list[Request] = []
        page.on("request", self._note)

    def _note(self, request: Request) -> None:
        host = urlsplit(request.url).netloc
        if host not in {self._host, ""}:
            self.foreign.add(request.url)
        if "/stream" not in request.url and "/live" not in request.url:
            self._asked.append(request)

    def bytes(self) -> dict[str, int]:
        """Return what was loaded since the last time, in bytes by address."""
        asked, self._asked = self._asked, []
        return {request.url: request.sizes()["responseBodySize"] for request in asked if request.response()}


@pytest.mark.timeout(900)
@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("language", ["ko", "en"])
def test_every_page_passes_axe_fits_its_screen_and_is_light(
    chromium: Browser,
    access_web: WebServer,
    addresses: dict[str, str],
    people: dict[str, dict[str, str]],
    check_page: Callable[[Page, str], None],
    language: str,
) -> None:
    url = access_web.url
    shown = openers(url, addresses, people)
    assert sorted(addresses.keys() - shown.keys()) == [], "pages that nobody here could open"
    walks = {name: [addresses[path] for path in sorted(shown) if shown[path] == name] for name in people}
    walks[Role.SYSTEM_OPERATOR] += STATES
    heavy, foreign = {}, set()
    for name, cookies in people.items():
        context = chromium.new_context(reduced_motion="reduce")
        given = {"ccs_language": language} | cookies
        context.add_cookies([{"name": key, "value": value, "url": url} for key, value in given.items()])
        page = context.new_page()
        scales, limit = Scales(page, url), FIRST_LOAD_BYTES_MAX
        for path in dict.fromkeys(["/", *walks[name]]):
            page.goto(url + path)
            check_page(page, f"{path} for {name}")
            weights = scales.bytes() if language == "ko" else {}  # a language weighs what the other does
            if sum(weights.values()) > limit:
                heavy[path] = weights
            limit = LATER_BYTES_MAX
        foreign |= scales.foreign
        context.close()
    assert not foreign
    assert not heavy
