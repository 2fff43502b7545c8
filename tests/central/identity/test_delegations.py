"""A role lent while its owner is away: dated, chosen, named in the audit trail, and over by itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import Engine

from central.identity.accounts import end_membership
from central.identity.delegations import lend
from central.kit.db import write_session
from central.kit.errors import NotFound
from simulators.account_rows import memberships, number_of, tags
from simulators.clocks import HandClock
from simulators.visitor import Visitor, said

Visit = Callable[[], Visitor]
MakePerson = Callable[..., str]


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
    lee = number_of(database_url, person("lee"))
    assert park.send(f"/accounts/{lee}/close").status_code == 303
    park.send("/account/roles", choice="")
    assert park.send("/account/sessions/others/end").status_code == 303
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT actor, tag FROM audit_event ORDER BY id").fetchall()
    who = f"user:{number_of(database_url, other)}"
    assert (f"{who}/delegation:{lent}", "user:disable") in rows
    assert {actor for actor, tag in rows if tag in {"session:start", "session:switch"}} >= {who}


@pytest.mark.promise("ACC-02")
def test_a_lent_role_gives_no_role_that_would_stay_after_it(
    visitor: Visit, person: MakePerson, central_engine: Engine, hand_clock: HandClock, database_url: str
) -> None:
    """Mutant: whoever keeps accounts for a day in another's place gives themselves the role for good."""
    owner, other = person("kim", "system_operator", site=None), person("park", "association", site=None)
    (held,), number = memberships(database_url, owner), number_of(database_url, other)
    now = hand_clock.now()
    with write_session(central_engine) as session:
        lent = lend(
            session,
            owner_id=number_of(database_url, owner),
            membership_id=held,
            to_email=other,
            from_at=now,
            until_at=now + timedelta(days=1),
            reason="leave",
            now=now,
        )
    kim, park = visitor(), visitor()
    kim.sign_in(owner)
    park.sign_in(other)
    park.send("/account/roles", choice=f"{held}:{lent}")
    for path, form in (
        ("/accounts", {"email": "lee@b.test", "name": "lee", "role": "system_operator"}),
        (f"/accounts/{number}/roles", {"role": "system_operator"}),
    ):
        page = park.get(path.removesuffix("/roles"))
        assert page.status_code == 200
        assert f'action="{path}" class="card"' not in page.text
        assert "Act in one of your own" in page.text
        refused = park.send(path, **form)
        assert refused.status_code == 403
        assert "Act in one of your own" in refused.text
        assert f'action="{path}" class="card"' in kim.text(path.removesuffix("/roles"))
    assert len(memberships(database_url, other)) == 1
    assert "invitation:create" not in tags(database_url)
    assert kim.send(f"/accounts/{number}/roles", role="system_operator").status_code == 303
    assert len(memberships(database_url, other)) == 2
    park.send("/account/roles", choice="")
    assert park.send("/accounts", email="lee@b.test", name="lee", role="auditor").status_code == 200


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
