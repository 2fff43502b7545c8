"""What central says back, purely: whose journal it is, whether a terminal remembers more than the database, the acks.

A terminal that holds an acknowledgement for more than the database has is the proof of a restore from an older backup
(DUR-04): the epoch of its journal rises, and with it its cursor may go back.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from central.attendance.admission import ZERO_HASH, Cursor
from central.attendance.arrival import UNREADABLE
from central.attendance.quarantine import Aside, Found
from edge_agent.wire.codec import decode_event, encode
from edge_agent.wire.messages import Ack, Heartbeat
from edge_agent.wire.topics import incident_topic, terminal_topic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from central.attendance.arrival import Arrival
    from central.attendance.batch import Journal, Sender, Work
    from edge_agent.wire.messages import Birth

HAVE_RANGES_MAX = 1000
"""Ranges in one `ack`, as the contract allows."""
_COMPARED = ("synced", "holdover")
"""Clocks that were set by the network since they started."""
STORING_MAX = timedelta(seconds=30)
"""An event carries the time at which its card was read and gets its number when it is stored: a birth said in between
names the number before. So long a disk may take; what is really lost is also found when its numbers come again."""
_MICROSECOND = timedelta(microseconds=1)
_MILLISECOND = timedelta(milliseconds=1)
EPOCH_FIRST, EPOCH_MAX = 1, 2**63 - 1


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
    newest: Callable[[Journal], bytes | None],
) -> list[Journal]:
    """Note in `work` whom to answer and who lost records, from births and heartbeats.

    Return the journals whose epoch rose (in place) because their own terminal remembers more than is held, or a later
    epoch: what one terminal says of its journal moves no other's (ADR 12). `newest` gives the bytes of the newest
    event held of a journal.
    """
    before = {name: journal.epoch for name, journal in journals.items()}
    for who, birth in work.births:
        journal = journals.get(birth.journal_id)
        if journal is not None and _went_back(birth, journal, newest):
            detail = f"the terminal's head is {birth.head_seq}, {journal.cursor.newest} is held"
            work.found.append(Found(journal.id, "head_behind", birth.head_seq, detail))
        _ask_back(work, who, birth.journal_id, journal)
        _raise_epoch(work, who, birth, journal)
    for who, beat in work.beats:
        journal = journals.get(beat.journal_id)
        if beat.unacknowledged:
            _ask_back(work, who, beat.journal_id, journal)
        if _raise_epoch(work, who, beat, journal):
            _ask_back(work, who, beat.journal_id, journal)
    return [journal for name, journal in journals.items() if journal.epoch > before[name]]


def acknowledgements(work: Work, journals: Mapping[str, Journal]) -> list[tuple[str, bytes]]:
    """Write the acks as (topic, payload); a journal of which nothing is held is answered with that."""
    acks = []
    for journal_id, who in work.answer.items():
        journal = journals.get(journal_id)
        epoch = journal.epoch if journal else work.epochs[journal_id]
        acks.append((terminal_topic(who.topic.site, who.topic.terminal, "ack"), _ack(journal_id, journal, epoch)))
    return acks


def incidents(work: Work) -> list[tuple[str, bytes]]:
    """Say to the sites of the births, as (topic, payload), which incident is open: none, for nothing opens one yet.

    A terminal keeps an open incident over a restart, and one that was away did not hear its end: the broker retains
    nothing of it.
    """
    return [(incident_topic(site), b"") for site in sorted({who.topic.site for who, _ in work.births})]


def _ack(journal_id: str, journal: Journal | None, epoch: int) -> bytes:
    cursor = journal.cursor if journal else Cursor(0, ZERO_HASH)
    ahead = cursor.ahead[: 2 * HAVE_RANGES_MAX]
    have = list(zip(ahead[::2], ahead[1::2], strict=True))
    return encode(Ack(journal_id=journal_id, durable=cursor.durable, hash=cursor.hash.hex(), have=have, epoch=epoch))


def _went_back(birth: Birth, journal: Journal, newest: Callable[[Journal], bytes | None]) -> bool:
    """Whether a terminal lost what it had sent. A birth that a broker delivers late is merely old.

    Inside one boot the boot clock tells which was first. Over a boot only two clocks that were compared tell, and only
    beyond the error they own up to; without them this birth raises no alarm, but the terminal does, at the next ack:
    it names more than its journal holds.
    """
    if birth.head_seq >= journal.cursor.newest:
        return False
    raw = newest(journal)
    if raw is None:
        return False
    try:
        event = decode_event(raw)
    except UNREADABLE:
        return False
    if event.bootid == birth.boot_id:
        return birth.boottime_ns > int(event.boottimens) + STORING_MAX // _MICROSECOND * 1000
    compared = event.clockstate in _COMPARED and birth.clock_state in _COMPARED
    later_ms = (birth.at - event.time - STORING_MAX) // _MILLISECOND
    return compared and later_ms > birth.clock_error_ms + event.clockerrms


def _ask_back(work: Work, who: Sender, journal_id: str, journal: Journal | None) -> None:
    """Answer a birth or heartbeat with where its journal stands, also when nothing of it is held."""
    if journal is None or journal.terminal_id == who.terminal_id:
        work.answer.setdefault(journal_id, who)


def _raise_epoch(work: Work, who: Sender, said: Birth | Heartbeat, journal: Journal | None) -> bool:
    """Let the journal's epoch rise to where its own terminal believes us again; return whether it does not yet."""
    if journal is None:
        work.epochs[said.journal_id] = needed = _epoch_above(said, None, EPOCH_FIRST)
        return needed > EPOCH_FIRST
    if journal.terminal_id != who.terminal_id:
        return False
    before, journal.epoch = journal.epoch, _epoch_above(said, journal, journal.epoch)
    return journal.epoch > before


def _epoch_above(said: Birth | Heartbeat, journal: Journal | None, epoch: int) -> int:
    """Return the epoch in which the terminal believes us again; the present one when it does already.

    A database put back twice has forgotten its own last epoch too: then every ack of it would count as an old one.
    """
    remembers = said.durable > _durable(journal)
    if isinstance(said, Heartbeat):
        # The count tells what `have` named; a terminal that does not say `durable` has only that.
        remembers = remembers or said.head_seq - said.unacknowledged > _held_count(journal)
        if said.epoch == 0 and remembers:
            return min(epoch + 1, EPOCH_MAX)
    if said.epoch > epoch or (said.epoch == epoch and remembers):
        return min(said.epoch + 1, EPOCH_MAX)
    return epoch


def _durable(journal: Journal | None) -> int:
    return journal.cursor.durable if journal else 0


def _held_count(journal: Journal | None) -> int:
    if journal is None:
        return 0
    ahead = journal.cursor.ahead
    beyond = sum(last - first + 1 for first, last in zip(ahead[::2], ahead[1::2], strict=True))
    return journal.cursor.durable + beyond
