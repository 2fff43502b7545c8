"""The headcount as arithmetic: who counts, how sure that is; age lowers the confidence, never the count."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from central.attendance import wording
from central.attendance.headcount import (
    INSIDE,
    OUTSIDE,
    REFUSED,
    STAY_MAX,
    Headcount,
    PresenceView,
    TerminalFacts,
    Visit,
    assemble,
    exit_doubts,
    forgotten,
    freshness_of,
    judge,
    only,
    terminal_view,
)
from central.attendance.timekeeping import UNCOMPARED, UNKNOWN

NOW = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)


def a_person(number: int, *, hours: float, state: int = INSIDE, doubts: int = 0, known: bool = True) -> PresenceView:
    since = NOW - timedelta(hours=hours)
    return PresenceView(
        person=f"worker:{number}" if known else f"card:{number:032x}",
        worker_id=number if known else None,
        state=state,
        since_at=since,
        entry_assurance=3,
        doubts=doubts,
        last_at=since,
        last_terminal_id=1,
        last_zone="gate",
    )


def counted(rows: list[PresenceView], *, silent_s: float = 1, as_of: datetime = NOW) -> Headcount:
    heard_at = as_of - timedelta(seconds=silent_s)
    gate = TerminalFacts(1, "gate-01", "", "", records_exits=True, online=True, heard_at=heard_at, outstanding=0)
    return assemble(site="site-07", as_of=as_of, rows=rows, terminals=(gate,), codes={1: "gate-01"})


@pytest.mark.promise("INC-01")
@given(st.lists(st.floats(0, 24 * 60), max_size=20), st.floats(0, 24 * 30))
@example([15.0], 0.0)
def test_nobody_is_dropped_for_age(hours: list[float], later: float) -> None:
    """Mutant: people drop out of the inside set 14 hours after their entry."""
    rows = [a_person(number, hours=stay) for number, stay in enumerate(hours)]
    found = counted(rows, as_of=NOW + timedelta(hours=later))
    assert found.inside == len(rows)
    assert {one.worker_id for one in found.people} == {row.worker_id for row in rows}


@pytest.mark.promise("INC-01")
@pytest.mark.parametrize(
    ("hours", "silent_s", "confidence", "reasons"),
    [
        (1, 1, "certain", ()),
        (STAY_MAX / timedelta(hours=1) + 0.01, 1, "unknown", ("over_14_hours",)),
        (1, 3 * 60, "probable", ("exit_terminal_stale",)),
        (1, 16 * 60, "unknown", ("exit_terminal_silent",)),
    ],
)
def test_every_person_carries_how_sure_that_is_and_why(
    hours: float, silent_s: float, confidence: str, reasons: tuple[str, ...]
) -> None:
    """Mutant: everybody inside is called certain."""
    (person,) = counted([a_person(1, hours=hours)], silent_s=silent_s).people
    assert (person.confidence, person.reasons) == (confidence, reasons)


def test_who_is_not_inside_is_kept_apart_and_bounds_the_count_from_above() -> None:
    rows = [
        a_person(1, hours=1),
        a_person(2, hours=1, known=False),
        a_person(3, hours=1, state=REFUSED),
        a_person(4, hours=1, state=OUTSIDE),
    ]
    found = counted(rows)
    assert (found.inside, found.unknown_cards, found.refused, found.at_most) == (1, 1, 1, 3)


def a_terminal(*, silent_s: float | None = 1, online: bool = True, exits: bool = True, owes: int = 0) -> TerminalFacts:
    heard_at = NOW - timedelta(seconds=silent_s) if silent_s is not None else None
    return TerminalFacts(7, "gate-07", "North", "yard", exits, online, heard_at, owes)


def out_of_service(terminal: TerminalFacts) -> TerminalFacts:
    return replace(terminal, in_service=False)


@pytest.mark.parametrize(
    ("terminal", "freshness", "doubts"),
    [
        (a_terminal(), "fresh", ()),
        (a_terminal(silent_s=121), "stale", ("exit_terminal_stale",)),
        (a_terminal(online=False), "stale", ("exit_terminal_stale",)),
        (a_terminal(silent_s=901), "offline", ("exit_terminal_silent",)),
        (a_terminal(silent_s=None), "never", ("exit_terminal_silent",)),
        (a_terminal(owes=1), "fresh", ("exit_terminal_backlog",)),
        (a_terminal(exits=False), "fresh", ("no_exit_terminal",)),
        (out_of_service(a_terminal(owes=9)), "out_of_service", ("no_exit_terminal", "exit_terminal_backlog")),
        (out_of_service(a_terminal(silent_s=None)), "out_of_service", ("no_exit_terminal",)),
        (forgotten(a_terminal(owes=9)), "not_recorded", ()),
    ],
)
def test_what_a_terminal_last_said_is_one_freshness_and_one_doubt(
    terminal: TerminalFacts, freshness: str, doubts: tuple[str, ...]
) -> None:
    assert freshness_of(terminal, as_of=NOW) == freshness
    assert exit_doubts([terminal], as_of=NOW) == doubts
    view = terminal_view(terminal, as_of=NOW)
    assert (view.code, view.name, view.zone, view.freshness) == ("gate-07", "North", "yard", freshness)
    assert (view.heard_at, view.records_exits) == (terminal.heard_at, terminal.records_exits)
    assert view.not_received_at_most == (
        terminal.outstanding if freshness in {"fresh", "stale", "out_of_service"} else None
    )


@pytest.mark.promise("INC-01")
def test_a_terminal_that_falls_silent_takes_nothing_off_and_the_bound_no_longer_holds() -> None:
    """Mutant: what a silent terminal holds is read as nothing."""
    speaks, silent = a_terminal(silent_s=60, owes=40), a_terminal(silent_s=16 * 60, owes=40)
    found = [
        assemble(site="site-07", as_of=NOW, rows=[a_person(1, hours=1)], terminals=(gate,), codes={})
        for gate in (speaks, silent)
    ]
    assert [(one.at_most, one.not_received, one.at_most_holds) for one in found] == [(41, 40, True), (41, 40, False)]
    assert [wording.not_received("en", one) for one in found] == ["40", "at least 40"]
    assert [wording.beyond("en", one, timezone="Asia/Seoul") for one in found] == [
        "",
        ", and whoever passed North since 15:44",
    ]
    own = only(found[1], {99})
    assert (own.at_most, own.not_received, own.at_most_holds) == (40, 40, False)


@pytest.mark.promise("INC-01")
def test_what_a_terminal_out_of_service_still_holds_counts_and_its_silence_does_not() -> None:
    gone = out_of_service(a_terminal(silent_s=86_400, owes=40))
    found = assemble(site="site-07", as_of=NOW, rows=[], terminals=(gone, a_terminal()), codes={})
    assert (found.at_most, found.not_received, found.at_most_holds) == (40, 40, True)


@pytest.mark.parametrize(
    ("terminals", "said"),
    [
        ((a_terminal(silent_s=None),), ", and whoever passed North"),
        ((a_terminal(silent_s=86_400),), ", and whoever passed North since 2026-11-21 16:00"),
        ((a_terminal(silent_s=901), a_terminal(silent_s=1800)), ", and whoever passed 2 silent terminals since 15:30"),
        ((a_terminal(silent_s=901), a_terminal(silent_s=None)), ", and whoever passed 2 silent terminals"),
        ((forgotten(a_terminal(owes=9)),), ", and whoever's taps had not been received by then"),
    ],
)
def test_who_may_come_on_top_is_said_in_one_short_phrase(terminals: tuple[TerminalFacts, ...], said: str) -> None:
    found = assemble(site="site-07", as_of=NOW, rows=[], terminals=terminals, codes={})
    assert wording.beyond("en", found, timezone="Asia/Seoul") == said
    assert wording.not_received("en", found) == "cannot be said"


@pytest.mark.parametrize(
    ("row", "reasons"),
    [
        (a_person(1, hours=1, doubts=1), ("exit_missing_before_entry",)),
        (a_person(1, hours=1, doubts=2), ("exit_weaker_than_entry",)),
        (a_person(1, hours=1, doubts=8), ("exit_time_uncertain",)),
        (a_person(1, hours=1, known=False), ("card_has_no_holder",)),
        (a_person(1, hours=1, state=REFUSED), ("refused_at_gate",)),
        (a_person(1, hours=15), ("over_14_hours",)),
    ],
)
def test_each_doubt_about_a_person_has_its_own_code(row: PresenceView, reasons: tuple[str, ...]) -> None:
    assert judge(row, as_of=NOW, site_reasons=())[1] == reasons


@pytest.mark.promise("TIM-01")
@pytest.mark.parametrize(
    ("doubt", "reasons", "error_min"),
    [
        (0, (), 0),
        (UNCOMPARED, (), None),
        (3, ("entry_time_uncertain",), 3),
        (UNKNOWN, ("entry_time_uncertain",), None),
    ],
)
def test_an_entry_whose_time_is_not_known_to_the_minute_says_so(
    doubt: int, reasons: tuple[str, ...], error_min: int | None
) -> None:
    """Mutant: only a time of which nothing at all is known is called uncertain."""
    row = replace(a_person(1, hours=1), since_doubt=doubt, last_doubt=doubt)
    (person,) = counted([row]).people
    assert person.reasons == reasons
    assert (person.since_error_min, person.last_error_min) == (error_min, error_min)


def test_a_person_is_passed_on_as_a_whole() -> None:
    row = replace(
        a_person(5, hours=2),
        name="Kim",
        employer="Hanbit",
        trade="rebar",
        entry_assurance=2,
        last_at=NOW - timedelta(hours=1),
        last_zone="yard",
    )
    elsewhere = replace(row, person="worker:6", worker_id=6, name="Lee", last_terminal_id=99)
    person, other = counted([elsewhere, row]).people
    assert (person.person, person.worker_id, person.name) == ("worker:5", 5, "Kim")
    assert (person.employer, person.trade, person.assurance) == ("Hanbit", "rebar", 2)
    assert (person.since_at, person.last_at) == (NOW - timedelta(hours=2), NOW - timedelta(hours=1))
    assert (person.last_zone, person.last_terminal, person.standing) == ("yard", "gate-01", "inside")
    assert (other.person, other.last_terminal) == ("worker:6", ""), "a terminal that nobody knows has no name"


def test_what_was_not_recorded_then_is_not_claimed_of_a_terminal() -> None:
    then = forgotten(a_terminal(owes=9))
    assert (then.code, then.name, then.zone, then.records_exits) == ("gate-07", "North", "yard", True)
    assert (then.online, then.heard_at, then.outstanding) == (False, None, 0)


@pytest.mark.promise("INC-01")
def test_a_visitor_counts_until_somebody_records_that_they_left_however_long_ago_they_came() -> None:
    """Mutant inc-01-visit-over: a visitor drops out 14 hours after they were let in."""
    came = (NOW - timedelta(hours=1), NOW - timedelta(days=3))
    visits = [Visit(number, f"Guest {number}", "KISCON", at) for number, at in enumerate(came, 1)]
    found = assemble(site="site-07", as_of=NOW, rows=[], terminals=(), codes={}, visits=visits)
    assert (found.inside, found.visitors, found.certain, found.unknown, found.at_most) == (2, 2, 1, 1, 2)
    assert [(one.person, one.standing, one.confidence) for one in found.people] == [
        ("pass:1", "visitor", "certain"),
        ("pass:2", "visitor", "unknown"),
    ]
