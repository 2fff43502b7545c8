"""A terminal begins as registered, serves after a test worker proved it, and test workers are counted nowhere."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import psycopg
import pytest

from central.attendance.batch import Message
from central.attendance.ingest import Ingest
from central.attendance.intake import connect
from edge_agent.wire.ids import card_token
from simulators.filled_site import FilledSite
from simulators.journal import JournalMaker

ClientFor = Callable[..., httpx.Client]
CARD_KEY = bytes(range(32))
TERMINALS = "/api/v1/sites/site-07/terminals"
GATE = f"{TERMINALS}/gate-09"
READERS = [{"name": "r1", "direction": "in"}, {"name": "r2", "direction": "out"}]


@pytest.fixture
def operator(client_for: ClientFor) -> httpx.Client:
    return client_for("*", site=None)


@pytest.fixture
def gate_nine(operator: httpx.Client) -> str:
    """A terminal that was just registered."""
    made = operator.post(TERMINALS, json={"code": "gate-09", "readers": READERS})
    assert (made.json()["state"], made.json()["in_service"]) == ("registered", False), made.text
    return "gate-09"


def step(client: httpx.Client, event: str, note: str = "") -> httpx.Response:
    return client.post(f"{GATE}/events", json={"event": event, "note": note})


def worker_with_card(operator: httpx.Client, *, name: str, is_test: bool, uid: str) -> tuple[int, str]:
    """Register somebody with a card; return the worker's id and the card's token."""
    worker = operator.post("/api/v1/workers", json={"name": name, "is_test": is_test}).json()["id"]
    token = card_token(CARD_KEY, uid.encode())
    holder = {"worker_id": worker, "from_at": "2020-01-01T00:00:00Z"}
    made = operator.post("/api/v1/cards", json={"token": token, "holder": holder})
    assert made.status_code == 201, made.text
    return worker, token


def hold_card(database_url: str, token: str, *ways: str) -> None:
    """Play taps of a card at the terminal, as ingest receives them."""
    now = datetime.now(UTC)
    journal = JournalMaker("site-07", "gate-09", at=now - timedelta(minutes=5))
    for way in ways:
        journal.tap(token, way)
        journal.at += timedelta(minutes=1)
    with connect(database_url) as connection:
        Ingest(connection).take([Message(journal.topic, journal.batch(1, len(ways)))], now=now)


def test_a_terminal_serves_only_after_it_was_installed_and_a_test_worker_proved_it(
    operator: httpx.Client, gate_nine: str, database_url: str
) -> None:
    """Mutant: let a terminal pass its test unseen."""
    assert gate_nine
    early = step(operator, "put_in_service")
    assert early.status_code == 409
    assert "possible now: install, remove" in early.json()["detail"]
    assert step(operator, "install").json()["state"] == "installed"
    _, ordinary = worker_with_card(operator, name="Kim", is_test=False, uid="04000001")
    hold_card(database_url, ordinary, "in")
    untested = step(operator, "pass_test")
    assert untested.status_code == 409
    assert "hold one to it, or write in the note how it was tested" in untested.json()["detail"]
    _, proving = worker_with_card(operator, name="Test card", is_test=True, uid="04000002")
    hold_card(database_url, proving, "in", "out")
    assert step(operator, "pass_test").json()["state"] == "tested"
    assert step(operator, "put_in_service").json()["in_service"] is True
    assert step(operator, "report_fault", "reader dead").json() | {"id": 0, "site_id": 0} == {
        "id": 0,
        "site_id": 0,
        "code": "gate-09",
        "name": "",
        "zone": "",
        "readers": [one | {"zone": ""} for one in READERS],
        "in_service": True,
        "state": "faulty",
    }
    assert step(operator, "repair").json()["in_service"] is True, "it may hold taps, and people may have passed"
    again = step(operator, "pass_test")
    assert again.status_code == 409, "what was read before the repair proves nothing of the reader there now"
    assert step(operator, "pass_test", "card read at the bench, sheet 12").json()["state"] == "tested"
    assert step(operator, "remove").json()["in_service"] is False
    assert [one["event"] for one in operator.get(f"{GATE}/events").json()["items"]] == [
        "install",
        "pass_test",
        "put_in_service",
        "report_fault",
        "repair",
        "pass_test",
        "remove",
    ]
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "SELECT detail->>'test_tap_at' IS NOT NULL FROM audit_event WHERE tag = 'terminal:step'"
            " AND detail->>'event' = 'pass_test' ORDER BY id"
        ).fetchall()
    assert rows == [(True,), (False,)], "the audit trail says what the test rested on"


@pytest.mark.promise("INC-01")
def test_a_terminal_under_repair_stays_in_the_headcount_and_what_it_holds_counts_in_any_state(
    operator: httpx.Client, filled: FilledSite, database_url: str
) -> None:
    """Mutant: a repair takes the terminal out, and with it the taps that it has not sent."""
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "UPDATE attendance_terminal_status SET head_seq = CASE WHEN terminal_id = %s THEN 540 ELSE 500 END,"
            " heard_at = heard_at - CASE WHEN terminal_id = %s THEN interval '16 min' ELSE interval '0' END",
            [filled.terminal_ids[0]] * 2,
        )

    def after(event: str) -> tuple[int, bool, list[str]]:
        made = operator.post(f"{TERMINALS}/gate-01/events", json={"event": event, "note": "sheet 12"})
        assert made.status_code == 201, made.text
        found = operator.get(
            "/api/v1/sites/site-07/headcount", params={"true_at": datetime.now(UTC).isoformat()}
        ).json()
        said = [one["freshness"] for one in found["terminals"] if one["code"] == "gate-01"]
        return found["not_received"], found["at_most_holds"], said

    for event in ("report_fault", "repair", "pass_test", "put_in_service"):
        assert after(event) == (40, False, ["offline"]), event
    assert after("remove") == (40, True, ["out_of_service"]), "nobody passes it any more"
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE attendance_journal SET durable = 540 WHERE id = %s", (filled.journal_ids[0],))
    assert after("install") == (0, True, []), "it is new again, and nothing is owed"


def test_of_two_who_step_at_once_one_is_refused(operator: httpx.Client, gate_nine: str) -> None:
    """Mutant: set the state without asking that it is still what the decision was made on."""
    assert gate_nine
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: step(operator, "install").status_code, range(4)))
    assert sorted(answers) == [201, 409, 409, 409]
    assert len(operator.get(f"{GATE}/events").json()["items"]) == 1


def test_a_test_workers_taps_are_counted_neither_inside_nor_as_days(
    operator: httpx.Client, filled: FilledSite, gate_nine: str, database_url: str
) -> None:
    """Mutant: count a test worker's days."""
    assert gate_nine
    before = operator.get("/api/v1/sites/site-07/headcount").json()["inside"]
    worker, token = worker_with_card(operator, name="Test card", is_test=True, uid="04000003")
    hold_card(database_url, token, "in")
    past = {"true_at": datetime.now(UTC).isoformat()}
    assert operator.get("/api/v1/sites/site-07/headcount").json()["inside"] == before == len(filled.worker_ids)
    assert operator.get("/api/v1/sites/site-07/headcount", params=past).json()["inside"] == 0, "no taps were played"
    taps = operator.get("/api/v1/sites/site-07/taps").json()["items"]
    assert [tap["worker_id"] for tap in taps] == [worker], "what was read stays on record"
    for month in {f"{at:%Y-%m}" for at in (datetime.now(UTC), datetime.now(UTC) + timedelta(hours=14))}:
        answer = operator.get(f"/api/v1/workers/{worker}/days", params={"month": month})
        assert answer.json()["days"] == []
