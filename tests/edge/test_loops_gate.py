"""The tap path on a real journal: what the worker is shown, and what is on the disk when it is shown."""

from __future__ import annotations

import json
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from edge_agent.clock import SystemClock
from edge_agent.journal.record import JournalFailed, JournalFull, JournalLimits
from edge_agent.journal.store import Journal
from edge_agent.loops.board import Board
from edge_agent.loops.gate import ClosedGate, Gate
from edge_agent.loops.reader_news import CALM_S, CHANGES_EACH_MAX
from edge_agent.readers.base import Answer, Beat, CardSeen, CardUnreadable, ReaderConfig, ReaderFound, ReaderLost
from edge_agent.supervisor import Heart
from edge_agent.tap.roster import RosterView
from edge_agent.wire.codec import decode_event
from edge_agent.wire.ids import card_token
from edge_agent.wire.messages import Credential, RosterEntry
from simulators.terminal_clock import HandClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from pytest_mock import MockerFixture

    from edge_agent.clock import Clock
    from edge_agent.output.base import ScreenEvent
    from edge_agent.readers.base import Emit, ReaderEvent
    from edge_agent.wire.messages import ClockState, Direction

KEY = b"\x11" * 32
UID = b"\x04\xa2\xb3\xc4\xd5\xe6\x80"
TOKEN = card_token(KEY, UID)
MIB = 1024 * 1024


class Screen:
    """A display that keeps what it is shown."""

    def __init__(self) -> None:
        self.shown: list[ScreenEvent] = []

    def show(self, event: ScreenEvent) -> None:
        self.shown.append(event)


