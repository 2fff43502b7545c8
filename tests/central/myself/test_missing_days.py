"""A day that no roll or no terminal knows of: it reaches who can answer for it, and stands in the month once agreed."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from datetime import date
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import aliased
from sqlmodel import select

from central.identity.policy import Reach
from central.kit.db import OF_REQUEST, read_session, write_session
from central.registry.confinement import confine
from central.registry.models import Employment, Organization, Site, SiteEmployer
from simulators.own_site import CODE, SINCE, OwnSite

HUNG, HUNGS = "26-0001", "01011110001"
MINSU = "26-0002"
DAY = date(2026, 11, 20)
TO = "\N{EN DASH}"


@pytest.fixture
def sent(own_site: OwnSite, central_engine: Engine, phone: Callable[..., Any]) -> Any:
    """Hùng, who stands on the roll of another site alone, was sent to this one and tapped there."""
    with write_session(central_engine) as session:
        firm = Organization(name="다른 회사", kind="sub")
        session.add(firm)
        session.flush()
        site = Site(code="site-41", project_id=own_site.ids["project"], name="다른 현장")
        session.add(site)
        session.flush()
        session.add(SiteEmployer(site_id=site.id or 0, organization_id=firm.id or 0, tier="prime", from_on=SINCE))
        spell = session.exec(select(Employment).where(Employment.worker_id == own_site.ids[HUNG])).one()
        spell.site_id, spell.employer_id = site.id or 0, firm.id or 0
    own_site.day(HUNG, DAY)
    made = phone()
    made.sign_in(HUNG, HUNGS)
    return made


def object_to(worker: Any, **form: str) -> httpx.Response:
    given = {"site": CODE, "on": DAY.isoformat(), "first_in": "07:30", "last_out": "17:00"}
    answer: httpx.Response = worker.post("/me/objections", **(given | form))
    return answer


def test_a_worker_objects_where_they_tapped_and_the_sites_prime_answers(
    sent: Any, office: Callable[..., httpx.Client]
) -> None:
    """Mutant: offer only sites on whose roll the worker stands."""
    month = sent.get("/me/months/2026-11").text
    assert "No employer on record" in month
    found = re.search(r'href="(/me/objections/new[^"]+)"><?[^>]*This is wrong', month)
    assert found is not None
    form = sent.get(found[1].replace("&amp;", "&")).text
    assert f'<option value="{CODE}" selected>' in form
    made = object_to(sent)
    assert made.status_code == 303, made.text
    own = sent.get(made.headers["location"]).text
    assert "가온누리종합건설" in own
    assert "중앙체육관" in own
    assert "Waiting for your employer" in sent.get("/me/months/2026-11").text
    path = made.headers["location"].removeprefix("/me")
    assert "Nguyễn Văn Hùng" not in office("subcontractor", "sub").get("/objections").text
    prime = office("contractor", "prime")
    assert "Nguyễn Văn Hùng" in prime.get("/objections").text
    shown = prime.get(path)
    assert shown.status_code == 200
    assert "Nguyễn Văn Hùng" in shown.text
    assert prime.post(f"{path}/uphold", data={"first_in": "07:30", "last_out": "17:00"}).status_code == 303
    assert "Agreed" in sent.get(made.headers["location"]).text


def test_a_site_that_the_worker_never_saw_is_no_place_to_object_to(sent: Any) -> None:
    asked = sent.get("/me/objections/new?site=site-99").text
    assert '<option value="" selected' in asked, "no other site is put in its place"
    assert sent.get("/me/objections/new?on=0001-01-01").status_code == 200
    assert object_to(sent, site="site-99").status_code == 404
    assert object_to(sent, site="").status_code == 404


@pytest.mark.promise("ACC-01")
def test_a_worker_reaches_the_sites_of_their_own_taps_however_they_are_named(
    sent: Any,  # noqa: ARG001 - who stands on the roll of one site and tapped at another
    own_site: OwnSite,
    central_engine: Engine,
) -> None:
    """Mutant: reach every site at which anybody tapped."""
    with write_session(central_engine) as session:
        there = session.exec(select(Site.id).where(Site.code == "site-41")).one()
        spell = session.exec(select(Employment).where(Employment.worker_id == own_site.ids[MINSU])).one()
        spell.site_id = there or 0
    seen = {HUNG: {CODE, "site-41"}, MINSU: {"site-41"}}
    other = aliased(Site)
    shapes = (select(Site.code), select(other.code), select(select(Site.code).subquery().c.code))
    for number, codes in seen.items():
        with read_session(central_engine) as session:
            session.info[OF_REQUEST] = True
            confine(session, Reach(worker_id=own_site.ids[number]))
            assert [set(session.exec(asked).all()) for asked in shapes] == [codes] * 3, number


@pytest.fixture
def hung(own_site: OwnSite, phone: Callable[..., Any]) -> Any:
    """Hùng, whose one recorded day is the one after the day that is missing."""
    own_site.day(HUNG, DAY + date.resolution)
    made = phone()
    made.sign_in(HUNG, HUNGS)
    return made


def agree(worker: Any, office: Callable[..., httpx.Client], **form: str) -> httpx.Client:
    """Have the employer agree to what a worker says; return the employer's browser."""
    path = object_to(worker, **form).headers["location"].removeprefix("/me")
    sub = office("subcontractor", "sub")
    said = {"first_in": "07:30", "last_out": "17:00"} | form
    said = {name: said[name] for name in ("first_in", "last_out")}
    assert sub.post(f"{path}/uphold", data=said).status_code == 303
    return sub


