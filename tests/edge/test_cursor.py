"""How far central has acknowledged, as a rule without a file: what an ack does, and what it never does."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge_agent.journal.cursor import Cursor, Outcome, advance, merge_ranges
from edge_agent.journal.record import ForkedJournal, Head
from edge_agent.wire.codec import GENESIS_HASH
from edge_agent.wire.messages import Ack

ID, OTHER = "01980000-0000-7000-8000-000000000001", "01980000-0000-7000-8000-000000000002"
OURS, THEIRS = "a" * 64, "b" * 64
AT_FOUR = Cursor(4, OURS, 2, ((7, 8),))

ranges = st.lists(st.tuples(st.integers(1, 30), st.integers(-1, 6)).map(lambda one: (one[0], one[0] + one[1])))
"""Among them empty ones, and ones that touch, overlap, or leave one number out."""


def ack(durable: int, *have: tuple[int, int], epoch: int = 2, digest: str = OURS, journal: str = ID) -> Ack:
    return Ack(journal_id=journal, durable=durable, hash=digest, have=list(have), epoch=epoch)


@pytest.mark.promise("DUR-04")
@pytest.mark.parametrize(
    ("said", "outcome", "cursor"),
    [
        (ack(4, (7, 8)), "repeated", AT_FOUR),
        (ack(5, (7, 8)), "moved", Cursor(5, OURS, 2, ((7, 8),))),
        (ack(4, (7, 9)), "moved", Cursor(4, OURS, 2, ((7, 9),))),
        (ack(4, (7, 8), epoch=3), "moved", Cursor(4, OURS, 3, ((7, 8),))),
        (ack(3, epoch=3), "moved_back", Cursor(3, OURS, 3)),
        (ack(3), "stale", AT_FOUR),
        (ack(9, epoch=1), "stale", AT_FOUR),
        (ack(9, journal=OTHER), "other_journal", AT_FOUR),
    ],
)
def test_a_cursor_moves_on_and_goes_back_only_when_the_epoch_rises(said: Ack, outcome: Outcome, cursor: Cursor) -> None:
    """Mutants: `dur-04-never-back`, `dur-04-cursor-moves-back`; a repetition is called a move."""
    done = advance(AT_FOUR, said, journal_id=ID, head=Head(9, OURS), own_hash=OURS)
    assert (done.outcome, done.cursor) == (outcome, cursor)


@pytest.mark.promise("DUR-06")
@pytest.mark.parametrize("durable", [1, 2, 9])
def test_an_acknowledgement_of_other_bytes_is_a_fork_from_the_first_event_on(durable: int) -> None:
    """Mutant: the first event's hash is not compared; a cloned journal then starts as a good one."""
    with pytest.raises(ForkedJournal) as forked:
        advance(Cursor(), ack(durable, digest=THEIRS), journal_id=ID, head=Head(9, OURS), own_hash=OURS)
    for told in (f"event {durable} of journal {ID}", OURS, THEIRS, "two files wrote the same numbers", "set it aside"):
        assert told in str(forked.value)


def test_before_the_first_event_there_is_nothing_to_compare() -> None:
    done = advance(Cursor(), ack(0, digest=GENESIS_HASH), journal_id=ID, head=Head(9, OURS), own_hash=OURS)
    assert done.outcome == "moved"


@pytest.mark.promise("DUR-06")
@pytest.mark.parametrize("said", [ack(10), ack(4, (6, 10)), ack(4, (6, 7), (9, 12))])
def test_a_central_that_holds_more_than_was_ever_written_here_is_a_fork(said: Ack) -> None:
    """Mutant: only `durable` is compared with the head."""
    with pytest.raises(ForkedJournal, match=r"holds event 1[02] of .* ends at 9: this file is an older copy; .*aside"):
        advance(AT_FOUR, said, journal_id=ID, head=Head(9, OURS), own_hash=OURS)


def test_a_row_that_is_deleted_has_no_hash_to_compare() -> None:
    done = advance(AT_FOUR, ack(5, digest=THEIRS), journal_id=ID, head=Head(9, OURS), own_hash=None)
    assert done.outcome == "moved"


@pytest.mark.promise("DUR-03")
@given(ranges, st.integers(0, 35))
@example([(1, 2), (4, 5)], 0)
@example([(5, 6), (1, 4)], 3)
def test_ranges_are_joined_without_gaining_or_losing_a_number(pairs: list[tuple[int, int]], beyond: int) -> None:
    """Mutant: ranges with a number missing between them are joined, and that number counts as held."""
    merged = merge_ranges(pairs, beyond=beyond)
    held = {number for low, last in pairs for number in range(low, last + 1) if number > beyond}
    assert {number for low, last in merged for number in range(low, last + 1)} == held
    assert all(low <= last for low, last in merged)
    assert all(before[1] + 1 < after[0] for before, after in pairwise(merged)), "none touch"
