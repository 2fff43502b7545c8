"""Whose a tap is must not rest on a notice: nobody may have listened when it was sent."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import event, text

from central.attendance import changed_cards
from central.attendance.intake import Inbox, IngestLoop, Metrics, connect
from central.kit.clock import SystemClock
from central.kit.config import Settings
from central.kit.db import make_engine, trial_session, write_session
from central.kit.sealed import Seal
from central.kit.sms import Texts
from central.registry import merging, notices
from central.registry.models import Worker
from simulators.ingest_bench import GATE, SITE, IngestBench
from simulators.journal import JournalMaker

if TYPE_CHECKING:
    from collections.abc import Iterable

    from central.kit.mqtt_packets import Inbound


class _Postman:
    """The broker's end: nothing is sent in these tests."""

    def acknowledge(self, messages: Iterable[Inbound]) -> int:
        return len(list(messages))

    def leave_shared(self) -> None:
        """Nothing was asked for."""

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:  # noqa: ARG002 - the protocol's
        return True


def merge(bench: IngestBench, *, kept: int, other: int, kept_for_good: bool = True) -> None:
    """Find out that two entries of the roll are one person."""
    engine = make_engine(bench.url, pool_size=1)
    with (write_session if kept_for_good else trial_session)(engine) as session:
        session.execute(text("DELETE FROM registry_employment WHERE worker_id = :other"), {"other": other})
        rows = [session.get(Worker, one) for one in (kept, other)]
        merging.merge_workers(
            session,
            kept=rows[0],
            other=rows[1],
            reason="one person",
            texts=Texts(Seal(None), go_out=False),
            actor="system:test",
            now=datetime.now(UTC),
        )
        session.flush()
    engine.dispose()


def one_turn_of_a_worker(bench: IngestBench) -> None:
    """Let a worker come, take what there is, and go."""
    stop = threading.Event()
    stop.set()
    registry = CollectorRegistry()
    settings = Settings(database_url=bench.url)
    loop = IngestLoop(
        settings, clock=SystemClock(), inbox=Inbox(messages_max=10), postman=_Postman(), metrics=Metrics(registry)
    )
    loop.run(stop)


def inside(bench: IngestBench) -> list[str]:
    return [one.person for one in bench.headcount().people]


def taps_of(bench: IngestBench) -> list[int]:
    return [row[0] for row in bench.rows("SELECT worker_id FROM attendance_event ORDER BY journal, seq")]


@pytest.mark.promise("INC-01")
def test_a_merge_while_no_worker_listens_is_applied_by_the_one_that_comes(bench: IngestBench) -> None:
    """Mutant: the cards go out as a notice only, and who left stays inside for ever."""
    kept, other = bench.seeded.workers[1], bench.seeded.workers[0]
    journal = JournalMaker(SITE, GATE, at=datetime.now(UTC) - timedelta(hours=2))
    journal.tap(bench.token(0), "in")
    bench.take((journal.topic, journal.batch()))
    merge(bench, kept=kept, other=other)
    assert inside(bench) == [f"worker:{other}"]
    one_turn_of_a_worker(bench)
    assert inside(bench) == [f"worker:{kept}"]
    journal.at += timedelta(hours=1)
    journal.tap(bench.token(0), "out")
    bench.ingest.forget()
    bench.take((journal.topic, journal.batch()))
    assert (inside(bench), taps_of(bench)) == ([], [kept, kept])


def test_a_tap_stored_under_the_old_holder_by_a_worker_that_died_is_found_before_the_card_is_let_go(
    bench: IngestBench,
) -> None:
    """Mutant: the row goes with the first worker that has looked at it."""
    kept, other = bench.seeded.workers[1], bench.seeded.workers[0]
    journal = JournalMaker(SITE, GATE, at=datetime.now(UTC) - timedelta(hours=2))
    journal.tap(bench.token(0), "in")
    bench.take((journal.topic, journal.batch()))
    merge(bench, kept=kept, other=other)
    one_turn_of_a_worker(bench)
    journal.at += timedelta(hours=1)
    journal.tap(bench.token(0), "out")
    bench.take((journal.topic, journal.batch()))  # it had the old holder in mind, and is heard of no more
    assert taps_of(bench) == [kept, other]
    now = datetime.now(UTC)
    with connect(bench.url) as connection:
        assert changed_cards.settle(connection, now=now) == 0, "a worker may still be storing"
        assert changed_cards.settle(connection, now=now + changed_cards.SETTLED_AFTER) == 1
        assert changed_cards.waiting(connection) == set()
    assert (inside(bench), taps_of(bench)) == ([], [kept, kept])


def test_a_card_is_written_down_with_the_change_or_not_at_all(bench: IngestBench) -> None:
    kept, other = bench.seeded.workers[1], bench.seeded.workers[0]
    merge(bench, kept=kept, other=other, kept_for_good=False)
    assert changed_cards.waiting(bench.connection) == set()
    merge(bench, kept=kept, other=other)
    assert changed_cards.waiting(bench.connection) == {bytes.fromhex(bench.token(0))}


def test_ten_thousand_cards_are_written_down_in_one_statement(bench: IngestBench) -> None:
    """Mutant: a row at a time, or the cards of a notice that was too long are forgotten."""
    engine = make_engine(bench.url, pool_size=1)
    said: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *given: said.append(given[2]))
    with write_session(engine) as session:
        notices.tell(session, tokens=[f"{number:032x}" for number in range(10_000)], sites=[bench.seeded.site_id])
    engine.dispose()
    assert len([one for one in said if "registry_changed_card" in one]) == 1
    assert len(changed_cards.waiting(bench.connection)) == 10_000
