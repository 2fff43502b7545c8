"""Looks at a journal beside its writer: every row once, and nothing is changed by looking."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from edge_agent.journal import database
from edge_agent.journal.record import MIB, JournalLimits
from edge_agent.journal.store import Journal
from edge_agent.journal.view import ROWS_A_CHUNK
from edge_agent.wire.messages import TAP, Credential, TapData
from simulators.terminal_clock import HandClock

LIMITS = JournalLimits(reserve_bytes=MIB // 8, floor_bytes=MIB // 8, wal_bytes=MIB // 8)


def test_every_row_is_looked_at_once_however_many_there_are(tmp_path: Path) -> None:
    """Mutant: a chunk begins before the end of the one before it, or the next one is never read."""
    path = tmp_path / "journal.db"
    journal = Journal.open(path, site="site-07", terminal="gate-03", clock=HandClock(), limits=LIMITS)
    tapped = TapData("in", "r1", "gate-03", Credential("id_only", 0), "accepted", "green")
    for _ in range(2 * ROWS_A_CHUNK + 1):
        journal.append(type_=TAP, data=tapped)
    report = journal.verify()
    assert (report.ok, report.first, report.last, report.events) == (
        True,
        1,
        2 * ROWS_A_CHUNK + 1,
        2 * ROWS_A_CHUNK + 1,
    )
    journal.close()


def test_a_look_at_a_journal_cannot_change_it(tmp_path: Path) -> None:
    """Mutant: the reading connection may write."""
    path = tmp_path / "journal.db"
    Journal.open(path, site="site-07", terminal="gate-03", clock=HandClock(), limits=LIMITS).close()
    connection = database.connect_to_read(path)
    with pytest.raises(apsw.ReadOnlyError):
        connection.execute("UPDATE journal_cursor SET durable = 0")
    connection.close()
