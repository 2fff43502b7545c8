"""A day that no roll or no terminal knows of: it reaches who can answer for it, and stands in the month once agreed."""

from __future__ import annotations

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
