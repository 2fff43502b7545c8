from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import psycopg
import pytest
from psycopg import errors

from central.attendance.batch import Message
from central.attendance.ingest import Ingest
from central.attendance.intake import connect
from central.attendance.months import MONTHS_AHEAD, make_ahead, make_month, month_of
from edge_agent.wire.ids import card_token
from simulators.journal import JournalMaker
from simulators.seeding import seed_site

CARD_KEY = bytes(range(32))
LONG_AGO = datetime(2021, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


def rows(connection: psycopg.Connection[Any], query: str) -> list[Any]:
    return connection.execute(query).fetchall()


def test_a_month_begins_and_ends_in_utc_whatever_the_offset() -> None:
    seoul = timezone(timedelta(hours=9))
    month = month_of(datetime(2026, 12, 1, 8, 59, tzinfo=seoul))
    assert month == (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
    assert month.partition == "attendance_event_2026_11"
    assert month.next().next() == (datetime(2027, 1, 1, tzinfo=UTC), datetime(2027, 2, 1, tzinfo=UTC))
    assert month.until_at - timedelta(microseconds=1) in month
    assert month.until_at not in month


def test_events_of_any_month_are_stored_without_anybody_having_made_it(database_url: str) -> None:
    """Mutant: leave the months to the job that makes them ahead."""
    seeded = seed_site(database_url, card_key=CARD_KEY)
    journal = JournalMaker("site-07", "gate-01")
    for _ in range(3):
        journal.tap(card_token(CARD_KEY, seeded.identities[0]))
    instants = [LONG_AGO, LONG_AGO + timedelta(microseconds=1), datetime(2099, 2, 28, tzinfo=UTC)]
    with connect(database_url) as connection:
        ingest = Ingest(connection)
        for seq, now in enumerate(instants, 1):
            assert ingest.take([Message(journal.topic, journal.batch(seq, seq))], now=now).stored == 1
        found = rows(connection, "SELECT tableoid::regclass::text, seq FROM attendance_event ORDER BY seq")
    names = ["attendance_event_2021_12", "attendance_event_2022_01", "attendance_event_2099_02"]
    assert found == list(zip(names, (1, 2, 3), strict=True))


@pytest.mark.promise("DUR-02")
def test_what_came_in_another_month_is_known_when_it_comes_again(database_url: str) -> None:
    """Mutant: look at the newest month only (`dur-02-time-window`)."""
    seeded = seed_site(database_url, card_key=CARD_KEY)
    journal = JournalMaker("site-07", "gate-01")
    for _ in range(6):
        journal.tap(card_token(CARD_KEY, seeded.identities[0]))
    with connect(database_url) as connection:
        ingest = Ingest(connection)
        for months in range(6):
            batch = Message(journal.topic, journal.batch(months + 1, months + 1))
            ingest.take([batch], now=LONG_AGO + timedelta(days=31 * months))
        again = ingest.take([Message(journal.topic, journal.batch())], now=LONG_AGO + timedelta(days=200))
        assert (again.stored, again.repeated, dict(again.anomalies)) == (0, 6, {})
        assert rows(connection, "SELECT count(*), count(DISTINCT tableoid) FROM attendance_event") == [(6, 6)]


def test_months_are_made_ahead_and_only_once(database_url: str) -> None:
    with connect(database_url) as connection:
        made = make_ahead(connection, now=LONG_AGO)
        assert made == [f"attendance_event_{name}" for name in ("2021_12", "2022_01", "2022_02", "2022_03")]
        assert len(made) == MONTHS_AHEAD + 1
        assert make_ahead(connection, now=LONG_AGO) == []


def test_a_month_is_made_while_another_one_is_being_written(database_url: str) -> None:
    """Mutant: make the partition in place, which waits for every writer and reader of every month."""
    seeded = seed_site(database_url, card_key=CARD_KEY)
    journal = JournalMaker("site-07", "gate-01")
    journal.tap(card_token(CARD_KEY, seeded.identities[0]))
    with connect(database_url) as writer, connect(database_url) as maker, writer.transaction():
        Ingest(writer).take([Message(journal.topic, journal.batch())], now=datetime.now(UTC))
        maker.execute("SET lock_timeout = '2s'")
        assert make_month(maker, month_of(LONG_AGO))


def test_two_that_make_the_same_month_make_one(database_url: str) -> None:
    made: list[bool] = []

    def make() -> None:
        with connect(database_url) as connection:
            made.append(make_month(connection, month_of(LONG_AGO)))

    makers = [threading.Thread(target=make) for _ in range(4)]
    for one in makers:
        one.start()
    for one in makers:
        one.join()
    assert sorted(made) == [False, False, False, True]


@pytest.mark.promise("DUR-02")
@pytest.mark.parametrize(
    "statement", ["UPDATE attendance_journal SET durable = durable - 1", "DELETE FROM attendance_journal"]
)
def test_the_database_itself_lets_no_cursor_go_back(database_url: str, statement: str) -> None:
    """Mutant: leave out the trigger: across months nothing but the cursor keeps an event from counting twice."""
    seeded = seed_site(database_url, card_key=CARD_KEY)
    journal = JournalMaker("site-07", "gate-01")
    journal.tap(card_token(CARD_KEY, seeded.identities[0]))
    with connect(database_url) as connection:
        Ingest(connection).take([Message(journal.topic, journal.batch())], now=datetime.now(UTC))
        with pytest.raises(errors.RestrictViolation, match="only rises"):
            connection.execute(statement.encode())


@pytest.mark.parametrize("statement", ["UPDATE {0} SET hash = ''", "DELETE FROM {0}"])
def test_a_month_named_directly_refuses_to_be_changed_as_well(database_url: str, statement: str) -> None:
    """Mutant: guard the parent only."""
    with connect(database_url) as connection:
        make_month(connection, month_of(LONG_AGO))
        with pytest.raises(errors.RestrictViolation, match="is evidence"):
            connection.execute(statement.format("attendance_event_2021_12").encode())
