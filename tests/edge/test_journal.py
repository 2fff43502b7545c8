"""The journal in fair weather: numbers, chain, limits of reading, acknowledgements, keeping and refusing to open."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import apsw
import pytest

from edge_agent.journal import database
from edge_agent.journal.cursor import Cursor, merge_ranges
from edge_agent.journal.record import (
    MIB,
    EventTooLarge,
    ForkedJournal,
    JournalFailed,
    JournalFull,
    JournalLimits,
    JournalUnusable,
)
from edge_agent.journal.store import Journal
from edge_agent.wire.codec import GENESIS_HASH, decode_event, event_hash
from edge_agent.wire.messages import EVENT_BYTES_MAX, TAP, Ack, Credential, TapData
from simulators.terminal_clock import FIRST_AT, HandClock

LIMITS = JournalLimits(reserve_bytes=MIB // 8, floor_bytes=MIB // 8, wal_bytes=MIB // 4, wal_bytes_idle_max=MIB // 8)
TAPPED = TapData("in", "r1", "gate-03", Credential("desfire_ev2", 3, 1), "accepted", "green", 7)


def open_journal(path: Path, clock: HandClock | None = None, *, limits: JournalLimits = LIMITS) -> Journal:
    return Journal.open(path, site="site-07", terminal="gate-03", clock=clock or HandClock(), limits=limits)


def tap(journal: Journal, count: int = 1) -> None:
    for _ in range(count):
        journal.append(type_=TAP, data=TAPPED, token="9f" * 16)


def ack(journal: Journal, durable: int, *, epoch: int = 0, have: list[tuple[int, int]] | None = None) -> Ack:
    digest = journal.read(durable - 1, events_max=1, bytes_max=MIB)[0].hash if durable else GENESIS_HASH
    return Ack(journal.journal_id, durable, digest, have or [], epoch)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def journal(tmp_path: Path, clock: HandClock) -> Iterator[Journal]:
    opened = open_journal(tmp_path / "journal.db", clock)
    yield opened
    opened.close()


def test_events_are_numbered_from_one_and_each_names_its_predecessor(journal: Journal) -> None:
    tap(journal, 5)
    records = journal.read(0, events_max=10, bytes_max=MIB)
    events = [decode_event(record.bytes) for record in records]
    assert [record.seq for record in records] == [1, 2, 3, 4, 5]
    assert [int(event.sequence) for event in events] == [1, 2, 3, 4, 5]
    assert [event.prevhash for event in events] == [GENESIS_HASH, *(event_hash(r.bytes) for r in records[:-1])]
    assert journal.head.hash == records[-1].hash == event_hash(records[-1].bytes)


def test_an_event_carries_who_when_and_on_what_clock(journal: Journal) -> None:
    record = journal.append(type_=TAP, data=TAPPED, token="9f" * 16)
    event = decode_event(record.bytes)
    assert (event.source, event.subject) == ("urn:ccs:site-07:gate-03", "card:" + "9f" * 16)
    assert (event.time, event.clockstate, event.clockerrms) == (FIRST_AT, "synced", 3)
    assert event.id == f"{journal.journal_id}-{1:020d}"


def test_a_reopened_journal_goes_on_where_it_stopped(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    first = open_journal(path)
    tap(first, 3)
    first.acknowledge(ack(first, 2, have=[]))
    held = (first.journal_id, first.head, first.cursor)
    first.close()
    second = open_journal(path)
    assert (second.journal_id, second.head, second.cursor) == held
    tap(second)
    assert second.head.seq == 4
    assert second.verify().ok
    second.close()


def test_reading_keeps_to_both_limits(journal: Journal) -> None:
    tap(journal, 10)
    size = len(journal.read(0, events_max=1, bytes_max=MIB)[0].bytes)
    assert [r.seq for r in journal.read(4, events_max=3, bytes_max=MIB)] == [5, 6, 7]
    assert [r.seq for r in journal.read(4, events_max=9, bytes_max=size * 2)] == [5, 6]
    assert [r.seq for r in journal.read_newest(0, events_max=3, bytes_max=MIB)] == [8, 9, 10]
    assert [r.seq for r in journal.read_newest(9, events_max=3, bytes_max=MIB)] == [10]
    assert journal.read(10, events_max=3, bytes_max=MIB) == []


def test_an_event_longer_than_the_contract_is_refused_and_takes_no_number(journal: Journal) -> None:
    with pytest.raises(EventTooLarge, match=f"at most {EVENT_BYTES_MAX} are allowed"):
        journal.append(type_=TAP, data={"text": "x" * EVENT_BYTES_MAX})
    tap(journal)
    assert journal.head.seq == 1


def test_a_journal_open_in_one_process_is_refused_to_a_second_opener(journal: Journal, tmp_path: Path) -> None:
    with pytest.raises(JournalUnusable, match=r"already open in process \d+; stop that agent first"):
        open_journal(tmp_path / "journal.db")
    tap(journal)
    assert journal.verify().ok


def test_another_terminals_journal_is_refused(tmp_path: Path) -> None:
    open_journal(tmp_path / "journal.db").close()
    with pytest.raises(JournalUnusable, match="is the journal of site-07/gate-03, this terminal is site-07/gate-04"):
        Journal.open(tmp_path / "journal.db", site="site-07", terminal="gate-04", clock=HandClock(), limits=LIMITS)


@pytest.mark.promise("DUR-01")
@pytest.mark.parametrize("level", ["NORMAL", "OFF"])
def test_a_disk_that_does_not_answer_full_is_refused_at_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, level: str
) -> None:
    """Mutant: `synchronous=NORMAL` (or OFF) in database.PRAGMAS must be refused when read back."""
    monkeypatch.setitem(database.PRAGMAS, "synchronous", level)
    with pytest.raises(JournalUnusable, match=r"PRAGMA synchronous = . where 2 is needed; a tap shown green might"):
        open_journal(tmp_path / "journal.db")


def test_a_journal_of_a_newer_agent_is_refused(tmp_path: Path) -> None:
    open_journal(tmp_path / "journal.db").close()
    with apsw.Connection(str(tmp_path / "journal.db")) as connection:
        connection.pragma("user_version", 99)
    with pytest.raises(JournalUnusable, match="has schema 99, this agent knows up to 3: install the newer agent"):
        open_journal(tmp_path / "journal.db")


def test_a_closed_journal_stores_nothing(journal: Journal) -> None:
    journal.close()
    with pytest.raises(JournalFailed, match="the journal is closed"):
        tap(journal)


def test_an_ack_moves_the_cursor_and_its_repetition_does_not(journal: Journal) -> None:
    tap(journal, 6)
    moved = journal.acknowledge(ack(journal, 2, have=[(6, 6), (4, 4), (4, 5)]))
    assert moved.outcome == "moved"
    assert (journal.cursor.durable, journal.cursor.have) == (2, ((4, 6),))
    assert journal.acknowledge(ack(journal, 2, have=[(4, 6)])).outcome == "repeated"
    assert journal.acknowledge(ack(journal, 1)).outcome == "stale"
    assert journal.cursor.durable == 2


@pytest.mark.promise("DUR-04")
def test_the_cursor_goes_back_only_when_centrals_epoch_rises(journal: Journal) -> None:
    """Mutants: a lower cursor always counts as an old message, or never does."""
    tap(journal, 4)
    journal.acknowledge(ack(journal, 4, epoch=1))
    assert journal.acknowledge(ack(journal, 1, epoch=1)).outcome == "stale"
    assert journal.acknowledge(ack(journal, 4, epoch=0)).outcome == "stale"
    assert journal.acknowledge(ack(journal, 1, epoch=2)).outcome == "moved_back"
    assert journal.cursor == Cursor(1, ack(journal, 1).hash, 2, ())


@pytest.mark.promise("DUR-06")
def test_an_ack_for_other_bytes_or_numbers_never_written_says_the_journal_is_forked(journal: Journal) -> None:
    """Mutant: `advance` without comparing `own_hash` or without comparing with the head moves the cursor here."""
    tap(journal, 3)
    with pytest.raises(ForkedJournal, match="two files wrote the same numbers"):
        journal.acknowledge(Ack(journal.journal_id, 2, "f" * 64, [], 0))
    with pytest.raises(ForkedJournal, match=r"central holds event 9 .* but the journal here ends at 3"):
        journal.acknowledge(Ack(journal.journal_id, 9, "f" * 64, [], 0))
    with pytest.raises(ForkedJournal, match="central holds event 8"):
        journal.acknowledge(ack(journal, 1, have=[(3, 8)]))
    assert journal.cursor.durable == 0


def test_another_journals_ack_changes_nothing(journal: Journal) -> None:
    tap(journal)
    other = Ack("01980000-0000-7000-8000-000000000000", 1, journal.head.hash, [], 5)
    assert journal.acknowledge(other).outcome == "other_journal"
    assert journal.cursor == Cursor()


@pytest.mark.promise("DUR-03")
def test_only_what_is_acknowledged_and_old_is_deleted(journal: Journal, clock: HandClock) -> None:
    """Mutant: pruning by age alone, or by acknowledgement alone, deletes rows that must be here."""
    tap(journal, 4)
    clock.pass_time(timedelta(days=40))
    assert journal.prune(clock.read()) == 0, "40 days old, but not acknowledged"
    journal.acknowledge(ack(journal, 3))
    assert journal.prune(clock.read()) == 0, "40 days old, but central has had it for a moment only"
    clock.pass_time(timedelta(days=20))
    tap(journal, 4)
    journal.acknowledge(ack(journal, 7))
    assert journal.prune(clock.read()) == 0
    clock.pass_time(timedelta(days=16))
    assert journal.prune(clock.read()) == 3, "central has had the others for 16 days"
    assert [r.seq for r in journal.read(0, events_max=9, bytes_max=MIB)] == [4, 5, 6, 7, 8]
    clock.pass_time(timedelta(days=20))
    assert journal.prune(clock.read()) == 4
    assert journal.verify().ok


@pytest.mark.promise("DUR-03", "DUR-04")
def test_what_central_lost_and_got_again_is_kept_for_another_window(journal: Journal, clock: HandClock) -> None:
    """Mutant: a mark outlives the restore of an older backup, and rows go that central has had for minutes."""
    tap(journal, 4)
    journal.acknowledge(ack(journal, 3))
    journal.prune(clock.read())
    clock.pass_time(timedelta(days=34))
    journal.acknowledge(ack(journal, 1, epoch=1))
    journal.acknowledge(ack(journal, 3, epoch=1))
    clock.pass_time(timedelta(days=2))
    assert journal.prune(clock.read()) == 0
    clock.pass_time(timedelta(days=36))
    assert journal.prune(clock.read()) == 3


@pytest.mark.promise("DUR-03")
def test_the_file_itself_refuses_to_delete_or_edit_unacknowledged_rows(journal: Journal) -> None:
    """Mutant: the schema without its triggers lets a faulty program above it delete evidence."""
    tap(journal, 2)
    journal.acknowledge(ack(journal, 1))
    with pytest.raises(apsw.ConstraintError, match="has not acknowledged"):
        journal._handles.writer.execute("DELETE FROM journal_event")
    with pytest.raises(apsw.ConstraintError, match="never edited"):
        journal._handles.writer.execute("UPDATE journal_event SET bytes = x'00'")
    assert len(journal.read(0, events_max=9, bytes_max=MIB)) == 2


def test_the_last_event_stays_so_that_numbers_go_on(journal: Journal, clock: HandClock) -> None:
    tap(journal, 3)
    journal.acknowledge(ack(journal, 3))
    assert journal.prune(clock.read()) == 0
    clock.pass_time(timedelta(days=40))
    assert journal.prune(clock.read()) == 2
    tap(journal)
    assert journal.head.seq == 4
    assert journal.verify().ok


def test_a_clock_that_jumps_makes_nothing_old(journal: Journal, clock: HandClock) -> None:
    right = clock.at
    tap(journal, 2)
    journal.acknowledge(ack(journal, 2))
    journal.prune(clock.read())
    clock.at = right.replace(year=2099)
    assert journal.prune(clock.read()) == 0, "the boot clock says that no time has passed"
    clock.boot_id, clock.state = "00000000-0000-4000-8000-000000000002", "rtc"
    assert journal.prune(clock.read()) == 0, "nobody ever compared this clock"
    clock.at, clock.state = right + timedelta(days=36), "synced"
    assert journal.prune(clock.read()) == 1


def test_a_full_journal_refuses_in_a_sentence_and_says_so_once_in_itself(tmp_path: Path) -> None:
    limits = JournalLimits(bytes_max=MIB, reserve_bytes=MIB // 8, floor_bytes=MIB // 8, wal_bytes=MIB // 8)
    journal = open_journal(tmp_path / "journal.db", limits=limits)
    with pytest.raises(JournalFull, match=r"of the 1048576 allowed.*connect the terminal"):
        tap(journal, 5_000)
    stored = journal.head.seq
    with pytest.raises(JournalFull):
        tap(journal)
    assert journal.head.seq == stored, "announced once, not at every refusal"
    last = decode_event(journal.read_newest(0, events_max=1, bytes_max=MIB)[0].bytes)
    assert last.type == "ccs.journal.v1"
    assert b'"what":"full"' in bytes(last.data)
    journal.append(type_="ccs.muster.v1", data=TAPPED, reserved=True)
    journal.close()


def test_recent_taps_and_the_last_reading_survive_a_restart(journal: Journal, clock: HandClock) -> None:
    tap(journal)
    clock.pass_time(timedelta(minutes=5))
    tap(journal, 2)
    journal.append(type_="ccs.boot.v1", data={"versions": {}, "config_hash": ""})
    traces = journal.recent_taps(clock.at - timedelta(seconds=60))
    assert [(t.token, t.reader, t.direction, t.decision) for t in traces] == [("9f" * 16, "r1", "in", "accepted")] * 2
    assert journal.last_reading() == clock.read()


def test_an_export_is_the_events_own_bytes_one_a_line(journal: Journal) -> None:
    tap(journal, 3)
    target = io.BytesIO()
    assert journal.export(target, after=1) == 2
    assert target.getvalue().splitlines() == [r.bytes for r in journal.read(1, events_max=9, bytes_max=MIB)]


def test_the_log_is_laid_out_once_and_then_overwritten_in_place(journal: Journal, tmp_path: Path) -> None:
    log = tmp_path / "journal.db-wal"
    laid_out = log.stat().st_size
    assert laid_out >= LIMITS.wal_bytes
    for _ in range(8):
        tap(journal, 20)
        journal.maintain()
    assert log.stat().st_size == laid_out


def test_limits_that_let_taps_eat_the_muster_pool_are_refused() -> None:
    with pytest.raises(ValueError, match=re.escape("floor_bytes (1) is less than reserve_bytes (2)")):
        JournalLimits(floor_bytes=1, reserve_bytes=2)


def test_ranges_are_sorted_clipped_and_joined() -> None:
    assert merge_ranges([(9, 9), (1, 4), (5, 6), (8, 3)], beyond=3) == ((4, 6), (9, 9))


def test_taps_reads_acks_and_care_from_many_threads_leave_one_gapless_chain(journal: Journal) -> None:
    done = threading.Event()
    troubles: list[BaseException] = []

    def until_done(work: Callable[[], object]) -> None:
        try:
            while not done.is_set():
                work()
        except BaseException as exc:  # noqa: BLE001 - shown by the assertion below
            troubles.append(exc)

    def acknowledge_all() -> None:
        head = journal.head
        if head.seq:
            journal.acknowledge(Ack(journal.journal_id, head.seq, head.hash, [], 0))

    def read_in_order() -> None:
        seqs = [r.seq for r in journal.read(journal.cursor.durable // 2, events_max=64, bytes_max=MIB)]
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs))) if seqs else True

    works = (acknowledge_all, read_in_order, journal.maintain)
    beside = [threading.Thread(target=until_done, args=(work,)) for work in works]
    gates = [threading.Thread(target=tap, args=(journal, 150)) for _ in range(3)]
    for thread in (*beside, *gates):
        thread.start()
    for thread in gates:
        thread.join()
    done.set()
    for thread in beside:
        thread.join()
    report = journal.verify()
    assert troubles == []
    assert (journal.head.seq, report.events, report.ok) == (450, 450, True)


def test_folding_the_log_back_starts_it_over_before_the_next_tap(journal: Journal) -> None:
    """Mutant: a write that changes nothing, which SQLite does not write, so that every `maintain` folds again."""
    tap(journal, 60)
    assert journal.maintain().log_bytes < LIMITS.wal_bytes_idle_max


@pytest.mark.parametrize("standing", [True, False])
def test_a_tap_is_refused_when_another_program_took_the_newest_row_away(tmp_path: Path, *, standing: bool) -> None:
    """Mutant: `_INSERT` in place of `_INSERT_CHECKED` leaves a gap that nobody asked about."""
    path = tmp_path / "journal.db"
    journal = open_journal(path)
    tap(journal, 3)
    journal.maintain()
    if not standing:
        journal._handles.let_go()
    with apsw.Connection(str(path)) as other:
        for (trigger,) in other.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
            other.execute(f'DROP TRIGGER "{trigger}"')
        other.execute("DELETE FROM journal_event WHERE seq = 3")
    with pytest.raises(JournalFailed):
        tap(journal)
    journal.close()
