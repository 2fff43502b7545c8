"""Damaged, shortened and missing journals: every loss is located and counted, and the terminal goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_mock import MockerFixture

from edge_agent.journal import recovery
from edge_agent.journal.record import MIB, JournalFailed, JournalLimits, JournalUnusable
from edge_agent.journal.store import Journal
from edge_agent.journal.view import JournalView
from edge_agent.wire.codec import decode_event
from edge_agent.wire.messages import TAP, Ack, Credential, TapData
from simulators.terminal_clock import HandClock

LIMITS = JournalLimits(reserve_bytes=MIB // 8, floor_bytes=MIB // 8, wal_bytes=MIB // 8, wal_bytes_idle_max=4096)
TAPPED = TapData("in", "r1", "gate-03", Credential("id_only", 0), "accepted", "green")


def open_journal(folder: Path) -> Journal:
    return Journal.open(folder / "journal.db", site="site-07", terminal="gate-03", clock=HandClock(), limits=LIMITS)


def written(folder: Path, *, taps: int = 40, durable: int = 0) -> str:
    journal = open_journal(folder)
    for _ in range(taps):
        journal.append(type_=TAP, data=TAPPED, token="9f" * 16)
    if durable:
        digest = journal.read(durable - 1, events_max=1, bytes_max=MIB)[0].hash
        journal.acknowledge(Ack(journal.journal_id, durable, digest, [], 0))
    journal.maintain()
    journal.close()
    return journal.journal_id


def without_triggers(folder: Path, sql: str, *bindings: Any) -> None:
    """Change the file as a worn disk would: below every rule of the schema."""
    with apsw.Connection(str(folder / "journal.db")) as connection:
        triggers = list(connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'"))
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(sql, bindings)
        for _, definition in triggers:
            connection.execute(str(definition))
    connection.close()


def announced(journal: Journal) -> list[dict[str, Any]]:
    events = [decode_event(r.bytes) for r in journal.read(0, events_max=1_000, bytes_max=MIB)]
    return [msgspec.json.decode(event.data) for event in events if event.type == "ccs.journal.v1"]


@pytest.mark.promise("DUR-06")
@given(seq=st.integers(1, 12), bit=st.integers(0, 7), place=st.integers(0, 600), in_hash=st.booleans())
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_flipped_bit_is_found_and_located(
    tmp_path_factory: pytest.TempPathFactory, seq: int, bit: int, place: int, *, in_hash: bool
) -> None:
    """Mutant: `ChainWalk` without comparing bytes and hash, or without comparing `prevhash`."""
    folder = tmp_path_factory.mktemp("flip")
    written(folder, taps=12)
    column = "hash" if in_hash else "bytes"
    with apsw.Connection(str(folder / "journal.db")) as connection:
        found = connection.execute(f"SELECT {column} FROM journal_event WHERE seq = ?", (seq,)).fetchone()
        assert found is not None
        damaged = bytearray(found[0])
    connection.close()
    damaged[place % len(damaged)] ^= 1 << bit
    without_triggers(folder, f"UPDATE journal_event SET {column} = ? WHERE seq = ?", bytes(damaged), seq)
    view = JournalView(folder / "journal.db")
    report = view.verify()
    view.close()
    assert not report.ok
    assert report.damages[0].seq == seq


@pytest.mark.promise("DUR-06")
def test_a_missing_row_and_a_rewritten_one_are_located(tmp_path: Path) -> None:
    """Mutant: `ChainWalk` without the gap check; without the `prevhash` check a row rewritten with its hash passes."""
    written(tmp_path, taps=12)
    without_triggers(tmp_path, "DELETE FROM journal_event WHERE seq IN (4, 5)")
    view = JournalView(tmp_path / "journal.db")
    forged = view.read(7, events_max=1, bytes_max=MIB)[0].bytes.replace(b'"accepted"', b'"barred"')
    view.close()
    import hashlib

    without_triggers(
        tmp_path, "UPDATE journal_event SET bytes = ?, hash = ? WHERE seq = 8", forged, hashlib.sha256(forged).digest()
    )
    view = JournalView(tmp_path / "journal.db")
    report = view.verify()
    view.close()
    assert [(d.kind, d.seq, d.last_seq) for d in report.damages] == [("gap", 4, 5), ("chain_broken", 9, 9)]


@pytest.mark.promise("DUR-06")
def test_changed_bytes_never_travel_and_are_announced_once(tmp_path: Path) -> None:
    """Mutant: `JournalView._take` without the hash check sends changed bytes as evidence."""
    journal_id = written(tmp_path, taps=12)
    without_triggers(tmp_path, "UPDATE journal_event SET bytes = x'7b7d' WHERE seq IN (5, 6)")
    for _ in range(2):
        journal = open_journal(tmp_path)
        assert journal.journal_id == journal_id
        seqs = [r.seq for r in journal.read(0, events_max=1_000, bytes_max=MIB)]
        assert {5, 6}.isdisjoint(seqs)
        assert set(range(1, 13)) - {5, 6} <= set(seqs)
        (told,) = announced(journal)
        assert (told["what"], told["first"], told["last"]) == ("recovered", 5, 6)
        journal.close()


@pytest.mark.promise("DUR-06")
def test_a_damaged_file_is_set_aside_and_the_new_journal_names_the_range(tmp_path: Path) -> None:
    """Mutant: starting a new journal without the `recovered` event, or reusing the old journal id."""
    old = written(tmp_path, taps=40, durable=15)
    path = tmp_path / "journal.db"
    content = bytearray(path.read_bytes())
    content[:] = b"\xff" * len(content)
    path.write_bytes(content)
    journal = open_journal(tmp_path)
    assert journal.journal_id != old
    (told,) = announced(journal)
    assert (told["what"], told["journal_id"], told["first"], told["last"]) == ("recovered", old, 16, 40)
    assert told["file"] == "journal.db.damaged-1"
    assert (tmp_path / "journal.db.damaged-1").read_bytes() == content
    assert journal.lost is not None
    journal.close()
    again = open_journal(tmp_path)
    assert again.lost is None
    assert len(announced(again)) == 1
    again.close()


def test_what_can_still_be_read_in_a_file_set_aside_is_counted_and_exported(tmp_path: Path) -> None:
    written(tmp_path, taps=40, durable=15)
    recovery.set_aside(tmp_path / "journal.db", "central holds other bytes")
    journal = open_journal(tmp_path)
    (told,) = announced(journal)
    assert (told["readable"], told["reason"]) == (25, "central holds other bytes")
    view = JournalView(tmp_path / told["file"])
    assert len(list(view.salvage(after=15))) == 25
    view.close()
    journal.close()


@pytest.mark.promise("DUR-06")
def test_a_missing_file_is_noticed_by_its_witness(tmp_path: Path) -> None:
    """Mutant: no witness file: a removed journal looks like a terminal's first start."""
    old = written(tmp_path, taps=40, durable=15)
    for suffix in ("", "-wal", "-shm"):
        (tmp_path / f"journal.db{suffix}").unlink(missing_ok=True)
    journal = open_journal(tmp_path)
    (told,) = announced(journal)
    assert (told["journal_id"], told["first"], told["last"]) == (old, 16, 40)
    assert told["reason"] == "journal.db is missing"
    journal.close()


