"""Everything that the API writes is written by pages too: what was typed stays, each refusal stands at its input."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any

import httpx
import psycopg
import pytest
from sqlalchemy import Engine

from central.attendance.service import site_headcount
from central.identity.credentials import secret_hash
from central.identity.models import Membership, SignIn, User
from central.kit.db import read_session, write_session
from central.kit.ids import SiteId
from simulators.account_rows import tags
from simulators.clocks import HandClock
from simulators.web import WebServer

Browser = Any
"""As `conftest` has it: tests are no package."""

TERMS = {"amount_won": "2,000,000,000", "begins_on": "2026-03-01", "ends_on": "2027-06-30"}


def wrong(answer: httpx.Response) -> list[str]:
    assert answer.status_code in {404, 409, 422}, f"{answer.status_code} {answer.headers.get('location')}"
    return [unescape(one) for one in re.findall(r'<p class="why" id="why-([a-z_]+)">', answer.text)]


@pytest.fixture
def gym(browser: Browser) -> str:
    """A project with its client and a prime contractor, made by pages alone; returns the client's page."""
    client = browser.done("/new/organization", name="City Works", kind="client")
    browser.done("/new/organization", name="Hanbit", kind="prime", business_no="124-81-00998")
    browser.done("/new/organization", name="Dure Rebar", kind="sub")
    browser.done("/new/project", code="gym", name="Gymnasium", client="City Works", budget_won="10,000,000,000")
    return str(client)


@pytest.fixture
def built(browser: Browser, gym: str) -> None:
    """A site of it with the prime on it."""
    assert gym
    browser.done("/projects/gym/sites/new", code="site-07", name="Gymnasium site", day_start="04:00")
    browser.done("/sites/site-07/employers/new", organization="124-81-00998", tier="prime", from_on="2026-01-01")


def hire(browser: Browser, name: str, **more: str) -> str:
    terms = {"site": "site-07", "employer": "Hanbit", "trade": "rebar", "from_on": "2026-02-01", "language": "ko"}
    return str(browser.done("/new/worker", name=name, **terms, **more))


def test_a_chain_is_built_by_pages_alone_from_a_client_to_a_worker_with_a_card(browser: Browser, built: None) -> None:
    del built
    browser.done("/projects/gym/contracts/new", contractor="Hanbit", kind="prime", work="structure", **TERMS)
    shown = browser.see("/projects/gym?on=2026-05-01")
    assert "2,000,000,000" in shown
    contract = shown.split("/projects/gym/contracts/")[1].split('"')[0]
    below = f"/projects/gym/contracts/new?below={contract}"
    browser.done(below, contractor="Dure Rebar", kind="sub", work="rebar", **(TERMS | {"amount_won": "700000000"}))
    assert "700,000,000" in browser.see("/projects/gym?on=2026-05-01")
    browser.done("/sites/site-07/zones/new", code="gate-1", name="North gate", kind="gate")
    assert "North gate" in browser.see("/sites/site-07/about")
    page = hire(browser, "Nguyễn Văn Hùng", nationality="VN", birth_on="1990-01-01", worker_no="N-1")
    browser.done(f"{page}/cards/new", card="04A1B2C3D4E5F6", kind="card")
    browser.done(f"{page}/papers/new", kind="visa", value="E-9", from_on="2026-01-01")
    labour = {"kind": "daily", "wage_won": "230,000", "wage_per": "day", "minutes_a_day": "480"}
    dates = {"signed_on": "2026-02-01", "from_on": "2026-02-01"}
    browser.done(f"{page}/labour-contracts/new", site="site-07", employer="Hanbit", **labour, **dates)
    shown = browser.see(page)
    for word in ("Nguyễn Văn Hùng", "Hanbit", "Visa E-9", "230,000 / Day", "In use"):
        assert word in shown, word
    assert "Not yet valid" in browser.see(f"{page}?on=2026-01-31")


