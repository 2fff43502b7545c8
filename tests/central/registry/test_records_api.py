from __future__ import annotations

from collections.abc import Callable

import httpx
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.kit.states import RefusedTransition
from central.registry.states import CARD, TERMINAL

Api = Callable[..., httpx.Client]
NUMBER = "900101-1234567"


def employ(operator: httpx.Client, prime: int, name: str = "Kim", **more: object) -> int:
    terms = {"site": "site-07", "employer_id": prime, "trade": "rebar", "from_on": "2026-11-01"}
    made = operator.post("workers", json={"name": name, "employment": terms, **more})
    assert made.status_code == 201, made.text
    return int(made.json()["id"])


@pytest.mark.parametrize(("machine", "end"), [(CARD, "replaced"), (TERMINAL, None)])
def test_every_state_answers_every_event(machine: object, end: str | None) -> None:
    rows = machine._rows  # type: ignore[attr-defined]
    states = {state for state, _ in rows} | {row.next_state for row in rows.values()}
    events = {event for _, event in rows}
    for state in states:
        for event in events:
            if (state, event) in rows:
                assert machine.step(state, event).next_state in states  # type: ignore[attr-defined]
            else:
                with pytest.raises(RefusedTransition, match="possible now"):
                    machine.step(state, event)  # type: ignore[attr-defined]
    assert {state for state in states if not machine.events(state)} == ({end} if end else set())  # type: ignore[attr-defined]


@given(st.lists(st.sampled_from(sorted({event for _, event in CARD._rows})), max_size=12))
def test_a_card_is_somebodys_only_after_it_was_issued(events: list[str]) -> None:
    state, holder = "stock", False
    for event in events:
        if event not in CARD.events(state):
            continue
        state = CARD.step(state, event).next_state
        holder = event == "issue"
        assert holder == (state == "issued")


def test_a_lost_card_is_given_to_nobody_before_it_was_found(operator: httpx.Client, site_seven: dict[str, int]) -> None:
    first, second = (employ(operator, site_seven["prime"], name) for name in ("Kim", "Lee"))
    card = operator.post("cards", json={"uid": "04A1B2C3", "holder": {"worker_id": first}}).json()
    assert card["state"] == "issued"
    held = f"cards/{card['id']}/assignments/{card['holder']['id']}"
    in_use = operator.post(f"cards/{card['id']}/events", json={"event": "block"})
    assert "end the holding" in in_use.json()["detail"]
    lost = operator.patch(held, json={"reason": "lost", "until_at": "2030-01-01T00:00:00Z"})
    assert lost.status_code == 200, lost.text
    refused = operator.post(f"cards/{card['id']}/assignments", json={"worker_id": second})
    assert refused.status_code == 409
    assert "record that it was found first" in refused.json()["detail"]
    assert operator.post(f"cards/{card['id']}/events", json={"event": "find"}).json()["state"] == "stock"
    given_on = {"worker_id": second, "from_at": "2030-01-01T01:00:00Z"}
    again = operator.post(f"cards/{card['id']}/assignments", json=given_on)
    assert again.status_code == 201, again.text
    assert "same day" in again.json()["notices"][0]
    life = [row["event"] for row in operator.get(f"cards/{card['id']}/events").json()["items"]]
    assert life == ["issue", "lose", "find", "issue"]


def test_a_temporary_card_is_lent_for_thirty_days_at_most(operator: httpx.Client, site_seven: dict[str, int]) -> None:
    worker = employ(operator, site_seven["prime"])
    holder = {"worker_id": worker, "from_at": "2026-11-01T00:00:00Z"}
    lent = operator.post("cards", json={"uid": "04000001", "kind": "temporary", "holder": holder}).json()
    assert lent["holder"]["until_at"].startswith("2026-12-01T00:00:00")
    holder["until_at"] = "2026-12-01T00:00:01Z"
    refused = operator.post("cards", json={"uid": "04000002", "kind": "temporary", "holder": holder})
    assert refused.status_code == 422
    assert "30 days" in refused.json()["detail"]


