"""A firm and a client's body bring their own people in: through their own organization, into the roles that may be."""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.identity.colleagues import openings_of
from central.identity.permissions import ROLE_BRINGS_IN, ROLE_REACH, Role, Via
from central.identity.rules import RoleRow
from simulators.visitor import Visitor, said

Visit = Callable[[], Visitor]
MakePerson = Callable[..., str]
HANBIT = "1248100998"


@pytest.fixture
def boss(visitor: Visit, person: MakePerson) -> Visitor:
    """Somebody of the prime contractor Hanbit."""
    made = visitor()
    made.sign_in(person("boss", "contractor", organization=HANBIT))
    return made


@pytest.fixture
def rival(operator: httpx.Client) -> str:
    """Another firm that is prime on a site of its own; its business number."""
    made = operator.post("organizations", json={"name": "Rival", "kind": "prime", "business_no": "220-81-62517"})
    assert made.status_code == 201, made.text
    client = operator.post("organizations", json={"name": "Another body", "kind": "client"}).json()["id"]
    operator.post("projects", json={"code": "hall", "name": "Hall", "client_id": client})
    assert operator.post("sites", json={"code": "site-08", "project": "hall", "name": "H"}).status_code == 201
    employer = {"organization_id": made.json()["id"], "tier": "prime", "from_on": "2026-01-01"}
    assert operator.post("sites/site-08/employers", json=employer).status_code == 201
    return "2208162517"


def opening(browser: Visitor, role: str) -> str:
    found = re.search(rf'value="(\d+:{role})"', browser.text("/colleagues"))
    assert found is not None, browser.text("/colleagues")
    return found[1]


def invite(browser: Visitor, name: str, *, role: str = "safety_officer") -> str:
    """Invite; return the path of the link that the page shows, where no mail goes out."""
    sent = browser.send("/colleagues", email=f"{name}@b.test", name=name, opening=opening(browser, role))
    found = re.search(r"/invitation/[\w-]+", sent.text)
    assert found is not None, sent.text
    return found[0]


def accept(visitor: Visit, path: str) -> Visitor:
    new = visitor()
    answer = new.send(path, password="correct horse battery", again="correct horse battery")
    assert answer.status_code == 303, answer.text
    return new


def test_a_contractor_brings_a_safety_officer_in_who_sees_the_firms_site(visitor: Visit, boss: Visitor) -> None:
    assert "Hanbit" in boss.text("/colleagues")
    path = invite(boss, "lee")
    assert "lee@b.test" in boss.text("/colleagues")
    lee = accept(visitor, path)
    assert lee.get("/api/v1/sites/site-07").status_code == 200
    assert lee.get("/colleagues").status_code == 403, "a safety officer brings nobody in"
    end = re.search(r"/colleagues/roles/\d+/end", boss.text("/colleagues"))
    assert end is not None
    assert boss.send(end[0]).status_code == 303
    assert lee.get("/api/v1/sites/site-07").status_code == 404


def test_a_subcontractor_brings_the_firms_own_people_in_and_the_head_of_the_page_leads_there(
    visitor: Visit, person: MakePerson, operator: httpx.Client, site_seven: dict[str, int]
) -> None:
    assert site_seven
    firm = operator.post("organizations", json={"name": "Dure Rebar", "kind": "sub", "business_no": "220-81-62517"})
    employer = {"organization_id": firm.json()["id"], "tier": "sub", "from_on": "2026-01-01"}
    assert operator.post("sites/site-07/employers", json=employer).status_code == 201
    rebar = visitor()
    rebar.sign_in(person("rebar", "subcontractor", organization="2208162517"))
    assert '<a href="/colleagues" aria-current="page">' in rebar.text("/colleagues")
    lee = accept(visitor, invite(rebar, "lee", role="subcontractor"))
    assert lee.get("/colleagues").status_code == 200
    assert "safety_officer" not in lee.text("/colleagues")


@pytest.mark.promise("ACC-02")
def test_nobody_is_brought_in_for_another_firm_or_into_a_role_that_one_may_not_give(
    visitor: Visit, person: MakePerson, boss: Visitor, rival: str
) -> None:
    """Mutant: take the organization or the role as the form says."""
    other = visitor()
    other.sign_in(person("rival", "contractor", organization=rival))
    theirs = opening(other, "contractor")
    path = invite(other, "spy")
    own = opening(boss, "contractor")
    number = own.partition(":")[0]
    for chosen in (
        theirs,
        f"{number}:system_operator",
        f"{number}:client_official",
        f"{number}:subcontractor",
        "x",
    ):
        refused = boss.send("/colleagues", email="x@b.test", name="x", opening=chosen)
        assert refused.status_code == 404, chosen
        assert "no role that you may give" in said(refused)
    assert boss.send("/colleagues", email="x@b.test", name="x", opening="").status_code == 422
    page = boss.text("/colleagues")
    assert "spy@b.test" not in page
    assert "rival@b.test" not in page
    withdraw = re.search(r"/colleagues/invitations/\d+/withdraw", other.text("/colleagues"))
    assert withdraw is not None
    assert boss.send(withdraw[0]).status_code == 404
    accept(visitor, path)
    end = re.search(r"/colleagues/roles/\d+/end", other.text("/colleagues"))
    assert end is not None
    assert boss.send(end[0]).status_code == 404