@pytest.mark.promise("DUR-06")
def test_an_older_copy_put_in_place_is_not_continued(tmp_path: Path) -> None:
    """Mutant: `_examine_open` without the witness: numbers already used would be given again."""
    old = written(tmp_path, taps=10)
    copy = {path.name: path.read_bytes() for path in tmp_path.glob("journal.db*") if "witness" not in path.name}
    journal = open_journal(tmp_path)
    for _ in range(10):
        journal.append(type_=TAP, data=TAPPED)
    journal.close()
    for name, content in copy.items():
        (tmp_path / name).write_bytes(content)
    replaced = open_journal(tmp_path)
    assert replaced.journal_id != old
    (told,) = announced(replaced)
    assert (told["first"], told["last"], told["readable"]) == (1, 20, 10)
    assert told["reason"] == "journal.db ends at event 10, but event 20 was stored"
    replaced.close()


def test_a_start_interrupted_before_the_announcement_announces_at_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = written(tmp_path, taps=5)
    recovery.set_aside(tmp_path / "journal.db", "damaged")
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "_begin", lambda self: self._handles.close())
        open_journal(tmp_path)._lock.release()
    journal = open_journal(tmp_path)
    (told,) = announced(journal)
    assert (told["journal_id"], told["last"]) == (old, 5)
    journal.close()


def test_another_programs_database_is_moved_aside_not_written_to(tmp_path: Path) -> None:
    with apsw.Connection(str(tmp_path / "journal.db")) as connection:
        connection.execute("CREATE TABLE photos (x); INSERT INTO photos VALUES (1)")
    connection.close()
    journal = open_journal(tmp_path)
    assert announced(journal)[0]["reason"] == "journal.db is another program's database"
    assert (tmp_path / "journal.db.damaged-1").exists()
    journal.close()


def test_a_view_of_something_else_says_so(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(JournalUnusable, match="cannot be read as a journal"):
        JournalView(tmp_path / "journal.db")


def test_a_first_start_has_lost_nothing(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    assert journal.lost is None
    assert journal.head.seq == 0
    journal.close()


def test_a_disk_that_fails_while_damage_is_noted_fails_the_journal_in_its_own_words(
    tmp_path: Path, mocker: MockerFixture
) -> None:
    """As the simulator found it: SQLite's own error came out of the journal's care."""
    journal = open_journal(tmp_path)
    journal.append(type_=TAP, data=TAPPED, token="9f" * 16)
    journal._handles.view.damaged.add(1)
    mocker.patch.object(journal._handles, "note_announced", side_effect=apsw.SQLError("SQL logic error"))
    with pytest.raises(JournalFailed, match="could not be noted"):
        journal.maintain()
    assert journal.append(type_=TAP, data=TAPPED, token="9f" * 16).seq == 3
    journal.close()
