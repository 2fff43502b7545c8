"""Journals that released agents wrote are opened, verified and continued by this one."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from edge_agent.journal import database
from edge_agent.journal.record import MIB, JournalLimits
from edge_agent.journal.store import Journal
from edge_agent.wire.messages import TAP, Credential, TapData
from simulators.terminal_clock import FIRST_AT, HandClock

RECORDED = Path(__file__).parent / "databases"
LIMITS = JournalLimits(reserve_bytes=MIB // 8, floor_bytes=MIB // 8, wal_bytes=MIB // 8)


def restored(folder: Path, version: int) -> Path:
    path = folder / "journal.db"
    with apsw.Connection(str(path)) as connection:
        connection.execute((RECORDED / f"{version:04d}.sql").read_text())
    connection.close()
    return path


@pytest.mark.parametrize("version", [number for number, _ in database.schema_files()])
def test_a_recorded_journal_is_continued_without_losing_a_byte(tmp_path: Path, version: int) -> None:
    path = restored(tmp_path, version)
    journal = Journal.open(path, site="site-07", terminal="gate-03", clock=HandClock(), limits=LIMITS)
    assert journal.lost is None
    assert journal.journal_id == "01a20529-0000-7000-8000-000000000001"
    assert (journal.head.seq, journal.cursor.durable, journal.cursor.epoch, journal.cursor.have) == (6, 2, 3, ((4, 4),))
    assert [trace.decision for trace in journal.recent_taps(FIRST_AT)] == [
        "accepted",
        "repeat",
        "unknown_card",
        "barred",
        "accepted",
    ]
    tapped = TapData("in", "r1", "gate-03", Credential("id_only", 0), "accepted", "green")
    assert journal.append(type_=TAP, data=tapped).seq == 7
    report = journal.verify()
    assert (report.ok, report.first, report.last, report.events) == (True, 1, 7, 7)
    journal.close()


@pytest.mark.promise("DUR-06")
@pytest.mark.parametrize("version", [number for number, _ in database.schema_files()])
def test_a_journal_that_was_brought_up_to_date_is_a_good_one_at_every_later_start(tmp_path: Path, version: int) -> None:
    """Mutant: the proof that an old file's rows are given leaves a value out: it is set aside at the second start."""
    path = restored(tmp_path, version)
    for _ in range(3):
        journal = Journal.open(path, site="site-07", terminal="gate-03", clock=HandClock(), limits=LIMITS)
        assert journal.lost is None
        assert (journal.journal_id, journal.head.seq) == ("01a20529-0000-7000-8000-000000000001", 6)
        assert (journal.cursor.durable, journal.cursor.epoch, journal.cursor.have) == (2, 3, ((4, 4),))
        journal.close()


def test_a_fresh_file_has_the_newest_schema_and_says_whose_it_is(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    Journal.open(path, site="site-07", terminal="gate-03", clock=HandClock(), limits=LIMITS).close()
    with apsw.Connection(str(path)) as connection:
        assert connection.pragma("user_version") == database.schema_files()[-1][0]
        assert connection.pragma("application_id") == database.APPLICATION_ID
    connection.close()
