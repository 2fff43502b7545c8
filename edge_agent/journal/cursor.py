"""How far central has acknowledged, as a pure rule: forward on proof, backward only when central's epoch rises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edge_agent.journal.record import ForkedJournal, Head
from edge_agent.wire.codec import GENESIS_HASH
from edge_agent.wire.messages import Ack

_WHAT_TO_DO = "nothing more is sent; stop the agent, export this journal and set it aside (ccs-edge journal set-aside)"
Outcome = Literal["moved", "moved_back", "repeated", "stale", "other_journal"]


@dataclass(frozen=True, slots=True)
class Cursor:
    """Everything up to `durable` is in central's database; `have` are ranges held beyond it, both ends included."""

    durable: int = 0
    hash: str = GENESIS_HASH
    epoch: int = 0
    have: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What an ack did. Only `moved` and `moved_back` changed the cursor."""

    outcome: Outcome
    cursor: Cursor


def advance(cursor: Cursor, ack: Ack, *, journal_id: str, head: Head, own_hash: str | None) -> Acknowledged:
    """Decide what `ack` does; `own_hash` is this journal's hash at `ack.durable`, None when that row is gone.

    Raises `ForkedJournal` when central holds numbers or bytes that this journal never had.
    """
    if ack.journal_id != journal_id:
        return Acknowledged("other_journal", cursor)
    if ack.epoch < cursor.epoch or (ack.epoch == cursor.epoch and ack.durable < cursor.durable):
        return Acknowledged("stale", cursor)
    last = max([ack.durable, *(end for _, end in ack.have)])
    if last > head.seq:
        message = f"central holds event {last} of journal {journal_id}, but the journal here ends at {head.seq}"
        raise ForkedJournal(f"{message}: this file is an older copy; {_WHAT_TO_DO}")
    if own_hash is not None and own_hash != ack.hash and ack.durable > 0:
        message = f"event {ack.durable} of journal {journal_id} has hash {own_hash} here and {ack.hash} at central"
        raise ForkedJournal(f"{message}: two files wrote the same numbers; {_WHAT_TO_DO}")
    moved = Cursor(ack.durable, ack.hash, ack.epoch, merge_ranges(ack.have, beyond=ack.durable))
    if moved == cursor:
        return Acknowledged("repeated", cursor)
    return Acknowledged("moved_back" if ack.durable < cursor.durable else "moved", moved)


def merge_ranges(ranges: list[tuple[int, int]], *, beyond: int) -> tuple[tuple[int, int], ...]:
    """Sort, clip to numbers above `beyond`, and join ranges that touch; an empty or backward range vanishes."""
    merged: list[tuple[int, int]] = []
    for low, last in sorted(ranges):
        first = max(low, beyond + 1)
        if last < first:
            continue
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return tuple(merged)
