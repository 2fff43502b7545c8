"""Central's database in memory: rows, primary keys and whole transactions. What is decided is decided by the product.

Mirrors `central.attendance.storing.Transaction` step for step with its own functions: reading, admission, belief,
presence, answers. Only the SQL is replaced.
"""

from __future__ import annotations

import copy
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from central.attendance import answering
from central.attendance.admission import Cursor, Held, admit, lookups
from central.attendance.arrival import Arrival, read_event, sender
from central.attendance.batch import Journal, Message, Sender, Work
from central.attendance.keeping import NewTaps, PersonKey, person_of
from central.attendance.presence import CountedTap, State, counted, counts, fold, stepped
from central.attendance.quarantine import Found
from central.attendance.reading import read_message
from central.attendance.timekeeping import BOUNDED, believe
from edge_agent.wire.topics import parse_terminal_topic, terminal_topic
from simulators.virtual.world import Violation

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

HELD_ASIDE = {"malformed_event", "source_mismatch", "id_mismatch"}
"""Reasons under which a set-aside event still counts as held."""


class Row(NamedTuple):
    """One event as stored."""

    hash: bytes
    raw: bytes
    occurred_at: datetime
    basis: int
    arrival: Arrival
    error_ms: int | None
    received_at: datetime


@dataclass(slots=True)
class Tables:
    """Everything a backup holds."""

    journals: dict[str, Journal] = field(default_factory=dict)
    events: dict[str, dict[int, Row]] = field(default_factory=dict)
    aside: dict[tuple[bytes, str, str], tuple[str | None, int | None]] = field(default_factory=dict)
    """(hash of the bytes, topic, reason) to (journal, seq)."""
    found: dict[tuple[int, str, int], str] = field(default_factory=dict)
    presence: dict[PersonKey, State] = field(default_factory=dict)
    taps: dict[PersonKey, list[CountedTap]] = field(default_factory=dict)

    @property
    def epoch(self) -> int:
        """The highest of the journals' epochs."""
        return max((journal.epoch for journal in self.journals.values()), default=1)

    def copied(self) -> Tables:
        """Copy, as a backup does: rows never change, tables do."""
        return Tables(
            {name: copy.copy(journal) for name, journal in self.journals.items()},
            {name: dict(rows) for name, rows in self.events.items()},
            dict(self.aside),
            dict(self.found),
            dict(self.presence),
            {key: list(taps) for key, taps in self.taps.items()},
        )


class Answers(NamedTuple):
    """What one committed transaction leads to."""

    acks: list[tuple[str, bytes]]
    epoch: int
    stored: int
    refolded: int


