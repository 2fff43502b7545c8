from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import errors

Api = Callable[..., httpx.Client]
TERMS = {"amount_won": 2_000_000_000, "begins_on": "2026-03-01", "ends_on": "2027-06-30"}


@pytest.fixture
def firms(operator: httpx.Client) -> dict[str, int]:
    """A client with a project `gym`, a prime and two subcontractors; ids by name."""
    ids = {}
    for name, kind in (("City Works", "client"), ("Hanbit", "prime"), ("Dure Rebar", "sub"), ("Sol Forms", "sub")):
        ids[name] = operator.post("organizations", json={"name": name, "kind": kind}).json()["id"]
    made = operator.post("projects", json={"code": "gym", "name": "Gymnasium", "client_id": ids["City Works"]})
    assert made.status_code == 201, made.text
    return ids


def contract(operator: httpx.Client, contractor: int, kind: str = "prime", **more: Any) -> httpx.Response:
    body = {"contractor_id": contractor, "kind": kind, "work": "structure", **TERMS, **more}
    return operator.post("projects/gym/contracts", json=body)


def test_a_chain_is_registered_and_shown_as_of_a_day(operator: httpx.Client, firms: dict[str, int]) -> None:
    prime = contract(operator, firms["Hanbit"]).json()["contract_id"]
    lower = contract(operator, firms["Dure Rebar"], "sub", parent_id=prime, amount_won=700_000_000, work="rebar").json()
    change = TERMS | {"amount_won": 900_000_000, "effective_on": "2026-10-01", "reason": "design change 1"}
    path = f"projects/gym/contracts/{lower['contract_id']}/terms"
    assert operator.post(path, json=change).status_code == 201
    before = operator.get("projects/gym/contracts", params={"on": "2026-09-30"}).json()
    after = operator.get("projects/gym/contracts", params={"on": "2026-10-01"}).json()
    shown = [(row["depth"], row["contractor"], row["amount_won"], row["lower_won"]) for row in before["items"]]
    assert shown == [(0, "Hanbit", 2_000_000_000, 700_000_000), (1, "Dure Rebar", 700_000_000, 0)]
    assert [row["amount_won"] for row in after["items"]] == [2_000_000_000, 900_000_000]
    assert (before["mode"], before["findings"]) == ("long_term", [])
    assert operator.get("projects/gym/contracts", params={"on": "2026-02-28"}).json()["items"] == []
    recorded = operator.get(path).json()["items"]
    assert [row["reason"] for row in recorded] == ["first", "design change 1"]


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"amount_won": 2_000_000_001}, "larger than the contract above"),
        ({"begins_on": "2027-07-01"}, "ends"),
        ({"kind": "prime"}, "client's own"),
        ({"kind": "subb"}, "did you mean 'sub'"),
        ({"parent_id": 99}, "no contract 99"),
        ({"contractor_id": 99}, "no organization 99"),
        ({"amount_won": 0}, "greater than or equal to 1"),
        ({"effective_on": "2026-01-01"}, "not in force"),
    ],
)
def test_a_contract_that_cannot_be_is_refused_with_a_sentence(
    operator: httpx.Client, firms: dict[str, int], more: dict[str, Any], word: str
) -> None:
    prime = contract(operator, firms["Hanbit"]).json()["contract_id"]
    refused = contract(operator, firms["Dure Rebar"], **({"kind": "sub", "parent_id": prime} | more))
    assert refused.status_code in {404, 409, 422}, refused.text
    assert word in refused.text


def test_the_same_subcontract_entered_twice_is_refused_and_too_much_below_is_flagged(
    operator: httpx.Client, firms: dict[str, int]
) -> None:
    prime = contract(operator, firms["Hanbit"]).json()["contract_id"]
    below = {"parent_id": prime, "amount_won": 1_500_000_000}
    assert contract(operator, firms["Dure Rebar"], "sub", **below).status_code == 201
    twice = contract(operator, firms["Dure Rebar"], "sub", **below)
    assert twice.status_code == 409
    assert "dates that do not overlap" in twice.json()["detail"]
    assert contract(operator, firms["Sol Forms"], "sub", **below).status_code == 201
    found = operator.get("projects/gym/contracts", params={"on": "2026-05-01"}).json()["findings"]
    assert [(one["code"], one["contract_id"]) for one in found] == [("lower_exceed", prime)]


def test_a_closed_contract_takes_no_new_terms_and_ends_on_its_day(
    operator: httpx.Client, firms: dict[str, int]
) -> None:
    prime = contract(operator, firms["Hanbit"]).json()["contract_id"]
    path = f"projects/gym/contracts/{prime}"
    assert operator.patch(path, json={"closed_on": "2026-12-01"}).json()["closed_on"] == "2026-12-01"
    refused = operator.post(f"{path}/terms", json=TERMS | {"reason": "extension"})
    assert refused.status_code == 409
    assert operator.get("projects/gym/contracts", params={"on": "2026-11-30"}).json()["items"] != []
    assert operator.get("projects/gym/contracts", params={"on": "2026-12-01"}).json()["items"] == []


def test_the_database_itself_keeps_every_version(
    operator: httpx.Client, firms: dict[str, int], database_url: str
) -> None:
    contract(operator, firms["Hanbit"])
    with psycopg.connect(database_url) as connection, pytest.raises(errors.RestrictViolation):
        connection.execute("UPDATE registry_contract_version SET amount_won = 1")


def test_a_projects_facts_are_checked_and_its_borough_follows_from_its_point(
    operator: httpx.Client, firms: dict[str, int]
) -> None:
    facts = {"classification": "public_building", "latitude": 37.4837, "longitude": 126.9786, "budget_won": 10**10}
    shown = operator.patch("projects/gym", json=facts | {"bid_notice_on": "2026-01-05", "begins_on": "2026-03-01"})
    assert shown.status_code == 200, shown.text
    assert shown.json()["borough"] == "11590"
    assert shown.json()["budget_won"] == 10**10
    for wrong, word in (
        ({"latitude": 126.9786}, "swapped"),
        ({"latitude": None}, "together"),
        ({"ends_on": "2026-02-01"}, "before it begins"),
        ({"begins_on": "2026-01-01"}, "bid notice"),
        ({"classification": "rode"}, "did you mean 'road'"),
    ):
        refused = operator.patch("projects/gym", json=wrong)
        assert refused.status_code == 422, refused.text
        assert word in refused.text
    gone = operator.patch("projects/gym", json={"latitude": None, "longitude": None})
    assert (gone.status_code, gone.json()["borough"]) == (200, None)
    body = {"code": "road-1", "name": "Road", "client_id": firms["City Works"], "latitude": 35.18, "longitude": 129.08}
    assert operator.post("projects", json=body).json()["borough"] is None