@pytest.mark.parametrize(
    ("path", "typed", "inputs"),
    [
        ("/new/organization", {"name": "X", "kind": "prime", "business_no": "124-81-00999"}, ["business_no"]),
        ("/new/organization", {"kind": "prime"}, ["name"]),
        ("/new/organization", {"name": "Y", "kind": "prime", "business_no": "124-81-00998"}, ["business_no"]),
        ("/new/project", {"code": "Gym 2", "name": "G", "client": "City Works"}, ["code"]),
        ("/new/project", {"code": "gym", "name": "G", "client": "City Works"}, ["code"]),
        ("/new/project", {"code": "gym-2", "name": "G", "client": "Nobody"}, ["client"]),
        ("/new/project", {"code": "g", "name": "G", "client": "City Works", "begins_on": "soon"}, ["begins_on"]),
        ("/projects/gym/contracts/new", {"contractor": "Hanbit", "kind": "prime"}, []),
        ("/new/worker", {"name": "A", "language": "ko", "birth_on": "2024-01-01"}, ["birth_on"]),
        ("/new/worker", {"name": "A", "language": "ko", "phone": "call me"}, ["phone"]),
        ("/new/worker", {"name": "A", "language": "ko", "site": "nowhere", "employer": "Hanbit"}, ["site"]),
    ],
)
def test_a_refused_form_keeps_what_was_typed_and_says_at_which_input_it_is_wrong(
    browser: Browser, built: None, path: str, typed: dict[str, str], inputs: list[str]
) -> None:
    del built
    answer = browser.send(path, **typed)
    found = wrong(answer)
    assert found == inputs if inputs else found
    for value in typed.values():
        assert f'value="{value}"' in answer.text, value


@pytest.mark.promise("EVD-01")
def test_a_refused_form_leaves_nothing_in_the_audit_trail_of_what_it_would_have_done(
    browser: Browser, built: None, database_url: str
) -> None:
    """Mutant: the trail says that a worker was registered whom the refusal undid."""
    del built
    stranger = {"name": "A", "language": "ko", "site": "site-07", "employer": "Dure Rebar", "trade": "rebar"}
    before = tags(database_url)
    wrong(browser.send("/new/worker", **stranger))
    after = tags(database_url)[len(before) :]
    assert [tag for tag in after if not tag.endswith(":look")] == []
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM registry_worker").fetchone() == (0,)


def test_new_terms_are_seen_a_second_time_before_they_are_recorded_for_good(browser: Browser, gym: str) -> None:
    assert gym
    browser.done("/projects/gym/contracts/new", contractor="Hanbit", kind="prime", work="structure", **TERMS)
    here = "/projects/gym/contracts/" + browser.see("/projects/gym?on=2026-05-01").split("/contracts/")[1].split('"')[0]
    new = TERMS | {"amount_won": "2100000000", "effective_on": "2026-10-01", "reason": "design change 1"}
    asked = browser.send(f"{here}/terms", **new)
    assert asked.status_code == 200
    assert "2,000,000,000 → 2,100,000,000" in asked.text
    assert "cannot be undone" in asked.text
    assert "2,100,000,000" not in browser.see(here)
    back = browser.send(f"{here}/terms", **new, again="yes")
    assert 'value="design change 1"' in back.text
    assert browser.done(f"{here}/terms", **new, sure="yes") == here
    assert "design change 1" in browser.see(here)
    assert "First terms" in browser.see(here)


def test_a_closed_site_and_a_completed_project_take_nothing_new(browser: Browser, built: None) -> None:
    del built
    facts = {"name": "Gymnasium site", "timezone": "Asia/Seoul"}
    hire(browser, "Kim")
    asked = browser.send("/sites/site-07/edit", **facts, closed_on="2026-06-01")
    assert "Close the site from 2026-06-01 on?" in asked.text
    for line in ("beyond that day: 1.", "stay on the site beyond that day: 1.", "Terminals in service: 0."):
        assert line in asked.text
    assert "cannot be undone" not in asked.text
    assert "Closed from" not in browser.see("/sites/site-07/about")
    browser.done("/sites/site-07/edit", **facts, closed_on="2026-06-01", sure="yes")
    assert "Closed from 2026-06-01" in browser.see("/sites/site-07/about")
    late = {"name": "Late", "language": "ko", "site": "site-07", "employer": "Hanbit", "trade": "rebar"}
    answer = browser.send("/new/worker", **late, from_on="2026-06-01")
    assert "is closed from 2026-06-01" in answer.text
    assert browser.send("/new/worker", **late, from_on="2026-05-31").status_code == 303
    browser.done("/sites/site-07/edit", **facts)
    assert "Closed from" not in browser.see("/sites/site-07/about")
    browser.done("/projects/gym/edit", name="Gymnasium", completed_on="2026-03-01")
    answer = browser.send("/projects/gym/contracts/new", contractor="Hanbit", kind="prime", work="more", **TERMS)
    assert "was completed on 2026-03-01" in answer.text