def test_papers_have_their_time_and_stay_when_withdrawn(operator: httpx.Client, site_seven: dict[str, int]) -> None:
    worker = employ(operator, site_seven["prime"], "Nguyễn Văn Hùng", nationality="vn")
    path = f"workers/{worker}/papers"
    made = operator.post(path, json={"kind": "visa", "value": "e-9", "from_on": "2026-01-01", "until_on": "2026-06-01"})
    assert (made.json()["value"], made.json()["validity"]) == ("E-9", "over")
    operator.post(path, json={"kind": "safety_certificate", "from_on": "2026-01-01"})
    for wrong, word in (
        ({"kind": "visa", "value": "tourist", "from_on": "2026-01-01"}, "status of stay"),
        ({"kind": "skill_grade", "value": "advanced", "from_on": "2026-01-01"}, "name the trade"),
        ({"kind": "skill_grade", "value": "master", "trade": "rebar", "from_on": "2026-01-01"}, "unknown"),
        ({"kind": "safety_certificate", "value": "x", "from_on": "2026-01-01"}, "no value"),
        ({"kind": "visa", "value": "H-2", "from_on": "2026-01-02", "until_on": "2026-01-02"}, "ends"),
    ):
        refused = operator.post(path, json=wrong)
        assert refused.status_code == 422, refused.text
        assert word in refused.text
    assert operator.delete(f"{path}/{made.json()['id']}").json()["validity"] == "withdrawn"
    assert operator.delete(f"{path}/{made.json()['id']}").status_code == 409
    assert [row["validity"] for row in operator.get(path).json()["items"]] == ["withdrawn", "valid"]


def test_two_labour_contracts_at_once_with_one_employer_are_refused(
    operator: httpx.Client, site_seven: dict[str, int]
) -> None:
    worker = employ(operator, site_seven["prime"])
    body = {
        "site": "site-07",
        "employer_id": site_seven["prime"],
        "kind": "daily",
        "wage_won": 230_000,
        "wage_per": "day",
        "minutes_a_day": 480,
        "signed_on": "2026-11-01",
        "from_on": "2026-11-01",
    }
    path = f"workers/{worker}/labour-contracts"
    assert operator.post(path, json=body).status_code == 201
    twice = operator.post(path, json=body)
    assert twice.status_code == 409
    assert "end the present one first" in twice.json()["detail"]
    assert operator.post(path, json=body | {"kind": "fixed", "from_on": "2030-01-01"}).status_code == 422
    assert len(operator.get(path).json()["items"]) == 1


@pytest.mark.promise("PRV-01")
def test_an_identity_number_is_kept_encrypted_and_each_look_is_recorded(
    operator: httpx.Client, site_seven: dict[str, int], database_url: str
) -> None:
    """Mutant: store the digits as they are."""
    first, second = (employ(operator, site_seven["prime"], name) for name in ("Kim", "Lee"))
    path = f"workers/{first}/identity-number"
    assert operator.get(path).status_code == 404
    body = {"number": NUMBER, "reason": "retirement aid, November"}
    assert operator.put(path, json=body).json() == {"worker_id": first, "reason": "retirement aid, November"}
    assert operator.get(path).json() == {"worker_id": first, "number": "9001011234567"}
    twice = operator.put(f"workers/{second}/identity-number", json=body)
    assert twice.status_code == 409
    assert operator.put(path, json=body | {"number": "991301-1234567"}).status_code == 422
    with psycopg.connect(database_url) as connection:
        looks = connection.execute("SELECT count(*) FROM audit_event WHERE tag = 'identity_number:look'").fetchone()
        rows = connection.execute("SELECT row_to_json(w)::text FROM registry_worker w").fetchall()
        trail = connection.execute("SELECT detail::text FROM audit_event").fetchall()
        stored = connection.execute("SELECT identity_sealed FROM registry_worker WHERE id = %s", (first,)).fetchone()
    assert looks == (2,)
    assert not any("9001011234567" in text for (text,) in [*rows, *trail])
    assert stored is not None
    assert b"9001011234567" not in stored[0]


