"""One's own account and other people's: sessions, roles switched, lent and taken, tokens."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import httpx
import psycopg
import pytest
from sqlalchemy import Engine

from central.identity.accounts import Scope, add_membership, end_membership
from central.identity.delegations import lend
from central.kit.db import write_session
from central.kit.errors import NotFound
from simulators.clocks import HandClock
from simulators.visitor import PASSWORD, Visitor, said
from simulators.web import WebServer

Visit = Callable[[], Visitor]
MakePerson = Callable[..., str]
SITE = "/api/v1/sites/site-07"


def number_of(database_url: str, email: str) -> int:
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT id FROM identity_user WHERE email = %s", (email,)).fetchone()
    assert row is not None
    return int(row[0])


def memberships(database_url: str, email: str) -> list[int]:
    with psycopg.connect(database_url) as connection:
        query = (
            "SELECT m.id FROM identity_membership m JOIN identity_user u ON u.id = m.user_id"
            " WHERE email = %s ORDER BY 1"
        )
        return [row[0] for row in connection.execute(query, (email,)).fetchall()]


def tags(database_url: str) -> list[str]:
    with psycopg.connect(database_url) as connection:
        return [row[0] for row in connection.execute("SELECT tag FROM audit_event ORDER BY id").fetchall()]


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


# -- delegation


def lend_form(membership: int, to: str, **more: str) -> dict[str, object]:
    days = {"from_on": "2026-11-24", "until_on": "2026-11-25", "reason": "leave"}
    return {"membership_id": membership, "to_email": to} | days | more


@pytest.mark.promise("ACC-02")
def test_a_lent_role_holds_in_its_days_only_after_it_was_chosen_and_ends_by_itself(
    visitor: Visit, person: MakePerson, hand_clock: HandClock, database_url: str
) -> None:
    owner, other = person("kim"), person("park", "association", site=None)
    (held,) = memberships(database_url, owner)
    kim, park = visitor(), visitor()
    kim.sign_in(owner)
    assert kim.send("/account/delegations", **lend_form(held, other)).status_code == 303
    people = "/api/v1/sites/site-07/headcount"
    park.sign_in(other)
    assert "to come" in park.text("/account/delegations")
    hand_clock.move(timedelta(hours=12))  # the first minutes of the first day in Seoul
    park.sign_in(other)
    lent = re.findall(r'value="(\d+:\d+)"', park.text("/account/roles"))
    assert len(lent) == 1
    before = park.get("/api/v1/sites/site-07/terminals").status_code
    park.send("/account/roles", choice=lent[0])
    assert (before, park.get("/api/v1/sites/site-07/terminals").status_code) == (403, 200), people
    assert "lent to you by kim" in park.text("/account").lower()
    assert re.findall(r'<option value="(\d+)">', park.text("/account/delegations")) != [str(held)]
    passed_on = park.send("/account/delegations", **lend_form(held, "kim@b.test"))
    assert "cannot be passed on" in said(passed_on)
    hand_clock.move(timedelta(hours=47))
    park.sign_in(other)
    park.send("/account/roles", choice=lent[0])
    assert park.get("/api/v1/sites/site-07/terminals").status_code == 200
    hand_clock.move(timedelta(hours=1))
    assert park.get("/api/v1/sites/site-07/terminals").status_code == 403
    assert tags(database_url).count("delegation:create") == 1


def test_what_is_done_in_a_lent_role_names_the_delegation_in_the_audit_trail(
    visitor: Visit, person: MakePerson, central_engine: Engine, hand_clock: HandClock, database_url: str
) -> None:
    """Mutant: name the person only; then nobody can tell later whose right it was done by."""
    owner, other = person("kim", "system_operator", site=None), person("park", "association", site=None)
    (held,) = memberships(database_url, owner)
    now = hand_clock.now()
    with write_session(central_engine) as session:
        given = {
            "owner_id": number_of(database_url, owner),
            "membership_id": held,
            "to_email": other,
            "reason": "leave",
        }
        lent = lend(session, **given, from_at=now, until_at=now + timedelta(days=5), now=now)  # type: ignore[arg-type]
    park = visitor()
    park.sign_in(other)
    park.send("/account/roles", choice=f"{held}:{lent}")
    assert park.send("/accounts", email="lee@b.test", name="lee", role="auditor").status_code == 200
    park.send("/account/roles", choice="")
    assert park.send("/account/sessions/others/end").status_code == 303
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT actor, tag FROM audit_event ORDER BY id").fetchall()
    who = f"user:{number_of(database_url, other)}"
    assert (f"{who}/delegation:{lent}", "invitation:create") in rows
    assert {actor for actor, tag in rows if tag in {"session:start", "session:switch"}} >= {who}


def test_a_lent_role_ends_early_by_either_hand_or_with_the_role_or_its_owner(
    visitor: Visit, person: MakePerson, central_engine: Engine, hand_clock: HandClock, database_url: str
) -> None:
    owner, other = person("kim"), person("park", "association", site=None)
    (held,) = memberships(database_url, owner)
    now, stranger = hand_clock.now(), visitor()
    stranger.sign_in(person("lee"))

    def lend_it() -> int:
        with write_session(central_engine) as session:
            return lend(
                session,
                owner_id=number_of(database_url, owner),
                membership_id=held,
                to_email=other,
                from_at=now,
                until_at=now + timedelta(days=5),
                reason="leave",
                now=now,
            )

    for who in (owner, other):
        number, park = lend_it(), visitor()
        park.sign_in(other)
        park.send("/account/roles", choice=f"{held}:{number}")
        assert park.get("/api/v1/sites/site-07/terminals").status_code == 200
        assert stranger.send(f"/account/delegations/{number}/end").status_code == 404
        ender = visitor()
        ender.sign_in(who)
        assert ender.send(f"/account/delegations/{number}/end").status_code == 303
        assert park.get("/api/v1/sites/site-07/terminals").status_code == 403
    number, park = lend_it(), visitor()
    park.sign_in(other)
    park.send("/account/roles", choice=f"{held}:{number}")
    with write_session(central_engine) as session:
        end_membership(session, membership_id=held, actor="system:test", now=now)
    assert park.get("/api/v1/sites/site-07/terminals").status_code == 403
    with pytest.raises(NotFound, match="no such role of your own"):
        lend_it()


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"to_email": "nobody@b.test"}, "nobody has an account"),
        ({"to_email": "kim@b.test"}, "for yourself"),
        ({"until_on": "2026-11-20"}, "before the first"),
        ({"until_on": "2027-11-20"}, "92 days"),
        ({"reason": " "}, "say why"),
    ],
)
def test_a_delegation_that_cannot_be_is_told_and_what_was_typed_stays(
    visitor: Visit, person: MakePerson, database_url: str, more: dict[str, str], sentence: str
) -> None:
    owner, other = person("kim"), person("park")
    kim = visitor()
    kim.sign_in(owner)
    form = lend_form(memberships(database_url, owner)[0], other, **more)
    answer = kim.send("/account/delegations", **form)
    assert sentence in said(answer)
    assert f'value="{form["from_on"]}"' in answer.text


def test_one_role_is_lent_to_one_person_at_a_time(visitor: Visit, person: MakePerson, database_url: str) -> None:
    owner, other, third = person("kim"), person("park"), person("lee")
    kim = visitor()
    kim.sign_in(owner)
    (held,) = memberships(database_url, owner)
    kim.send("/account/delegations", **lend_form(held, other))
    assert "already" in said(kim.send("/account/delegations", **lend_form(held, third, from_on="2026-11-25")))
    apart = lend_form(held, third, from_on="2026-11-26", until_on="2026-11-27")
    assert kim.send("/account/delegations", **apart).status_code == 303


# -- tokens


def make_token(kim: Visitor, **more: object) -> httpx.Response:
    return kim.send("/account/tokens", **({"name": "site app", "days": 30, "scopes": ["registry:site:read"]} | more))


def ask(web: WebServer, secret: str, path: str = SITE) -> int:
    return httpx.get(web.url + path, headers={"Authorization": f"Bearer {secret}"}).status_code


def test_a_token_of_ones_own_is_shown_once_bounded_by_its_owner_and_revoked_by_them(
    visitor: Visit,
    person: MakePerson,
    registry_web: WebServer,
    central_engine: Engine,
    hand_clock: HandClock,
    database_url: str,
) -> None:
    """Mutant: give the token its scopes without asking what its owner holds now."""
    email = person("kim")
    kim, stranger = visitor(), visitor()
    kim.sign_in(email)
    stranger.sign_in(person("park"))
    made = make_token(kim)
    secret = (re.findall(r"ccs_[\w-]{43}", made.text) or [""])[0]
    assert ask(registry_web, secret) == 200
    assert ask(registry_web, secret, f"{SITE}/terminals") == 403
    shown = kim.text("/account/tokens")
    assert secret not in shown
    number = re.findall(r"/account/tokens/(\d+)/revoke", shown)[0]
    assert stranger.send(f"/account/tokens/{number}/revoke").status_code == 404
    second = re.findall(r"ccs_[\w-]{43}", make_token(kim).text)[0]
    kim.send(f"/account/tokens/{number}/revoke")
    assert (ask(registry_web, secret), ask(registry_web, second)) == (401, 200)
    with write_session(central_engine) as session:
        end_membership(
            session, membership_id=memberships(database_url, email)[0], actor="system:test", now=hand_clock.now()
        )
    assert ask(registry_web, second) == 404


def test_a_token_ends_at_its_time(
    visitor: Visit, person: MakePerson, registry_web: WebServer, hand_clock: HandClock
) -> None:
    kim = visitor()
    kim.sign_in(person("kim"))
    secret = re.findall(r"ccs_[\w-]{43}", make_token(kim, days=7).text)[0]
    hand_clock.move(timedelta(days=7) - timedelta(seconds=1))
    assert ask(registry_web, secret) == 200
    hand_clock.move(timedelta(seconds=1))
    assert ask(registry_web, secret) == 401


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"scopes": ["identity:user:write"]}, "you do not hold"),
        ({"scopes": ["*"]}, "you do not hold"),
        ({"scopes": []}, "at least one scope"),
        ({"days": 0}, "366 days"),
        ({"days": 9999}, "366 days"),
        ({"name": " "}, "the name has"),
    ],
)
def test_a_token_that_cannot_be_is_refused(
    visitor: Visit, person: MakePerson, more: dict[str, object], sentence: str
) -> None:
    kim = visitor()
    kim.sign_in(person("kim"))
    assert sentence in said(make_token(kim, **more))
