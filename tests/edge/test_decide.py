"""What a tap is worth: the decision table, walked whole and by random cards."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.tap.decide import REPEAT_WITHIN, PresentedCard, RecentTaps, decide
from edge_agent.tap.roster import RosterView, apply, mask_name
from edge_agent.wire.messages import Credential, Roster, RosterEntry

ISSUED_AT = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
AT = timedelta(hours=8)
KNOWN, BARRED, UNKNOWN = "a" * 32, "b" * 32, "c" * 32
ROSTER = apply(
    RosterView("site-07"),
    Roster(
        site="site-07",
        version=5,
        issued_at=ISSUED_AT,
        entries=[
            RosterEntry(token=KNOWN, worker="w1", name="김철수", lang="vi"),
            RosterEntry(token=BARRED, worker="w2", name="박영희", barred="safety training expired"),
        ],
    ),
)


def held(token: str, *, reader: str = "r1", direction: str = "in", authenticated: bool = True) -> PresentedCard:
    return PresentedCard(token, Credential("desfire_ev2", 3, 1), reader, direction, "gate-03", authenticated)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("token", "authenticated", "decision", "shown", "name"),
    [
        (KNOWN, True, "accepted", "green", "김*수"),
        (UNKNOWN, True, "unknown_card", "amber", ""),
        (BARRED, True, "barred", "red", "박*희"),
        (KNOWN, False, "auth_failed", "red", ""),
        (BARRED, False, "auth_failed", "red", ""),
        (UNKNOWN, False, "auth_failed", "red", ""),
    ],
)
def test_each_card_gets_its_row_of_the_table(
    *,
    token: str,
    authenticated: bool,
    decision: str,
    shown: str,
    name: str,
) -> None:
    outcome = decide(held(token, authenticated=authenticated), ROSTER, RecentTaps(), AT)
    assert (outcome.decision, outcome.shown, outcome.name_masked) == (decision, shown, name)


def test_a_worker_is_answered_in_their_own_language_and_a_barred_one_told_why() -> None:
    assert decide(held(KNOWN), ROSTER, RecentTaps(), AT).lang == "vi"
    assert decide(held(BARRED), ROSTER, RecentTaps(), AT).reason == "safety training expired"


def test_a_card_that_failed_its_proof_names_nobody() -> None:
    outcome = decide(held(KNOWN, authenticated=False), ROSTER, RecentTaps(), AT)
    assert (outcome.name_masked, outcome.lang, outcome.reason) == ("", "ko", "")


def after_one_tap(token: str, *, decision: str, direction: str = "in", reader: str = "r1") -> RecentTaps:
    recent = RecentTaps()
    recent.note(token=token, reader=reader, direction=direction, decision=decision, at=AT)  # type: ignore[arg-type]
    return recent


@pytest.mark.parametrize(
    ("seconds", "decision"), [(0, "repeat"), (59.999, "repeat"), (60, "accepted"), (3600, "accepted")]
)
def test_the_same_tap_within_a_minute_is_a_repeat(seconds: float, decision: str) -> None:
    outcome = decide(held(KNOWN), ROSTER, after_one_tap(KNOWN, decision="accepted"), AT + timedelta(seconds=seconds))
    assert (outcome.decision, outcome.shown) == (decision, "green")


def test_another_reader_or_direction_is_no_repeat() -> None:
    recent = after_one_tap(KNOWN, decision="accepted")
    assert decide(held(KNOWN, reader="r2"), ROSTER, recent, AT).decision == "accepted"
    assert decide(held(KNOWN, direction="out"), ROSTER, recent, AT).decision == "accepted"
    assert decide(held(UNKNOWN), ROSTER, recent, AT).decision == "unknown_card"


def test_going_out_between_makes_coming_in_again_no_repeat() -> None:
    recent = after_one_tap(KNOWN, decision="accepted")
    recent.note(token=KNOWN, reader="r2", direction="out", decision="accepted", at=AT + timedelta(seconds=20))
    assert decide(held(KNOWN), ROSTER, recent, AT + timedelta(seconds=40)).decision == "accepted"


def test_a_repeat_does_not_prolong_its_window() -> None:
    recent = after_one_tap(KNOWN, decision="accepted")
    recent.note(token=KNOWN, reader="r1", direction="in", decision="repeat", at=AT + timedelta(seconds=50))
    assert decide(held(KNOWN), ROSTER, recent, AT + timedelta(seconds=61)).decision == "accepted"


def test_a_card_entered_in_the_roster_counts_although_it_was_just_unknown() -> None:
    assert decide(held(KNOWN), ROSTER, after_one_tap(KNOWN, decision="unknown_card"), AT).decision == "accepted"


def test_a_successful_reading_counts_although_the_proof_just_failed() -> None:
    assert decide(held(KNOWN), ROSTER, after_one_tap(KNOWN, decision="auth_failed"), AT).decision == "accepted"


def test_an_unknown_card_held_twice_stays_amber() -> None:
    outcome = decide(held(UNKNOWN), ROSTER, after_one_tap(UNKNOWN, decision="unknown_card"), AT)
    assert (outcome.decision, outcome.shown) == ("repeat", "amber")


def test_refusals_are_evidence_each_time() -> None:
    assert decide(held(BARRED), ROSTER, after_one_tap(BARRED, decision="barred"), AT).decision == "barred"
    failed = decide(held(KNOWN, authenticated=False), ROSTER, after_one_tap(KNOWN, decision="auth_failed"), AT)
    assert failed.decision == "auth_failed"


def test_a_card_left_lying_is_a_repeat_however_long_it_lay() -> None:
    """Mutant: judge a card that lay there by time alone. A reader for both ways would take its owner off the list."""
    recent = after_one_tap(KNOWN, decision="accepted")
    lying = replace(held(KNOWN), lay_there=True)
    assert decide(lying, ROSTER, recent, AT + timedelta(hours=3)).decision == "repeat"
    recent.note(token=KNOWN, reader="r1", direction="in", decision="repeat", at=AT + timedelta(hours=3))
    assert decide(lying, ROSTER, recent, AT + timedelta(hours=6)).decision == "repeat"
    assert decide(held(KNOWN), ROSTER, recent, AT + timedelta(hours=6)).decision == "accepted"


def test_a_card_that_lies_there_after_another_was_held_is_a_tap() -> None:
    recent = after_one_tap(KNOWN, decision="accepted")
    recent.note(token=UNKNOWN, reader="r1", direction="in", decision="unknown_card", at=AT)
    lying = replace(held(KNOWN), lay_there=True)
    assert decide(lying, ROSTER, recent, AT + timedelta(hours=3)).decision == "accepted"


tokens = st.sampled_from([KNOWN, BARRED, UNKNOWN])
taps = st.tuples(tokens, st.sampled_from(["r1", "r2"]), st.sampled_from(["in", "out", "tap", "muster"]), st.booleans())


@given(st.lists(st.tuples(taps, st.integers(0, 90)), max_size=40))
def test_green_is_shown_only_to_allowed_cards_and_counted_taps_are_a_minute_apart(
    day: list[tuple[tuple[str, str, str, bool], int]],
) -> None:
    recent, at = RecentTaps(), AT
    counted: dict[tuple[str, str, str, str], timedelta] = {}
    for (token, reader, direction, authenticated), wait_s in day:
        at += timedelta(seconds=wait_s)
        outcome = decide(
            held(token, reader=reader, direction=direction, authenticated=authenticated), ROSTER, recent, at
        )
        assert (outcome.shown == "green") == (token == KNOWN and authenticated)
        assert outcome.decision in {outcome.verdict, "repeat"}
        assert outcome.direction == direction
        key = (token, reader, direction, outcome.verdict)
        if outcome.decision in {"accepted", "unknown_card"}:
            before = recent.last(token, reader, direction)
            assert before is None or before[1] != outcome.verdict or at - before[0] >= REPEAT_WITHIN
            counted[key] = at
        if outcome.decision == "repeat":
            assert at - counted[key] < REPEAT_WITHIN
        recent.note(token=token, reader=reader, direction=direction, decision=outcome.decision, at=at)


def test_remembered_taps_are_bounded_oldest_first() -> None:
    recent = RecentTaps(taps_max=2)
    for token in (KNOWN, BARRED, UNKNOWN):
        recent.note(token=token, reader="r1", direction="in", decision="accepted", at=AT)
    assert len(recent) == 2
    assert recent.last(KNOWN, "r1", "in") is None
    assert recent.last(UNKNOWN, "r1", "in") == (AT, "accepted")


@pytest.mark.parametrize(
    ("name", "masked"),
    [
        ("김철수", "김*수"),
        ("김수", "김*"),
        ("남궁민수", "남**수"),
        ("김", "*"),
        ("Nguyen Van An", "N***** V** A*"),
        ("", ""),
    ],
)
def test_a_name_on_a_public_screen_is_masked(name: str, masked: str) -> None:
    assert mask_name(name) == masked


@given(st.text(min_size=2, max_size=30))
def test_no_word_of_a_name_is_ever_shown_whole(name: str) -> None:
    shown = mask_name(name).split()
    assert all("*" in word for word in shown)
