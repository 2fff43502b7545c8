"""Versions of the roster: full ones replace, deltas continue exactly one version, nothing goes back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.tap.roster import RosterForeign, RosterGap, RosterOld, RosterView, apply
from edge_agent.wire.messages import Inside, Roster, RosterEntry

AT = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)


def entry(number: int, *, name: str = "김철수") -> RosterEntry:
    return RosterEntry(token=f"{number:032x}", worker=f"w{number}", name=name)


def person(number: int, *, minutes: int = 0) -> Inside:
    return Inside(person=f"worker:{number}", name="김철수", since=AT + timedelta(minutes=minutes))


def roster(version: int, *, base: int | None = None, **parts: list[object]) -> Roster:
    return Roster(site="site-07", version=version, issued_at=AT + timedelta(minutes=version), base=base, **parts)  # type: ignore[arg-type]


FIRST = apply(RosterView("site-07"), roster(3, entries=[entry(1), entry(2)], inside=[person(1)]))


def test_a_full_roster_replaces_everything() -> None:
    view = apply(FIRST, roster(9, entries=[entry(7)]))
    assert (view.version, set(view.entries), dict(view.inside)) == (9, {entry(7).token}, {})


def test_a_delta_adds_changes_and_removes_on_its_base() -> None:
    delta = roster(
        4,
        base=3,
        entries=[entry(2, name="박영희"), entry(3)],
        removed=[entry(1).token],
        inside=[person(3)],
        inside_removed=["worker:1"],
    )
    view = apply(FIRST, delta)
    assert {e.name for e in view.entries.values()} == {"박영희", "김철수"}
    assert set(view.entries) == {entry(2).token, entry(3).token}
    assert set(view.inside) == {"worker:3"}
    assert view.issued_at == AT + timedelta(minutes=4)


def test_a_delta_on_another_version_is_refused_and_asks_for_a_full_roster() -> None:
    with pytest.raises(RosterGap, match="continues version 4, but version 3 is held here: a full roster is needed"):
        apply(FIRST, roster(5, base=4))


def test_an_older_roster_is_refused_even_when_full() -> None:
    with pytest.raises(RosterOld, match="roster version 2 is older than version 3 held here"):
        apply(FIRST, roster(2, entries=[entry(9)]))


def test_the_same_version_again_changes_nothing() -> None:
    assert apply(FIRST, roster(3, entries=[entry(9)])) is FIRST


def test_another_sites_roster_is_refused() -> None:
    with pytest.raises(RosterForeign, match="this terminal stands at site 'site-08'"):
        apply(RosterView("site-08"), roster(3))


def test_a_view_held_elsewhere_is_not_changed_by_a_delta() -> None:
    apply(FIRST, roster(4, base=3, entries=[entry(8)], removed=[entry(1).token]))
    assert set(FIRST.entries) == {entry(1).token, entry(2).token}


def test_the_gate_list_shows_longest_inside_first() -> None:
    view = apply(FIRST, roster(5, inside=[person(2, minutes=5), person(9, minutes=1), person(4, minutes=5)]))
    assert [inside.person for inside in view.inside_list()] == ["worker:9", "worker:2", "worker:4"]


numbers = st.sets(st.integers(1, 12))


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=12), st.data())
def test_deltas_one_by_one_give_what_the_last_full_roster_gives(
    steps: list[tuple[set[int], set[int]]], data: st.DataObject
) -> None:
    view, cards, inside = RosterView("site-07"), set[int](), set[int]()
    for version, (next_cards, next_inside) in enumerate(steps, start=1):
        delta = roster(
            version,
            base=version - 1,
            entries=[entry(n) for n in next_cards - cards],
            removed=[entry(n).token for n in cards - next_cards],
            inside=[person(n) for n in next_inside - inside],
            inside_removed=[f"worker:{n}" for n in inside - next_inside],
        )
        full = roster(version, entries=[entry(n) for n in next_cards], inside=[person(n) for n in next_inside])
        view = apply(view, full if data.draw(st.booleans()) else delta)
        cards, inside = next_cards, next_inside
    assert set(view.entries) == {entry(n).token for n in cards}
    assert set(view.inside) == {f"worker:{n}" for n in inside}
    assert view.version == len(steps)
