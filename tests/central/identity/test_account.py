"""One's own account and other people's: sessions, passwords, roles switched and taken."""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx
import psycopg
import pytest
from sqlalchemy import Engine

from central.identity.accounts import Scope, add_membership
from central.kit.db import write_session
from simulators.account_rows import memberships, number_of, tags
from simulators.clocks import HandClock
from simulators.visitor import PASSWORD, Visitor, said
from simulators.web import WebServer

Visit = Callable[[], Visitor]
MakePerson = Callable[..., str]
SITE = "/api/v1/sites/site-07"


# -- where I am signed in


def test_somebody_sees_where_they_are_signed_in_and_ends_it(
    visitor: Visit, person: MakePerson, database_url: str
) -> None:
    email, other = person("kim"), person("park")
    here, there, stranger = visitor(), visitor(), visitor()
    there.client.headers["user-agent"] = "A phone <b>"
    for one in (here, there):
        one.sign_in(email)
    stranger.sign_in(other)
    shown = here.text("/account/sessions")
    assert "A phone &lt;b&gt;" in shown
    assert shown.count("this one") == 1
    (number,) = re.findall(r"/account/sessions/(\d+)/end", shown)
    assert stranger.send(f"/account/sessions/{number}/end").status_code == 404
    assert here.send(f"/account/sessions/{number}/end").status_code == 303
    assert there.get(SITE).status_code == 401
    assert here.get(SITE).status_code == 200
    there.sign_in(email)
    here.send("/account/sessions/others/end")
    assert there.get(SITE).status_code == 401
    assert stranger.get(SITE).status_code == 200
    assert tags(database_url).count("session:end") == 2


def test_every_form_of_an_account_refuses_a_foreign_or_missing_token(visitor: Visit, person: MakePerson) -> None:
    kim = visitor()
    kim.sign_in(person("kim"))
    token = kim.token()
    for path in ("sessions/others/end", "roles", "delegations", "tokens", "second-factor/app", "outside/city"):
        bare = kim.client.post(f"/account/{path}", data={"csrf_token": "0" * 80})
        foreign = kim.client.post(
            f"/account/{path}", data={"csrf_token": token}, headers={"origin": "https://evil.test"}
        )
        assert (bare.status_code, foreign.status_code) == (403, 403), path


@pytest.mark.promise("ACC-02")
def test_a_session_that_somebody_else_planted_is_not_the_one_that_begins(
    registry_web: WebServer, visitor: Visit, person: MakePerson
) -> None:
    """Mutant: keep the cookie's secret at the sign-in."""
    email = person("kim")
    thief, kim = visitor(), visitor()
    thief.sign_in(person("thief"))
    planted = thief.secret
    kim.client.cookies.set("ccs_session", planted, domain="127.0.0.1", path="/")
    form = {"csrf_token": kim.token(), "email": email, "password": "correct horse battery"}
    answer = kim.client.post("/sign-in", data=form)
    secret = answer.cookies["ccs_session"]
    assert secret != planted
    url = registry_web.url + SITE
    assert httpx.get(url, cookies={"ccs_session": planted}).status_code == 401
    assert httpx.get(url, cookies={"ccs_session": secret}).status_code == 200


def test_a_password_is_changed_by_who_knows_it_and_other_sessions_end(visitor: Visit, person: MakePerson) -> None:
    email, new = person("kim"), "another long password"
    here, there = visitor(), visitor()
    for one in (here, there):
        one.sign_in(email)
    wrong = here.send("/account/password", old="not this one", password=new, again=new)
    assert "present password" in said(wrong)
    before = here.secret
    assert here.send("/account/password", old=PASSWORD, password=new, again=new).status_code == 303
    assert here.secret != before
    assert (here.get(SITE).status_code, there.get(SITE).status_code) == (200, 401)
    assert there.sign_in(email).status_code == 401
    assert there.sign_in(email, new).status_code == 303


# -- roles


@pytest.mark.promise("ACC-02")
def test_a_role_that_is_taken_while_somebody_is_signed_in_counts_at_the_next_request(
    visitor: Visit, person: MakePerson, database_url: str
) -> None:
    """Mutant: read roles when the session begins."""
    email = person("kim")
    keeper, kim = visitor(), visitor()
    keeper.sign_in(person("operator", "system_operator", site=None))
    kim.sign_in(email)
    assert kim.get(SITE).status_code == 200
    number, (held,) = number_of(database_url, email), memberships(database_url, email)
    other = number_of(database_url, "operator@b.test")
    assert keeper.send(f"/accounts/{other}/roles/{held}/end").status_code == 404
    assert keeper.send(f"/accounts/{number}/roles/{held}/end").status_code == 303
    assert kim.get(SITE).status_code == 404
    given = keeper.send(f"/accounts/{number}/roles", role="auditor", place="site", code="site-07")
    assert given.status_code == 303
    assert kim.get(SITE).status_code == 200
    wrong = keeper.send(f"/accounts/{number}/roles", role="auditor", place="site", code="site-99")
    assert "no site" in said(wrong)


