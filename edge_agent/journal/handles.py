"""The connections to one journal file, opened and closed together, and the care of its write-ahead log."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import apsw

from edge_agent.clock import Clock, Reading
from edge_agent.journal import database, marks
from edge_agent.journal.cursor import Cursor
from edge_agent.journal.files import beside, free_bytes
from edge_agent.journal.proof import identify, mend_cursor, store_cursor
from edge_agent.journal.record import Head, JournalFailed, JournalLimits, JournalUnusable
from edge_agent.journal.view import JournalView, Row

PAGE_BYTES = 4096
FRAME_BYTES = PAGE_BYTES + 24
LOG_BYTES_AN_EVENT = 2 * FRAME_BYTES
"""What an event usually adds to the log beside its own bytes; `maintain` measures."""

_INSERT = "INSERT INTO journal_event (seq, hash, bytes) VALUES (?1, ?2, ?3)"
# The number is checked by the statement itself: unless `seq` continues what the file holds, the row has no hash
# and the table refuses it. (INSERT ... SELECT ... WHERE says the same, but copies its row through a temporary table.)
_INSERT_CHECKED = (
    "INSERT INTO journal_event (seq, hash, bytes)"
    " VALUES (?1, iif((SELECT ifnull(max(seq), 0) FROM journal_event) = ?1 - 1, ?2, NULL), ?3)"
)
_STAND = "SELECT 1 FROM journal_identity UNION ALL SELECT 2 FROM journal_identity"
_DELETE = "DELETE FROM journal_event WHERE seq IN (SELECT seq FROM journal_event WHERE seq <= ?1 ORDER BY seq LIMIT ?2)"


class Handles:
    """One connection that writes, one that folds the log back beside it, one that reads."""

    def __init__(
        self, path: Path, *, site: str, terminal: str, clock: Clock, limits: JournalLimits, vfs: str | None
    ) -> None:
        self._path = path
        self._limits = limits
        self.log_bytes = 0
        """What the log holds; counted on by `Journal` between two exact measurements."""
        self._standing: apsw.Cursor | None = None
        self._keeper_lock = threading.Lock()
        self.writer = database.connect(path, vfs=vfs)
        try:
            database.migrate(self.writer)
            identify(self.writer, site=site, terminal=terminal, clock=clock)
            self.mended = mend_cursor(self.writer)
            """What had to be put right in the file, or nothing."""
            execute = self.writer.cursor().execute
            self._insert_plain, self._insert_checked = partial(execute, _INSERT), partial(execute, _INSERT_CHECKED)
            self.insert: Callable[[Row], object] = self._insert_checked
            """Commits one row; raises `apsw.Error` also when `seq` does not continue the file."""
            self.keeper = database.connect(path, vfs=vfs)
            self.view = JournalView(path, vfs=vfs)
            check_owner(path, self.view, site=site, terminal=terminal)
            self.announced = {int(row[0]) for row in self.writer.execute("SELECT seq FROM journal_damage")}
            """Damaged rows that the journal itself tells of already."""
        except BaseException:
            self.close()
            raise

    def stand(self, head: Head) -> None:
        """Keep the writer's place in the log by a read that stays open. Needs the write lock.

        A tap then takes one lock where it would take three, and SQLite itself refuses it if another program wrote
        since, so it need not look for the newest row again. `let_go` before folding: the log is kept for readers.
        """
        if self._standing is not None:
            return
        self._standing = self.writer.cursor()
        self._standing.execute(_STAND)
        newest = self.writer.execute("SELECT ifnull(max(seq), 0) FROM journal_event").get
        self.insert = self._insert_plain if newest == head.seq else self._insert_checked

    def let_go(self) -> None:
        """Give up the place in the log. Needs the write lock."""
        self.insert = self._insert_checked
        if self._standing is not None:
            self._standing.close()
            self._standing = None

    def measure_log(self) -> None:
        """Ask SQLite how long the log is."""
        with self._keeper_lock:
            frames, _folded = self.keeper.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)
        self.log_bytes = max(0, frames) * FRAME_BYTES

    def _lay_out_log(self) -> None:
        """Write the log once at full size: overwriting a file in place is what makes an append as fast as its disk.

        On a disk without the room the log just grows; appends are slower, not less safe.
        """
        log = beside(self._path, "-wal")
        held = log.stat().st_size if log.exists() else 0
        wanted = self._limits.wal_bytes
        room = free_bytes(self._path.parent) - self._limits.floor_bytes
        if held >= wanted or room < 2 * wanted:
            return
        filler = wanted // FRAME_BYTES * (PAGE_BYTES - 4)
        try:
            # Random, not zero: a virtual disk may give zeroed blocks back and pay for them again at the next tap.
            self.writer.execute("INSERT OR REPLACE INTO journal_filler VALUES (1, randomblob(?))", (filler,))
            self.fold()
            self.turn_log()
        except apsw.FullError:
            # Somebody else took the room meanwhile: the transaction is undone, the log stays small.
            return

    def make_safe(self, promised: Head) -> None:
        """Move the whole log into the file and empty it, so that nothing rests on a write the disk failed once.

        Raises `JournalFailed` when the event `promised` is not in the file any more.
        """
        self.writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        self.log_bytes = 0
        self._lay_out_log()
        if promised.seq and self.row(promised.seq) != promised:
            raise JournalFailed(f"event {promised.seq} was promised and is not on the disk any more; replace the disk")

    def begin(self, promised: Head) -> None:
        """Write once more what an earlier run left in the log: its disk may have failed it before it died."""
        try:
            self.make_safe(promised)
        except (apsw.FullError, apsw.BusyError):
            # No room to fold it back, or somebody reads: the log is kept as it is, and folded back later.
            return

    def fold(self) -> bool:
        """Copy the log into the file beside the writer; return whether all of it went."""
        with self._keeper_lock:
            held, done = self.keeper.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        self.log_bytes = max(0, held) * FRAME_BYTES
        return held == done

    def empty_log(self) -> None:
        """Leave nothing in the log: what lay there unread could rot and stand before newer pages at the next start.

        Somebody who reads the file beside the agent, or a disk without room, keeps it: then it stays as it is.
        """
        with contextlib.suppress(apsw.BusyError, apsw.FullError):
            self.writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)

    def turn_log(self) -> None:
        """Start the log over now, by a write that says nothing, so that no tap pays for it. Needs the write lock.

        Put in and taken out: SQLite leaves a page alone whose row is rewritten as it was.
        """
        with self.writer:
            self.writer.execute("INSERT INTO journal_damage VALUES (-1)")
            self.writer.execute("DELETE FROM journal_damage WHERE seq = -1")
        self.measure_log()

    def note_announced(self, seqs: Iterable[int]) -> None:
        """Remember that the loss of these rows was announced. Needs the write lock."""
        with self.writer:
            for seq in seqs:
                self.writer.execute("INSERT OR IGNORE INTO journal_damage VALUES (?)", (seq,))
                self.announced.add(seq)

    def used_bytes(self) -> int:
        """Return what the stored rows take in the file, free pages not counted."""
        pages = int(self.writer.pragma("page_count")) - int(self.writer.pragma("freelist_count"))
        return pages * PAGE_BYTES

    def store_cursor(self, cursor: Cursor, *, anew: bool = False) -> None:
        """Commit how far central has acknowledged; with `anew`, it was put back and counts as holding all from now."""
        if anew:
            marks.store_marks(self.writer, [])
        store_cursor(self.writer, cursor)

    def mark(self, now: Reading, *, durable: int) -> int:
        """Note that central holds everything up to `durable` now; return up to where it has for the keep window."""
        held, keep = marks.read_marks(self.writer), self._limits.keep_window
        needed = marks.marked(held, now, durable=durable, keep=keep)
        last = marks.ripe(held, now, keep=keep)
        if needed != held:
            marks.store_marks(self.writer, needed)
        return last

    def delete_oldest(self, upto: int, *, rows_max: int) -> int:
        """Delete the oldest rows up to `upto`, at most `rows_max`; return how many. The file itself refuses more."""
        self.writer.execute(_DELETE, (upto, rows_max))
        return self.writer.changes()

    def row(self, seq: int) -> Head | None:
        """Return number and hash of one stored event."""
        row = self.writer.execute("SELECT seq, CAST(hash AS BLOB) FROM journal_event WHERE seq = ?", (seq,)).fetchone()
        return Head(int(row[0]), bytes(row[1]).hex()) if row is not None else None

    def close(self) -> None:
        """Close what is open, without writing: a failing disk is not asked again."""
        if hasattr(self, "view"):
            self.view.close()
        with self._keeper_lock:
            if hasattr(self, "keeper"):
                self.keeper.close()
        self.writer.close()


def check_owner(path: Path, view: JournalView, *, site: str, terminal: str) -> None:
    """Refuse another terminal's journal: raise `JournalUnusable`."""
    if (view.site, view.terminal) != (site, terminal):
        message = f"{path} is the journal of {view.site}/{view.terminal}, this terminal is {site}/{terminal}"
        raise JournalUnusable(f"{message}: correct the configuration, or move that journal away after exporting it")
