"""The site-day generator: one seed one day, odd people in it, and an answer that follows from the taps."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from central.registry.rules import business_number as checked_business_number
from central.registry.rules import trades
from simulators.people import business_number, make_roll
from simulators.site_day import DAY_ENDS_S, DOUBLE_TAP_S_MAX, HOUR_S, READERS, PresenceFold, SiteDay, plan_day

seeds = st.integers(0, 10_000)
sizes = st.integers(12, 260)


def a_day(seed: int = 1, workers: int = 200, day: int = 1) -> SiteDay:
    return plan_day(make_roll(seed=seed, workers=workers), day=day)


def test_one_seed_gives_one_day() -> None:
    assert a_day(7) == a_day(7)
    assert a_day(7).taps != a_day(8).taps
    assert a_day(7).taps != a_day(7, day=2).taps
    assert a_day(7).roll == a_day(7, day=2).roll


@settings(max_examples=30, deadline=None)
@given(seed=seeds, workers=sizes)
def test_every_size_of_site_has_each_kind_of_odd_tap(seed: int, workers: int) -> None:
    day = a_day(seed, workers)
    decisions = Counter(tap.decision for tap in day.taps)
    assert decisions["repeat"] >= 1
    assert decisions["barred"] == 1
    assert decisions["unknown_card"] == 2
    assert any(tap.note == "leaves early" for tap in day.taps)
    assert any(tap.card.method == "temporary_number" for tap in day.taps)
    assert any("lost the card" in tap.note for tap in day.taps)
    assert any("visitor taps the exit reader" in tap.note for tap in day.taps)
    tapped_out = day.answer_at(DAY_ENDS_S)
    assert tapped_out.inside, "somebody forgot to tap out"
    assert not tapped_out.really_inside


@settings(max_examples=30, deadline=None)
@given(seed=seeds, workers=sizes, hour=st.floats(5, 19))
def test_whoever_is_really_inside_is_counted_inside(seed: int, workers: int, hour: float) -> None:
    answer = a_day(seed, workers).answer_at(hour * HOUR_S)
    assert answer.really_inside <= answer.inside
    assert answer.doubted <= answer.inside
    assert answer.at_most >= len(answer.inside)


@settings(max_examples=30, deadline=None)
@given(seed=seeds, workers=sizes)
def test_no_card_meets_the_same_reader_twice_but_in_a_double_tap(seed: int, workers: int) -> None:
    day = a_day(seed, workers)
    met: dict[tuple[bytes, str], float] = {}
    for tap in day.taps:
        before = met.get((tap.card.identity, tap.reader))
        if before is not None:
            assert tap.decision == "repeat"
            assert tap.at_s - before <= DOUBLE_TAP_S_MAX
        else:
            assert tap.decision != "repeat"
        met[tap.card.identity, tap.reader] = tap.at_s


def test_the_day_has_the_shape_of_a_working_day() -> None:
    day = a_day()
    assert len(day.answer_at(5.4 * HOUR_S).inside) == 0
    assert len(day.answer_at(9 * HOUR_S).inside) > 190
    assert len(day.answer_at(12.4 * HOUR_S).inside) < len(day.answer_at(9 * HOUR_S).inside) - 40
    assert 0 < len(day.answer_at(18.5 * HOUR_S).inside) < 20
    arrivals = [tap.at_s for tap in day.taps if tap.at_s < 7.8 * HOUR_S]
    assert min(arrivals) >= 5.5 * HOUR_S
    assert len(arrivals) >= 198


def test_taps_are_in_order_and_at_known_readers() -> None:
    day = a_day()
    assert all(one.at_s <= two.at_s for one, two in itertools.pairwise(day.taps))
    assert {tap.reader for tap in day.taps} == {reader.key for reader in READERS}


def test_cards_are_distinct_and_have_one_holder() -> None:
    roll = make_roll(seed=3)
    cards = [person.card.identity for person in roll.people]
    cards += [person.temporary.identity for person in roll.people if person.temporary]
    assert len(set(cards)) == len(cards)
    assert all(roll.holder(person.card.identity) is person for person in roll.people)
    assert roll.holder(roll.stray.identity) is None
    assert {person.trade for person in roll.people} <= set(trades())


def test_a_weaker_exit_leaves_the_person_inside_with_doubt() -> None:
    day = a_day()
    losers = [tap.person for tap in day.taps if "lost the card" in tap.note]
    proving = {person.number for person in losers if person is not None and person.card.assurance > 0}
    assert proving
    answer = day.answer_at(DAY_ENDS_S)
    assert proving <= answer.doubted


def test_a_second_day_starts_from_what_the_first_left() -> None:
    first, second = a_day(), a_day(day=2)
    fold = first.replay(PresenceFold())
    left = fold.answer().inside
    noon = second.replay(fold, until_s=10 * HOUR_S).answer()
    assert left <= noon.inside
    assert noon.really_inside <= noon.inside


def test_a_site_of_too_few_is_refused_with_a_sentence() -> None:
    with pytest.raises(ValueError, match="needs 12 to 5000 workers, not 3"):
        make_roll(seed=1, workers=3)


@given(st.integers(0, 9999))
def test_business_numbers_have_a_right_check_digit(serial: int) -> None:
    assert checked_business_number(business_number(serial)) == business_number(serial)
