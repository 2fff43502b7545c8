"""Presence: a deterministic fold over the set of one person's taps at one site, in the order of the terminals' numbers.

Arrival order never matters (DUR-05): a tap that does not come last folds the whole set again. Only positive evidence,
proven at least as well as the entry, moves a person out (INC-01, CRD-01); time alone never does.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from central.attendance.headcount import (
    DOUBT_EXIT_MISSING,
    DOUBT_EXIT_TIME,
    DOUBT_EXIT_WEAK,
    DOUBT_NO_ENTRY,
    INSIDE,
    OUTSIDE,
    REFUSED,
    STAY_MAX,
)
from central.attendance.timekeeping import UNCOMPARED, UNKNOWN, doubt_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from central.attendance.arrival import Arrival

IN, OUT, TAP, MUSTER = 0, 1, 2, 3
ACCEPTED, UNKNOWN_CARD, BARRED, AUTH_FAILED, REPEAT = 0, 1, 2, 3, 4
FULLY_PROVEN = 3
"""Mutual authentication: no card proves more."""
REST_MIN = timedelta(hours=8)
"""Away, or unseen, for less than this is the same shift: nobody goes home and comes back as rested in between."""
UNPROVEN = -1
"""Assurance of a card that failed authentication: less than a bare identifier."""


class CountedTap(msgspec.Struct, frozen=True, gc=False):
    """One tap of a person at a site, as the fold needs it. `occurred_at` is the believed time of the event."""

    journal: int
    seq: int
    occurred_at: datetime
    direction: int
    decision: int
    assurance: int
    terminal_id: int
    zone: str
    journal_id: str
    """The journal's own name: settles taps of one instant, where `journal`, given by arrival, must not."""
    doubt: int = 0
    """How far `occurred_at` may be off: minutes, 0 within one, or `timekeeping.UNKNOWN` or `UNCOMPARED`."""


class State(msgspec.Struct, frozen=True, gc=False):
    """Where the fold of one person stands; the columns of `attendance_presence` after the person."""

    state: int
    since_at: datetime
    entry_assurance: int
    doubts: int
    last_at: datetime
    last_journal: int
    last_seq: int
    last_direction: int
    last_terminal_id: int
    last_zone: str
    full_exit: bool
    """Whether the last tap was an accepted, fully proven one at a reader of the way out."""
    settled_at: datetime | None
    """The last full exit that an accepted entry followed: what comes to light from before it changes nothing."""
    settled_journal: int | None
    settled_seq: int | None
    shift_at: datetime
    """When the present or last shift began: the first entry after a rest."""
    since_journal: int
    """The journal of the tap that began the present state: inside it, the order needs no clock."""
    since_doubt: int
    last_doubt: int


def counted(journal: int, terminal_id: int, arrival: Arrival, believed: tuple[datetime, int, int | None]) -> CountedTap:
    """Write a tap that comes as the fold needs it, with all the doubt of its time: `believed` as `believe` says it."""
    at, basis, error_ms = believed
    return CountedTap(
        journal,
        arrival.seq,
        at,
        arrival.direction or 0,
        arrival.decision or 0,
        arrival.assurance or 0,
        terminal_id,
        arrival.zone or "",
        arrival.journal_id,
        doubt_of(basis, error_ms),
    )


def counts(*, direction: int | None, decision: int | None) -> bool:
    """Whether a tap belongs to the fold: no muster attestation does, nor a repeat that does not say its direction."""
    return direction in {IN, OUT} or (direction == TAP and decision != REPEAT)


def proof(tap: CountedTap) -> int:
    """Say how well a tap is proven."""
    return UNPROVEN if tap.decision == AUTH_FAILED else tap.assurance


def full_exit(tap: CountedTap) -> bool:
    """Whether a tap leads outside from everywhere: an accepted, fully proven one at a reader of the way out."""
    sure = tap.doubt in {0, UNCOMPARED}
    return tap.direction == OUT and tap.decision == ACCEPTED and tap.assurance == FULLY_PROVEN and sure


def fold(taps: Iterable[CountedTap], *, after: State | None = None) -> State | None:
    """Fold a whole set of taps; None when none counts. The order of `taps` does not matter.

    `after` is where the fold of taps that are no longer kept ended: these come behind it, whenever they were.
    """
    state = after
    for at, tap in in_order(taps):
        state = step(state, tap, at if after is None else max(at, after.last_at))
    return state


def in_order(taps: Iterable[CountedTap]) -> list[tuple[datetime, CountedTap]]:
    """Sort taps by effective time.

    Inside a journal `seq` rules: no tap is earlier than the one before it, so a clock that steps back reorders nothing.
    """
    journals: dict[int, list[CountedTap]] = {}
    for tap in taps:
        if counts(direction=tap.direction, decision=tap.decision):
            journals.setdefault(tap.journal, []).append(tap)
    timed: list[tuple[datetime, CountedTap]] = []
    for mine in journals.values():
        mine.sort(key=lambda tap: tap.seq)
        latest = mine[0].occurred_at
        for tap in mine:
            latest = max(latest, tap.occurred_at)
            timed.append((latest, tap))
    timed.sort(key=lambda pair: (pair[0], pair[1].journal_id, pair[1].seq))
    return timed


def advance(state: State | None, tap: CountedTap) -> State | None:
    """Take one more tap without reading the others, or None when the whole set must be folded again.

    Only for a tap whose seq is beyond everything received of its journal before it. An unknown past (`state` None)
    is taken for an empty one.
    """
    if state is None:
        return step(None, tap, tap.occurred_at)
    if tap.journal == state.last_journal:
        return step(state, tap, max(tap.occurred_at, state.last_at)) if tap.seq > state.last_seq else None
    return step(state, tap, tap.occurred_at) if tap.occurred_at > state.last_at else None