def test_a_missing_day_that_was_agreed_stands_in_the_workers_own_month_beside_the_total(
    hung: Any, office: Callable[..., httpx.Client]
) -> None:
    """Mutant: list the days with taps alone."""
    agree(hung, office)
    month = hung.get("/me/months/2026-11").text
    assert "Fri, Nov 20" in month
    assert f"07:30 {TO} 17:00" in month
    assert month.count("Agreed, without a card reading") == 2, "the row, and the line beside the total"
    assert "두레철근 · Agreed, without a card reading" in month
    assert month.count("Days: 1") == 2, "one day recorded, one agreed"


def test_a_missing_day_that_was_agreed_stands_in_the_contractors_month(
    hung: Any, office: Callable[..., httpx.Client], own_site: OwnSite
) -> None:
    """Mutant: leave the agreed days out of the files."""
    sub = agree(hung, office)
    prime = office("contractor", "prime")
    for firm in (sub, prime):
        shown = firm.get(f"/sites/{CODE}/days?month=2026-11").text
        assert "<dd data-agreed>1</dd>" in shown
        assert 'data-sum="days">1<' in shown, "not silently in the sum"
        assert "<td>2026-11-20</td><td>07:30</td><td>17:00</td>" in shown
        rows = list(csv.reader(io.StringIO(firm.get(f"/sites/{CODE}/days.csv?month=2026-11").text.lstrip("\ufeff"))))
        assert [row[3:] for row in rows[1:]] == [
            ["2026-11-21", "2026-11-21 07:00:00", "2026-11-21 17:00:00", "2", "", "", ""],
            ["2026-11-20", "", "", "0", "", "07:30", "17:00"],
        ]
        body = firm.get(f"/api/v1/sites/{CODE}/days?month=2026-11").json()
        assert [day["on"] for day in body["items"]] == ["2026-11-21"]
        (agreed,) = body["agreed"]
        who = {"worker_id": own_site.ids[HUNG], "worker_no": HUNG, "name": "Nguyễn Văn Hùng", "employer": "두레철근"}
        said = {"site": CODE, "on": "2026-11-20", "first_in": "07:30", "last_out": "17:00", "recorded": False}
        assert agreed == who | said
    own = prime.get(f"/api/v1/workers/{own_site.ids[HUNG]}/days?month=2026-11").json()
    assert (len(own["days"]), own["agreed"]) == (1, [said])


def test_what_was_agreed_of_a_recorded_day_stands_beside_what_was_recorded(
    hung: Any, office: Callable[..., httpx.Client]
) -> None:
    day = (DAY + date.resolution).isoformat()
    sub = agree(hung, office, on=day, first_in="", last_out="19:30")
    month = hung.get("/me/months/2026-11").text
    assert f"Agreed: — {TO} 19:30" in month
    assert f"07:00 {TO} 17:00" in month, "no tap is changed"
    assert "without a card reading" not in month
    body = sub.get(f"/api/v1/sites/{CODE}/days?month=2026-11").json()
    (agreed,) = body["agreed"]
    assert (agreed["recorded"], agreed["first_in"], agreed["last_out"]) == (True, None, "19:30")
    assert "data-agreed" not in sub.get(f"/sites/{CODE}/days?month=2026-11").text


@pytest.mark.promise("ACC-01")
def test_what_another_employer_agreed_to_is_not_there(
    hung: Any, office: Callable[..., httpx.Client], own_site: OwnSite, central_engine: Engine
) -> None:
    """Mutant: leave the table's rule out."""
    agree(hung, office)
    with write_session(central_engine) as session:
        firm = Organization(name="남", kind="sub")
        session.add(firm)
        session.flush()
        own_site.ids["other"] = firm.id or 0
        there = {"site_id": own_site.ids["site"], "organization_id": firm.id or 0, "tier": "sub", "from_on": SINCE}
        session.add(SiteEmployer(**there))
    other = office("subcontractor", "other")
    assert other.get(f"/api/v1/sites/{CODE}/days?month=2026-11").json()["agreed"] == []
    assert "Nguyễn" not in other.get(f"/sites/{CODE}/days?month=2026-11").text


@pytest.mark.parametrize("workers_a_page", [1, 2, 50])
def test_each_agreed_day_is_on_one_page_of_the_month_and_only_there(
    sent: Any, office: Callable[..., httpx.Client], own_site: OwnSite, workers_a_page: int
) -> None:
    """Of who was never on the roll nor tapped that month too."""
    path = object_to(sent, on="2026-10-05").headers["location"].removeprefix("/me")
    prime = office("contractor", "prime")
    assert prime.post(f"{path}/uphold", data={"first_in": "07:30"}).status_code == 303
    found, cursor = [], ""
    while cursor is not None:
        asked = f"month=2026-10&limit={workers_a_page}" + (f"&cursor={cursor}" if cursor else "")
        body = prime.get(f"/api/v1/sites/{CODE}/days?{asked}").json()
        found += [(day["worker_id"], day["on"], day["employer"]) for day in body["agreed"]]
        cursor = body["next_cursor"]
    assert found == [(own_site.ids[HUNG], "2026-10-05", "")]
