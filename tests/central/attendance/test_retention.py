from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from central.attendance import jobs, keeping, retention
from central.attendance.batch import Message
from central.attendance.ingest import Ingest
from central.attendance.intake import connect
from central.attendance.keeping import PersonKey
from central.attendance.months import Month, month_of
from central.attendance.presence import ACCEPTED, IN, OUT, TAP, CountedTap, fold
from central.audit.service import verify_chain
from central.kit.db import make_engine, read_session, write_session
from central.kit.errors import Invalid
from edge_agent.wire.ids import card_token
from simulators.journal import JournalMaker
from simulators.seeding import SeededSite, seed_site

CARD_KEY = bytes(range(32))
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
MONTHS = 16


@dataclass
class Place:
    engine: Engine
    connection: psycopg.Connection[Any]
    seeded: SeededSite
    journal: JournalMaker
    strange: str

    def token(self, number: int) -> str:
        return card_token(CARD_KEY, self.seeded.identities[number])

    def rows(self, query: str) -> list[Any]:
        return self.connection.execute(query.encode()).fetchall()

    def keep(self, keep_months: int | None) -> None:
        with write_session(self.engine) as session:
            retention.set_rule(session, keep_months=keep_months, actor="system:test", now=NOW)

    def let_go(self) -> list[str]:
        return retention.let_go(self.engine, self.connection, actor="system:test", now=NOW)

    def presence(self) -> list[Any]:
        return self.rows("SELECT * FROM attendance_presence ORDER BY site_id, person")


@pytest.fixture
def place(database_url: str) -> Iterator[Place]:
    """Sixteen months of taps: one comes and goes, one went in and never out, one left with a weak card."""
    seeded = seed_site(database_url, card_key=CARD_KEY, terminals={"gate-01": ("in", "out")})
    engine = make_engine(database_url, pool_size=1)
    with connect(database_url) as connection:
        begin = month_of(NOW).from_at
        for _ in range(MONTHS - 1):
            begin = month_of(begin - timedelta(days=1)).from_at
        journal = JournalMaker("site-07", "gate-01", at=begin)
        found = Place(engine, connection, seeded, journal, card_token(CARD_KEY, b"nobody's"))
        ingest, month = Ingest(connection), month_of(begin)
        for number in range(MONTHS):
            journal.at, first = month.from_at + timedelta(hours=1), len(journal.events) + 1
            if number == 0:
                journal.tap(found.token(1))
                journal.tap(found.token(2))
                journal.tap(found.strange)
            if number == 1:
                journal.tap(found.token(2), "out", assurance=0)
            journal.tap(found.token(0))
            journal.at += timedelta(hours=8)
            journal.tap(found.token(0), "out")
            ingest.take([Message(journal.topic, journal.batch(first))], now=journal.at + timedelta(seconds=1))
            month = month.next()
        yield found
    engine.dispose()


def test_without_a_rule_every_month_is_kept(place: Place) -> None:
    """Mutant: a rule of so many months when nobody set one."""
    before = place.rows("SELECT count(*) FROM attendance_event")
    assert place.let_go() == []
    place.keep(12)
    place.keep(None)
    assert place.let_go() == []
    assert place.rows("SELECT count(*) FROM attendance_event") == before


def test_the_rule_lets_go_of_whole_months_and_says_so_in_the_audit_trail(place: Place) -> None:
    place.keep(12)
    oldest = place.rows("SELECT min(received_at) FROM attendance_event")[0][0]
    assert place.let_go() == [f"attendance_event_2025_{month:02d}" for month in (8, 9, 10)]
    kept = place.rows("SELECT min(received_at) FROM attendance_event")[0][0]
    assert oldest < kept == datetime(2025, 11, 1, 9, 0, 3, tzinfo=UTC)
    acts = place.rows("SELECT tag, subject, detail FROM audit_event ORDER BY id")
    assert acts[0] == ("retention:set", "attendance_event", {"keep_months": 12, "before": "all"})
    said = {"events": 5, "runs": 1, "persons": 4, "keep_months": 12}
    assert acts[1] == ("events:drop", "attendance_event_2025_08", said)
    assert [act[2]["events"] for act in acts[1:]] == [5, 3, 2]
    with read_session(place.engine) as session:
        assert verify_chain(session).broken_at is None
    assert place.let_go() == []