def test_visitors_and_drivers_come_for_a_day_and_leave_once(operator: httpx.Client, site_seven: dict[str, int]) -> None:
    assert site_seven
    path = "sites/site-07/day-passes"
    refused = operator.post(path, json={"kind": "driver", "name": "Park"})
    assert "plate" in refused.json()["detail"]
    came = {"kind": "driver", "name": "Park", "plate": "12가3456", "entered_at": "2026-11-23T02:00:00Z"}
    made = operator.post(path, json=came).json()
    assert [row["id"] for row in operator.get(path).json()["items"]] == [made["id"]]
    early = operator.patch(f"{path}/{made['id']}", json={"left_at": "2035-01-01T00:00:00Z"})
    assert (early.status_code, "nobody has left at 2035" in early.text) == (422, True), "they are inside until they go"
    left = operator.patch(f"{path}/{made['id']}", json={})
    assert left.status_code == 200, left.text
    assert operator.patch(f"{path}/{made['id']}", json={}).status_code == 409


def test_screens_and_gates_hear_at_once_of_who_visits(
    operator: httpx.Client, site_seven: dict[str, int], database_url: str
) -> None:
    path, site = "sites/site-07/day-passes", str(site_seven["site"])
    with psycopg.connect(database_url, autocommit=True) as ear:
        for channel in ("ccs_site", "ccs_inside"):
            ear.execute(f"LISTEN {channel}".encode())
        came = {"kind": "visitor", "name": "Park", "entered_at": "2026-11-23T02:00:00Z"}
        made = operator.post(path, json=came).json()
        assert {one.channel: one.payload for one in ear.notifies(timeout=10, stop_after=2)} == {
            "ccs_site": site,
            "ccs_inside": site,
        }
        assert operator.patch(f"{path}/{made['id']}", json={}).status_code == 200
        assert {one.channel for one in ear.notifies(timeout=10, stop_after=2)} == {"ccs_site", "ccs_inside"}


def test_zones_and_gates_are_registered_renamed_and_closed(operator: httpx.Client, site_seven: dict[str, int]) -> None:
    assert site_seven
    made = operator.post("sites/site-07/zones", json={"code": "gate-1", "name": "Main gate", "kind": "gate"})
    assert made.status_code == 201, made.text
    assert operator.post("sites/site-07/zones", json={"code": "gate-1", "name": "x", "kind": "gate"}).status_code == 409
    path = f"sites/site-07/zones/{made.json()['id']}"
    assert operator.patch(path, json={"closed_on": "2026-12-01"}).json()["closed_on"] == "2026-12-01"


def test_somebody_new_is_employed_by_number_and_name_together(
    operator: httpx.Client, api_for: Api, site_seven: dict[str, int]
) -> None:
    elsewhere = operator.post("workers", json={"name": "Lee", "worker_no": "A-1"}).json()["id"]
    contractor = api_for("registry:*", site="site-07")
    terms = {"employer_id": site_seven["prime"], "trade": "rebar", "from_on": "2026-11-01"}
    path = "sites/site-07/employments"
    answers = [
        contractor.post(path, json=terms | {"worker_id": elsewhere}),
        contractor.post(path, json=terms | {"worker_no": "A-1", "name": "Leo"}),
        contractor.post(path, json=terms | {"worker_no": "A-2", "name": "Lee"}),
    ]
    assert [answer.status_code for answer in answers] == [404] * 3
    assert answers[1].json()["detail"] == answers[2].json()["detail"]
    taken = contractor.post(path, json=terms | {"worker_no": "A-1", "name": "Lee"})
    assert taken.status_code == 201, taken.text
    assert contractor.get(f"workers/{elsewhere}").status_code == 200


def test_a_number_beyond_the_databases_is_refused_and_no_failure(operator: httpx.Client) -> None:
    for path in (f"workers/{10**30}", f"cards/{10**30}", f"organizations/{10**30}", "workers/0"):
        assert operator.get(path).status_code == 422