def test_a_cards_life_is_recorded_by_pages_and_its_end_is_looked_at_twice(browser: Browser, built: None) -> None:
    del built
    page = hire(browser, "Kim")
    browser.done(f"{page}/cards/new", card="04A1B2C3D4E5F6", kind="card")
    other = hire(browser, "Lee")
    answer = browser.send(f"{other}/cards/new", card="04A1B2C3D4E5F6", kind="card")
    assert "already has a holder" in answer.text
    card = "/cards/" + browser.see("/cards").split('href="/cards/')[1].split('"')[0]
    browser.done(f"{card}/next", event="lost")
    assert "the card is lost" in browser.send(f"{other}/cards/new", card="04A1B2C3D4E5F6", kind="card").text
    browser.done(f"{card}/next", event="find")
    browser.done(f"{other}/cards/new", card="04A1B2C3D4E5F6", kind="card")
    asked = browser.send(f"{card}/next", event="replaced")
    assert "Replace this card for good?" in asked.text
    assert "In use" in browser.see(card)
    browser.done(f"{card}/next", event="replaced", sure="yes")
    shown = browser.see(card)
    assert "Replaced" in shown
    assert f"{card}/next" not in shown
    assert "No card fits" in browser.see("/cards?q=Lee")


def test_a_barred_worker_stands_on_the_list_until_the_bar_ends(browser: Browser, built: None) -> None:
    del built
    page = hire(browser, "Kim")
    browser.done(f"{page}/bars/new", reason="no helmet, twice", site="site-07")
    assert "no helmet, twice" in browser.see("/bars?state=holds&site=site-07")
    end = browser.see(page).split(f"{page}/bars/")[1].split('"')[0]
    browser.done(f"{page}/bars/{end}")
    assert "no helmet, twice" not in browser.see("/bars?state=holds")
    assert "no helmet, twice" in browser.see("/bars?state=over")


def test_two_entries_are_merged_after_a_second_look_at_both(browser: Browser, built: None) -> None:
    del built
    kept = hire(browser, "Kim", birth_on="1990-01-01", worker_no="N-1")
    other = str(browser.done("/new/worker", name="Kim", language="ko", birth_on="1990-01-01"))
    browser.done(f"{other}/papers/new", kind="safety_certificate", from_on="2026-01-01")
    number = other.rsplit("/", 1)[1]
    assert f"{kept}/merge?other={number}" in browser.see(kept)
    asked = browser.send(f"{kept}/merge", other_id=number, reason="same passport")
    assert "Papers 1" in asked.text
    assert "None on record" in browser.see(kept)
    browser.done(f"{kept}/merge", other_id=number, reason="same passport", sure="yes")
    assert "Safety education certificate" in browser.see(kept)
    assert "turned out to be another" in browser.see(other)
    assert wrong(browser.send(f"{kept}/merge", other_id="99999", reason="x")) == ["other_id"]


def test_a_visitor_is_let_in_counted_and_let_out_and_in_again(
    browser: Browser, built: None, central_engine: Engine, hand_clock: HandClock
) -> None:
    del built
    here = "/sites/site-07/day-passes"

    def counted() -> tuple[int, int]:
        with read_session(central_engine) as session:
            found = site_headcount(session, site_id=SiteId(1), now=hand_clock.now())
        return found.inside, found.visitors

    assert wrong(browser.send(here, kind="driver", name="Park")) == ["plate"]
    browser.done(here, kind="visitor", name="Park <b>", company="KISCON")
    shown = browser.see(here)
    assert "Inside: 1" in shown
    assert counted() == (1, 1)
    number = shown.split(f"{here}/")[1].split("/")[0]
    browser.done(f"{here}/{number}/out", token_of=here)
    shown = browser.see(here)
    assert "Inside: 0" in shown
    assert counted() == (0, 0)
    assert "Left: 1" in shown
    assert "a pass ends once" in browser.send(f"{here}/{number}/out", token_of=here).text
    browser.done(f"{here}/{number}/again", token_of=here)
    assert "Inside: 1" in browser.see(here)


