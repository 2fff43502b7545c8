"""A journal on a worn disk: one bit changed at any place, an end missing at any length. Never a silent change.

`make crash` takes every byte and every length (CCS_CRASH=all); a plain run takes a share of them.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import struct
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from edge_agent.journal import log_scan
from edge_agent.journal.log_scan import changed_bit, flipped, log_trouble, newest_named, unread
from edge_agent.journal.record import JournalUnusable
from edge_agent.journal.store import Journal
from edge_agent.journal.view import JournalView
from edge_agent.wire.messages import Ack
from simulators.journal_day import FILE, LIMITS, open_journal
from simulators.platters import lay_down
from simulators.terminal_clock import HandClock
from simulators.worn_disk import Kept, SilentChange, judge, made

ALL = os.environ.get("CCS_CRASH") == "all"
SEED = int(os.environ.get("CCS_CRASH_SEED", "1"))
EVERY_BYTES = 1 if ALL else 101
PAGE_BYTES = 4096
TAPS, DURABLE = 14, 6
BLOB_OF_32, TEXT_OF_32 = bytes([32 * 2 + 12]), bytes([32 * 2 + 13])
"""How a row's header says what its hash is: one bit apart (https://sqlite.org/fileformat2.html#record_format)."""
NAME_BYTES = 100
"""An event's id and sequence, as `newest_named` looks for them."""
FILES = [FILE, f"{FILE}-wal", f"{FILE}.witness", f"{FILE}.lock"]


@pytest.fixture(scope="module")
def ram() -> Iterator[Path]:
    held = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="ccs-rot-", dir=held if os.access(held, os.W_OK) else None))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(params=[False, True], ids=["closed", "killed"], scope="module")
def kept(ram: Path, request: pytest.FixtureRequest) -> Kept:
    """A journal at rest, and one whose newest events stand in the log only."""
    return made(ram / "made", taps=TAPS, durable=DURABLE, killed=request.param)


def places(content: bytes, rng: random.Random) -> list[int]:
    every = EVERY_BYTES if len(content) > 10 * EVERY_BYTES else 1
    return list(range(rng.randrange(every), len(content), every))


@pytest.mark.promise("DUR-06")
@pytest.mark.parametrize("name", FILES)
def test_a_bit_changed_anywhere_is_healed_told_or_harmless(ram: Path, kept: Kept, name: str) -> None:
    """Mutants: the cursor's proof not looked at; the log not scanned; a row sent under another number."""
    rng = random.Random(f"{SEED}/{name}/flip")
    content, came, silent = kept.files[name], Counter[str](), []
    for place in places(content, rng):
        bit = rng.randrange(8)
        try:
            came[judge(ram / "worn", kept, {name: flipped(content, place * 8 + bit)})] += 1
        except SilentChange as exc:
            silent.append(f"{name}, byte {place}, bit {bit}: {exc}")
    print(f"seed {SEED}: {name}: {dict(came)}")
    assert silent == []


@pytest.mark.promise("DUR-06")
def test_a_bit_changed_in_the_name_of_the_newest_event_is_not_missed(ram: Path) -> None:
    """Mutant: `unread` gives a frame back as it stands: nothing says any more that its event was there."""
    kept = made(ram / "named", taps=TAPS, durable=DURABLE, killed=True)
    log = kept.files[f"{FILE}-wal"]
    name = log.index(f'"id":"{kept.journal_id}-{TAPS:020d}"'.encode())
    silent = []
    for place, bit in itertools.product(range(name, name + NAME_BYTES), range(0, 8, 1 if ALL else 3)):
        worn = flipped(log, place * 8 + bit)
        if changed_bit(worn) is not None:
            continue  # put right before anything is read
        try:
            judge(ram / "worn", kept, {f"{FILE}-wal": worn})
        except SilentChange as exc:
            silent.append(f"byte {place}, bit {bit}: {exc}")
    assert silent == []


@pytest.mark.promise("DUR-06")
@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_short_anywhere_is_told_or_harmless(ram: Path, kept: Kept, name: str) -> None:
    """Of a log that was cut after a kill, only what the witness knew of can be missed: docs/faults.md says so."""
    rng = random.Random(f"{SEED}/{name}/cut")
    content, came, silent = kept.files[name], Counter[str](), []
    edges = {at + by for at in range(0, len(content), PAGE_BYTES) for by in (-1, 0, 1)}
    shares = places(content, rng)[:: 1 if ALL else 10]
    for length in sorted({*shares, *(at for at in edges if 0 <= at < len(content))}):
        try:
            came[judge(ram / "worn", kept, {name: content[:length]}, unseen=name.endswith("-wal"))] += 1
        except SilentChange as exc:
            silent.append(f"{name} cut to {length} bytes: {exc}")
    print(f"seed {SEED}: {name}: {dict(came)}")
    assert silent == []