class VirtualDatabase:
    """Tables, registered terminals and holders of cards."""

    def __init__(self, site: str, terminals: Sequence[str], holders: dict[bytes, int]) -> None:
        self.tables = Tables()
        self._holders = holders
        self._senders: dict[str, Sender] = {}
        for number, code in enumerate(terminals, 1):
            for kind in ("events", "live", "birth", "heartbeat", "state"):
                topic = terminal_topic(site, code, kind)
                parsed = parse_terminal_topic(topic)
                assert parsed is not None  # noqa: S101 - built above
                self._senders[topic] = Sender(number, 1, parsed, sender(site, code))

    def transact(self, messages: Iterable[Message], *, now: datetime) -> Answers:
        """Take messages in one transaction."""
        tables = self.tables
        work = Work()
        for message in messages:
            read_message(work, self._senders.get(message.topic), message)
        self._bind_new(work)
        named = {
            *work.arrivals,
            *(one.journal_id for _, one in work.births),
            *(one.journal_id for _, one in work.beats),
        }
        journals = {name: tables.journals[name] for name in sorted(named) if name in tables.journals}
        persons: dict[PersonKey, NewTaps] = {}
        stored = sum(
            self._admit(work, name, journals.get(name), pairs, persons, now) for name, pairs in work.arrivals.items()
        )
        refolded = self._keep(persons)
        answering.hear(work, journals, newest=self._newest)
        acks = answering.acknowledgements(work, journals)
        for aside in work.asides:
            key = (hashlib.sha256(aside.raw).digest(), aside.topic, aside.reason)
            tables.aside.setdefault(key, (aside.journal_id or None, aside.seq or None))
        for found in work.found:
            tables.found.setdefault((found.journal, found.kind, found.seq), found.detail)
        return Answers(acks, tables.epoch, stored, refolded)

    def _bind_new(self, work: Work) -> None:
        tables = self.tables
        for name in sorted(work.arrivals.keys() - tables.journals.keys()):
            owner = answering.owner_of(work.arrivals[name])
            if owner is not None:
                tables.journals[name] = Journal(len(tables.journals) + 1, name, owner, Cursor())
                tables.events[name] = {}

    def _newest(self, journal: Journal) -> bytes | None:
        row = self.tables.events[journal.journal_id].get(journal.cursor.newest)
        return row.raw if row is not None else None

    def _admit(
        self,
        work: Work,
        name: str,
        journal: Journal | None,
        pairs: list[tuple[Sender, Arrival]],
        persons: dict[PersonKey, NewTaps],
        now: datetime,
    ) -> int:
        mine = answering.belonging(work, name, journal, pairs)
        if journal is None or not mine:
            return 0
        who = mine[0][0]
        work.answer[name] = who
        before = journal.cursor
        arrivals = [arrival for _, arrival in mine]
        wanted = lookups(before, arrivals)
        admission = admit(before, arrivals, self._held(name, wanted) if wanted else {})
        from central.attendance.quarantine import Aside

        topic = terminal_topic(who.topic.site, who.topic.terminal, "events")
        work.asides += [Aside(topic, why, detail, one.raw, name, one.seq) for one, why, detail in admission.quarantine]
        work.found += [Found(journal.id, *anomaly) for anomaly in admission.anomalies]
        for arrival in admission.store:
            self._insert(work, journal, who, arrival, persons, now)
        journal.cursor = admission.cursor
        if not admission.deferred:
            self._see_all_kept(name, arrivals, {one.hash for one, _, _ in admission.quarantine})
        return len(admission.store)

    def _see_all_kept(self, name: str, arrivals: list[Arrival], aside: set[bytes]) -> None:
        """Whatever is acknowledged is stored, or set aside with its bytes: nothing that arrived is dropped (DUR-06)."""
        rows = self.tables.events[name]
        for arrival in arrivals:
            row = rows.get(arrival.seq)
            if (row is None or row.hash != arrival.hash) and arrival.hash not in aside:
                raise Violation(f"event {arrival.seq} of journal {name} arrived and was neither stored nor set aside")

    def _held(self, name: str, wanted: set[int]) -> dict[int, Held]:
        rows = self.tables.events[name]
        found = {seq: Held(rows[seq].hash, read_event(rows[seq].raw, source="").prev) for seq in wanted if seq in rows}
        for (digest, _, reason), (journal_id, seq) in self.tables.aside.items():
            if journal_id == name and seq in wanted and reason in HELD_ASIDE:
                found.setdefault(seq, Held(digest, None))
        return found

    def _insert(
        self,
        work: Work,
        journal: Journal,
        who: Sender,
        arrival: Arrival,
        persons: dict[PersonKey, NewTaps],
        now: datetime,
    ) -> None:
        name, tables = journal.journal_id, self.tables
        rows = tables.events[name]
        if arrival.seq in rows:
            raise Violation(f"event {arrival.seq} of journal {name} would be stored twice: its cursor lost it (DUR-02)")
        at, basis, error_ms = believe(arrival, received_at=now)
        if basis == BOUNDED:
            work.found.append(Found(journal.id, "time_unbelievable", arrival.seq, arrival.time.isoformat()))
        rows[arrival.seq] = Row(arrival.hash, arrival.raw, at, basis, arrival, error_ms, now)
        if not arrival.token or not counts(direction=arrival.direction, decision=arrival.decision):
            return
        key = PersonKey(who.site_id, person_of(self._holders.get(arrival.token), arrival.token))
        tap = counted(journal.id, who.terminal_id, arrival, (at, basis, error_ms))
        new = persons.setdefault(key, NewTaps())
        (new.beyond if arrival.seq > journal.cursor.newest else new.late).append(tap)
        tables.taps.setdefault(key, []).append(tap)

    def _keep(self, persons: dict[PersonKey, NewTaps]) -> int:
        tables, refolded = self.tables, 0
        for key in sorted(persons):
            new = persons[key]
            state = None if new.late else stepped(tables.presence.get(key), new.beyond)
            if state is None:
                refolded += 1
                state = fold(tables.taps[key])
            if state is not None:
                tables.presence[key] = state
        return refolded

    def person(self, site_id: int, token: bytes) -> PersonKey:
        """Say who holds a card."""
        return PersonKey(site_id, person_of(self._holders.get(token), token))
