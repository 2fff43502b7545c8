"""The journal: `append` returns after the event is on stable storage, or raises. One writer, gapless, hash-chained.

After a disk error the connections are closed and opened anew, never used again: what a failed fsync left behind in
memory is written once more before the next event is accepted.
"""

from __future__ import annotations

import threading
from datetime import datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import apsw
import msgspec

from edge_agent.clock import Clock, Reading
from edge_agent.journal import recovery
from edge_agent.journal.chain import VerifyReport, missing_rows
from edge_agent.journal.cursor import Acknowledged, Cursor, advance, merge_ranges
from edge_agent.journal.files import OwnerLock, Witness, WitnessFile, beside, free_bytes, sync_folder
from edge_agent.journal.handles import LOG_BYTES_AN_EVENT, Handles
from edge_agent.journal.record import (
    DiskErred,
    EventTooLarge,
    Head,
    JournalFailed,
    JournalFull,
    JournalLimits,
    JournalUnusable,
    Maintained,
    Record,
    TapTrace,
)
from edge_agent.journal.room import Room
from edge_agent.journal.view import JournalView
from edge_agent.wire.event_writer import EventWriter
from edge_agent.wire.ids import JournalId
from edge_agent.wire.messages import EVENT_BYTES_MAX, JOURNAL, Ack

PRUNE_ROWS_A_TRANSACTION = 200
CHECKED_AT_START_ROWS = 2_000
WITNESS_EVERY_EVENTS = 64
DAMAGES_ANNOUNCED_AT_ONCE_MAX = 20