def changed(ram: Path, kept: Kept, sql: str, *bindings: object) -> Path:
    """Lay the journal down with a row changed as a worn disk would: below the rules of the schema."""
    folder = ram / "changed"
    lay_down(kept.files, folder)
    with apsw.Connection(str(folder / FILE)) as connection:
        triggers = list(connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'"))
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(sql, bindings)
        for _, definition in triggers:
            connection.execute(str(definition))
    connection.close()
    return folder


@pytest.mark.promise("DUR-03")
@pytest.mark.parametrize(
    ("column", "value"), [("durable", 13), ("epoch", 1 << 40), ("have", "[[1,99]]"), ("have", "[")]
)
def test_a_cursor_that_the_disk_moved_is_put_back_and_said(ram: Path, kept: Kept, column: str, value: object) -> None:
    """Mutant: `is_proven` not asked: unacknowledged events would pass for acknowledged ones."""
    folder = changed(ram, kept, f"UPDATE journal_cursor SET {column} = ?", value)
    journal = open_journal(folder, HandClock())
    assert (journal.cursor.durable, journal.cursor.epoch, journal.cursor.have) == (0, 0, ())
    assert "everything after event 0 is offered to central again" in journal.maintain().trouble
    journal.close()
    again = open_journal(folder, HandClock())
    assert again.maintain().trouble == ""
    again.close()


@pytest.mark.promise("DUR-06")
@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("UPDATE journal_identity SET journal_id = '01a20529-0000-7000-8000-00000000000f'", "names another owner"),
        ("UPDATE journal_event SET seq = 30 WHERE seq = 14", "has event 14 under the number 30"),
        ("DELETE FROM journal_cursor", "has lost its identity or its cursor"),
        ("DROP TABLE journal_filler", "describes its tables otherwise"),
    ],
)
def test_a_journal_that_contradicts_itself_is_set_aside_with_its_range(
    ram: Path, kept: Kept, sql: str, reason: str
) -> None:
    """Mutant: `newest_row_trouble` left out: the next event would be the 31st, and 16 numbers missing for ever."""
    journal = open_journal(changed(ram, kept, sql), HandClock())
    lost = journal.lost
    journal.close()
    assert lost is not None
    assert reason in lost.reason
    assert (lost.journal_id, lost.last) == (kept.journal_id, TAPS)
    assert lost.first <= DURABLE + 1


@pytest.mark.promise("DUR-06")
def test_a_row_under_another_number_is_never_sent(ram: Path, kept: Kept) -> None:
    """Mutant: `number_place` not looking for the number: event 3 would travel, and be counted, as event 2."""
    folder = changed(ram, kept, "UPDATE journal_event SET bytes = (SELECT bytes FROM journal_event WHERE seq = 3),"
                     " hash = (SELECT hash FROM journal_event WHERE seq = 3) WHERE seq = 2")  # fmt: skip
    view = JournalView(folder / FILE)
    assert 2 not in [record.seq for record in view.read(0, events_max=100, bytes_max=2**20)]
    assert view.damaged == {2}
    view.close()


@pytest.mark.promise("DUR-06")
@pytest.mark.parametrize("seq", [7, 9, TAPS])
def test_a_hash_that_became_a_text_keeps_no_event_from_leaving(ram: Path, seq: int) -> None:
    """Mutant: rows read without CAST: one bit of one row, and nothing after it is read or acknowledged any more."""
    kept = made(ram / f"typed-{seq}", taps=TAPS, durable=DURABLE, killed=False)
    folder = ram / f"text-{seq}"
    lay_down(kept.files, folder)
    journal = open_journal(folder, HandClock())
    held = journal.read(0, events_max=100, bytes_max=2**20)
    place = kept.files[FILE].index(bytes.fromhex(held[seq - 1].hash))
    type_place = kept.files[FILE].rindex(BLOB_OF_32, place - 6, place)
    with (folder / FILE).open("r+b") as file:
        file.seek(type_place)
        file.write(TEXT_OF_32)
    view = JournalView(folder / FILE)
    assert view.read(0, events_max=100, bytes_max=2**20) == held
    assert (view.damaged, view.verify().damages) == (set(), ())
    assert len(list(view.salvage())) == len(held)
    view.close()
    acked = journal.acknowledge(Ack(journal.journal_id, seq, held[seq - 1].hash, [], kept.epoch))
    assert acked.outcome == "moved"
    journal.close()


