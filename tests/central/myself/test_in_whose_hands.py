"""A worker's own view stays the worker's, whoever employed them: no firm takes it over by telephone, code or card."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from central.kit.db import write_session
from central.kit.outbox import relay
from central.kit.sms import SMS, fits, sms_of
from central.myself import hands, repository
from central.myself.hands import Changed
from central.registry import telephones
from central.registry.models import Employment, Organization, Site, SiteEmployer, Worker
from simulators.clocks import HandClock
from simulators.own_site import CODE, SINCE, OwnSite

HUNG, HUNGS = "26-0001", "01011110001"
MINSU = "26-0002"
THEIRS = "010-9999-0009"
DAY = date(2026, 11, 20)
NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture
def elsewhere(own_site: OwnSite, central_engine: Engine) -> OwnSite:
    """Another site with its own prime and a subcontractor, `past`, who employed Hùng there until last summer."""
    with write_session(central_engine) as session:
        firms = {name: Organization(name=name, kind="sub") for name in ("past", "past prime")}
        session.add_all(firms.values())
        session.flush()
        site = Site(code="site-41", project_id=own_site.ids["project"], name="옛 현장")
        session.add(site)
        session.flush()
        own_site.ids |= {name: firm.id or 0 for name, firm in firms.items()} | {"past site": site.id or 0}
        for name, tier in (("past", "sub"), ("past prime", "prime")):
            row = SiteEmployer(site_id=site.id or 0, organization_id=own_site.ids[name], tier=tier, from_on=SINCE)
            session.add(row)
        session.add(spell(own_site, HUNG, until_on=date(2026, 6, 1)))
    return own_site


def spell(made: OwnSite, number: str, *, from_on: date = SINCE, until_on: date | None) -> Employment:
    worker: dict[str, Any] = {"worker_id": made.ids[number], "site_id": made.ids["past site"]}
    return Employment(**worker, employer_id=made.ids["past"], trade="rebar", from_on=from_on, until_on=until_on)


def employ_again(made: OwnSite, engine: Engine, number: str = HUNG) -> None:
    with write_session(engine) as session:
        session.add(spell(made, number, from_on=date(2026, 11, 1), until_on=None))


def send_due(worker: Any) -> None:
    state = worker.app.state
    sms = sms_of(state.settings, clock=worker.clock)
    assert sms is not None
    relay(state.engine, state.seal, channel=SMS, send=sms.send, now=worker.clock.now())


@pytest.mark.promise("ACC-01")
def test_who_employed_somebody_once_reads_what_was_and_writes_nothing(
    elsewhere: OwnSite, office: Callable[..., httpx.Client], database_url: str
) -> None:
    """Mutant: let an employment that ended count."""
    past = office("subcontractor", "past")
    path = f"/api/v1/workers/{elsewhere.ids[HUNG]}"
    assert past.get(path).json()["name"] == "Nguyễn Văn Hùng"
    paper = {"kind": "safety_certificate", "from_on": "2026-01-01"}
    for answer in (
        past.patch(path, json={"phone": THEIRS}),
        past.patch(path, json={"language": "ko"}),
        past.post(f"{path}/papers", json=paper, headers={"Idempotency-Key": "once"}),
        past.put(f"{path}/identity-number", json={"number": "900101-1234568", "reason": "x"}),
        past.post(f"/workers/{elsewhere.ids[HUNG]}/sign-in-code"),
    ):
        assert answer.status_code == 409, answer.text
        assert "none of your rolls" in answer.text
    shown = past.get(f"/workers/{elsewhere.ids[HUNG]}").text
    assert "/edit" not in shown
    assert "sign-in-code" not in shown
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT phone FROM registry_worker WHERE worker_no = %s", (HUNG,)).fetchone()
    assert row == ("010-1111-0001",)


def test_an_employment_that_is_to_begin_counts(
    elsewhere: OwnSite, office: Callable[..., httpx.Client], central_engine: Engine
) -> None:
    with write_session(central_engine) as session:
        session.add(spell(elsewhere, HUNG, from_on=date(2026, 12, 24), until_on=None))
    past = office("subcontractor", "past")
    assert past.patch(f"/api/v1/workers/{elsewhere.ids[HUNG]}", json={"language": "ko"}).status_code == 200


@pytest.mark.promise("ACC-01")
def test_a_shared_workers_telephone_is_changed_by_who_reaches_every_employment(
    elsewhere: OwnSite,
    office: Callable[..., httpx.Client],
    central_engine: Engine,
    own_app: Any,
) -> None:
    """Mutant: leave the telephone out of what is shared."""
    employ_again(elsewhere, central_engine)
    path = f"/api/v1/workers/{elsewhere.ids[HUNG]}"
    for firm in (office("subcontractor", "past"), office("contractor", "prime")):
        for changed in ({"phone": THEIRS}, {"phone": None}):
            answer = firm.patch(path, json=changed)
            assert answer.status_code == 409, answer.text
            assert "the telephone cannot be changed from here" in answer.text
        assert firm.patch(path, json={"phone": "010-1111-0001", "language": "ko"}).status_code == 200
    with write_session(central_engine) as session:
        session.add(spell(elsewhere, MINSU, until_on=None))
    minsu = f"/api/v1/workers/{elsewhere.ids[MINSU]}"
    assert office("contractor", "prime").patch(minsu, json={"phone": THEIRS}).status_code == 200, "none was there"
    operator = everywhere(own_app, central_engine, office)
    assert operator.patch(path, json={"phone": THEIRS}).status_code == 200


def everywhere(own_app: Any, engine: Engine, office: Callable[..., httpx.Client]) -> httpx.Client:
    """A system operator's browser."""
    client = office("system_operator", "client")
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE identity_membership SET organization_id = NULL WHERE role = 'system_operator'"
        )
    own_app.state.actors.flush()
    return client


