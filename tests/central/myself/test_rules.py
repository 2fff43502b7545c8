"""The rules of the worker's own view: codes, a card held as asked, days per employer, deadlines."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.kit.errors import Invalid
from central.myself import rules
from central.myself.rules import Hold, OwnDay, Spell, held_as_asked

SINCE = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)


def holds(*seconds: int, terminal: int = 1, assurance: int = 3, authentic: bool = True) -> list[Hold]:
    return [
        Hold(terminal, SINCE + timedelta(seconds=s), SINCE + timedelta(seconds=s + 1), assurance, authentic)
        for s in seconds
    ]


@pytest.mark.promise("ACC-01")
@pytest.mark.parametrize(
    ("taps", "opened"),
    [
        (holds(5, 9, 13, 17), True),
        (holds(5, 9, 13), False),
        (holds(5, 9, 13, 17, 21), False),
        (holds(5, 60, 64, 68, 72), True),  # passed the gate before
        (holds(5, 24, 43, 62), True),
        (holds(5, 25, 45, 66), False),  # over more than a minute
        (holds(-60, -56, -52, -48), False),  # before it was asked for
        (holds(5, 9) + holds(13, 17, terminal=2), False),
        (holds(5, 9, 13, 17, assurance=1), False),
        (holds(5, 9, 13, 17, authentic=False), False),
    ],
)
def test_a_card_is_held_as_asked_or_not(taps: list[Hold], opened: bool) -> None:  # noqa: FBT001 - the table's column
    assert held_as_asked(taps, times=4, since=SINCE) is opened


@given(st.permutations(holds(5, 9, 13, 17)))
def test_the_order_in_which_taps_are_read_does_not_matter(taps: list[Hold]) -> None:
    assert held_as_asked(taps, times=4, since=SINCE)


def test_numbers_and_codes_are_taken_as_people_type_them() -> None:
    assert rules.worker_number(" 26-000 1a ") == "26-0001A"
    assert rules.plain_code(" abcd-2345 ") == "ABCD2345"
    for wrong in ("", "2'6", "x" * 30, "\uff12\uff16"):
        with pytest.raises(Invalid, match="worker number"):
            rules.worker_number(wrong)


def day(on: int, employer: str, site: str = "a", *, seen: bool = True) -> OwnDay:
    at = SINCE if seen else None
    return OwnDay(date(2026, 11, on), site, site, "Asia/Seoul", employer, at, SINCE, seen, 1, ())


def test_days_worked_are_counted_once_per_employer() -> None:
    """Mutant: a day with an exit alone is counted, which the contractor does not count."""
    days = [day(2, "x"), day(2, "x", "b"), day(3, "y"), day(4, "y"), day(5, ""), day(6, "y", seen=False)]
    assert rules.totals(days) == [("y", 2), ("", 1), ("x", 1)]


def test_the_employment_of_the_day_says_whose_day_it_was() -> None:
    first = Spell("a", 1, "x", date(2026, 1, 1), date(2026, 11, 5))
    second = Spell("a", 2, "y", date(2026, 11, 5), None)
    for on, expected in ((date(2026, 11, 4), first), (date(2026, 11, 5), second), (date(2025, 1, 1), None)):
        assert rules.employer_on([second, first], site="a", on=on) == expected
    assert rules.employer_on([second, first], site="b", on=date(2026, 11, 5)) is None


def test_an_answer_is_due_at_the_end_of_its_last_day_in_korea() -> None:
    assert rules.due(7, today=date(2026, 11, 23)) == datetime(2026, 11, 30, 15, 0, tzinfo=UTC)


@given(st.dates(date(2004, 1, 1), date(2090, 1, 1)))
def test_any_day_of_the_last_three_years_can_be_objected_to(today: date) -> None:
    for back in (0, 1, 1_000):
        rules.check_objection(on_day=today - timedelta(days=back), words="x", first_in="", last_out="", today=today)
    for wrong in (today + timedelta(days=1), today - timedelta(days=1_130)):
        with pytest.raises(Invalid):
            rules.check_objection(on_day=wrong, words="x", first_in="", last_out="", today=today)