def test_an_invitation_ends_with_the_role_of_who_made_it(
    visitor: Visit, person: MakePerson, boss: Visitor, database_url: str
) -> None:
    path = invite(boss, "lee")
    keeper = visitor()
    keeper.sign_in(person("keeper", "system_operator", site=None))
    with psycopg.connect(database_url) as connection:
        row = connection.execute(
            "SELECT u.id, m.id FROM identity_user u JOIN identity_membership m ON m.user_id = u.id"
            " WHERE u.name = 'boss'"
        ).fetchone()
    assert row is not None
    assert keeper.send(f"/accounts/{row[0]}/roles/{row[1]}/end").status_code == 303
    assert visitor().get(path).status_code == 410


def test_who_has_an_account_takes_the_role_on_as_themselves_and_the_answer_does_not_tell(
    visitor: Visit, person: MakePerson, boss: Visitor, rival: str
) -> None:
    email = person("park", "contractor", organization=rival)
    fresh = boss.send("/colleagues", email="new@b.test", name="new", opening=opening(boss, "contractor"))
    known = boss.send("/colleagues", email=email, name="Park", opening=opening(boss, "contractor"))
    plain = [
        re.sub(r"/invitation/[\w-]+|new@b\.test|park@b\.test|[0-9a-f]{32,}", "", one.text) for one in (fresh, known)
    ]
    assert plain[0] == plain[1], "whether an address has an account is told to its mailbox alone"
    found = re.search(r"/invitation/[\w-]+", known.text)
    assert found is not None
    stranger = visitor()
    assert 'type="password"' not in stranger.text(found[0])
    assert f"next={found[0]}" in stranger.text(found[0])
    assert stranger.send(f"{found[0]}/role").status_code == 303, "sent to sign in"
    assert boss.send(f"{found[0]}/role").status_code == 404, "for another account"
    park = visitor()
    park.sign_in(email)
    assert park.get("/api/v1/sites/site-07").status_code == 404
    assert park.send(f"{found[0]}/role").headers["location"] == "/account/roles"
    assert park.get("/api/v1/sites/site-07").status_code == 200
    assert park.get("/api/v1/sites/site-08").status_code == 200
    assert park.send(f"{found[0]}/role").status_code == 410


def test_a_role_that_is_held_already_is_not_given_twice(visitor: Visit, boss: Visitor) -> None:
    lee = accept(visitor, invite(boss, "lee", role="contractor"))
    again = invite(boss, "lee", role="contractor")
    assert lee.send(f"{again}/role").status_code == 409


def test_nobody_takes_their_own_role_away(boss: Visitor, database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT id FROM identity_membership WHERE role = 'contractor'").fetchone()
    assert row is not None
    assert boss.send(f"/colleagues/roles/{row[0]}/end").status_code == 409


def row_of(role: Role, *, organization_id: int | None = 1, delegation_id: int | None = None) -> RoleRow:
    return RoleRow(1, 1, role.value, "Hanbit", organization_id, delegation_id)


@given(role=st.sampled_from(list(Role)), organization=st.sampled_from([None, 1]), lent=st.sampled_from([None, 7]))
def test_a_role_brings_in_what_the_table_says_through_its_own_organization_only(
    role: Role, organization: int | None, lent: int | None
) -> None:
    held = row_of(role, organization_id=organization, delegation_id=lent)
    found = openings_of([held], seat=held if lent else None)
    expected = ROLE_BRINGS_IN.get(role, frozenset()) if organization and lent is None else frozenset()
    assert {one.role for one in found} == expected


def test_every_role_that_is_given_through_an_organization_can_be_held_through_one() -> None:
    through = {Via.CLIENT, Via.EMPLOYER, Via.PRIME, Via.SUPERVISION}
    assert all(ROLE_REACH[given] & through for gives in ROLE_BRINGS_IN.values() for given in gives)
    assert Role.SYSTEM_OPERATOR not in {given for gives in ROLE_BRINGS_IN.values() for given in gives}


@pytest.mark.promise("PRV-01")
def test_who_looks_at_colleagues_is_written_down_with_whom_they_saw(
    visitor: Visit, boss: Visitor, database_url: str
) -> None:
    accept(visitor, invite(boss, "lee"))
    boss.text("/colleagues")
    with psycopg.connect(database_url) as connection:
        look = "SELECT detail FROM audit_event WHERE tag = 'user:look' AND subject = '/colleagues' ORDER BY id DESC"
        row = connection.execute(look).fetchone()
        assert row is not None
        names = connection.execute("SELECT name FROM identity_user WHERE id = ANY(%s)", (row[0]["users"],))
        assert {name for (name,) in names} == {"boss", "lee"}
