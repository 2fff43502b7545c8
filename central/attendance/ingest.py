"""From messages to committed rows: one transaction for many messages of many terminals, then the acknowledgements.

Nothing is acknowledged that is not committed. The lock on a journal's row makes its cursor the proof of what is new,
so any number of workers write the same database.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psycopg

from central.attendance import quarantine
from central.attendance.admission import ZERO_HASH
from central.attendance.answering import owner_of
from central.attendance.arrival import sender
from central.attendance.batch import Message, Outcome, Sender, Work
from central.attendance.months import Month, make_month, month_of
from central.attendance.quarantine import Aside
from central.attendance.reading import read_message
from central.attendance.storing import Holdings, Transaction
from edge_agent.wire.topics import parse_terminal_topic

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    Connection = psycopg.Connection[Any]

TOPICS_CACHED_MAX = 50_000


class Ingest:
    """Takes messages into the database over one connection, which is given in autocommit mode.

    Caches the directory of terminals and the holders of cards: `forget` them when the registry says it changed.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._senders: dict[str, Sender] = {}
        self._holders: Holdings = {}
        self._month: Month | None = None
        """A month known to have its partition."""

    def forget(self, tokens: Iterable[bytes] | None = None) -> None:
        """Drop what is cached: terminals, and the holders of these cards (None: of all)."""
        self._senders.clear()
        if tokens is None:
            self._holders.clear()
        for token in tokens or ():
            self._holders.pop(token, None)

    def take(self, messages: Sequence[Message], *, now: datetime) -> Outcome:
        """Store a batch of messages in one transaction and return what to acknowledge.

        Raises psycopg errors, with nothing stored: the caller tries again and acknowledges nothing meanwhile.
        """
        work = self._read(messages)
        self._make_journals(work)
        if self._month is None or now not in self._month:
            self._month = month_of(now)
            make_month(self._connection, self._month)
        try:
            return self._store(work, now=now, careful=False)
        except psycopg.errors.UniqueViolation:
            # The cursor did not know of a row that exists (an operator mended tables by hand): let each row decide.
            return self._store(work, now=now, careful=True)

    def refuse(self, message: Message, detail: str, *, now: datetime) -> None:
        """Keep aside a message that the database itself refuses, so that it cannot stop the others."""
        with self._connection.transaction():
            aside = Aside(message.topic, "refused_by_database", detail, message.payload)
            quarantine.set_aside(self._connection, [aside], now=now)

    def _read(self, messages: Sequence[Message]) -> Work:
        work = Work()
        self._find_senders({message.topic for message in messages})
        for message in messages:
            read_message(work, self._senders.get(message.topic), message)
        return work

    def _find_senders(self, topics: set[str]) -> None:
        missing = {}
        for topic in topics - self._senders.keys():
            parsed = parse_terminal_topic(topic)
            if parsed is not None:
                missing[topic] = parsed
        if not missing:
            return
        if len(self._senders) > TOPICS_CACHED_MAX:
            self._senders.clear()
        pairs = sorted({(parsed.site, parsed.terminal) for parsed in missing.values()})
        rows = self._connection.execute(
            "SELECT s.code, t.code, t.id, s.id FROM registry_terminal t JOIN registry_site s ON s.id = t.site_id"
            " WHERE (s.code, t.code) IN (SELECT * FROM unnest(%s::text[], %s::text[]))",
            ([pair[0] for pair in pairs], [pair[1] for pair in pairs]),
        )
        known = {(row[0], row[1]): (row[2], row[3]) for row in rows}
        for topic, parsed in missing.items():
            ids = known.get((parsed.site, parsed.terminal))
            if ids is not None:
                self._senders[topic] = Sender(*ids, parsed, sender(parsed.site, parsed.terminal))

    def _make_journals(self, work: Work) -> None:
        """Bind each new journal to the terminal that first sends an event of its own in it."""
        rows = self._connection.execute(
            "SELECT journal_id::text FROM attendance_journal WHERE journal_id = ANY(%s::uuid[])", (list(work.arrivals),)
        )
        missing = work.arrivals.keys() - {row[0] for row in rows}
        for journal_id in sorted(missing):
            owner = owner_of(work.arrivals[journal_id])
            if owner is not None:
                self._connection.execute(
                    "INSERT INTO attendance_journal (journal_id, terminal_id, durable_hash) VALUES (%s, %s, %s)"
                    " ON CONFLICT DO NOTHING",
                    (journal_id, owner, ZERO_HASH),
                )

    def _store(self, work: Work, *, now: datetime, careful: bool) -> Outcome:
        work = replace(work, asides=list(work.asides), found=list(work.found), answer={})
        return Transaction(self._connection, self._holders, now).store(work, careful=careful)