class Quiet:
    """A log that keeps the events it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def info(self, event: str, **_values: object) -> None:
        self.said.append(event)

    error = warning = debug = info


class Bench:
    """A gate with one reader in each direction."""

    def __init__(self, folder: Path, clock: Clock | None = None) -> None:
        self.clock = clock or SystemClock()
        self.journal = Journal.open(
            folder / "journal.db", site="site-07", terminal="gate-03", clock=self.clock, limits=JournalLimits()
        )
        self.screen = Screen()
        self.log = Quiet()
        self.appended = 0
        directions: tuple[Direction, ...] = ("in", "out", "tap", "muster")
        self.readers = [ReaderConfig(one, "socket", "", one, "north") for one in directions]
        self.board = Board(RosterView("site-07"), {one.name: None for one in self.readers})
        self.gate = self.fresh_gate()

    def fresh_gate(self) -> Gate:
        return Gate(
            journal=self.journal,
            clock=self.clock,
            board=self.board,
            card_key=KEY,
            readers=self.readers,
            displays=[self.screen],
            appended=self._count,
            log=self.log,  # type: ignore[arg-type]  # only what the gate says is of interest
        )

    def _count(self) -> None:
        self.appended += 1

    def hold(self, reader: str = "in", *, authentic: bool = True, lay_there: bool = False) -> Answer:
        answer = self.gate.handle(CardSeen(reader, UID, Credential("id_only", 0), authentic, lay_there))
        assert answer is not None
        return answer

    def know(self, *, barred: str | None = None) -> None:
        entry = RosterEntry(token=TOKEN, worker="w1", name="김철수", barred=barred)
        self.board.roster = RosterView("site-07", version=3, entries={TOKEN: entry})

    def data(self, seq: int) -> dict[str, object]:
        (record,) = self.journal.read(seq - 1, events_max=1, bytes_max=MIB)
        found: dict[str, object] = json.loads(bytes(decode_event(record.bytes).data))
        return found


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.journal.close()


@pytest.mark.promise("DUR-01")
def test_green_names_a_record_that_is_in_the_journal(bench: Bench) -> None:
    """Mutant: the answer is given before `append`."""
    bench.know()
    answer = bench.hold()
    assert answer.shown == "green"
    assert bench.journal.head.seq == answer.seq
    (record,) = bench.journal.read(answer.seq - 1, events_max=1, bytes_max=MIB)
    event = decode_event(record.bytes)
    assert event.subject == f"card:{TOKEN}"
    assert UID.hex().encode() not in record.bytes, "the raw identity never travels"
    assert bench.data(answer.seq) == {
        "direction": "in",
        "reader": "in",
        "zone": "north",
        "credential": {"method": "id_only", "assurance": 0, "keyver": None},
        "decision": "accepted",
        "shown": "green",
        "rosterver": 3,
    }
    assert bench.appended == 1
    (shown,) = bench.screen.shown
    assert (shown.kind, shown.shown, shown.name_masked, shown.text_key) == ("tap", "green", "김*수", "in")


@pytest.mark.parametrize(
    ("barred", "known", "authentic", "shown", "decision"),
    [
        (None, False, True, "amber", "unknown_card"),
        ("no training", True, True, "red", "barred"),
        (None, True, False, "red", "auth_failed"),
    ],
)
def test_whoever_is_not_let_in_is_recorded_all_the_same(
    bench: Bench, *, barred: str | None, known: bool, authentic: bool, shown: str, decision: str
) -> None:
    if known:
        bench.know(barred=barred)
    answer = bench.hold(authentic=authentic)
    assert (answer.shown, answer.decision) == (shown, decision)
    assert bench.data(answer.seq)["decision"] == decision


def test_a_double_tap_is_kept_marked_and_remembered_over_a_restart(bench: Bench) -> None:
    bench.know()
    bench.hold()
    assert (again := bench.hold()).decision == "repeat"
    assert again.shown == "green"
    bench.gate = bench.fresh_gate()
    assert bench.hold().decision == "repeat"
    assert bench.hold("out").decision == "accepted"


@pytest.fixture
def by_hand(tmp_path: Path) -> Iterator[tuple[Bench, HandClock]]:
    """A gate whose clock is moved by hand; its journal opens as if the agent had just been started."""
    clock = HandClock()
    bench = Bench(tmp_path, clock)
    bench.know()
    yield bench, clock
    bench.journal.close()


def reboot(clock: HandClock, *, at: datetime, state: ClockState) -> None:
    clock.at, clock.state = at, state
    clock.boot_id, clock.boottime_ns, clock.epoch = "another boot", 30_000_000_000, clock.epoch + 1


@pytest.mark.promise("INC-01")
def test_a_clock_without_a_battery_does_not_make_the_next_mornings_tap_a_repeat(
    by_hand: tuple[Bench, HandClock],
) -> None:
    """Mutant: tell a repeat by the wall clock. Off the network each day may begin at the hour the last one ended."""
    bench, clock = by_hand
    clock.state = "rtc"
    assert bench.hold("tap").decision == "accepted"
    reboot(clock, at=clock.at + timedelta(seconds=20), state="rtc")
    bench.gate = bench.fresh_gate()
    assert bench.hold("tap").decision == "accepted"


def test_over_a_reboot_two_compared_clocks_still_tell_a_repeat(by_hand: tuple[Bench, HandClock]) -> None:
    bench, clock = by_hand
    assert bench.hold().decision == "accepted"
    reboot(clock, at=clock.at + timedelta(seconds=40), state="synced")
    bench.gate = bench.fresh_gate()
    assert bench.hold().decision == "repeat"
    clock.pass_time(timedelta(seconds=30))
    assert bench.hold().decision == "accepted"


@pytest.mark.parametrize("step", [timedelta(hours=9), timedelta(hours=-9)])
def test_a_clock_that_is_set_between_two_taps_changes_nothing_about_a_repeat(
    by_hand: tuple[Bench, HandClock], step: timedelta
) -> None:
    """Mutant: tell a repeat by the wall clock."""
    bench, clock = by_hand
    bench.hold()
    clock.pass_time(timedelta(seconds=5))
    clock.at += step
    assert bench.hold().decision == "repeat"
    clock.pass_time(timedelta(seconds=60))
    assert bench.hold().decision == "accepted"


@pytest.mark.promise("INC-01")
def test_a_card_left_lying_over_a_restart_of_the_agent_is_a_repeat(by_hand: tuple[Bench, HandClock]) -> None:
    """Mutant: remember only the last minute's taps at start."""
    bench, clock = by_hand
    assert bench.hold("tap").decision == "accepted"
    clock.pass_time(timedelta(minutes=30))
    bench.gate = bench.fresh_gate()
    assert bench.hold("tap", lay_there=True).decision == "repeat"
    assert bench.hold("tap").decision == "accepted", "held anew after half an hour"
    reboot(clock, at=clock.at + timedelta(hours=9), state="rtc")
    bench.gate = bench.fresh_gate()
    assert bench.hold("tap", lay_there=True).decision == "accepted", "the first card of the day, held before all was up"


@pytest.mark.promise("DUR-01")
@pytest.mark.parametrize("failure", [JournalFull("no room"), JournalFailed("fsync failed")])
def test_a_card_that_could_not_be_stored_is_red_never_green(
    bench: Bench, mocker: MockerFixture, failure: Exception
) -> None:
    """Mutant: the gate catches the journal's failure and shows what it had decided."""
    bench.know()
    failing = mocker.patch.object(bench.journal, "append", side_effect=failure)
    answer = bench.hold()
    assert (answer.shown, answer.decision, answer.journal_id, answer.seq) == ("red", "not_recorded", "", 0)
    assert [(event.kind, event.shown) for event in bench.screen.shown] == [("not_recorded", "red")]
    assert bench.board.refused_taps == 1
    assert bench.appended == 0
    mocker.stop(failing)
    assert bench.hold().shown == "green", "the refused card was not remembered as a tap"
    assert bench.board.refused_taps == 0
    assert bench.log.said[-1] == "recording_again"