def test_a_form_from_another_page_or_without_its_token_changes_nothing(
    browser: Browser, gym: str, database_url: str
) -> None:
    assert gym
    for path in ("/new/organization", "/projects/gym/edit"):
        assert browser.client.post(path, data={"name": "X", "kind": "prime"}).status_code == 403
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT count(*) FROM registry_organization WHERE name = 'X'").fetchone()
    assert row == (0,)


def test_who_reaches_some_of_a_workers_employers_only_cannot_say_who_the_worker_is(
    browser: Browser, built: None, api_for: Callable[..., httpx.Client], browser_of: Callable[..., Browser]
) -> None:
    del built
    page = hire(browser, "Kim")
    browser.done("/projects/gym/sites/new", code="site-08", name="Second site")
    browser.done("/sites/site-08/employers/new", organization="Dure Rebar", tier="sub", from_on="2026-01-01")
    theirs = browser_of(api_for("registry:worker:read", "registry:worker:write", site="site-07"))
    assert theirs.done(f"{page}/edit", name="Kim Chul-su", language="ko") == page
    terms = {"site": "site-08", "employer": "Dure Rebar", "trade": "rebar", "from_on": "2026-02-01"}
    browser.done(f"{page}/employments/new", **terms)
    answer = theirs.send(f"{page}/edit", name="Another", language="ko")
    assert wrong(answer) == ["name"]
    assert "also works where you may not see" in unescape(answer.text)
    assert 'value="Another"' in answer.text
    theirs.done(f"{page}/edit", name="Kim Chul-su", language="vi", phone="010-1234-5678", nationality="vn")
    shown = browser.see(page)
    assert "010-1234-5678" in shown
    assert "Kim Chul-su" in shown


def test_a_list_is_kept_as_a_view_by_its_name_and_by_its_owner_alone(
    browser: Browser, gym: str, central_engine: Engine, hand_clock: HandClock, registry_web: WebServer
) -> None:
    assert gym
    people = [person(central_engine, hand_clock, registry_web, browser, name) for name in ("one", "other")]
    mine, theirs = people
    list_ = "/organizations?kind=prime&sort=name"
    saved = mine.done("/views", token_of=list_, address=list_, name="Primes")
    assert saved == list_
    assert ">Primes</a>" in mine.see("/organizations")
    assert "Primes" not in theirs.see("/organizations")
    assert mine.send("/views", token_of=list_, address=list_, name="Primes").status_code == 409
    for address, name in (("https://elsewhere.example/", "X"), (list_, " "), (list_, "n" * 61)):
        assert mine.send("/views", token_of=list_, address=address, name=name).status_code == 422
    assert theirs.send("/views/1/remove", token_of=list_).status_code == 404
    assert mine.done("/views/1/remove", token_of=list_) == "/organizations"
    assert "Primes" not in mine.see("/organizations")
    for one in people:
        one.client.close()


def person(engine: Engine, clock: HandClock, web: WebServer, browser: Browser, name: str) -> Browser:
    """Somebody with every right, signed in."""
    now = clock.now()
    with write_session(engine) as session:
        user = User(email=f"{name}@example.org", name=name, password_hash="none")
        session.add(user)
        session.flush()
        session.add(Membership(user_id=user.id or 0, role="system_operator"))
        facts = {"user_id": user.id or 0, "created_at": now, "seen_at": now, "expires_at": now + timedelta(hours=9)}
        session.add(SignIn(secret_hash=secret_hash(f"secret-{name}"), **facts))
    cookies = {"ccs_session": f"secret-{name}", "ccs_language": "en"}
    client = httpx.Client(base_url=web.url, cookies=cookies, headers={"accept": "text/html"}, timeout=30)
    return type(browser)(client, clock)
