"""What is one presentation, counted purely: PC/SC's event counter and nfcpy's looks at the field."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from edge_agent.readers.nfc import Field
from edge_agent.readers.presentations import STATE_PRESENT, Look, Presentations

COUNTER_STARTS = st.sampled_from([0, 1, 7, 0xFFFE, 0xFFFF])


def state(counter: int, *, present: bool) -> int:
    return (counter & 0xFFFF) << 16 | (STATE_PRESENT if present else 0x10)


@given(start=COUNTER_STARTS, present=st.booleans(), changes=st.lists(st.integers(0, 9), max_size=30))
@example(start=0xFFFF, present=False, changes=[1, 1, 2])
def test_every_insertion_is_new_once_or_missed_once(start: int, changes: list[int], *, present: bool) -> None:
    """Whatever happened between two looks: `changes` are insertions and removals, alternating, between looks."""
    seen = Presentations()
    counter, insertions = start, int(present)
    looks = [seen.see(state(counter, present=present))]
    for count in changes:
        for _ in range(count):
            present = not present
            counter += 1
            insertions += present
        looks.append(seen.see(state(counter, present=present)))
    assert sum(look.missed + look.new for look in looks) == insertions
    assert all(look.missed >= 0 for look in looks)


def test_a_card_that_stays_is_not_new_again_when_other_flags_change() -> None:
    seen = Presentations()
    assert seen.see(state(5, present=True)) == Look(missed=0, new=True)
    assert seen.see(state(5, present=True) | 0x180) == Look(missed=0, new=False)


def test_a_card_that_came_and_went_unseen_is_counted() -> None:
    seen = Presentations()
    seen.see(state(0, present=False))
    assert seen.see(state(2, present=False)) == Look(missed=1, new=False)


def test_a_card_swapped_unseen_is_a_new_one() -> None:
    seen = Presentations()
    seen.see(state(1, present=True))
    assert seen.see(state(3, present=True)) == Look(missed=0, new=True)


def test_a_card_in_the_field_is_new_once_and_again_after_it_left() -> None:
    field = Field()
    looks = [(b"a", 0.0), (b"a", 0.2), (None, 0.4), (b"a", 0.5), (None, 0.9), (None, 1.1), (b"a", 1.2)]
    assert [field.is_new(identity, at) for identity, at in looks] == [True, False, False, False, False, False, True]


def test_another_card_in_the_field_is_new_at_once() -> None:
    field = Field()
    assert [field.is_new(identity, 0.0) for identity in (b"a", b"b", b"b", b"a")] == [True, True, False, True]
