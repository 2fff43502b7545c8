"""What must hold after a run: every promise in central once, order and chain whole, presence exact, loss located."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from central.attendance.admission import ZERO_HASH
from central.attendance.arrival import read_event
from central.attendance.presence import counted, counts, fold
from central.attendance.timekeeping import Estimate, doubt_of, holds, rebuild, sighting, to_us
from edge_agent.journal.record import JournalFailed
from edge_agent.wire.codec import decode_event
from edge_agent.wire.messages import JOURNAL
from simulators.virtual.database import HELD_ASIDE
from simulators.virtual.world import STARTS_US, Violation

if TYPE_CHECKING:
    from central.attendance.keeping import PersonKey
    from central.attendance.presence import CountedTap
    from simulators.virtual.database import Tables
    from simulators.virtual.estate import VirtualEstate
    from simulators.virtual.terminal import Terminal

FORKING = frozenset({"image", "twin"})
"""Faults after which two disks write the same numbers."""
LOSING = frozenset({"swap", "rot", *FORKING})


class Loss(msgspec.Struct):
    """`data` of a `ccs.journal.v1` event that announces a loss."""

    what: str
    journal_id: str = ""
    first: int = 0
    last: int = -1


def check(estate: VirtualEstate) -> None:
    """Check everything; raise `Violation` with the first thing that does not hold."""
    try:
        _check(estate)
    except JournalFailed as exc:
        raise Violation(f"a journal cannot be read at the end of the calm: {exc}") from exc


def _check(estate: VirtualEstate) -> None:
    _settled(estate)
    _every_promise(estate)
    _chains(estate)
    _nothing_uncalled_for(estate)
    _presence(estate)
    _times(estate)
    for terminal in estate.terminals:
        _disk(estate, terminal)


def announced(tables: Tables) -> list[Loss]:
    """Return the losses that terminals announced and central holds."""
    found = []
    for rows in tables.events.values():
        for row in rows.values():
            if row.arrival.type == JOURNAL:
                loss = msgspec.json.decode(decode_event(row.raw).data, type=Loss)
                if loss.what == "recovered":
                    found.append(loss)
    return found


def _settled(estate: VirtualEstate) -> None:
    """Liveness: when faults have stopped, every terminal runs and everything of it is acknowledged."""
    for terminal in estate.terminals:
        process = terminal.process
        if process is None:
            raise Violation(f"{terminal.name} does not run at the end of the calm")
        outstanding = process.uplink.unacknowledged
        damaged = _damaged(terminal) if terminal.name in estate.ledger.rotten else 0
        if outstanding > damaged:
            cursor = process.journal.cursor
            raise Violation(
                f"{terminal.name}: {outstanding} events are not acknowledged at the end of the calm, {damaged} of them"
                f" damaged; head {process.journal.head.seq}, cursor {cursor.durable}, beyond it {list(cursor.have)}"
            )


def _damaged(terminal: Terminal) -> int:
    """Count what cannot be read, or could not when it was last asked for: a page heals when it is written again."""
    process = terminal.process
    if process is None:
        return 0
    damages = process.journal.verify().damages
    return max(sum(one.last_seq - one.seq + 1 for one in damages), process.uplink.to_be_asked_for)


def _every_promise(estate: VirtualEstate) -> None:
    """Each colour shown is in central once, or its loss was announced, quarantined, or done by us."""
    tables, ledger = estate.database.tables, estate.ledger
    losses = announced(tables)
    set_aside = {(digest.hex(), where) for (digest, _, reason), where in tables.aside.items() if reason == "forked"}
    for (journal_id, seq), promises in ledger.promised.items():
        row = tables.events.get(journal_id, {}).get(seq)
        for promise in promises:
            if row is not None and row.hash.hex() == promise.hash:
                continue
            if (promise.hash, (journal_id, seq)) in set_aside:
                estate.world.saw("promise found in quarantine")
            elif any(loss.journal_id == journal_id and loss.first <= seq <= loss.last for loss in losses):
                estate.world.saw("promise covered by an announced loss")
            elif (journal_id, seq, promise.hash) in ledger.destroyed:
                estate.world.saw("promise destroyed with its disk")
            else:
                held = "nothing" if row is None else f"other bytes ({row.hash.hex()[:12]})"
                raise Violation(
                    f"{promise.terminal}: event {seq} of journal {journal_id}, shown at {promise.at_us / 1e6:.3f} s,"
                    f" is lost: central holds {held} there, and nobody said so"
                )


def _chains(estate: VirtualEstate) -> None:
    """Cursors say exactly what is held; each link is whole or reported."""
    tables = estate.database.tables
    hashes: set[bytes] = set()
    for name, journal in tables.journals.items():
        rows, cursor = tables.events[name], journal.cursor
        aside = {
            where[1]: digest
            for (digest, _, why), where in tables.aside.items()
            if where[0] == name and why in HELD_ASIDE
        }
        held = {seq for seq in (*rows, *aside) if seq is not None}
        said = set(range(1, cursor.durable + 1))
        for first, last in zip(cursor.ahead[::2], cursor.ahead[1::2], strict=True):
            said |= set(range(first, last + 1))
        if said != held:
            raise Violation(f"journal {name}: the cursor claims {sorted(said ^ held)[:5]} differently from the rows")
        previous = rows[cursor.durable].hash if cursor.durable in rows else aside.get(cursor.durable, ZERO_HASH)
        if cursor.hash != previous:
            raise Violation(f"journal {name}: the cursor's hash is not that of event {cursor.durable}")
        for seq, row in rows.items():
            if row.hash in hashes:
                raise Violation(f"event {seq} of journal {name} is stored twice under different numbers")
            hashes.add(row.hash)
            before = rows[seq - 1].hash if seq - 1 in rows else ZERO_HASH if seq == 1 else None
            if before is None or row.arrival.prev == before:
                continue
            if (journal.id, "chain_broken", seq) not in tables.found:
                raise Violation(f"journal {name}: the chain is broken at {seq} and nobody said so")
            estate.world.saw("broken chain located")


def _nothing_uncalled_for(estate: VirtualEstate) -> None:
    """Without a cause there is no quarantine and no alarm."""
    faults, tables = estate.world.plan.faults, estate.database.tables
    if tables.epoch > 1 and not estate.restores and not faults & LOSING:
        raise Violation(
            f"the epoch rose to {tables.epoch}, but central was never restored: an ack ran ahead of a commit"
        )
    if not faults & LOSING:
        for (_, topic, reason), where in tables.aside.items():
            raise Violation(f"{where} on {topic} was set aside as {reason}, but no disk was ever exchanged")
        for journal, kind, seq in tables.found:
            if kind != "time_unbelievable":
                raise Violation(f"anomaly {kind} at event {seq} of journal {journal}, but no disk was ever exchanged")


def _presence(estate: VirtualEstate) -> None:
    """Presence kept is presence recomputed: from the bytes alone, whatever came when."""
    tables, database = estate.database.tables, estate.database
    taps: dict[PersonKey, list[CountedTap]] = {}
    for name, journal in tables.journals.items():
        for row in tables.events[name].values():
            arrival = row.arrival
            again = read_event(row.raw, source="")
            if arrival.hash != again.hash or arrival.seq != again.seq:
                raise Violation(f"event {arrival.seq} of journal {name} does not read as it was stored")
            if arrival.token and counts(direction=arrival.direction, decision=arrival.decision):
                tap = counted(journal.id, journal.terminal_id, arrival, (row.occurred_at, row.basis, row.error_ms))
                doubt = doubt_of(row.basis, row.error_ms)  # as the database reads it back
                tap = msgspec.structs.replace(tap, doubt=doubt)
                taps.setdefault(database.person(1, arrival.token), []).append(tap)
    for key, mine in taps.items():
        recomputed = fold(mine)
        if tables.presence.get(key) != recomputed:
            raise Violation(f"presence of {key.person}: kept {tables.presence.get(key)}, recomputed {recomputed}")
    if extra := tables.presence.keys() - taps.keys():
        raise Violation(f"presence is kept of {min(extra).person}, who has no taps")


def _times(estate: VirtualEstate) -> None:
    """The true time of every tap lies in the interval stated at its receipt, and in the one rebuilt with the others.

    Two machines on one journal are two clocks: where a fork was found, nothing is claimed.
    """
    tables = estate.database.tables
    doubtful = {number for number, kind, _ in tables.found if kind in {"forked", "chain_broken"}}
    for name, journal in tables.journals.items():
        if journal.id in doubtful:
            continue
        rows = tables.events[name]
        seqs = sorted(rows)
        seen = [sighting(rows[seq].arrival, received_at=rows[seq].received_at) for seq in seqs]
        for seq, own, rebuilt in zip(seqs, seen, rebuild(seen), strict=True):
            row = rows[seq]
            first = Estimate(to_us(row.occurred_at), row.basis, row.error_ms, own.earliest_us, own.latest_us)
            for promise in estate.ledger.promised.get((name, seq), ()):
                true_us = STARTS_US + promise.at_us
                if promise.hash == row.hash.hex() and not (holds(first, true_us) and holds(rebuilt, true_us)):
                    raise Violation(
                        f"event {seq} of journal {name} was at {true_us} µs; stated {first}, rebuilt {rebuilt}"
                    )


def _disk(estate: VirtualEstate, terminal: Terminal) -> None:
    """The journal is whole, and its cursor is not beyond what central holds."""
    process = terminal.process
    if process is None or terminal.name in estate.ledger.rotten:
        return
    report = process.journal.verify()
    if not report.ok:
        raise Violation(f"{terminal.name}: its journal is damaged: {report.damages[0]}")
    journal = estate.database.tables.journals.get(process.journal.journal_id)
    held = journal.cursor.durable if journal is not None else 0
    if process.journal.cursor.durable > held:
        raise Violation(f"{terminal.name}: its cursor is at {process.journal.cursor.durable}, central holds {held}")
