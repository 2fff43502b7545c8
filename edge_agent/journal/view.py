"""Reading a journal beside its writer: for the uplink, for `ccs-edge journal`, and for a file that was set aside."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import apsw
import msgspec

from edge_agent.clock import Reading
from edge_agent.journal import database, proof
from edge_agent.journal.chain import ChainWalk, Damage, VerifyReport, number_place, row_is_intact
from edge_agent.journal.cursor import Cursor
from edge_agent.journal.record import Head, JournalFailed, JournalUnusable, Record, TapTrace
from edge_agent.wire.codec import decode_event
from edge_agent.wire.ids import JournalId, parse_subject
from edge_agent.wire.messages import MUSTER, TAP, TapData

ROWS_A_CHUNK = 500
RECENT_ROWS_MAX = 50_000
SALVAGED_ROWS_MAX = 10_000_000
"""More than the largest journal holds: a damaged file may name any number as its last."""
QUICK_CHECK_ERRORS_MAX = 5

Row = tuple[int, bytes, bytes]

# Cast, for one changed bit of a row's header makes a text of a hash, and one such row would keep all after it from
# being read. The bytes are still what they were, and prove it.
_ROWS = "SELECT seq, CAST(hash AS BLOB), CAST(bytes AS BLOB) FROM journal_event"
_NEXT = f"{_ROWS} WHERE seq > ? ORDER BY seq LIMIT ?"
_NEWEST = f"{_ROWS} WHERE seq > ? ORDER BY seq DESC LIMIT ?"
_BEFORE = f"{_ROWS} WHERE seq < ? ORDER BY seq DESC LIMIT ?"
_ONE = f"{_ROWS} WHERE seq = ?"


class JournalView:
    """A read-only connection of its own. Thread-safe; sees what is committed. Damaged rows are left out of reads."""

    def __init__(self, path: Path, *, vfs: str | None = None) -> None:
        self._lock = threading.Lock()
        try:
            self._connection = database.connect_to_read(path, vfs=vfs)
            self.schema = int(self._connection.pragma("user_version"))
            self._has_proofs = self.schema > 1
            self.journal_id, self.site, self.terminal = self._identity()
        except (apsw.Error, JournalFailed) as exc:
            raise JournalUnusable(f"{path} cannot be read as a journal: {exc}") from exc
        self.damaged: set[int] = set()
        """Rows met while reading whose bytes no longer have their hash."""

    def _identity(self) -> tuple[JournalId, str, str]:
        rows = self._rows("SELECT journal_id, site, terminal FROM journal_identity")
        if not rows:
            raise JournalUnusable("the journal names no owner: it was never finished; remove it and start again")
        return JournalId(rows[0][0]), rows[0][1], rows[0][2]

    def _rows(self, sql: str, bindings: tuple[Any, ...] = ()) -> list[Any]:
        with self._lock:
            try:
                return self._connection.execute(sql, bindings).fetchall()
            except (apsw.Error, UnicodeDecodeError) as exc:
                raise JournalFailed(f"the journal could not be read: {exc}") from exc

    def head(self) -> Head:
        """Return the last event's number and hash."""
        rows = self._rows("SELECT seq, hash FROM journal_event ORDER BY seq DESC LIMIT 1")
        if rows and not isinstance(rows[0][1], bytes):
            raise JournalFailed(f"event {rows[0][0]} has no hash any more: the file is damaged")
        return Head(rows[0][0], rows[0][1].hex()) if rows else Head()

    def first_seq(self) -> int:
        """Return the number of the oldest event still kept, 0 when there is none."""
        return int(self._rows("SELECT ifnull(min(seq), 0) FROM journal_event")[0][0])

    def cursor(self) -> Cursor:
        """Return how far central has acknowledged; raise `JournalFailed` when the disk changed that row."""
        rows = self._rows(proof.CURSOR if self._has_proofs else proof.CURSOR_OF_SCHEMA_1)
        found = proof.read_cursor(rows[0]) if rows else None
        if found is None:
            raise JournalFailed(
                "the row that says how far central is changed on the disk; the agent mends it when it starts"
            )
        return found

    def read(self, after: int, *, events_max: int, bytes_max: int) -> list[Record]:
        """Return intact records with seq > `after` in order: at most `events_max`, together at most `bytes_max`."""
        return self._take(_NEXT, (after, events_max), bytes_max)

    def read_newest(self, after: int, *, events_max: int, bytes_max: int) -> list[Record]:
        """Return the newest intact records with seq > `after`, in ascending order, within the same limits."""
        return self._take(_NEWEST, (after, events_max), bytes_max)[::-1]

    def _take(self, sql: str, bindings: tuple[Any, ...], bytes_max: int) -> list[Record]:
        # Tens of thousands of rows wait here after an outage, and a hash costs what it costs: nothing else may.
        records: list[Record] = []
        total = place = 0
        for seq, digest, payload in self._rows(sql, bindings):
            # Changed bytes are no evidence: they do not travel, and their number stays visibly missing.
            place = number_place(seq, digest, payload, place)
            if place < 0:
                self.damaged.add(seq)
                continue
            total += len(payload)
            if total > bytes_max:
                break
            records.append(Record(seq, digest.hex(), payload))
        return records

    def _chunks(self, after: int = 0) -> Iterator[list[Row]]:
        """Yield rows in order, a chunk at a time, so that nobody waits long for the connection."""
        while True:
            rows: list[Row] = self._rows(_NEXT, (after, ROWS_A_CHUNK))
            if not rows:
                return
            yield rows
            if rows[-1][0] <= after:
                raise JournalFailed(f"the rows after event {after} lead back to event {rows[-1][0]}: a damaged page")
            after = rows[-1][0]

    def verify(self, *, after: int = 0) -> VerifyReport:
        """Walk every row with seq > `after`: its hash, its number, its predecessor. Damage is located, not repaired."""
        walk = ChainWalk(self.journal_id)
        try:
            for rows in self._chunks(after):
                walk.feed(rows)
        except JournalFailed as exc:
            place = walk.last + 1
            walk.note(Damage(place, place, "unreadable", f"no event can be read from {place} on: {exc}"))
        return walk.report()

    def quick_check(self) -> list[str]:
        """Ask SQLite whether the file's structure is whole; return its complaints, none when it is."""
        try:
            rows = self._rows(f"PRAGMA quick_check({QUICK_CHECK_ERRORS_MAX})")
        except JournalFailed as exc:
            return [str(exc)]
        return [str(row[0]) for row in rows if row[0] != "ok"]

    def export(self, target: BinaryIO, *, after: int = 0) -> int:
        """Write each readable event's own bytes as one line to `target`; return how many."""
        written = 0
        for payload in self.salvage(after=after):
            target.write(payload + b"\n")
            written += 1
        return written

    def salvage(self, *, after: int = 0) -> Iterator[bytes]:
        """Yield the bytes of every event that can still be read, going around damaged pages."""
        last = after
        try:
            for rows in self._chunks(after):
                for seq, digest, payload in rows:
                    last = seq
                    if row_is_intact(digest, payload):
                        yield payload
        except JournalFailed:
            yield from self._salvage_one_by_one(last)

    def _salvage_one_by_one(self, after: int) -> Iterator[bytes]:
        head_seq = min(self.last_readable_seq(after), after + SALVAGED_ROWS_MAX)
        for seq in range(after + 1, head_seq + 1):
            try:
                rows: list[Row] = self._rows(_ONE, (seq,))
            except JournalFailed:  # this row is lost, the next may not be; the caller counts what came
                continue
            if rows and row_is_intact(rows[0][1], rows[0][2]):
                yield rows[0][2]

    def last_readable_seq(self, after: int) -> int:
        """Return the highest number that can be read, `after` when not even that is known."""
        try:
            return self.head().seq
        except JournalFailed:
            return after

    def recent_taps(self, since: datetime) -> list[TapTrace]:
        """Return the taps stored since `since`, oldest first (at most 50,000 rows back): repeat suppression's start."""
        traces: list[TapTrace] = []
        for _, digest, payload in self._newest_first():
            if not row_is_intact(digest, payload):
                continue
            event = decode_event(payload)
            if event.time < since:
                break
            token = parse_subject(event.subject)
            if event.type in {TAP, MUSTER} and token is not None:
                tap = msgspec.json.decode(event.data, type=TapData)
                traces.append(TapTrace(token, tap.reader, tap.direction, tap.decision, event.time))
        return traces[::-1]

    def _newest_first(self) -> Iterator[Row]:
        before, left = self.head().seq + 1, RECENT_ROWS_MAX
        while left > 0:
            rows: list[Row] = self._rows(_BEFORE, (before, min(left, ROWS_A_CHUNK)))
            if not rows:
                return
            yield from rows
            before, left = rows[-1][0], left - len(rows)

    def last_reading(self) -> Reading | None:
        """Return the clock reading of the last event, from which a new run's clock goes on."""
        for _, digest, payload in self._newest_first():
            if row_is_intact(digest, payload):
                event = decode_event(payload)
                return Reading(
                    event.time,
                    int(event.boottimens),
                    event.bootid,
                    event.clockstate,
                    event.clockerrms,
                    event.clockepoch,
                )
        return None

    def close(self) -> None:
        """Close the connection; safe to call twice."""
        with self._lock:
            self._connection.close()
