from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.kit.errors import Invalid
from central.registry.project_rules import (
    ModeRule,
    borough_of,
    boroughs,
    mode_of,
    months_after,
    point,
    project_dates,
)


@pytest.mark.parametrize(
    ("latitude", "longitude", "borough"),
    [
        (37.5663, 126.9779, "중구"),  # the city hall
        (37.4837, 126.9786, "동작구"),  # Sadang
        (37.5112, 127.0981, "송파구"),  # Jamsil
        (37.5490, 126.7900, "강서구"),  # Gimpo airport's Seoul side
        (37.2636, 127.0286, None),  # Suwon
        (35.1796, 129.0756, None),  # Busan
    ],
)
def test_a_point_lies_in_its_borough(latitude: float, longitude: float, borough: str | None) -> None:
    code = borough_of(latitude, longitude)
    assert (boroughs()[code].ko if code else None) == borough


def test_there_are_twenty_five_boroughs_and_each_holds_a_point_of_its_own() -> None:
    assert len(boroughs()) == 25
    for code, borough in boroughs().items():
        ring = borough.rings[0]
        middle = sum(lat for _, lat in ring) / len(ring), sum(lon for lon, _ in ring) / len(ring)
        assert borough_of(*middle) is not None, code


@given(st.floats(33, 39), st.floats(124, 132))
def test_any_point_of_the_country_has_one_borough_or_none(latitude: float, longitude: float) -> None:
    assert borough_of(latitude, longitude) in {None, *boroughs()}
    assert point(latitude, longitude) == (latitude, longitude)


@pytest.mark.parametrize(("latitude", "longitude"), [(127.0, 37.5), (37.5, None), (None, 127.0), (0.0, 0.0)])
def test_a_point_that_is_swapped_half_or_elsewhere_is_refused(latitude: float | None, longitude: float | None) -> None:
    with pytest.raises(Invalid):
        point(latitude, longitude)


def test_dates_that_cannot_follow_each_other_are_refused() -> None:
    with pytest.raises(Invalid, match="before it begins"):
        project_dates(bid_notice_on=None, begins_on=date(2026, 3, 2), ends_on=date(2026, 3, 1))
    with pytest.raises(Invalid, match="before its bid notice"):
        project_dates(bid_notice_on=date(2026, 3, 2), begins_on=date(2026, 3, 1), ends_on=None)


@pytest.mark.parametrize(
    ("amount_won", "ends_on", "mode"),
    [
        (1_000_000_001, date(2027, 3, 1), "long_term"),
        (1_000_000_000, date(2027, 3, 1), "short_term"),  # over, not at
        (1_000_000_001, date(2027, 2, 28), "short_term"),  # twelve months to the day
    ],
)
def test_long_term_is_over_a_billion_won_and_over_twelve_months(amount_won: int, ends_on: date, mode: str) -> None:
    begins_on = date(2026, 3, 1)
    assert mode_of(amount_won=amount_won, begins_on=begins_on, ends_on=ends_on, on=date(2026, 6, 1)) == mode


def test_the_rule_of_the_day_decides() -> None:
    rules = [ModeRule(date(2020, 1, 1), 100, 12, "old"), ModeRule(date(2025, 1, 1), 1_000, 6, "new")]
    asked = {"amount_won": 500, "begins_on": date(2024, 1, 1), "ends_on": date(2026, 1, 1), "rules": rules}
    assert mode_of(on=date(2019, 12, 31), **asked) is None  # type: ignore[arg-type]
    assert mode_of(on=date(2024, 12, 31), **asked) == "long_term"  # type: ignore[arg-type]
    assert mode_of(on=date(2025, 1, 1), **asked) == "short_term"  # type: ignore[arg-type]


@given(st.dates(date(2000, 1, 1), date(2090, 1, 1)), st.integers(0, 60))
def test_months_are_counted_by_the_calendar(day: date, months: int) -> None:
    after = months_after(day, months)
    assert (after.year * 12 + after.month) - (day.year * 12 + day.month) == months
    assert after.day == day.day or (after.day < day.day and months_after(after.replace(day=1), 1) > after)
