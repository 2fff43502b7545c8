"""What is wrong with a terminal, and the fleet worst first."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.attendance.fleet import (
    BEHIND_RECORDS_MAX,
    FINE,
    FREE_BYTES_LOW,
    SORTS,
    STATES,
    TROUBLES,
    FleetAsked,
    FleetRow,
    Judged,
    judge,
    look_over,
)
from central.kit.errors import Invalid

NOW = datetime(2026, 11, 23, 0, 0, tzinfo=UTC)
WELL = FleetRow(
    terminal_id=1,
    site="site-07",
    site_name="중앙체육관",
    timezone="Asia/Seoul",
    code="gate-01",
    name="정문",
    state="in_service",
    in_service=True,
    online=True,
    heard_at=NOW - timedelta(seconds=5),
    behind=3,
    clock_state="synced",
    clock_offset_ms=40,
    free_bytes=8_000_000_000,
    readers=2,
    readers_lost=0,
    version="1.0",
    last_tap_at=NOW - timedelta(minutes=2),
)


@pytest.mark.parametrize(
    ("changed", "troubles"),
    [
        ({}, ()),
        ({"heard_at": NOW - timedelta(minutes=16)}, ("silent",)),
        ({"heard_at": None}, ("silent",)),
        ({"heard_at": NOW - timedelta(minutes=3)}, ("stale",)),
        ({"online": False}, ("stale",)),
        ({"readers_lost": 1}, ("reader_lost",)),
        ({"state": "faulty"}, ("faulty",)),
        ({"free_bytes": FREE_BYTES_LOW - 1}, ("disk_low",)),
        ({"free_bytes": None}, ()),
        ({"clock_state": "unset"}, ("clock_off",)),
        ({"clock_offset_ms": -61_000}, ("clock_off",)),
        ({"behind": BEHIND_RECORDS_MAX + 1}, ("behind",)),
        ({"readers_lost": 2, "behind": 5_000, "free_bytes": 0}, ("reader_lost", "disk_low", "behind")),
        ({"readers_lost": 2, "heard_at": NOW - timedelta(days=1), "behind": 5_000}, ("silent", "behind")),
        ({"state": "installed", "in_service": False, "heard_at": None}, ("waiting",)),
        ({"state": "faulty", "in_service": False, "heard_at": None}, ("faulty",)),
        ({"state": "installed"}, ("waiting",)),
        ({"state": "tested", "heard_at": NOW - timedelta(hours=3)}, ("silent", "waiting")),
        ({"state": "removed", "in_service": False, "heard_at": None}, ()),
    ],
)
def test_each_trouble_is_told_and_none_of_a_terminal_that_need_not_serve(
    changed: dict[str, object], troubles: tuple[str, ...]
) -> None:
    assert judge(replace(WELL, **changed), as_of=NOW).troubles == troubles  # type: ignore[arg-type]


def row(number: int, **changed: object) -> FleetRow:
    return replace(WELL, terminal_id=number, code=f"gate-{number:02}", **changed)  # type: ignore[arg-type]


def codes(asked: FleetAsked, rows: list[FleetRow]) -> list[str]:
    return [one.row.code for one in look_over(rows, asked, as_of=NOW).rows]


def test_the_worst_stand_first_and_the_removed_only_when_asked_for() -> None:
    rows = [
        row(1),
        row(2, state="removed"),
        row(3, state="tested"),
        row(4, behind=400),
        row(5, heard_at=NOW - timedelta(hours=1)),
        row(6, heard_at=NOW - timedelta(hours=9)),
        row(7, readers_lost=1),
    ]
    assert codes(FleetAsked(), rows) == ["gate-06", "gate-05", "gate-07", "gate-04", "gate-03", "gate-01"]
    assert codes(FleetAsked(state="removed"), rows) == ["gate-02"]
    assert codes(FleetAsked(trouble="silent"), rows) == ["gate-06", "gate-05"]
    assert codes(FleetAsked(trouble=FINE), rows) == ["gate-01"]
    assert codes(FleetAsked(q=" GATE-07 "), rows) == ["gate-07"]
    assert codes(FleetAsked(sort="behind"), rows)[0] == "gate-04"
    assert look_over(rows, FleetAsked(), as_of=NOW).tallies == {
        "silent": 2,
        "reader_lost": 1,
        "behind": 1,
        "waiting": 1,
        "fine": 1,
    }


@pytest.mark.parametrize("wrong", [{"state": "broken"}, {"trouble": "late"}, {"sort": "colour"}])
def test_what_the_fleet_cannot_be_asked_for_is_refused_with_what_it_can(wrong: dict[str, str]) -> None:
    with pytest.raises(Invalid, match="choose one of"):
        FleetAsked(**wrong)  # type: ignore[arg-type]


_rows = st.lists(
    st.builds(
        row,
        number=st.integers(0, 99),
        state=st.sampled_from(STATES),
        online=st.booleans(),
        heard_at=st.none() | st.integers(0, 2_000).map(lambda minutes: NOW - timedelta(minutes=minutes)),
        behind=st.integers(0, 400),
        readers_lost=st.integers(0, 2),
        free_bytes=st.none() | st.integers(0, 2 * FREE_BYTES_LOW),
        clock_state=st.sampled_from(("synced", "unset")),
    ),
    max_size=40,
    unique_by=lambda one: one.code,
)


@given(
    rows=_rows, sort=st.sampled_from(SORTS), trouble=st.sampled_from(("", *TROUBLES, FINE)), rows_max=st.integers(1, 7)
)
def test_the_pages_together_are_the_whole_fleet_once_in_order(
    rows: list[FleetRow], sort: str, trouble: str, rows_max: int
) -> None:
    whole = look_over(rows, FleetAsked(sort=sort, trouble=trouble), as_of=NOW, rows_max=None)
    seen: list[Judged] = []
    start = 0
    while True:
        part = look_over(rows, FleetAsked(sort=sort, trouble=trouble, start=start), as_of=NOW, rows_max=rows_max)
        assert part.total == whole.total
        seen += part.rows
        if not part.following:
            break
        start = part.following
    assert seen == list(whole.rows)
    shown = [one for one in rows if one.state != "removed"]
    assert sum(whole.tallies.values()) == len(shown)
    if not trouble:
        assert {one.row.code for one in seen} == {one.code for one in shown}
