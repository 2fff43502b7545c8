from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import psycopg
import pytest

from central.attendance import repository
from central.attendance.batch import Message
from central.attendance.ingest import Ingest
from central.attendance.intake import connect
from edge_agent.wire.ids import card_token
from simulators.filled_site import FilledSite
from simulators.journal import JournalMaker
from simulators.seeding import SeededSite, seed_site

ClientFor = Callable[..., httpx.Client]
CARD_KEY = bytes(range(32))
PLACES = ("site-21", "site-22")


@pytest.fixture
def two_sites(database_url: str, filled: FilledSite) -> tuple[SeededSite, SeededSite]:  # noqa: ARG001 - the site of the tokens
    """Two sites where the first site's first worker tapped in this month and in the one before, an exit late."""
    first, second = (
        seed_site(database_url, card_key=CARD_KEY, site=site, first_card=card)
        for site, card in zip(PLACES, (1, 50), strict=True)
    )
    token, now = card_token(CARD_KEY, first.identities[0]), datetime.now(UTC)
    with connect(database_url) as connection:
        for site, days_ago in zip(PLACES, (2, 1), strict=True):
            journal = JournalMaker(site, "gate-01", at=now - timedelta(days=days_ago, hours=9))
            journal.tap(token)
            journal.at += timedelta(hours=8)
            journal.tap(token, "out")
            for seq in (2, 1):
                Ingest(connection).take([Message(journal.topic, journal.batch(seq, seq))], now=now)
    return first, second


def asked(client: httpx.Client, worker: int) -> list[dict[str, object]]:
    """Ask for this month and the last, in which the taps of the last two days are."""
    now = datetime.now(UTC)
    found: list[dict[str, object]] = []
    for month in sorted({f"{at:%Y-%m}" for at in (now + timedelta(hours=14), now, now - timedelta(days=4))}):
        answer = client.get(f"/api/v1/workers/{worker}/days", params={"month": month})
        assert answer.status_code == 200, answer.text
        assert answer.json()["month"] == month
        found += answer.json()["days"]
    return found


def test_a_workers_month_lists_each_day_at_each_site(
    client_for: ClientFor, two_sites: tuple[SeededSite, SeededSite], database_url: str
) -> None:
    found = asked(client_for("site:people:read", site=None), two_sites[0].workers[0])
    assert [day["site"] for day in found] == list(PLACES)
    for day in found:
        assert (day["taps"], day["refused"], day["doubts"]) == (2, 0, [])
        entered, left = (datetime.fromisoformat(str(day[name])) for name in ("first_in_at", "last_out_at"))
        assert timedelta(hours=8) <= left - entered < timedelta(hours=9)
    with psycopg.connect(database_url) as connection:
        looks = connection.execute("SELECT detail -> 'workers' FROM audit_event WHERE tag = 'worker:look'").fetchall()
    assert ([two_sites[0].workers[0]],) in looks, "a look at a worker's days is audited"


def test_days_are_shown_of_the_sites_only_where_one_may_see_people(
    client_for: ClientFor, two_sites: tuple[SeededSite, SeededSite]
) -> None:
    """Mutant: show every site's days to whoever may see people on one."""
    worker = two_sites[0].workers[0]
    found = asked(client_for("site:people:read", site=PLACES[0]), worker)
    assert [day["site"] for day in found] == [PLACES[0]]
    path, month = f"/api/v1/workers/{worker}/days", {"month": "2026-11"}
    assert client_for("site:people:read", site=PLACES[1]).get(path, params=month).status_code == 404
    assert client_for("site:headcount:read", site=PLACES[0]).get(path, params=month).status_code == 403


def test_a_month_that_is_none_is_answered_with_how_to_write_one(
    client_for: ClientFor, two_sites: tuple[SeededSite, SeededSite]
) -> None:
    client = client_for("site:people:read", site=None)
    answer = client.get(f"/api/v1/workers/{two_sites[0].workers[0]}/days", params={"month": "2026-14"})
    assert answer.status_code == 422
    assert "write it like 2026-11" in answer.text


def test_months_long_ago_are_not_even_opened(two_sites: tuple[SeededSite, SeededSite], database_url: str) -> None:
    """Mutants: leave the limit by `received_at` out of the query, or take the two minutes off in SQL (then they are
    opened to be planned for): either way its cost grows with history."""
    until_at = datetime.now(UTC)
    from_at = until_at - timedelta(days=62)
    given = {"worker": two_sites[0].workers[0], "sites": None, "from_at": from_at}
    given["received_after"] = from_at - repository.AHEAD_OF_RECEIPT_MAX
    with psycopg.connect(database_url) as connection:
        connection.execute("SELECT ccs_event_month(now() - n * interval '1 month') FROM generate_series(0, 60) n")
        plan = connection.execute(f"EXPLAIN {repository._WORKER_TAPS}".encode(), given | {"until_at": until_at})
        words = {word for row in plan for word in row[0].split()}
    opened = {word for word in words if re.fullmatch(r"attendance_event_\d{4}_\d\d", word)}
    assert 3 <= len(opened) <= 7, opened
    assert "Subplans" not in words, "planned for and left out only then"