@pytest.fixture(scope="module")
def log(ram: Path) -> bytes:
    return made(ram / "log", taps=TAPS, durable=DURABLE, killed=True).files[f"{FILE}-wal"]


def test_a_changed_bit_of_the_log_is_found_or_the_log_is_not_trusted(log: bytes) -> None:
    """Proof by the log's own sums: what is put right is what was there."""
    rng = random.Random(SEED)
    end = next(frame.start for frame in log_scan._frames(log) if not frame.is_whole)
    found = Counter[str]()
    for _ in range(2_000 if ALL else 200):
        bit = rng.randrange(end * 8)
        worn = flipped(log, bit)
        place = changed_bit(worn)
        assert place in {None, bit}
        found["put right" if place == bit else "not trusted" if unread(worn) or log_trouble(worn) else "unseen"] += 1
    assert found["unseen"] == 0
    assert found["put right"] > 2 * found["not trusted"]


def test_what_a_power_cut_left_unfinished_is_not_taken_for_a_changed_bit(log: bytes) -> None:
    frames = [frame for frame in log_scan._frames(log) if frame.is_whole]
    last = frames[-1].start
    rng = random.Random(SEED)
    for _ in range(100):
        torn = bytearray(log)
        for sector in range(last // 512 * 512, last + PAGE_BYTES, 512):
            if rng.random() < 0.5 or sector < last < sector + 512:
                torn[max(sector, last) : sector + 512] = rng.randbytes(sector + 512 - max(sector, last))
        assert (changed_bit(bytes(torn)), unread(bytes(torn)), log_trouble(bytes(torn))) == (None, b"", "")


@pytest.mark.promise("DUR-06")
def test_synced_transactions_behind_a_changed_frame_are_not_dropped_unseen(ram: Path) -> None:
    """Mutant: `log_trouble` left out: SQLite ends the log at the first frame that does not check."""
    kept = made(ram / "made", taps=5, durable=0, killed=True)
    name = f"{FILE}-wal"
    log = kept.files[name]
    frames = [frame for frame in log_scan._frames(log) if frame.is_whole]
    assert len(frames) > 2
    place = frames[0].start + PAGE_BYTES // 2
    worn = log[:place] + bytes(255 - byte for byte in log[place : place + 512]) + log[place + 512 :]
    assert judge(ram / "worn", kept, {name: worn}) == "set_aside"


@pytest.mark.promise("DUR-06")
def test_frames_given_up_behind_a_half_written_header_are_not_taken_for_synced_ones(ram: Path) -> None:
    """A disk that takes only the beginning of a block, where a transaction that was given up left its frames."""
    ram.mkdir(exist_ok=True)
    connection = apsw.Connection(str(ram / "spilled"))
    for pragma in ("journal_mode = WAL", "wal_autocheckpoint = 0", "cache_size = 1"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    connection.execute("CREATE TABLE t (x); INSERT INTO t VALUES (zeroblob(9000))")
    committed = (ram / "spilled-wal").stat().st_size
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO t VALUES (zeroblob(?))", [(9000,)] * 9)
    connection.execute("ROLLBACK")
    log = (ram / "spilled-wal").read_bytes()
    connection.close()
    given_up = [frame for frame in log_scan._frames(log) if frame.is_whole and frame.start >= committed]
    assert len(given_up) > 1
    following = struct.pack(">II", 2, 3) + log[committed + 8 : committed + 16] + bytes(8)
    for taken in range(1, len(following)):
        torn = log[:committed] + following[:taken] + log[committed + taken :]
        assert not log_trouble(torn), f"{taken} bytes of the header were written"


def test_the_newest_event_is_read_from_bytes_only_where_it_is_said_twice() -> None:
    journal_id, seq = "01a20529-0000-7000-8000-000000000001", 17
    event = b'{"id":"%s-%020d","sequence":"%020d"}' % (journal_id.encode(), seq, seq)
    assert newest_named(b"x" * 99 + event + event.replace(b"17", b"16")) == log_scan.Named(journal_id, 17)
    assert newest_named(event.replace(b'17","seq', b'97","seq')) is None


def test_a_folder_that_cannot_be_used_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(JournalUnusable, match=r"cannot be opened: .*; check the disk"):
            open_journal(folder, HandClock())
    (tmp_path / f"{FILE}.lock").mkdir()
    with pytest.raises(JournalUnusable, match=r"cannot be opened: .*; check the disk"):
        open_journal(tmp_path, HandClock())
    (tmp_path / f"{FILE}.lock").rmdir()
    Journal.open(tmp_path / FILE, site="site-07", terminal="gate-03", clock=HandClock(), limits=LIMITS).close()