def test_an_operator_signs_somebody_out_everywhere_who_may_come_in_again(
    visitor: Visit, person: MakePerson, database_url: str
) -> None:
    email = person("kim")
    keeper, kim = visitor(), visitor()
    keeper.sign_in(person("operator", "system_operator", site=None))
    kim.sign_in(email)
    number = number_of(database_url, email)
    assert keeper.send(f"/accounts/{number}/end-sessions").status_code == 303
    assert kim.get(SITE).status_code == 401
    kim.sign_in(email)
    assert kim.get(SITE).status_code == 200
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT actor, subject FROM audit_event WHERE tag = 'session:end'").fetchall()
    assert rows == [(f"user:{number_of(database_url, 'operator@b.test')}", f"user:{number}")]


def test_an_account_that_is_closed_is_out_at_once_and_nobody_closes_their_own(
    visitor: Visit, person: MakePerson, database_url: str
) -> None:
    email = person("kim")
    keeper, kim = visitor(), visitor()
    keeper.sign_in(person("operator", "system_operator", site=None))
    kim.sign_in(email)
    assert keeper.send(f"/accounts/{number_of(database_url, 'operator@b.test')}/close").status_code == 409
    assert keeper.send(f"/accounts/{number_of(database_url, email)}/close").status_code == 303
    assert kim.get(SITE).status_code == 401
    assert "kim" in keeper.text("/accounts?q=kim")
    assert "Nobody fits" in keeper.text("/accounts?q=%25")


@pytest.fixture
def two_roles(person: MakePerson, central_engine: Engine, operator: httpx.Client, hand_clock: HandClock) -> str:
    """Somebody who is safety officer on one site and auditor on another."""
    operator.post("sites", json={"code": "site-08", "project": "gym", "name": "Annex"})
    email = person("kim")
    with write_session(central_engine) as session:
        add_membership(
            session,
            user_id=number_of(central_engine.url.render_as_string(hide_password=False).replace("+psycopg", ""), email),
            role="auditor",
            scope=Scope(site="site-08"),
            actor="system:test",
            now=hand_clock.now(),
        )
    return email


def test_a_person_with_two_roles_has_both_and_switches_to_one_with_one_act(
    visitor: Visit, two_roles: str, database_url: str
) -> None:
    kim = visitor()
    kim.sign_in(two_roles)

    def reached() -> list[int]:
        return [kim.get(f"/api/v1/sites/{code}").status_code for code in ("site-07", "site-08")]

    assert reached() == [200, 200]
    first, second = memberships(database_url, two_roles)
    assert kim.send("/account/roles", choice=f"{second}:").status_code == 303
    assert reached() == [404, 200]
    assert "one role only" in kim.text("/account")
    kim.send("/account/roles", choice=f"{first}:")
    assert reached() == [200, 404]
    kim.send("/account/roles", choice="")
    assert reached() == [200, 200]
    assert tags(database_url).count("session:switch") == 3


@pytest.mark.parametrize(
    ("choice", "status"), [("1", 404), ("999999:", 404), ("x", 422), ("1:2:3:4", 404), ("-1", 422)]
)
def test_nobody_switches_to_a_role_that_is_not_theirs(
    visitor: Visit, person: MakePerson, choice: str, status: int
) -> None:
    person("first")
    kim = visitor()
    kim.sign_in(person("kim"))
    assert kim.send("/account/roles", choice=choice).status_code == status


def test_a_clients_official_works_in_all_projects_of_the_body_or_in_one(
    visitor: Visit, person: MakePerson, operator: httpx.Client, database_url: str
) -> None:
    body = operator.post("organizations", json={"name": "Borough", "kind": "client", "business_no": "211-83-00016"})
    if body.status_code != 201:  # the API's own check digits decide
        body = operator.post("organizations", json={"name": "Borough", "kind": "client", "business_no": "120-81-47521"})
    assert body.status_code == 201, body.text
    for code in ("pool", "park"):
        operator.post("projects", json={"code": code, "name": code.title(), "client_id": body.json()["id"]})
        operator.post("sites", json={"code": f"{code}-1", "project": code, "name": code})
    kim = visitor()
    kim.sign_in(person("kim", "client_official", organization=body.json()["business_no"]))

    def reached() -> list[int]:
        return [kim.get(f"/api/v1/sites/{code}").status_code for code in ("pool-1", "park-1", "site-07")]

    assert reached() == [200, 200, 404]
    shown = kim.text("/account/roles")
    choices = re.findall(r'value="(\d+::\d+)"', shown)
    assert len(choices) == 2
    kim.send("/account/roles", choice=choices[0])
    assert sorted(reached()) == [200, 404, 404]
    assert "project mode" in kim.text("/account/roles")
    kim.send("/account/roles", choice=choices[0].rpartition(":")[0])
    assert reached() == [200, 200, 404]
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT id FROM registry_project WHERE code = 'gym'").fetchone()
    assert row is not None
    foreign = f"{choices[0].rpartition(':')[0]}:{row[0]}"
    assert kim.send("/account/roles", choice=foreign).status_code == 404
