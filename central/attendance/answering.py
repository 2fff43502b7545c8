"""What central says back, purely: whose journal it is, whether a terminal remembers more than the database, the acks.

A terminal that holds an acknowledgement for more than the database has is the proof of a restore from an older backup
(DUR-04): the epoch rises, and with it cursors may go back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from central.attendance.admission import ZERO_HASH, Cursor
from central.attendance.quarantine import Aside, Found
from edge_agent.wire.codec import encode
from edge_agent.wire.messages import Ack
from edge_agent.wire.topics import terminal_topic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from central.attendance.arrival import Arrival
    from central.attendance.batch import Journal, Sender, Work
    from edge_agent.wire.messages import Birth

HAVE_RANGES_MAX = 1000
"""Ranges in one `ack`, as the contract allows."""


def owner_of(pairs: Iterable[tuple[Sender, Arrival]]) -> int | None:
    """Name the terminal to which a new journal is bound: the first that sends an event of its own in it."""
    return next((who.terminal_id for who, arrival in pairs if arrival.own), None)


def belonging(
    work: Work, journal_id: str, journal: Journal | None, pairs: Iterable[tuple[Sender, Arrival]]
) -> list[tuple[Sender, Arrival]]:
    """Keep the arrivals of the journal's own terminal; the others are set aside and not held."""
    mine = []
    for who, arrival in pairs:
        if journal is not None and journal.terminal_id == who.terminal_id:
            mine.append((who, arrival))
            continue
        reason, detail = arrival.fault, arrival.detail
        if journal is not None or not reason:
            reason, detail = "foreign_journal", f"journal {journal_id} belongs to another terminal"
        topic = terminal_topic(who.topic.site, who.topic.terminal, "events")
        work.asides.append(Aside(topic, reason, detail, arrival.raw, journal_id, arrival.seq))
    return mine


def hear(
    work: Work,
    journals: Mapping[str, Journal],
    *,
    epoch: int,
    newest_at: Callable[[Journal], datetime | None],
) -> bool:
    """Note in `work` whom to answer and who lost records, from births and heartbeats; return whether the epoch rises.

    `newest_at` gives the time of the newest event held of a journal.
    """
    rose = False
    for who, birth in work.births:
        journal = journals.get(birth.journal_id)
        if journal is not None and _went_back(birth, journal, newest_at):
            detail = f"the terminal's head is {birth.head_seq}, {journal.cursor.newest} is held"
            work.found.append(Found(journal.id, "head_behind", birth.head_seq, detail))
        _ask_back(work, who, birth.journal_id, journal)
        rose = rose or (birth.epoch == epoch and birth.durable > _durable(journal))
    for who, beat in work.beats:
        journal = journals.get(beat.journal_id)
        if beat.unacknowledged:
            _ask_back(work, who, beat.journal_id, journal)
        if beat.head_seq - beat.unacknowledged > _held_count(journal):
            _ask_back(work, who, beat.journal_id, journal)
            rose = True
    return rose


def acknowledgements(
    answer: Mapping[str, Sender], journals: Mapping[str, Journal], *, epoch: int
) -> list[tuple[str, bytes]]:
    """Write the acks as (topic, payload); a journal of which nothing is held is answered with that."""
    return [
        (terminal_topic(who.topic.site, who.topic.terminal, "ack"), _ack(journal_id, journals.get(journal_id), epoch))
        for journal_id, who in answer.items()
    ]


def _ack(journal_id: str, journal: Journal | None, epoch: int) -> bytes:
    cursor = journal.cursor if journal else Cursor(0, ZERO_HASH)
    ahead = cursor.ahead[: 2 * HAVE_RANGES_MAX]
    have = list(zip(ahead[::2], ahead[1::2], strict=True))
    return encode(Ack(journal_id=journal_id, durable=cursor.durable, hash=cursor.hash.hex(), have=have, epoch=epoch))


def _went_back(birth: Birth, journal: Journal, newest_at: Callable[[Journal], datetime | None]) -> bool:
    """Whether a terminal lost what it had sent. A birth that a broker delivers late is merely old."""
    if birth.head_seq >= journal.cursor.newest:
        return False
    newest = newest_at(journal)
    return newest is not None and birth.at > newest


def _ask_back(work: Work, who: Sender, journal_id: str, journal: Journal | None) -> None:
    """Answer a birth or heartbeat with where its journal stands, also when nothing of it is held."""
    if journal is None or journal.terminal_id == who.terminal_id:
        work.answer.setdefault(journal_id, who)


def _durable(journal: Journal | None) -> int:
    return journal.cursor.durable if journal else 0


def _held_count(journal: Journal | None) -> int:
    if journal is None:
        return 0
    ahead = journal.cursor.ahead
    beyond = sum(last - first + 1 for first, last in zip(ahead[::2], ahead[1::2], strict=True))
    return journal.cursor.durable + beyond
