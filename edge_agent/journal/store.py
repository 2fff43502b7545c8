"""The journal: `append` returns after the event is on stable storage, or raises. One writer, gapless, hash-chained."""

from __future__ import annotations

import hashlib
import os
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

import apsw
import msgspec

from edge_agent.clock import Clock, Reading
from edge_agent.journal import database
from edge_agent.journal.cursor import Acknowledged, Cursor, advance
from edge_agent.journal.record import (
    EventTooLarge,
    Head,
    JournalFailed,
    JournalFull,
    JournalLimits,
    Record,
    TapTrace,
)
from edge_agent.wire.codec import decode_event, encode_event, time_text
from edge_agent.wire.ids import JournalId, new_journal_id, parse_subject
from edge_agent.wire.messages import EVENT_BYTES_MAX, MUSTER, TAP, Ack, TapData

# The number is given by the statement's own transaction: it stores nothing unless `seq` continues what the file holds.
_INSERT = (
    "INSERT INTO journal_event (seq, hash, bytes) SELECT ?1, ?2, ?3"
    " WHERE (SELECT ifnull(max(seq), 0) FROM journal_event) = ?1 - 1"
)


class Journal:
    """A terminal's journal, open for writing. Thread-safe: one writer connection behind a lock, reads on their own."""

    def __init__(self, path: Path, *, site: str, terminal: str, clock: Clock, limits: JournalLimits) -> None:
        self._path = path
        self._site = site
        self._terminal = terminal
        self._clock = clock
        self._limits = limits
        self._write_lock = threading.Lock()
        self._read_lock = threading.Lock()
        self._writer = database.connect(path)
        database.migrate(self._writer)
        self._reader = database.connect_to_read(path)
        self._journal_id = self._identify()
        self._head = self._load_head()
        self._cursor = self._load_cursor()

    @classmethod
    def open(
        cls, path: Path, *, site: str, terminal: str, clock: Clock, limits: JournalLimits | None = None
    ) -> Journal:
        """Open or create the journal at `path`; raise `JournalUnusable` when green could not be promised."""
        return cls(path, site=site, terminal=terminal, clock=clock, limits=limits or JournalLimits())

    def _identify(self) -> JournalId:
        row = self._writer.execute("SELECT journal_id FROM journal_identity").fetchone()
        if row is not None:
            return JournalId(str(row[0]))
        journal_id = new_journal_id()
        created = time_text(self._clock.read().at)
        with self._writer:
            self._writer.execute(
                "INSERT INTO journal_identity VALUES (1, ?, ?, ?, ?)", (journal_id, self._site, self._terminal, created)
            )
            self._writer.execute("INSERT INTO journal_cursor VALUES (1, 0, ?, 0, '[]')", (Head().hash,))
        return journal_id

    def _load_head(self) -> Head:
        row = self._writer.execute("SELECT seq, hash FROM journal_event ORDER BY seq DESC LIMIT 1").fetchone()
        return Head(row[0], row[1].hex()) if row is not None else Head()

    def _load_cursor(self) -> Cursor:
        row: Any = self._writer.execute("SELECT durable, hash, epoch, have FROM journal_cursor").fetchone()
        have = msgspec.json.decode(row[3], type=list[tuple[int, int]])
        return Cursor(row[0], row[1], row[2], tuple(have))

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
            if not reserved and self.free_bytes < self._limits.floor_bytes:
                raise JournalFull("the disk is nearly full: this event was not stored; make room on the terminal")
            reading = reading or self._clock.read()
            seq = self._head.seq + 1
            payload = encode_event(
                type_=type_,
                site=self._site,
                terminal=self._terminal,
                journal_id=self._journal_id,
                seq=seq,
                at=reading.at,
                boot_id=reading.boot_id,
                boottime_ns=reading.boottime_ns,
                clock_state=reading.state,
                clock_error_ms=reading.error_ms,
                clock_epoch=reading.epoch,
                prev_hash=self._head.hash,
                data=data,
                token=token,
            )
            if len(payload) > EVENT_BYTES_MAX:
                raise EventTooLarge(
                    f"the {type_} event has {len(payload)} bytes, at most {EVENT_BYTES_MAX} are allowed"
                )
            digest = hashlib.sha256(payload).digest()
            try:
                self._writer.execute(_INSERT, (seq, digest, payload))
            except apsw.FullError as exc:
                raise JournalFull("the disk is full: this event was not stored; make room on the terminal") from exc
            except apsw.Error as exc:
                raise JournalFailed(f"the journal could not store event {seq}: {exc}") from exc
            record = Record(seq, digest.hex(), payload)
            self._head = Head(seq, record.hash)
            return record

    def read(self, after: int, *, events_max: int, bytes_max: int) -> list[Record]:
        """Return records with seq > `after` in order, at most `events_max`, and together at most `bytes_max` bytes."""
        return self._select(
            "SELECT seq, hash, bytes FROM journal_event WHERE seq > ? ORDER BY seq LIMIT ?",
            after,
            events_max,
            bytes_max,
        )

    def read_newest(self, *, after: int, events_max: int, bytes_max: int) -> list[Record]:
        """Return the newest records with seq > `after`, in ascending order, within the same limits."""
        sql = "SELECT seq, hash, bytes FROM journal_event WHERE seq > ? ORDER BY seq DESC LIMIT ?"
        return self._select(sql, after, events_max, bytes_max)[::-1]

    def _select(self, sql: str, after: int, events_max: int, bytes_max: int) -> list[Record]:
        records: list[Record] = []
        total = 0
        with self._read_lock:
            for seq, digest, payload in self._reader.execute(sql, (after, events_max)):
                total += len(payload)
                if total > bytes_max:
                    break
                records.append(Record(seq, digest.hex(), payload))
        return records

    def acknowledge(self, ack: Ack) -> Acknowledged:
        """Move the cursor if `ack` proves it; raise `ForkedJournal` when central holds what this journal never had."""
        with self._write_lock:
            row = self._writer.execute("SELECT hash FROM journal_event WHERE seq = ?", (ack.durable,)).fetchone()
            own_hash = row[0].hex() if row is not None else None
            result = advance(self._cursor, ack, journal_id=self._journal_id, head=self._head, own_hash=own_hash)
            if result.outcome in {"moved", "moved_back"}:
                held = result.cursor
                self._writer.execute(
                    "UPDATE journal_cursor SET durable = ?, hash = ?, epoch = ?, have = ?",
                    (held.durable, held.hash, held.epoch, msgspec.json.encode(held.have).decode()),
                )
                self._cursor = held
            return result

    def prune(self, now: datetime) -> int:
        """Delete what central has acknowledged and the keep window has passed; return how many rows went."""
        cutoff = now - self._limits.keep_window
        with self._write_lock:
            last_old = 0
            rows = self._writer.execute("SELECT seq, bytes FROM journal_event WHERE seq <= ?", (self._cursor.durable,))
            for seq, payload in rows:
                if decode_event(payload).time >= cutoff:
                    break
                last_old = seq
            # The head stays, so that numbers go on after everything was deleted.
            self._writer.execute("DELETE FROM journal_event WHERE seq <= ? AND seq < ?", (last_old, self._head.seq))
            return self._writer.changes()

    def recent_taps(self, since: datetime) -> list[TapTrace]:
        """Return the taps stored since `since`, oldest first: what repeat suppression starts from."""
        traces: list[TapTrace] = []
        with self._read_lock:
            for (payload,) in self._reader.execute("SELECT bytes FROM journal_event ORDER BY seq DESC"):
                event = decode_event(payload)
                if event.time < since:
                    break
                token = parse_subject(event.subject)
                if event.type in {TAP, MUSTER} and token is not None:
                    data = msgspec.json.decode(event.data, type=TapData)
                    traces.append(TapTrace(token, data.reader, data.direction, data.decision, event.time))
        return traces[::-1]

    @property
    def size_bytes(self) -> int:
        """What the journal takes on disk, its log included."""
        files = [self._path, self._path.with_name(self._path.name + "-wal")]
        return sum(file.stat().st_size for file in files if file.exists())

    @property
    def free_bytes(self) -> int:
        """What is free on the journal's disk."""
        found = os.statvfs(self._path.parent)
        return found.f_bavail * found.f_frsize

    def close(self) -> None:
        """Close the file; what was accepted is already safe."""
        with self._write_lock, self._read_lock:
            self._reader.close()
            self._writer.close()