def test_a_change_of_the_telephone_is_told_to_the_old_one_and_ends_what_came_in_by_it(
    phone: Callable[..., Any], own_site: OwnSite, office: Callable[..., httpx.Client], hand_clock: HandClock
) -> None:
    """Mutant: leave the worker's sessions alone."""
    hung, asking = phone(), phone()
    hung.sign_in(HUNG, HUNGS)
    pending = asking.ticket(asking.ask(HUNG))
    prime = office("contractor", "prime")
    given = prime.post(f"/workers/{own_site.ids[HUNG]}/sign-in-code").text.split("<code>")[1].split("</code>")[0]
    assert prime.patch(f"/api/v1/workers/{own_site.ids[HUNG]}", json={"phone": THEIRS}).status_code == 200
    send_due(hung)
    told = hung.gateway.texts[-1]
    assert (told.to, told.text) == (HUNGS, telephones.CHANGED)
    assert fits(telephones.CHANGED)
    assert hung.get("/me").url.path == "/me/sign-in"
    code = hung.gateway.codes(HUNGS)[-1]
    assert asking.post("/me/sign-in/code", ticket=pending, code=code).status_code == 410
    again = asking.ticket(asking.ask(HUNG))
    assert asking.post("/me/sign-in/code", ticket=again, code=given).status_code == 401
    assert hung.gateway.texts[-1].to == "01099990009"
    hand_clock.move(timedelta(minutes=1))
    assert prime.patch(f"/api/v1/workers/{own_site.ids[HUNG]}", json={"phone": THEIRS}).status_code == 200
    send_due(hung)
    assert [one.text for one in hung.gateway.texts].count(telephones.CHANGED) == 1, "the same number is no change"


def test_a_merge_that_brings_another_telephone_or_card_is_a_change_of_both(
    phone: Callable[..., Any],
    own_site: OwnSite,
    office: Callable[..., httpx.Client],
    central_engine: Engine,
    hand_clock: HandClock,
) -> None:
    """Mutant: let a telephone that comes with another entry be the worker's own from the first moment on."""
    hung = phone()
    hung.sign_in(HUNG, HUNGS)
    with write_session(central_engine) as session:
        other = Worker(name="Nguyễn Văn Hùng", phone=THEIRS)
        session.add(other)
        session.flush()
        kept, before = other.id or 0, {"from_on": date(2025, 1, 1), "until_on": date(2025, 6, 1)}
        where = {"site_id": own_site.ids["site"], "employer_id": own_site.ids["sub"], "trade": "rebar"}
        session.add(Employment(worker_id=kept, **where, **before))
    prime = office("contractor", "prime")
    body = {"other_id": own_site.ids[HUNG], "reason": "one person"}
    done = prime.post(f"/api/v1/workers/{kept}/merge", json=body, headers={"Idempotency-Key": "once"})
    assert done.status_code == 200, done.text
    send_due(hung)
    assert (hung.gateway.texts[-1].to, hung.gateway.texts[-1].text) == (HUNGS, telephones.CHANGED)
    assert hung.get("/me").url.path == "/me/sign-in"
    with write_session(central_engine) as session:
        changed = repository.changed_ways_in(session, own_site.ids[HUNG], now=hand_clock.now())
    assert changed == Changed(hand_clock.now(), hand_clock.now())


def test_for_a_week_a_changed_telephone_opens_a_look_and_takes_nothing_back(
    phone: Callable[..., Any], own_site: OwnSite, office: Callable[..., httpx.Client], hand_clock: HandClock
) -> None:
    """Mutant: believe a telephone from the moment on when an office entered it."""
    own_site.day(HUNG, DAY)
    hung = phone()
    hung.sign_in(HUNG, HUNGS)
    given = {"site": CODE, "on": DAY.isoformat(), "last_out": "19:30", "words": "19:30"}
    own = hung.post("/me/objections", **given).headers["location"]
    prime = office("contractor", "prime")
    assert prime.patch(f"/api/v1/workers/{own_site.ids[HUNG]}", json={"phone": THEIRS}).status_code == 200
    taken = phone()
    assert taken.sign_in(HUNG, "01099990009").status_code == 303
    refused = taken.post(f"{own}/withdraw")
    assert refused.status_code == 403
    assert "less than 7 days ago" in refused.text
    hand_clock.move(timedelta(days=6, hours=23))
    assert taken.post(f"{own}/withdraw").status_code == 403
    hand_clock.move(timedelta(hours=1))
    assert taken.post(f"{own}/withdraw").status_code == 303