@pytest.mark.promise("DUR-01")
@pytest.mark.parametrize("broken", ["edge_agent.journal.store.sha256", "edge_agent.loops.gate.decide"])
def test_whatever_breaks_on_the_way_a_card_is_answered_red(bench: Bench, mocker: MockerFixture, broken: str) -> None:
    """Mutant: catch only the journal's own errors: the driver then ends, and the worker is left without an answer."""
    bench.know()
    mocker.patch(broken, side_effect=OSError("the disk is gone"))
    answer = bench.hold()
    assert (answer.shown, answer.decision, answer.seq) == ("red", "not_recorded", 0)
    assert bench.screen.shown[-1].kind == "not_recorded"
    assert bench.gate.handle(ReaderLost("in", "unplugged")) is None
    assert "gate_failed" in bench.log.said
    mocker.stopall()
    assert bench.hold().shown == "green"


def test_a_muster_entry_may_use_the_reserved_room(bench: Bench, mocker: MockerFixture) -> None:
    append = mocker.spy(bench.journal, "append")
    bench.hold("muster")
    bench.hold("in")
    assert [call.kwargs["reserved"] for call in append.call_args_list] == [True, False]
    assert append.call_args_list[0].kwargs["type_"] == "ccs.muster.v1"


def test_a_lost_and_found_reader_is_an_event_and_a_screen(bench: Bench) -> None:
    events: list[ReaderEvent] = [ReaderFound("in", "ACR122U"), ReaderLost("in", "unplugged")]
    assert [bench.gate.handle(event) for event in events] == [None, None]
    assert [bench.data(seq) for seq in (1, 2)] == [
        {"reader": "in", "state": "found", "detail": "ACR122U"},
        {"reader": "in", "state": "lost", "detail": "unplugged"},
    ]
    assert bench.board.reader_states()["in"] is False
    assert bench.screen.shown[-1].kind == "reader_lost"


def test_a_loose_cable_fills_no_journal_and_is_told_all_the_same(bench: Bench, mocker: MockerFixture) -> None:
    clock = mocker.patch("edge_agent.loops.gate.time.monotonic", return_value=0.0)
    for number in range(500):
        clock.return_value = number / 10
        bench.gate.handle(ReaderFound("in", "ACR122U") if number % 2 else ReaderLost("in", "unplugged"))
    assert bench.journal.head.seq == CHANGES_EACH_MAX
    clock.return_value += CALM_S
    bench.gate.settle()
    bench.gate.settle()
    left_out = 500 - CHANGES_EACH_MAX
    said = {"reader": "in", "state": "found", "detail": "ACR122U", "left_out": left_out}
    assert (bench.journal.head.seq, bench.data(CHANGES_EACH_MAX + 1)) == (CHANGES_EACH_MAX + 1, said)


def test_a_card_that_could_not_be_read_is_asked_for_again_and_recorded_nowhere(bench: Bench) -> None:
    answer = bench.gate.handle(CardUnreadable("in", "pulled away"))
    assert answer is not None
    assert answer.shown == "red"
    assert bench.journal.head.seq == 0
    assert bench.screen.shown[-1].text_key == "unreadable"


def test_a_terminal_without_a_journal_is_red_to_everybody(bench: Bench) -> None:
    gate = ClosedGate(
        "no disk",
        clock=bench.clock,
        readers=bench.readers,
        displays=[bench.screen],
        log=bench.log,  # type: ignore[arg-type]  # as above
    )
    answer = gate.handle(CardSeen("in", UID, Credential("id_only", 0)))
    assert answer is not None
    assert (answer.shown, answer.seq) == ("red", 0)
    assert gate.handle(ReaderFound("in", "")) is None
    assert bench.screen.shown[-1].kind == "not_recorded"


def test_neither_a_card_nor_a_device_may_hang(bench: Bench) -> None:
    """Mutant: a reader's silence counts as life, and whoever holds a card to a hung device gets no answer at all."""
    heart = Heart(stale_s_max=1.0)
    much_later = 10**9
    alive: list[bool] = []

    class Watching:
        """Looks at the heart in the middle of a tap."""

        def show(self, _event: ScreenEvent) -> None:
            alive.append(heart.alive(much_later))

    class OneCard:
        name = "in"

        def run(self, emit: Emit, _stop: threading.Event, beat: Beat) -> None:
            emit(CardSeen("in", UID, Credential("id_only", 0)))
            alive.append(heart.alive(much_later))
            beat()
            alive.append(heart.alive(time.monotonic()))

    bench.screen = Watching()  # type: ignore[assignment]  # stands in for the screen
    bench.fresh_gate().loop(OneCard())(threading.Event(), heart)
    assert alive == [False, False, True]
