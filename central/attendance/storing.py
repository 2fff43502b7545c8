"""The one transaction of ingest: lock the journals, admit, COPY the new rows, move presence, cursors and statuses."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from central.attendance import answering, keeping, quarantine, settling, terminals
from central.attendance.admission import (
    Admission,
    Cursor,
    Held,
    admit,
    lookups,
)
from central.attendance.arrival import Arrival, read_event
from central.attendance.batch import Journal, Outcome, Sender, Work
from central.attendance.copying import COPY_EVENTS, EVENT_COLUMNS, copy_parts
from central.attendance.keeping import NewTaps, PersonKey, person_of
from central.attendance.presence import counted, counts
from central.attendance.quarantine import Aside, Found
from central.attendance.timekeeping import BOUNDED, MEASURED, believe
from edge_agent.wire.ids import event_id
from edge_agent.wire.topics import terminal_topic

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import psycopg

    Connection = psycopg.Connection[Any]

HOLDERS_CACHED_MAX = 200_000
LATELY = timedelta(days=36)
"""What comes again nearly always came first within this: a terminal keeps what is acknowledged for 35 days."""

Holdings = dict[bytes, tuple[tuple[int, datetime, datetime | None], ...]]
"""Card token to (worker, from, until) of every assignment."""

_MARKS = ", ".join("%s" for _ in EVENT_COLUMNS)
_NEWEST = "SELECT bytes FROM attendance_event WHERE journal = %s AND seq = %s"
_INSERT = f"INSERT INTO attendance_event ({', '.join(EVENT_COLUMNS)}) VALUES ({_MARKS}) ON CONFLICT DO NOTHING"  # noqa: S608 - constants
_LOCK = """
SELECT id, journal_id::text, terminal_id, durable, durable_hash, ahead, epoch, clock_due FROM attendance_journal
WHERE journal_id = ANY(%s::uuid[]) ORDER BY id FOR UPDATE
"""
_MOVE = """
UPDATE attendance_journal j SET durable = n.durable, durable_hash = n.hash, ahead = n.ahead::bigint[]
FROM unnest(%s::bigint[], %s::bigint[], %s::bytea[], %s::text[]) n(id, durable, hash, ahead) WHERE j.id = n.id
"""
_HELD = """
SELECT seq, hash, bytes FROM attendance_event WHERE journal = %s AND seq = ANY(%s) AND received_at > %s
"""
_HELD_LONG_AGO = """
SELECT seq, hash, bytes FROM attendance_event WHERE journal = %s AND seq = ANY(%s) AND received_at <= %s
UNION ALL
SELECT seq, sha256, NULL FROM attendance_quarantine
WHERE journal_id = %s AND seq = ANY(%s) AND reason IN ('malformed_event', 'source_mismatch', 'id_mismatch')
UNION ALL
SELECT s, CASE WHEN s = f.last_seq THEN f.last_hash ELSE '' END, NULL
FROM unnest(%s::bigint[]) s JOIN attendance_forgotten f ON f.journal = %s AND s BETWEEN f.first_seq AND f.last_seq
"""
_HOLDERS = """
SELECT decode(c.token, 'hex'), a.worker_id, a.from_at, a.until_at
FROM registry_card c JOIN registry_card_assignment a ON a.card_id = c.id WHERE c.token = ANY(%s)
"""


class Transaction:
    """Stores one batch of work. Locks are always taken in the same order: journals, terminals' rows, persons."""

    def __init__(self, connection: Connection, holders: Holdings, now: datetime) -> None:
        self._connection = connection
        self._holders = holders
        self._now = now
        self._outcome = Outcome()
        self._persons: dict[tuple[int, int | bytes], NewTaps] = {}
        """By site, and worker or the card that nobody holds."""
        self._moved: set[int] = set()
        """Sites where somebody tapped."""
        self._admitted: list[tuple[Journal, Sender, list[Arrival], int]] = []
        """What is to be stored of each journal, and the highest seq that was held of it before."""
        self._unmeasured: list[settling.Noted] = []
        self._clocks: dict[int, int] = {}
        """Journals whose times are to be rebuilt, and how far back."""

    def store(self, work: Work, *, careful: bool) -> Outcome:
        """Commit the work, or raise with nothing stored. `careful`: let the primary key decide on each row."""
        with self._connection.transaction():
            journals = self._lock(work)
            self._admit(work, journals)
            work.found += self._copy(careful=careful)
            settling.note(self._connection, self._unmeasured, due=self._clocks, now=self._now)
            self._statuses(work, journals)
            self._outcome.refolded = keeping.keep(self._connection, self._named())
            self._outcome.acks += answering.acknowledgements(work, journals)
            self._outcome.incidents = answering.incidents(work)
            quarantine.set_aside(self._connection, work.asides, now=self._now)
            quarantine.report(self._connection, work.found, now=self._now)
            notify_sites(self._connection, self._moved, quiet=self._outcome.sites - self._moved)
        self._outcome.clocks.update(one for one, due in self._clocks.items() if due >= settling.DUE_NEW)
        self._outcome.set_aside.update(aside.reason for aside in work.asides)
        self._outcome.anomalies.update(found.kind for found in work.found)
        return self._outcome

    def _lock(self, work: Work) -> dict[str, Journal]:
        named = set(work.arrivals)
        named.update(birth.journal_id for _, birth in work.births)
        named.update(beat.journal_id for _, beat in work.beats)
        if not named:
            return {}
        rows = self._connection.execute(_LOCK, (list(named),))
        return {
            row[1]: Journal(row[0], row[1], row[2], Cursor(row[3], row[4], tuple(row[5])), *row[6:]) for row in rows
        }

    def _admit(self, work: Work, journals: dict[str, Journal]) -> None:
        moved: list[Journal] = []
        self._learn_holders(work)
        for journal_id, pairs in work.arrivals.items():
            journal = journals.get(journal_id)
            mine = answering.belonging(work, journal_id, journal, pairs)
            if journal is None or not mine:
                continue
            who = mine[0][0]
            work.answer[journal_id] = who
            before = journal.cursor
            arrivals = [arrival for _, arrival in mine]
            wanted = lookups(before, arrivals)
            admission = admit(before, arrivals, self._held(journal, wanted) if wanted else {})
            self._note(work, journal, who, admission)
            self._admitted.append((journal, who, admission.store, before.newest))
            if admission.cursor != before:
                journal.cursor = admission.cursor
                moved.append(journal)
        self._move(moved)

    def _held(self, journal: Journal, wanted: set[int]) -> dict[int, Held]:
        """Read what is held of these: of the last months first, for they are few, and the rest in all of them."""
        lately = self._now - LATELY
        rows = self._connection.execute(_HELD, (journal.id, list(wanted), lately)).fetchall()
        missing = list(wanted.difference(row[0] for row in rows))
        if missing:
            given = (journal.id, missing, lately, journal.journal_id, missing, missing, journal.id)
            rows += self._connection.execute(_HELD_LONG_AGO, given).fetchall()
        return {
            seq: Held(digest, read_event(raw, source="").prev if raw is not None else None) for seq, digest, raw in rows
        }

    def _note(self, work: Work, journal: Journal, who: Sender, admission: Admission) -> None:
        outcome = self._outcome
        outcome.stored += len(admission.store)
        outcome.repeated += admission.repeated
        outcome.deferred += admission.deferred
        for arrival, reason, detail in admission.quarantine:
            work.asides.append(Aside(_topic(who), reason, detail, arrival.raw, journal.journal_id, arrival.seq))
        work.found.extend(Found(journal.id, *anomaly) for anomaly in admission.anomalies)
        if admission.store:
            outcome.sites.add(who.site_id)
            self._moved.add(who.site_id)
            outcome.last = event_id(journal.journal_id, admission.store[-1].seq)

    def _rows(self, found: list[Found]) -> Iterator[tuple[Any, ...]]:
        """Make the rows, and gather each person's taps on the way; add to `found` where a clock cannot be believed."""
        now = self._now
        for journal, who, arrivals, newest in self._admitted:
            for arrival in arrivals:
                at, basis, error_ms = believe(arrival, received_at=now)
                if basis != MEASURED:
                    self._note_clock(journal, arrival, (at, basis, error_ms))
                elif journal.clock_due:
                    self._clocks[journal.id] = settling.DUE_ALL
                if basis == BOUNDED:
                    detail = f"said {arrival.time.isoformat()}, its clock was {arrival.clock_state}"
                    found.append(Found(journal.id, "time_unbelievable", arrival.seq, detail))
                token = arrival.token
                worker_id = self._holder(token, at) if token else None
                yield (
                    journal.id,
                    arrival.seq,
                    now,
                    at,
                    who.site_id,
                    who.terminal_id,
                    worker_id,
                    basis,
                    arrival.direction,
                    arrival.decision,
                    arrival.assurance,
                    error_ms,
                    arrival.type,
                    arrival.reader,
                    arrival.zone,
                    token,
                    arrival.hash,
                    arrival.raw,
                )
                if token and counts(direction=arrival.direction, decision=arrival.decision):
                    key = (who.site_id, token if worker_id is None else worker_id)
                    new = self._persons.get(key)
                    if new is None:
                        new = self._persons[key] = NewTaps()
                    tap = counted(journal.id, who.terminal_id, arrival, (at, basis, error_ms))
                    (new.beyond if arrival.seq > newest else new.late).append(tap)

    def _named(self) -> dict[PersonKey, NewTaps]:
        """Name the persons once for all their taps."""
        return {
            PersonKey(site_id, person_of(None, who) if isinstance(who, bytes) else person_of(who, b"")): new
            for (site_id, who), new in self._persons.items()
        }

    def _note_clock(self, journal: Journal, arrival: Arrival, believed: tuple[datetime, int, int | None]) -> None:
        """Keep what an event says of time that no compared clock measured; what is known badly is looked at soon."""
        self._unmeasured.append(settling.noted(journal, arrival, believed, now=self._now))
        error_ms = believed[2]
        if error_ms is None or error_ms > settling.WELL_KNOWN_MS:
            self._clocks[journal.id] = max(self._clocks.get(journal.id, 0), settling.DUE_NEW)
        elif not journal.clock_due:
            self._clocks.setdefault(journal.id, settling.OPEN)

    def _learn_holders(self, work: Work) -> None:
        tokens = {arrival.token for pairs in work.arrivals.values() for _, arrival in pairs if arrival.token}
        unknown = tokens - self._holders.keys()
        if not unknown:
            return
        if len(self._holders) > HOLDERS_CACHED_MAX:
            self._holders.clear()
            unknown = tokens
        held: dict[bytes, list[tuple[int, datetime, datetime | None]]] = {token: [] for token in unknown}
        for token, *holding in self._connection.execute(_HOLDERS, ([token.hex() for token in unknown],)):
            held[token].append((holding[0], holding[1], holding[2]))
        self._holders.update((token, tuple(holdings)) for token, holdings in held.items())

    def _holder(self, token: bytes, at: datetime) -> int | None:
        for worker_id, from_at, until_at in self._holders.get(token, ()):
            if from_at <= at and (until_at is None or at < until_at):
                return worker_id
        return None

    def _copy(self, *, careful: bool) -> list[Found]:
        """Store the rows; the server stores some while the next are made. Returns the clocks not to be believed."""
        found: list[Found] = []
        if not any(arrivals for _, _, arrivals, _ in self._admitted):
            return found
        with self._connection.cursor() as cursor:
            if careful:
                cursor.executemany(_INSERT, list(self._rows(found)))
                return found
            with cursor.copy(COPY_EVENTS) as copy:
                for part in copy_parts(self._rows(found)):
                    copy.write(part)
        return found

    def _move(self, journals: list[Journal]) -> None:
        if journals:
            columns = (
                [journal.id for journal in journals],
                [journal.cursor.durable for journal in journals],
                [journal.cursor.hash for journal in journals],
                ["{" + ",".join(map(str, journal.cursor.ahead)) + "}" for journal in journals],
            )
            self._connection.execute(_MOVE, columns)

    def _statuses(self, work: Work, journals: dict[str, Journal]) -> None:
        connection, now = self._connection, self._now
        if work.heard:
            terminals.heard(connection, work.heard, now=now, alive=work.alive)
        taps = {journal.journal_id: self._last_tap(arrivals) for journal, _, arrivals, _ in self._admitted}
        newest = [
            (who.terminal_id, name, journals[name].cursor.newest, taps.get(name)) for name, who in work.answer.items()
        ]
        terminals.heads(connection, newest)
        terminals.births(connection, [(who.terminal_id, birth) for who, birth in work.births], now=now)
        for who, birth in work.births:
            settling.note_birth(connection, who.terminal_id, birth, now=now)
        terminals.heartbeats(connection, [(who.terminal_id, beat) for who, beat in work.beats], now=now)
        terminals.states(connection, [(who.terminal_id, state) for who, state in work.states])
        for who, _ in (*work.births, *work.beats, *work.states):
            self._outcome.sites.add(who.site_id)
        self._raise_epochs(answering.hear(work, journals, newest=self._newest))

    def _last_tap(self, arrivals: list[Arrival]) -> datetime | None:
        """Say when the last tap of a journal's new records was."""
        last = next((arrival for arrival in reversed(arrivals) if arrival.token), None)
        return believe(last, received_at=self._now)[0] if last is not None else None

    def _newest(self, journal: Journal) -> bytes | None:
        row = self._connection.execute(_NEWEST, (journal.id, journal.cursor.newest)).fetchone()
        return row[0] if row is not None else None

    def _raise_epochs(self, risen: list[Journal]) -> None:
        for journal in risen:
            self._connection.execute(
                "UPDATE attendance_journal SET epoch = %s WHERE id = %s", (journal.epoch, journal.id)
            )
        self._outcome.epoch = max((journal.epoch for journal in risen), default=0)


def _topic(who: Sender) -> str:
    return terminal_topic(who.topic.site, who.topic.terminal, "events")


def current_epoch(connection: Connection) -> int:
    """Read the highest epoch of all journals: what `central/state` says."""
    row = connection.execute("SELECT coalesce(max(epoch), 1) FROM attendance_journal").fetchone()
    return int(row[0]) if row else 1


def notify_sites(connection: Connection, sites: set[int], *, quiet: Iterable[int] = ()) -> None:
    """Tell every listening process, at commit, that something of these sites changed.

    `ccs_site` is for screens; `ccs_inside`, for rosters, leaves out the `quiet`: there a terminal only said how it is.
    """
    both = sites.union(quiet)
    if both:
        connection.execute("SELECT pg_notify('ccs_site', s::text) FROM unnest(%s::bigint[]) s", (sorted(both),))
    if sites:
        connection.execute("SELECT pg_notify('ccs_inside', s::text) FROM unnest(%s::bigint[]) s", (sorted(sites),))