class Journal:
    """A terminal's journal, open for writing. Thread-safe: one writer behind a lock, reads on their own connection."""

    def __init__(
        self,
        path: Path,
        *,
        site: str,
        terminal: str,
        clock: Clock,
        limits: JournalLimits,
        vfs: str | None,
        lock: OwnerLock,
    ) -> None:
        self._path, self._limits = path, limits
        self._clock, self._lock = clock, lock
        self._connect = partial(Handles, path, site=site, terminal=terminal, clock=clock, limits=limits, vfs=vfs)
        self._write_lock, self._room = threading.RLock(), Room(path, limits)
        self._failure, self._closed = "", False
        self._witness_file = WitnessFile(beside(path, recovery.WITNESS_SUFFIX))
        self._mended = recovery.mend_log(path)
        self.lost = recovery.make_way(path, quick_check=limits.quick_check, vfs=vfs)
        """The journal this one had to replace, if it did so at this start."""
        self._handles = self._connect()
        self._room.used_bytes = self._handles.used_bytes()
        view = self._handles.view
        self._journal_id = view.journal_id
        self._event_bytes = EventWriter(site=site, terminal=terminal, journal_id=view.journal_id).write
        self._head, self._cursor = view.head(), view.cursor()
        self._begin()

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        site: str,
        terminal: str,
        clock: Clock,
        limits: JournalLimits | None = None,
        vfs: str | None = None,
    ) -> Journal:
        """Open or create the journal at `path`; raise `JournalUnusable` when green could not be promised.

        A damaged or missing file is set aside and replaced by a new journal whose first event names the range lost.
        `vfs` names an APSW VFS to use instead of the system's own.
        """
        limits = limits or JournalLimits()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = OwnerLock(beside(path, ".lock"))
            try:
                return cls(path, site=site, terminal=terminal, clock=clock, limits=limits, vfs=vfs, lock=lock)
            except BaseException:
                lock.release()
                raise
        except (apsw.Error, OSError, JournalFailed, JournalFull) as exc:
            kind = DiskErred if isinstance(exc, apsw.IOError) else JournalUnusable
            raise kind(f"the journal {path} cannot be opened: {exc}; check the disk and who may write to it") from exc

    def _begin(self) -> None:
        """Announce what was lost, look at the newest rows, and lay out the reserve."""
        try:
            sync_folder(self._path.parent)
            self._handles.begin(self._head)
            if self.lost is not None:
                self.append(type_=JOURNAL, data=self.lost.data(), reserved=True)
            newest = self._handles.view.verify(after=max(0, self._head.seq - CHECKED_AT_START_ROWS))
            self._handles.view.damaged.update(missing_rows(newest))
            self.maintain()
        except BaseException:
            self._handles.close()
            raise

    @property
    def journal_id(self) -> JournalId:
        """The id of this journal file; new for every file."""
        return self._journal_id

    @property
    def head(self) -> Head:
        """The last stored event."""
        return self._head

    @property
    def cursor(self) -> Cursor:
        """How far central has acknowledged."""
        return self._cursor

    def append(
        self,
        *,
        type_: str,
        data: msgspec.Struct | dict[str, Any],
        token: str | None = None,
        reading: Reading | None = None,
        reserved: bool = False,
    ) -> Record:
        """Store one event and return it once it is on stable storage.

        Raises `JournalFull` (no room; nothing stored), `JournalFailed` (the disk erred; the event is not promised)
        or `EventTooLarge`. `reserved` events (muster) may use the reserved pool.
        """
        with self._write_lock:
            if self._failure or self._closed:
                self._reopen_after_failure()
            try:
                return self._store(type_, data, token, reading or self._clock.read(), reserved)
            except JournalFull:
                self._announce_full()
                raise

    def _store(
        self,
        type_: str,
        data: msgspec.Struct | dict[str, Any],
        token: str | None,
        reading: Reading,
        reserved: bool,  # noqa: FBT001 - a worker waits for this call
    ) -> Record:
        seq = self._head.seq + 1
        payload = self._event_bytes(type_, seq, reading, self._head.hash, data, token)
        if len(payload) > EVENT_BYTES_MAX:
            raise EventTooLarge(f"this {type_} event takes {len(payload)} bytes, at most {EVENT_BYTES_MAX} are allowed")
        self._room.admit(reserved)
        digest = sha256(payload).digest()
        try:
            self._handles.insert((seq, digest, payload))
        except apsw.Error as exc:
            self._insist((seq, digest, payload), exc, reserved=reserved)
        self._head = head = Head(seq, digest.hex())
        self._room.count(len(payload), reserved)
        handles = self._handles
        handles.log_bytes += len(payload) + LOG_BYTES_AN_EVENT
        if handles.log_bytes > self._limits.wal_bytes_hard_max:
            self._fold_late()
        return Record(seq, head.hash, payload)

    def _insist(self, row: tuple[int, bytes, bytes], error: apsw.Error, *, reserved: bool) -> None:
        """Store a row the disk had no room for by giving back the reserve step by step, or raise what to say."""
        while isinstance(error, apsw.FullError):
            if not self._room.give_way(reserved=reserved):
                raise JournalFull(
                    f"the terminal's disk is full: event {row[0]} was not stored; make room on the disk"
                ) from error
            try:
                self._handles.insert(row)
            except apsw.Error as exc:
                error = exc
            else:
                return
        if isinstance(error, apsw.ConstraintError):
            self._fail(f"event {row[0]} does not continue the file: another program wrote to it", error)
        self._fail(f"event {row[0]} could not be stored: {error}", error)

    def _fail(self, reason: str, cause: Exception | None) -> NoReturn:
        self._failure = reason  # the connections are never asked again after an error
        self._handles.close()
        raise JournalFailed(
            f"{reason}; it is not promised. The journal is opened anew before the next event"
        ) from cause

    def _reopen_after_failure(self) -> None:
        """Open new connections after a failure, write the log once more, and check that all promised is there."""
        if self._closed:
            raise JournalFailed("the journal is closed: the agent is stopping, nothing more is stored")
        if not self._failure:
            return
        try:
            handles = self._connect()
        except (apsw.Error, OSError, JournalUnusable) as exc:
            raise JournalFailed(f"the journal failed ({self._failure}) and does not open again: {exc}") from exc
        try:
            handles.make_safe(self._head)
            self._head, self._cursor = handles.view.head(), handles.view.cursor()
            self._room.used_bytes = handles.used_bytes()
        except (apsw.Error, OSError, JournalFailed) as exc:
            handles.close()
            raise JournalFailed(f"the journal failed ({self._failure}) and cannot be made safe: {exc}") from exc
        self._handles, self._failure = handles, ""

    def _announce_full(self) -> None:
        """Say once in the journal itself that taps are refused; the reserve pays for it."""
        self._room.look_again()
        if self._room.full_announced:
            return
        data = {"what": "full", "free_bytes": self.free_bytes, "used_bytes": self._room.used_bytes}
        try:
            self._store(JOURNAL, data, None, self._clock.read(), True)
        except JournalFull:
            return  # not even the reserve has room; tried again at the next refusal
        self._room.full_announced = True

    def read(self, after: int, *, events_max: int, bytes_max: int) -> list[Record]:
        """Return records with seq > `after` in order: at most `events_max`, together at most `bytes_max` bytes."""
        return self._view().read(after, events_max=events_max, bytes_max=bytes_max)

    def read_newest(self, after: int, *, events_max: int, bytes_max: int) -> list[Record]:
        """Return the newest records with seq > `after`, in ascending order, within the same limits."""
        return self._view().read_newest(after, events_max=events_max, bytes_max=bytes_max)

    def recent_taps(self, since: datetime) -> list[TapTrace]:
        """Return the taps stored since `since`, oldest first: what repeat suppression starts from."""
        return self._view().recent_taps(since)

    def last_reading(self) -> Reading | None:
        """Return the newest event's clock reading; `SystemClock.resume` goes on from it."""
        return self._view().last_reading()

    def verify(self) -> VerifyReport:
        """Walk the whole chain; every damage is located."""
        return self._view().verify()

    def export(self, target: BinaryIO, *, after: int = 0) -> int:
        """Write each event's own bytes as one line to `target`; return how many."""
        return self._view().export(target, after=after)

    def _view(self) -> JournalView:
        if self._failure or self._closed:
            with self._write_lock:
                self._reopen_after_failure()
        return self._handles.view

    def acknowledge(self, ack: Ack) -> Acknowledged:
        """Move the cursor if `ack` proves it; raise `ForkedJournal` when central holds what this journal never had."""
        with self._write_lock:
            self._reopen_after_failure()
            try:
                row = self._handles.row(ack.durable)
                own_hash = row.hash if row is not None else None
                result = advance(self._cursor, ack, journal_id=self._journal_id, head=self._head, own_hash=own_hash)
                held = result.cursor
                if held != self._cursor:
                    self._handles.store_cursor(held, anew=held.epoch > self._cursor.epoch)
            except apsw.Error as exc:
                self._fail_unless_full("the acknowledgement could not be stored", exc)
            self._cursor = held
            return result

    def _fail_unless_full(self, reason: str, exc: apsw.Error) -> NoReturn:
        if isinstance(exc, apsw.FullError):
            raise JournalFull(f"the terminal's disk is full: {reason}; make room on the disk") from exc
        self._fail(f"{reason}: {exc}", exc)

    def prune(self, now: Reading) -> int:
        """Delete, a few at a time, what central has held for the keep window; the last event stays. Return how many."""
        deleted, last = 0, 0
        while True:
            with self._write_lock:
                self._reopen_after_failure()
                try:
                    last = last or self._handles.mark(now, durable=self._cursor.durable)
                    upto = min(last, self._cursor.durable, self._head.seq - 1)
                    gone = self._handles.delete_oldest(upto, rows_max=PRUNE_ROWS_A_TRANSACTION)
                    self._room.used_bytes = self._handles.used_bytes()
                except apsw.Error as exc:
                    self._fail_unless_full("old events could not be deleted", exc)
            deleted += gone
            if gone < PRUNE_ROWS_A_TRANSACTION:
                return deleted

    def _fold_late(self, *, empty: bool = False) -> None:
        """Fold the log back on the tap path, because nobody called `maintain` for long. The event is stored already."""
        try:
            self._handles.let_go()
            self._handles.fold()
            if empty:
                self._handles.empty_log()
        except apsw.FullError:
            return  # the log stays; ordinary events are refused by the floor
        except apsw.Error as exc:
            self._failure = f"the log could not be folded back: {exc}"
            self._handles.close()

    def maintain(self) -> Maintained:
        """Care for the journal while no card is being read: call it from an idle loop, every second or so.

        Folds the log back beside the writer, refills the muster reserve, announces damage met while reading, and
        rewrites the witness. Raises `JournalFailed` when the disk errs.
        """
        with self._write_lock:
            self._reopen_after_failure()
            handles = self._handles
        trouble = self._fold(handles)
        self._announce_damage(handles)
        trouble = trouble or self._witness(every=WITNESS_EVERY_EVENTS) or self._mended or handles.mended
        try:
            return Maintained(handles.log_bytes, self._room.refill(), trouble)
        except OSError as exc:
            return Maintained(handles.log_bytes, False, trouble or f"the reserve could not be laid out: {exc}")

    def _fold(self, handles: Handles) -> str:
        """Fold a long log back beside the writer, then turn it so that no tap pays for it; return what went wrong."""
        trouble = ""
        try:
            handles.measure_log()
            if handles.log_bytes > self._limits.wal_bytes_idle_max:
                trouble = self._fold_and_turn(handles)
            with self._write_lock:
                if handles is self._handles and not self._failure:
                    handles.stand(self._head)
        except apsw.Error as exc:
            with self._write_lock:
                if handles is self._handles and not self._failure:
                    self._fail(f"the log could not be folded back: {exc}", exc)
        return trouble

    def _fold_and_turn(self, handles: Handles) -> str:
        try:
            with self._write_lock:
                handles.let_go()
            whole = handles.fold()
            with self._write_lock:
                if whole and handles is self._handles and not self._failure:
                    handles.turn_log()
                    self._room.used_bytes = handles.used_bytes()
        except apsw.FullError:
            return "the disk is too full to fold the log back"
        return ""

    def _announce_damage(self, handles: Handles) -> None:
        """Store one event a range of rows whose bytes changed on the disk, once for ever."""
        found = sorted(handles.view.damaged - handles.announced)
        for first, last in merge_ranges([(seq, seq) for seq in found], beyond=0)[:DAMAGES_ANNOUNCED_AT_ONCE_MAX]:
            reason = "the bytes of these events changed on the disk; they are kept here and not sent"
            lost = recovery.Lost(self._journal_id, first, last, reason, self._path.name, 0)
            self.append(type_=JOURNAL, data=lost.data(), reserved=True)
            with self._write_lock:
                try:
                    handles.note_announced(range(first, last + 1))
                except apsw.Error as exc:
                    self._fail_unless_full("what was announced could not be noted", exc)

    def _witness(self, *, every: int) -> str:
        return self._witness_file.update(Witness(self._journal_id, self._head.seq, self._cursor.durable), every=every)

    @property
    def free_bytes(self) -> int:
        """What is free on the journal's disk."""
        return free_bytes(self._path.parent)

    def close(self) -> None:
        """Fold the log back and close the files; what was accepted is safe already. Safe to call twice."""
        with self._write_lock:
            if self._closed:
                return
            if not self._failure:
                self._fold_late(empty=True)
                self._witness(every=1)
                self._handles.close()
            self._closed = True
            self._lock.release()
