"""What to do with the file found at start: use it, refuse it, or set it aside and say exactly what may be lost."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import apsw

from edge_agent.journal import database
from edge_agent.journal.files import Witness, beside, read_witness, rename, sync_folder, write_witness
from edge_agent.journal.record import JournalFailed, JournalUnusable
from edge_agent.journal.view import JournalView

SET_ASIDE_FILES_MAX = 99
WITNESS_SUFFIX = ".witness"
SQLITE_SUFFIXES = ("-wal", "-shm", "")
"""The log goes first: a file without its log is found short at the next start, a log without its file is not."""

_DAMAGED = (apsw.CorruptError, apsw.NotADBError, apsw.FormatError, apsw.SQLError)


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
    if any(beside(path, suffix).exists() for suffix in SQLITE_SUFFIXES[:2]):
        _move(path, _free_name(path))
    if witness is not None and not witness.set_aside:
        write_witness(
            beside(path, WITNESS_SUFFIX),
            Witness(witness.journal_id, witness.head_seq, witness.durable, reason=f"{path.name} is missing"),
        )
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
    try:
        connection = database.connect(path, vfs=vfs)
    except _DAMAGED as exc:
        return f"{path.name} is no whole database: {exc}"
    except apsw.Error as exc:
        raise JournalUnusable(f"{path} cannot be opened ({exc}); check the disk and who may write to it") from exc
    try:
        return _examine_open(connection, path, witness, quick_check=quick_check)
    except _DAMAGED as exc:
        return f"{path.name} is damaged: {exc}"
    except apsw.Error as exc:
        raise JournalUnusable(f"{path} cannot be read ({exc}); the disk fails, replace it") from exc
    finally:
        connection.close()


def _examine_open(connection: apsw.Connection, path: Path, witness: Witness | None, *, quick_check: bool) -> str:
    if connection.pragma("user_version") == 0:
        tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        return "" if tables == (0,) else f"{path.name} is another program's database"
    if quick_check:
        answers = [str(row[0]) for row in connection.execute("PRAGMA quick_check(3)") if row[0] != "ok"]
        if answers:
            return f"{path.name} is damaged: {'; '.join(answers)}"
    owner = connection.execute("SELECT journal_id FROM journal_identity").fetchone()
    cursor = connection.execute("SELECT count(*) FROM journal_cursor").fetchone()
    if (owner is None) != (cursor == (0,)):
        return f"{path.name} has lost its identity or its cursor"
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
    known = held or Witness("", 0, 0)
    try:
        view = JournalView(path, vfs=vfs)
    except JournalUnusable:
        return known
    try:
        durable = max(view.cursor().durable, known.durable if known.journal_id == view.journal_id else 0)
        readable = sum(1 for _ in view.salvage(after=durable))
        head_seq = max(view.last_readable_seq(durable), known.head_seq if known.journal_id == view.journal_id else 0)
        return Witness(view.journal_id, head_seq, durable, readable=readable)
    except JournalFailed:
        return known
    finally:
        view.close()


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
