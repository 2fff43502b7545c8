"""Housekeeping of a real journal by the running loop: between taps, not for ever put off, never the agent's end."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Self

import pytest

from edge_agent.journal.record import JournalFailed, JournalFull, JournalLimits
from edge_agent.journal.store import Journal
from edge_agent.loops import keeper as keeping
from edge_agent.loops.board import Board
from edge_agent.loops.keeper import KeeperLoop
from edge_agent.supervisor import Heart
from edge_agent.tap.roster import RosterView
from edge_agent.wire.messages import TAP, Ack, Credential, TapData
from simulators.servers import wait_until
from simulators.terminal_clock import HandClock

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_mock import MockerFixture

KIB = 1024
TAPPED = TapData("in", "r1", "gate-03", Credential("id_only", 0), "accepted", "green")
LIMITS = JournalLimits(wal_bytes=64 * KIB, wal_bytes_idle_max=16 * KIB, reserve_bytes=64 * KIB, floor_bytes=128 * KIB)


class Log:
    """Keeps what it is told, with its details."""

    def __init__(self) -> None:
        self.said: list[tuple[str, dict[str, object]]] = []

    def info(self, event: str, **values: object) -> None:
        self.said.append((event, values))

    error = info

    def count(self, event: str) -> int:
        return sum(said == event for said, _ in self.said)


class House:
    """A journal and its keeper, running."""

    def __init__(self, folder: Path) -> None:
        self.clock = HandClock()
        self.journal = Journal.open(
            folder / "journal.db", site="site-07", terminal="gate-03", clock=self.clock, limits=LIMITS
        )
        self.board = Board(RosterView("site-07"), tapped_at=float("-inf"))
        self.log = Log()
        keeper = KeeperLoop(journal=self.journal, clock=self.clock, board=self.board, log=self.log)  # type: ignore[arg-type]  # two words of a log
        self._stop = threading.Event()
        self._thread = threading.Thread(target=keeper.run, args=(self._stop, Heart()))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.journal.close()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def tap(self, count: int) -> None:
        for _ in range(count):
            self.journal.append(type_=TAP, data=TAPPED, token="9f" * 16)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setattr(keeping, "LOOK_S", 0.01)
    return House(tmp_path)


def test_the_log_is_folded_back_while_nobody_taps(house: House) -> None:
    house.tap(20)
    assert house.journal._handles.log_bytes > LIMITS.wal_bytes_idle_max

    def begun_anew() -> bool:
        house.tap(1)
        return house.journal._handles.log_bytes <= LIMITS.wal_bytes_idle_max

    with house:
        wait_until(begun_anew, what="the log to be folded back and begun anew")


def test_housekeeping_waits_for_a_quiet_moment_but_not_for_ever(
    house: House, monkeypatch: pytest.MonkeyPatch, mocker: MockerFixture
) -> None:
    """Mutant: wait for a quiet moment only. A gate in the morning rush has none, and its log grows."""
    maintain = mocker.spy(house.journal, "maintain")
    house.board.tapped_at = float("inf")
    with house:
        beats = time.monotonic() + 0.2
        wait_until(lambda: time.monotonic() > beats, what="some looks to pass")
        assert maintain.call_count == 0
        monkeypatch.setattr(keeping, "PUT_OFF_S_MAX", 0.0)
        wait_until(lambda: maintain.call_count > 0, what="the keeper to wait no longer")


@pytest.mark.promise("DUR-03")
def test_only_what_is_acknowledged_and_older_than_kept_is_deleted(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutant: prune up to the head instead of up to the cursor."""
    monkeypatch.setattr(keeping, "PRUNE_EVERY_S", 0.0)
    house.tap(10)
    fifth = house.journal.read(4, events_max=1, bytes_max=KIB * KIB)[0]
    ack = Ack(journal_id=house.journal.journal_id, durable=5, hash=fifth.hash, have=[], epoch=0)
    house.journal.acknowledge(ack)
    house.journal.prune(house.clock.read())
    with house:
        house.clock.pass_time(timedelta(days=36))
        wait_until(lambda: house.log.count("journal_pruned") == 1, what="the old events to go")
    assert house.log.said[0][1]["deleted"] == 5


@pytest.mark.promise("DUR-07")
@pytest.mark.parametrize("error", [JournalFull("no room"), JournalFailed("fsync failed"), OSError("no such disk")])
def test_a_disk_in_trouble_is_said_once_and_does_not_end_the_keeper(
    house: House, mocker: MockerFixture, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Mutant: let a full disk end the loop: after its budget it takes the whole terminal with it."""
    monkeypatch.setattr(keeping, "PRUNE_EVERY_S", 0.0)
    maintain = mocker.patch.object(house.journal, "maintain", side_effect=error)
    mocker.patch.object(house.journal, "prune", side_effect=error)
    with house:
        wait_until(lambda: maintain.call_count > 3, what="the keeper to go on")
        assert house.alive
    assert house.log.count("journal_trouble") == 1
    assert house.log.count("journal_not_pruned") > 1


@pytest.mark.promise("DUR-07")
def test_a_journal_that_stays_broken_ends_the_keeper_so_that_the_next_start_looks_at_the_file(
    house: House, mocker: MockerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged page met while running is set aside at the next start only: without an end the gate stayed red."""
    monkeypatch.setattr(keeping, "GIVE_UP_S", 0.0)
    mocker.patch.object(house.journal, "maintain", side_effect=JournalFailed("the schema is malformed"))
    keeper = KeeperLoop(journal=house.journal, clock=house.clock, board=house.board, log=house.log)  # type: ignore[arg-type]
    with pytest.raises(JournalFailed, match="has failed for 0 s: the schema is malformed"):
        keeper._maintain(1.0)
