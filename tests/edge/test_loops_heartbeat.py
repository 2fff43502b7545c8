"""What a terminal says about itself every few seconds, and what its clock did in between."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Self

import pytest

from edge_agent.clock import Kernel, KernelTime, SystemClock
from edge_agent.journal.cursor import Cursor
from edge_agent.journal.record import Head
from edge_agent.journal.store import Journal
from edge_agent.loops.board import Board
from edge_agent.loops.heartbeat import HeartbeatLoop
from edge_agent.loops.herald import Herald
from edge_agent.supervisor import Heart
from edge_agent.tap.roster import RosterView
from edge_agent.wire.codec import decode, decode_event
from edge_agent.wire.messages import Heartbeat
from simulators.servers import wait_until
from simulators.terminal_clock import HandClock

if TYPE_CHECKING:
    from collections.abc import Iterator

SECOND = 1_000_000_000
NOON = int(datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()) * SECOND


class BusyJournal:
    """A journal into which a tap is stored, and of which central acknowledges more, between any two looks."""

    journal_id = "01931f3e-8d2a-7c41-9b5e-3f6a2d90c1e7"
    free_bytes = 1

    def __init__(self) -> None:
        self.looks = 0

    @property
    def head(self) -> Head:
        self.looks += 1
        return Head(100 + self.looks)

    @property
    def cursor(self) -> Cursor:
        self.looks += 1
        return Cursor(durable=90 + self.looks, have=((95 + self.looks, 97 + self.looks),))


def test_a_heartbeat_never_claims_more_than_was_acknowledged_while_taps_come_in() -> None:
    """Mutant: look at the journal's head once for `unacknowledged` and once more for `head_seq`.

    Central holds what `head_seq` less `unacknowledged` says, or it takes itself for restored and raises its epoch.
    """
    journal = BusyJournal()
    herald = Herald(
        site="site-07",
        terminal="gate-03",
        journal=journal,  # type: ignore[arg-type]  # only these numbers are looked at
        clock=HandClock(),
        board=Board(RosterView("site-07")),
        config_hash="",
    )
    beat = decode(herald.heartbeat(now=0.0), Heartbeat)
    cursor = Cursor(durable=90 + journal.looks)
    assert beat.head_seq - beat.unacknowledged <= cursor.durable + 3


class Hands(Kernel):
    """A kernel whose clocks are set by hand."""

    def __init__(self, wall_ns: int = NOON) -> None:
        self.wall_ns, self.boottime_ns, self.synchronised = wall_ns, 100 * SECOND, False

    def __call__(self) -> KernelTime:
        return KernelTime(self.wall_ns, self.boottime_ns, self.synchronised, 2_000)


class Beating:
    """A heartbeat loop on a real journal; what would go to central is kept."""

    def __init__(self, folder: Path, hands: Hands) -> None:
        self.clock = SystemClock(kernel=hands, boot_id="b")
        self.journal = Journal.open(folder / "journal.db", site="site-07", terminal="gate-03", clock=self.clock)
        self.sent: list[bytes] = []
        self.appended = 0
        board = Board(RosterView("site-07"))
        herald = Herald(
            site="site-07",
            terminal="gate-03",
            journal=self.journal,
            clock=self.clock,
            board=board,
            config_hash="",
        )
        self.loop = HeartbeatLoop(
            period_s=0.01,
            herald=herald,
            journal=self.journal,
            clock=self.clock,
            uplink=SimpleNamespace(announced=1, appended=self._count),  # type: ignore[arg-type]  # what it is asked
            link=SimpleNamespace(publish=self._publish),  # type: ignore[arg-type]  # as above
            log=SimpleNamespace(debug=print, error=print),
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.loop.run, args=(self._stop, Heart()))

    def __enter__(self) -> Self:
        self._thread.start()
        wait_until(lambda: bool(self.sent), what="a heartbeat")
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.journal.close()

    def _count(self) -> None:
        self.appended += 1

    def _publish(self, _topic: str, payload: bytes, *, qos: int, connection: int | None) -> int:
        assert (qos, connection) == (0, 1)
        self.sent.append(payload)
        return 1

    def events(self) -> list[tuple[str, dict[str, object]]]:
        records = self.journal.read(0, events_max=100, bytes_max=2**20)
        decoded = [decode_event(record.bytes) for record in records]
        return [(event.type, json.loads(bytes(event.data))) for event in decoded]


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def beating(tmp_path: Path, hands: Hands) -> Iterator[Beating]:
    with Beating(tmp_path, hands) as beating:
        yield beating


def test_a_clock_that_is_set_leaves_the_step_and_the_anchor_in_the_journal(beating: Beating, hands: Hands) -> None:
    """Mutant: forget to compare the epoch of two readings."""
    ahead = timedelta(hours=9)
    hands.wall_ns += int(ahead.total_seconds()) * SECOND
    wait_until(lambda: len(beating.events()) == 1, what="the step")
    hands.synchronised = True
    wait_until(lambda: len(beating.events()) == 2, what="the anchor")
    (step, moved), (anchor, became) = beating.events()
    assert step == "ccs.clock.step.v1"
    assert moved == {"from": "2026-11-22T12:00:00.000Z", "to": "2026-11-22T21:00:00.000Z", "epoch": 1}
    assert anchor == "ccs.clock.anchor.v1"
    assert became == {"error_ms": 2, "was": "rtc"}
    assert beating.appended == 2


def test_a_step_is_told_once_and_a_clock_that_stands_tells_nothing(beating: Beating, hands: Hands) -> None:
    hands.wall_ns -= 5 * SECOND
    wait_until(lambda: len(beating.events()) == 1, what="the step")
    said = len(beating.sent)
    wait_until(lambda: len(beating.sent) > said + 5, what="some more heartbeats")
    assert len(beating.events()) == 1
    assert decode(beating.sent[-1], Heartbeat).head_seq == 1
