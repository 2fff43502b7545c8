"""How sure a time is, where people see it: the headcount's list, its exports, the taps, and a look back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from central.attendance import exports, records, settling, wording
from central.attendance.batch import Message
from central.attendance.headcount import INSIDE, PresenceView, assemble
from central.attendance.ingest import Ingest
from central.attendance.intake import connect
from central.attendance.presence import IN, OUT, CountedTap, fold, stepped
from central.attendance.service import site_headcount
from central.attendance.timekeeping import (
    BOUNDED,
    CLAIMED,
    DOUBT_SQL,
    ERROR_MS_MAX,
    MEASURED,
    UNCOMPARED,
    UNKNOWN,
    doubt_of,
)
from central.kit.db import ReadSession, make_engine, read_session
from edge_agent.wire.ids import card_token
from simulators.journal import JournalMaker
from simulators.seeding import seed_site

CARD_KEY = bytes(range(32))
AT = datetime(2026, 11, 23, 7, 10, tzinfo=UTC)


def tap(journal: int, seq: int, minutes: float, direction: int, *, doubt: int = 0) -> CountedTap:
    at = AT + timedelta(minutes=minutes)
    return CountedTap(journal, seq, at, direction, 0, 3, 1, "gate", f"journal-{journal}", doubt)


@pytest.mark.promise("TIM-01")
@pytest.mark.promise("INC-01")
@pytest.mark.parametrize(
    ("exit_", "leaves"),
    [
        (tap(2, 1, 30, OUT), True),
        (tap(2, 1, 30, OUT, doubt=29), True),
        (tap(2, 1, 30, OUT, doubt=31), False),
        (tap(2, 1, 30, OUT, doubt=UNKNOWN), False),
        (tap(2, 1, 30, OUT, doubt=UNCOMPARED), True),
        (tap(1, 2, 30, OUT, doubt=UNKNOWN), True),
    ],
    ids=["sure", "sure enough", "perhaps before", "unknown", "claimed", "later by its number"],
)
def test_nobody_leaves_by_an_exit_that_may_have_been_before_the_entry(exit_: CountedTap, *, leaves: bool) -> None:
    """Mutant: an exit counts at the latest time that it can have been (tim-01-exit-at-receipt)."""
    state = fold([tap(1, 1, 0, IN), exit_])
    assert state is not None
    assert (state.state != INSIDE) is leaves
    assert stepped(fold([tap(1, 1, 0, IN)]), [exit_]) == state
    assert (state.doubts == 8) is not leaves


def view(**given: Any) -> PresenceView:
    return PresenceView("worker:1", 1, INSIDE, AT, 3, 0, AT, 1, "gate", "김철수", **given)


@pytest.mark.parametrize(
    ("doubt", "error_min", "reasons"),
    [(0, 0, ()), (3, 3, ("entry_time_uncertain",)), (UNKNOWN, None, ("entry_time_uncertain",)), (UNCOMPARED, None, ())],
)
def test_the_headcount_says_how_sure_an_entry_is(doubt: int, error_min: int | None, reasons: tuple[str, ...]) -> None:
    (one,) = assemble(site="s", as_of=AT, rows=[view(since_doubt=doubt)], terminals=(), codes={}).people
    assert one.since_error_min == error_min
    assert one.reasons == ("no_exit_terminal", *reasons)


@pytest.mark.parametrize(
    ("language", "error_min", "shown"),
    [
        ("en", 0, "07:10"),
        ("en", 3, "about 07:10 ±3 min"),
        ("en", 121, "about 07:10 ±3 h"),
        ("en", None, "07:10 (clock not compared)"),
        ("ko", 3, "약 07:10 ±3분"),
    ],
)
def test_a_time_is_written_with_its_error(language: str, error_min: int | None, shown: str) -> None:
    assert wording.about(language, "07:10", error_min) == shown


def test_an_export_says_how_sure_each_time_is() -> None:
    count = assemble(site="s", as_of=AT, rows=[view(since_doubt=3, last_doubt=UNKNOWN)], terminals=(), codes={})
    sheet = exports.Sheet(
        "s", "S", "Asia/Seoul", "en", count, count.people, filtered=False, asked_by="K", printed_at=AT
    )
    written = exports.write(sheet, "csv").decode("utf-8-sig")
    assert "2026-11-23 16:10 (clock not compared),about 2026-11-23 16:10 ±3 min" in written


def test_minutes_of_doubt_are_the_same_in_the_database(database_url: str) -> None:
    errors_ms = [None, 0, 1, 60_000, 60_001, 119_999, 120_000, 7_200_001, ERROR_MS_MAX]
    rows = [(basis, error_ms) for basis in (MEASURED, BOUNDED, CLAIMED) for error_ms in errors_ms]
    query = f"SELECT {DOUBT_SQL} FROM unnest(%s::smallint[], %s::int[]) e(time_basis, time_error_ms)"
    with connect(database_url) as connection:
        found = connection.execute(query.encode(), list(map(list, zip(*rows, strict=True)))).fetchall()
    assert [row[0] for row in found] == [doubt_of(*row) for row in rows]


@contextmanager
def reading(database_url: str) -> Iterator[ReadSession]:
    engine = make_engine(database_url, pool_size=1)
    with read_session(engine) as session:
        yield session
    engine.dispose()


@pytest.mark.promise("TIM-01")
def test_what_was_known_then_stays_answerable_when_the_time_is_known_better(database_url: str) -> None:
    """At noon the tap seemed to be of noon; in the evening it is known that it was in the morning."""
    seeded = seed_site(database_url, card_key=CARD_KEY)
    token = card_token(CARD_KEY, seeded.identities[0])
    morning = datetime.now(UTC).replace(microsecond=0) - timedelta(days=2)
    noon, evening = morning + timedelta(hours=5), morning + timedelta(hours=10)
    journal = JournalMaker("site-07", "gate-01")
    data = {"direction": "in", "reader": "r1", "zone": "gate", "decision": "accepted", "shown": "green"}
    data |= {"credential": {"method": "desfire_ev2", "assurance": 3}}  # type: ignore[dict-item]
    lost: dict[str, Any] = {"at": datetime(1970, 1, 1, tzinfo=UTC), "clock_state": "unset", "boottime_ns": 10**9}
    journal.append("ccs.tap.v1", data, token=token, **lost)
    anchored: dict[str, Any] = {"at": evening, "boottime_ns": 36_001 * 10**9}
    journal.append("ccs.clock.anchor.v1", {"error_ms": 5, "was": "unset"}, **anchored)
    with connect(database_url) as connection:
        ingest = Ingest(connection)
        for part, now in (((1, 1), noon), ((2, 2), evening)):
            due = ingest.take([Message(journal.topic, journal.batch(*part))], now=now).clocks
            settling.settle(connection, due, now=now)
    with reading(database_url) as session:

        def since(**at: datetime) -> list[datetime]:
            found = site_headcount(session, site_id=seeded.site_id, now=datetime.now(UTC), **at)  # type: ignore[arg-type]
            return [person.since_at for person in found.people]

        (best,) = since()
        assert abs(best - morning) < timedelta(seconds=20)
        assert since(known_at=noon + timedelta(hours=1)) == [noon]
        assert since(known_at=evening + timedelta(hours=1)) == [best]
        assert since(true_at=morning + timedelta(hours=1)) == [best]
        assert since(true_at=morning + timedelta(hours=1), known_at=noon + timedelta(hours=1)) == []
        (shown,) = records.taps(session, site_id=seeded.site_id, cursor=None, rows_max=9).items  # type: ignore[arg-type]
    assert json.loads(journal.events[0])["time"] == "1970-01-01T00:00:00.000Z", "the evidence is as it was"
    assert isinstance(shown, records.Tap)
    assert (shown.time_basis, shown.occurred_at) == ("reconstructed", best)
    assert shown.time_error_ms is not None
    assert timedelta(milliseconds=shown.time_error_ms) >= abs(best - morning)