def stepped(state: State | None, taps: Iterable[CountedTap]) -> State | None:
    """Take new taps one by one, each beyond everything received of its journal, or None: fold from zero instead."""
    last: dict[int, int] = {}
    for tap in sorted(taps, key=lambda tap: (tap.occurred_at, tap.journal, tap.seq)):
        if tap.seq < last.get(tap.journal, 0):
            return None
        last[tap.journal] = tap.seq
        state = advance(state, tap)
        if state is None:
            return None
    return state


def settles(state: State | None, late: CountedTap) -> bool | None:
    """Whether a late tap lies before everything that the state rests on: yes, no, or None when `overtaken` decides."""
    if state is None or state.settled_at is None or state.settled_seq is None:
        return False
    if late.journal == state.settled_journal and late.seq < state.settled_seq:
        # A clock that was ahead at the late tap would move the exit behind it, too.
        return late.occurred_at <= state.settled_at
    return None if late.occurred_at < state.settled_at else False


def overtaken(state: State, late: CountedTap, others: Iterable[CountedTap]) -> bool:
    """Whether an earlier record of the late tap's journal lies at `settled_at` or after it: its clock was set back."""
    return any(
        one.journal == late.journal and one.seq < late.seq and one.occurred_at >= state.settled_at
        for one in others
        if state.settled_at is not None
    )


def step(state: State | None, tap: CountedTap, at: datetime) -> State:
    """Move a person by one tap at its effective time."""
    direction = _resolved(state, tap, at)
    if state is not None and only_says_again(state, tap):
        moved = _stays(state)
    else:
        moved = _enter(state, tap, at) if direction == IN else _leave(state, tap, at)
    shift_at = at if state is None or (direction == IN and _begins_shift(state, at)) else state.shift_at
    return State(
        *moved[:4],
        at,
        tap.journal,
        tap.seq,
        direction,
        tap.terminal_id,
        tap.zone,
        full_exit(tap),
        *_settled(state, tap),
        shift_at,
        *moved[4:],
        tap.doubt,
    )


def _settled(state: State | None, tap: CountedTap) -> tuple[datetime | None, int | None, int | None]:
    """Find what this tap settles: a full exit leads outside from everywhere, and an entry from outside inside."""
    if state is None:
        return None, None, None
    if state.full_exit and tap.direction == IN and tap.decision == ACCEPTED:
        return state.last_at, state.last_journal, state.last_seq
    return state.settled_at, state.settled_journal, state.settled_seq


def only_says_again(state: State, tap: CountedTap) -> bool:
    """Whether a repeat agrees with what is known. One that does not was no repeat: another gate saw the way back."""
    return tap.decision == REPEAT and state.state == (INSIDE if tap.direction == IN else OUTSIDE)


def _resolved(state: State | None, tap: CountedTap, at: datetime) -> int:
    """A reader without a direction: out for someone inside whose shift began no longer ago than a shift lasts, else in.

    Counted from the shift's beginning, not from the last entry: who came back in the evening and whose exit was missed
    comes in the next morning, although that is within a shift's length of the evening.
    """
    if tap.direction != TAP:
        return tap.direction
    inside = state is not None and state.state == INSIDE and at - state.shift_at <= STAY_MAX
    return OUT if inside else IN


def _begins_shift(state: State, at: datetime) -> bool:
    """Whether an entry begins a shift: after a rest, and after a full exit, before which nothing matters any more."""
    if state.state == INSIDE:
        return at - state.shift_at > STAY_MAX and at - state.last_at >= REST_MIN
    return state.full_exit or state.state != OUTSIDE or at - state.since_at >= REST_MIN


_Moved = tuple[int, "datetime", int, int, int, int]
"""State, since when, assurance of the entry, doubts; the journal of the tap that began it, and that tap's doubt."""


def _stays(state: State, doubt: int = 0) -> _Moved:
    doubts = state.doubts | doubt
    return state.state, state.since_at, state.entry_assurance, doubts, state.since_journal, state.since_doubt


def _enter(state: State | None, tap: CountedTap, at: datetime) -> _Moved:
    refused = tap.decision in {BARRED, AUTH_FAILED}
    if state is None or state.state != INSIDE:
        return (REFUSED if refused else INSIDE), at, proof(tap), 0, tap.journal, tap.doubt
    if refused:
        return _stays(state, DOUBT_EXIT_MISSING)
    # The better of both entries stays: a copied card must not make a well proven entry easy to undo.
    proven, doubts = max(state.entry_assurance, proof(tap)), state.doubts | DOUBT_EXIT_MISSING
    return INSIDE, at, proven, doubts, tap.journal, tap.doubt


def _leave(state: State | None, tap: CountedTap, at: datetime) -> _Moved:
    if state is None or state.state == OUTSIDE:
        return OUTSIDE, at, proof(tap), DOUBT_NO_ENTRY, tap.journal, tap.doubt
    if tap.decision == AUTH_FAILED or proof(tap) < state.entry_assurance:
        return _stays(state, DOUBT_EXIT_WEAK)
    if not _is_after(state, tap, at):
        return _stays(state, DOUBT_EXIT_TIME)
    return OUTSIDE, at, proof(tap), 0, tap.journal, tap.doubt


def _is_after(state: State, tap: CountedTap, at: datetime) -> bool:
    """Whether an exit is positively later than the entry: by its number, or by its time with all its doubt."""
    if tap.doubt in {0, UNCOMPARED} or tap.journal == state.since_journal:
        return True
    return tap.doubt != UNKNOWN and at - timedelta(minutes=tap.doubt) >= state.since_at