def test_for_a_week_a_card_that_an_office_gave_opens_a_look_and_takes_nothing_back(
    phone: Callable[..., Any],
    own_site: OwnSite,
    office: Callable[..., httpx.Client],
    hand_clock: HandClock,
) -> None:
    own_site.day(MINSU, DAY)
    minsu = phone()
    own = objection_by_card(minsu, own_site, hand_clock)
    prime = office("contractor", "prime")
    body = {"card": "f" * 32, "kind": "card"}
    assert prime.post(f"/workers/{own_site.ids[MINSU]}/cards/new", data=body).status_code == 303
    refused = minsu.post(f"{own}/withdraw")
    assert refused.status_code == 403
    assert "gave you a card" in refused.text
    hand_clock.move(hands.NEW_FOR)
    minsu.client.cookies.clear()
    objection_by_card(minsu, own_site, hand_clock, object_too=False)
    assert minsu.post(f"{own}/withdraw").status_code == 303


def objection_by_card(worker: Any, own_site: OwnSite, clock: HandClock, *, object_too: bool = True) -> str:
    answer = worker.ask(MINSU)
    found = re.search(r"(\d) times", answer.text)
    assert found is not None
    for _ in range(int(found[1])):
        clock.move(timedelta(seconds=4))
        own_site.tap(MINSU, clock.now())
    clock.move(timedelta(seconds=3))
    assert worker.post("/me/sign-in/card", ticket=worker.ticket(answer)).status_code == 303
    if not object_too:
        return ""
    made = worker.post("/me/objections", site=CODE, on=DAY.isoformat(), last_out="19:30", words="19:30")
    location: str = made.headers["location"]
    return location


def test_a_desk_code_is_refused_for_a_shared_worker_with_a_telephone(
    elsewhere: OwnSite, office: Callable[..., httpx.Client], central_engine: Engine
) -> None:
    """Mutant: ask only whether there is a telephone."""
    employ_again(elsewhere, central_engine)
    with write_session(central_engine) as session:
        session.add(spell(elsewhere, MINSU, until_on=None))
    past = office("subcontractor", "past")
    refused = past.post(f"/workers/{elsewhere.ids[HUNG]}/sign-in-code")
    assert refused.status_code == 409
    assert "they sign in by text message" in refused.text
    assert past.post(f"/workers/{elsewhere.ids[MINSU]}/sign-in-code").status_code == 200, "no telephone: no other way"


@pytest.mark.promise("ACC-01")
def test_a_contractor_blocks_the_cards_of_its_own_people_alone(
    elsewhere: OwnSite, office: Callable[..., httpx.Client], database_url: str
) -> None:
    """Mutant: let an employment that ended count."""
    past = office("contractor", "past prime")
    with psycopg.connect(database_url) as connection:
        found = connection.execute(
            "SELECT id, card_id FROM registry_card_assignment WHERE worker_id = %s", (elsewhere.ids[HUNG],)
        ).fetchone()
    assert found is not None
    holding, card = found
    ended = {"reason": "blocked"}
    answer = past.patch(f"/api/v1/cards/{card}/assignments/{holding}", json=ended)
    assert answer.status_code == 409, answer.text
    assert past.post(f"/cards/{card}/next", data={"event": "blocked"}).status_code == 409
    looked = past.post("/workers/chosen/block", data={"worker": elsewhere.ids[HUNG]}).text
    assert "none of your rolls" in looked
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "UPDATE registry_employment SET until_on = '2026-11-01' WHERE worker_id = %s AND until_on IS NULL",
            (elsewhere.ids[HUNG],),
        )
    assert past.patch(f"/api/v1/cards/{card}/assignments/{holding}", json=ended).status_code == 200, "nobody's today"


@given(
    method=st.sampled_from(["sms", "card", "desk"]),
    phone_h=st.none() | st.integers(0, 400),
    card_h=st.none() | st.integers(0, 400),
)
def test_a_way_in_is_new_for_a_week_after_an_office_changed_it(
    method: str, phone_h: int | None, card_h: int | None
) -> None:
    ago = {"sms": phone_h, "card": card_h}.get(method)
    at = [None if hours is None else NOW - timedelta(hours=hours) for hours in (phone_h, card_h)]
    assert hands.is_new(method, Changed(*at), now=NOW) == (ago is not None and ago < 7 * 24)
