"""What to do with the file found at start: use it, refuse it, or set it aside and say exactly what may be lost."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from pathlib import Path

import apsw
import msgspec

from edge_agent.journal import database
from edge_agent.journal.files import Witness, beside, patch, read_witness, rename, sync_folder, write_witness
from edge_agent.journal.log_scan import Named, changed_bit, flipped, log_trouble, newest_named, unread
from edge_agent.journal.proof import identity_trouble, newest_row_trouble
from edge_agent.journal.record import JournalFailed, JournalUnusable
from edge_agent.journal.view import JournalView

SET_ASIDE_FILES_MAX = 99
BITS_MENDED_MAX = 8
SMALLEST_FILE_BYTES = 512
"""No SQLite file with a table in it is smaller."""
WITNESS_SUFFIX = ".witness"
SQLITE_SUFFIXES = ("-wal", "-shm", "")
"""The log goes first: a file without its log is found short at the next start, a log without its file is not."""

_DAMAGED = (
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.FormatError,
    apsw.SQLError,
    UnicodeDecodeError,
    msgspec.DecodeError,
)


@dataclass(frozen=True, slots=True)
class Lost:
    """The journal that could not be continued, and the range of its events that central may never get."""

    journal_id: str
    first: int
    last: int
    reason: str
    file: str
    readable: int

    def data(self) -> dict[str, str | int]:
        """Return the `data` of the `ccs.journal.v1` event that announces it."""
        return {
            "what": "recovered",
            "journal_id": self.journal_id,
            "first": self.first,
            "last": self.last,
            "reason": self.reason[:200],
            "file": self.file,
            "readable": self.readable,
        }


def make_way(path: Path, *, quick_check: bool, vfs: str | None = None) -> Lost | None:
    """Leave at `path` either a journal fit for use or nothing; return what was lost, None when nothing was.

    Raises `JournalUnusable` when another file would be no better: no permission, a failing disk, a newer schema.
    """
    witness = read_witness(beside(path, WITNESS_SUFFIX))
    if path.exists():
        reason = _examine(path, witness, quick_check=quick_check, vfs=vfs)
        if reason:
            set_aside(path, reason, vfs=vfs)
            return _lost(read_witness(beside(path, WITNESS_SUFFIX)))
        return _lost(witness) if witness is not None and _is_unannounced(path, witness, vfs=vfs) else None
    if witness is None or not witness.set_aside:
        known = _known(path, witness)
        if known.journal_id:
            missing = msgspec.structs.replace(known, reason=f"{path.name} is missing")
            write_witness(beside(path, WITNESS_SUFFIX), missing)
    if any(beside(path, suffix).exists() for suffix in SQLITE_SUFFIXES[:2]):
        _move(path, _free_name(path))
    return _lost(read_witness(beside(path, WITNESS_SUFFIX)))


def set_aside(path: Path, reason: str, *, vfs: str | None = None) -> Path:
    """Move a journal nobody has open out of the way and remember why; the next open starts a new one and says so."""
    target = _free_name(path)
    held = read_witness(beside(path, WITNESS_SUFFIX))
    found = _facts(path, held, vfs=vfs)
    write_witness(
        beside(path, WITNESS_SUFFIX),
        Witness(found.journal_id, found.head_seq, found.durable, target.name, reason, found.readable),
    )
    _move(path, target)
    return target


def _lost(witness: Witness | None) -> Lost | None:
    if witness is None:
        return None
    return Lost(
        journal_id=witness.journal_id,
        first=witness.durable + 1,
        last=witness.head_seq,
        reason=witness.reason,
        file=witness.set_aside,
        readable=witness.readable or 0,
    )


def _examine(path: Path, witness: Witness | None, *, quick_check: bool, vfs: str | None) -> str:
    """Return why this file cannot be continued, or nothing when it can."""
    log = _log(path)
    trouble = log_trouble(log) or _emptied(path, witness, log)
    if trouble:
        return f"{path.name}: {trouble}"
    try:
        connection = database.connect(path, vfs=vfs)
    except _DAMAGED as exc:
        return f"{path.name} is no whole database: {exc}"
    except apsw.Error as exc:
        raise JournalUnusable(f"{path} cannot be opened ({exc}); check the disk and who may write to it") from exc
    try:
        return _examine_open(connection, path, witness, quick_check=quick_check) or _unread_log(connection, path, log)
    except _DAMAGED as exc:
        return f"{path.name} is damaged: {exc}"
    except apsw.Error as exc:
        raise JournalUnusable(f"{path} cannot be read ({exc}); the disk fails, replace it") from exc
    finally:
        connection.close()


def _emptied(path: Path, witness: Witness | None, log: bytes) -> str:
    """Say when a file that held a journal has nothing in it, or nothing. SQLite would take it for a new one."""
    if path.stat().st_size >= SMALLEST_FILE_BYTES:
        return ""
    was_begun = witness is not None and not witness.reason
    return "the file was emptied" if was_begun or newest_named(log) is not None else ""


def mend_log(path: Path) -> str:
    """Put single changed bits of the log right, before SQLite reads it; return what was done, or nothing.

    Raises `OSError` when the disk does not take the correction.
    """
    mended: list[str] = []
    log = _log(path)
    while len(mended) < BITS_MENDED_MAX and (bit := changed_bit(log)) is not None:
        log = flipped(log, bit)
        patch(beside(path, "-wal"), log[bit // 8 : bit // 8 + 1], bit // 8)
        mended.append(str(bit // 8))
    if not mended:
        return ""
    return f"a bit had changed in the log of {path.name} (byte {', '.join(mended)}) and was put right by the log's sums"


def _log(path: Path) -> bytes:
    log = beside(path, "-wal")
    return log.read_bytes() if log.exists() else b""


def _unread_log(connection: apsw.Connection, path: Path, log: bytes) -> str:
    """Say when SQLite left out a part of the log that holds newer events than it found, or nothing."""
    named = newest_named(unread(log))
    if named is None:
        return ""
    head = connection.execute("SELECT ifnull(max(seq), 0) FROM journal_event").fetchone()
    if head is None or named.seq <= head[0]:
        return ""
    return f"{path.name}: a bit of its log changed where event {named.seq} stood"


def _examine_open(connection: apsw.Connection, path: Path, witness: Witness | None, *, quick_check: bool) -> str:
    if connection.pragma("user_version") == 0:
        tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        return "" if tables == (0,) else f"{path.name} is another program's database"
    if quick_check:
        answers = [str(row[0]) for row in connection.execute("PRAGMA quick_check(3)") if row[0] != "ok"]
        if answers:
            return f"{path.name} is damaged: {'; '.join(answers)}"
    if connection.pragma("user_version") > database.schema_files()[-1][0]:
        return ""  # a newer agent's file is refused, not replaced
    trouble = database.tables_trouble(connection)
    if not trouble and connection.pragma("user_version") > 1:
        trouble = identity_trouble(connection) or newest_row_trouble(connection)
    if trouble:
        return f"{path.name} {trouble}"
    owner = connection.execute("SELECT journal_id FROM journal_identity").fetchone()
    head = connection.execute("SELECT ifnull(max(seq), 0) FROM journal_event").fetchone()
    same = owner is not None and witness is not None and witness.journal_id == owner[0]
    if same and head is not None and witness is not None and witness.head_seq > head[0]:
        return f"{path.name} ends at event {head[0]}, but event {witness.head_seq} was stored"
    return ""


def _is_unannounced(path: Path, witness: Witness, *, vfs: str | None) -> bool:
    """Whether a new journal was begun for a lost one but stopped before it could say so."""
    try:
        view = JournalView(path, vfs=vfs)
    except JournalUnusable:
        return bool(witness.reason)
    try:
        return view.journal_id != witness.journal_id and view.head().seq == 0
    finally:
        view.close()


def _facts(path: Path, held: Witness | None, *, vfs: str | None) -> Witness:
    """Gather what can still be known of a damaged journal: from the file itself, else from the witness."""
    known = _known(path, held)
    if path.stat().st_size < SMALLEST_FILE_BYTES:
        return known  # SQLite would throw its log away
    try:
        view = JournalView(path, vfs=vfs)
    except JournalUnusable:
        return known
    try:
        return _readable_facts(view, known)
    finally:
        view.close()


def _known(path: Path, held: Witness | None) -> Witness:
    """Return what witness and raw bytes tell of a journal; no id when they tell nothing."""
    named = _newest_named(path)
    known = held if held is not None and (named is None or held.journal_id == named.journal_id) else Witness("", 0, 0)
    return known if named is None else Witness(named.journal_id, max(known.head_seq, named.seq), known.durable)


def _readable_facts(view: JournalView, known: Witness) -> Witness:
    """Add what the file itself still says; its events name their journal more surely than its identity does."""
    try:
        durable = max(view.cursor().durable, known.durable)
    except JournalFailed:
        durable = known.durable
    durable = min(durable, known.head_seq) if known.journal_id else durable
    readable = sum(1 for _ in view.salvage(after=durable))
    head_seq = max(known.head_seq, 0 if known.journal_id else view.last_readable_seq(durable))
    return Witness(known.journal_id or view.journal_id, head_seq, durable, readable=readable)


def _newest_named(path: Path) -> Named | None:
    """Look through file and log as bytes: even what SQLite cannot read any more says which numbers were given."""
    found = []
    for file in (path, beside(path, "-wal")):
        if file.exists() and file.stat().st_size:
            with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
                found.append(newest_named(content))
    return max((one for one in found if one is not None), key=lambda one: one.seq, default=None)


def _free_name(path: Path) -> Path:
    for number in range(1, SET_ASIDE_FILES_MAX + 1):
        target = beside(path, f".damaged-{number}")
        if not any(beside(target, suffix).exists() for suffix in SQLITE_SUFFIXES):
            return target
    message = f"{SET_ASIDE_FILES_MAX} damaged journals already stand beside {path}"
    raise JournalUnusable(f"{message}: replace the disk, and move them away after exporting them")


def _move(path: Path, target: Path) -> None:
    for suffix in SQLITE_SUFFIXES:
        if beside(path, suffix).exists():
            rename(beside(path, suffix), beside(target, suffix))
    sync_folder(path.parent)