@pytest.mark.promise("INC-01")
def test_nobody_leaves_the_inside_set_because_an_old_month_is_gone(place: Place) -> None:
    """Mutant: drop the month without carrying on what it says of each person."""
    before = place.presence()
    assert place.rows("SELECT count(*) FROM attendance_presence WHERE state = 1") == [(3,)]
    place.keep(12)
    place.let_go()
    assert jobs.recompute_presence(place.connection, now=NOW) == 0
    assert place.presence() == before


@pytest.mark.promise("DUR-02")
def test_what_was_let_go_of_is_not_taken_again(place: Place) -> None:
    """Mutant: forget which records a month held."""
    place.keep(12)
    place.let_go()
    count = place.rows("SELECT count(*) FROM attendance_event")
    ingest, journal = Ingest(place.connection), place.journal
    again = ingest.take([Message(journal.topic, journal.batch())], now=NOW)
    assert (again.stored, again.repeated, dict(again.anomalies), dict(again.set_aside)) == (
        0,
        len(journal.events),
        {},
        {},
    )
    journal.tap(place.strange, "out")
    on = ingest.take([Message(journal.topic, journal.batch(len(journal.events)))], now=NOW)
    assert (on.stored, dict(on.anomalies)) == (1, {})
    assert place.rows("SELECT count(*) FROM attendance_event") == [(count[0][0] + 1,)]
    assert place.rows("SELECT count(*) FROM attendance_presence WHERE state = 1") == [(2,)]
    assert jobs.recompute_presence(place.connection, now=NOW) == 0


def test_a_crash_between_remembering_and_dropping_loses_and_doubles_nothing(place: Place) -> None:
    """Mutant: count a month's taps twice while it is both carried and still there."""
    before = place.presence()
    place.keep(12)
    month = month_of(datetime(2025, 8, 15, tzinfo=UTC))
    with place.connection.transaction():
        first = retention._remember(place.connection, month, now=NOW)
    assert jobs.recompute_presence(place.connection, now=NOW) == 0
    with place.connection.transaction():
        again = retention._remember(place.connection, month, now=NOW + timedelta(days=1))
    assert (again["events"], again["persons"]) == (first["events"], first["persons"])
    assert len(place.let_go()) == 3
    assert jobs.recompute_presence(place.connection, now=NOW) == 0
    assert place.presence() == before


def test_a_tap_from_before_that_comes_very_late_still_counts(place: Place) -> None:
    place.keep(12)
    place.let_go()
    late = JournalMaker("site-07", "gate-01", at=datetime(2025, 8, 2, tzinfo=UTC))
    late.tap(place.token(3))
    Ingest(place.connection).take([Message(late.topic, late.batch())], now=NOW)
    key = PersonKey(place.seeded.site_id, f"worker:{place.seeded.workers[3]}")
    assert place.rows("SELECT count(*) FROM attendance_presence WHERE state = 1") == [(4,)]
    assert keeping.refold(place.connection, [key]) == []


@pytest.mark.parametrize("months", [0, 1, 11, -3])
def test_less_than_a_year_is_refused(place: Place, months: int) -> None:
    with pytest.raises(Invalid, match="keep 12 or more, or all"):
        place.keep(months)


@given(st.integers(0, 40), st.integers(12, 60))
def test_the_present_month_and_the_kept_ones_are_never_due(age: int, keep_months: int) -> None:
    months: list[Month] = [month_of(NOW).next(), month_of(NOW)]
    for _ in range(age):
        months.append(month_of(months[-1].from_at - timedelta(days=1)))
    due = retention.due(months, keep_months=keep_months, now=NOW)
    assert len(due) == max(0, age - keep_months)
    assert all(month in months[keep_months + 2 :] for month in due)


@given(st.integers(0, 2**32), st.integers(0, 30))
def test_a_fold_that_goes_on_from_what_was_carried_ends_as_one_from_zero(seed: int, cut: int) -> None:
    chance = random.Random(seed)
    taps = [
        CountedTap(
            1, seq, NOW + timedelta(minutes=10 * seq), chance.choice([IN, OUT, TAP]), ACCEPTED, level, 1, "z", "j"
        )
        for seq, level in enumerate((chance.randint(0, 3) for _ in range(30)), 1)
    ]
    assert fold(taps[cut:], after=fold(taps[:cut])) == fold(taps), f"seed {seed}"
