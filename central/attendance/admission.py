"""What ingest decides, purely: arrivals and a journal's cursor to rows, quarantine and anomalies.

An event is held for ever under (journal, seq) and counts once (DUR-02). Gaps, broken chains and forks are located by
their seq (DUR-06), whatever the order, the split and the repetition of what arrives.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from central.attendance.arrival import Arrival

ZERO_HASH = bytes(32)
AHEAD_RANGES_MAX = 1000
"""Ranges kept beyond the gap-free part: as many as an `ack` may name."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """How much of a journal is held: gap-free up to `durable`, and flat ranges [a1, b1, a2, b2, …] beyond."""

    durable: int = 0
    hash: bytes = ZERO_HASH
    ahead: tuple[int, ...] = ()

    def holds(self, seq: int) -> bool:
        """Whether a record is held."""
        if seq <= self.durable:
            return seq >= 1
        # Two workers that share a terminal's messages leave hundreds of ranges: they are not walked through.
        at = bisect_left(self.ahead, seq)
        return at % 2 == 1 or (at < len(self.ahead) and self.ahead[at] == seq)

    def held_within(self, first: int, last: int) -> Iterator[int]:
        """Give every record held from `first` to `last`."""
        yield from range(max(first, 1), min(last, self.durable) + 1)
        at = bisect_left(self.ahead, first) // 2 * 2
        while at < len(self.ahead) and self.ahead[at] <= last:
            yield from range(max(first, self.ahead[at]), min(last, self.ahead[at + 1]) + 1)
            at += 2

    @property
    def newest(self) -> int:
        """The highest seq held."""
        return self.ahead[-1] if self.ahead else self.durable


class Held(NamedTuple):
    """A record already held: its hash, and the hash it names as its predecessor's where that can be read."""

    hash: bytes
    """Empty when the record was let go of under the retention rule: only that it was held is known."""
    prev: bytes | None


@dataclass(slots=True)
class Admission:
    """What to do with one journal's arrivals."""

    cursor: Cursor
    store: list[Arrival] = field(default_factory=list)
    """New and countable, by seq."""
    quarantine: list[tuple[Arrival, str, str]] = field(default_factory=list)
    """(arrival, reason, detail)."""
    anomalies: list[tuple[str, int, str]] = field(default_factory=list)
    """(kind, seq, detail)."""
    repeated: int = 0
    deferred: int = 0
    """Not taken because too many gaps are open; the terminal sends them again."""


def follows_on(cursor: Cursor, arrivals: Iterable[Arrival]) -> bool:
    """Whether everything is new, without fault and in order right behind the gap-free part: nothing to decide.

    It must not touch what is held beyond it, either: a terminal that comes back sends its newest records first, and
    then weeks of what lies between.
    """
    seq, before = cursor.durable, cursor.hash
    for arrival in arrivals:
        seq += 1
        if arrival.seq != seq or arrival.prev != before or arrival.fault:
            return False
        before = arrival.hash
    return not cursor.ahead or seq + 1 < cursor.ahead[0]


def lookups(cursor: Cursor, arrivals: Sequence[Arrival]) -> set[int]:
    """List the seqs whose `Held` `admit` must be given: what comes again, the neighbours, where `durable` will end.

    Empty on the usual path: new records in order.
    """
    wanted: set[int] = set()
    if follows_on(cursor, arrivals):
        return wanted
    runs = _runs({arrival.seq for arrival in arrivals})
    for first, last in runs:
        before = first if first == cursor.durable + 1 else first - 1  # the hash at `durable` is known
        wanted.update(cursor.held_within(before, last + 1))
    durable = _merged(cursor, runs)[0][1]
    if durable != cursor.durable and cursor.holds(durable):
        wanted.add(durable)
    return wanted


def admit(cursor: Cursor, arrivals: Sequence[Arrival], known: Mapping[int, Held]) -> Admission:
    """Decide on the arrivals of one journal, all of which belong to its terminal. The first bytes for a seq stay."""
    if arrivals and follows_on(cursor, arrivals):
        return Admission(Cursor(arrivals[-1].seq, arrivals[-1].hash, cursor.ahead), store=list(arrivals))
    result = Admission(cursor)
    fresh: dict[int, Arrival] = {}
    for arrival in arrivals:
        held = known.get(arrival.seq) if cursor.holds(arrival.seq) else None
        first = fresh.get(arrival.seq)
        there = held.hash if held else first.hash if first else None
        if there is None:
            fresh[arrival.seq] = arrival
        elif there in {arrival.hash, b""}:
            result.repeated += 1
        else:
            detail = f"held with hash {there.hex()}, received with {arrival.hash.hex()}"
            result.quarantine.append((arrival, "forked", detail))
            result.anomalies.append(("forked", arrival.seq, detail))
    _take(result, cursor, fresh, known)
    return result


def _take(result: Admission, cursor: Cursor, fresh: dict[int, Arrival], known: Mapping[int, Held]) -> None:
    ranges = _merged(cursor, _runs(fresh))
    while len(ranges) > AHEAD_RANGES_MAX + 1:
        first, last = ranges.pop()
        for seq in [seq for seq in fresh if first <= seq <= last]:
            del fresh[seq]
            result.deferred += 1
    for seq in sorted(fresh):
        arrival = fresh[seq]
        if arrival.fault:
            result.quarantine.append((arrival, arrival.fault, arrival.detail))
        else:
            result.store.append(arrival)
        _check_chain(result, cursor, arrival, fresh, known)
    ranges = _merged(cursor, _runs(fresh))
    durable = ranges[0][1]
    if durable != cursor.durable:
        last_hash = fresh[durable].hash if durable in fresh else known[durable].hash
        result.cursor = Cursor(durable, last_hash, _flat(ranges[1:]))
    else:
        result.cursor = Cursor(durable, cursor.hash, _flat(ranges[1:]))


def _flat(ranges: list[tuple[int, int]]) -> tuple[int, ...]:
    return tuple(bound for pair in ranges for bound in pair)


def _runs(seqs: Iterable[int]) -> list[tuple[int, int]]:
    """Sort numbers into runs without a gap."""
    runs: list[tuple[int, int]] = []
    for seq in sorted(seqs):
        if runs and seq == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], seq)
        else:
            runs.append((seq, seq))
    return runs


def _merged(cursor: Cursor, runs: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Merge what is held and what is new into ranges; the first starts at 0 and ends at the new `durable`."""
    spans = [(0, cursor.durable), *zip(cursor.ahead[::2], cursor.ahead[1::2], strict=True), *runs]
    spans.sort()
    merged = [spans[0]]
    for first, last in spans[1:]:
        if first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged


def _check_chain(
    result: Admission, cursor: Cursor, arrival: Arrival, fresh: Mapping[int, Arrival], known: Mapping[int, Held]
) -> None:
    """Compare each link that an arrival closes: to the record before it, and from a held record after it."""
    seq = arrival.seq
    before = fresh[seq - 1].hash if seq - 1 in fresh else None
    if before is None and seq - 1 == cursor.durable:
        before = cursor.hash
    if before is None and seq - 1 in known:
        before = known[seq - 1].hash
    if arrival.prev is not None and before is not None and arrival.prev != before:
        result.anomalies.append(("chain_broken", seq, f"names {arrival.prev.hex()}, its predecessor is {before.hex()}"))
    after = known.get(seq + 1)
    if seq + 1 not in fresh and after is not None and after.prev is not None and after.prev != arrival.hash:
        detail = f"names {after.prev.hex()}, its predecessor is {arrival.hash.hex()}"
        result.anomalies.append(("chain_broken", seq + 1, detail))
