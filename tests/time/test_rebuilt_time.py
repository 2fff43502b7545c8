"""Times rebuilt by central: the true time lies in the stated interval, whatever the terminal's clock did."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from central.attendance.arrival import Arrival
from central.attendance.timekeeping import (
    BOUNDED,
    CENTRAL_ERROR_US,
    CLAIMED,
    MEASURED,
    RECONSTRUCTED,
    Estimate,
    Sighting,
    believe,
    better,
    from_us,
    holds,
    rebuild,
    sighting,
    to_us,
)
from edge_agent.clock import Reading, SystemClock
from edge_agent.wire.codec import time_text
from simulators.bad_clock import FAR_AHEAD_NS, NEVER_SET_NS, NS_A_SECOND, BadClock

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOON_NS = int(NOON.timestamp()) * NS_A_SECOND
HOUR_US = 3_600_000_000
TERMINAL_STORES_S_MAX = 0.5

steps = st.lists(
    st.one_of(
        st.tuples(st.just("pass"), st.floats(0.001, 90_000)),
        st.tuples(st.just("set"), st.sampled_from([NEVER_SET_NS, FAR_AHEAD_NS, NOON_NS, NOON_NS - 5 * NS_A_SECOND])),
        st.tuples(st.just("find"), st.floats(0.0001, 1)),
        st.tuples(st.just("lose"), st.just(0)),
        st.tuples(st.just("reboot"), st.sampled_from([NEVER_SET_NS, FAR_AHEAD_NS, NOON_NS])),
        st.tuples(st.just("tap"), st.integers(0, 3)),
        st.tuples(st.just("tap"), st.integers(0, 3)),
        st.tuples(st.just("roster"), st.just(0)),
    ),
    max_size=30,
)


def arrival(seq: int, reading: Reading, *, roster: int = 0) -> Arrival:
    return Arrival(
        b"",
        b"",
        "j",
        seq,
        own=True,
        time=datetime.fromisoformat(time_text(reading.at)),
        boot_id=reading.boot_id,
        boottime_ns=str(reading.boottime_ns),
        clock_state=reading.state,
        clock_error_ms=reading.error_ms,
        roster_version=roster,
    )


@dataclass
class Life:
    """A terminal with a bad clock, and when each of its events really was."""

    seed: int
    true_us: list[int] = field(default_factory=list)
    sightings: list[Sighting] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.kernel = BadClock(true_ns=NOON_NS, random=self.random)
        self.clock = SystemClock(kernel=self.kernel, boot_id=self.kernel.boot_id)
        self.roster = 0

    def act(self, name: str, amount: float) -> None:
        kernel = self.kernel
        if name == "pass":
            kernel.pass_true(amount)
        elif name == "set":
            kernel.set_wall(int(amount))
        elif name == "find":
            kernel.find_source(bound_ns=int(amount * NS_A_SECOND))
        elif name == "lose":
            kernel.lose_source()
        elif name == "reboot":
            kernel.boot(wall_ns=int(amount))
            self.clock = SystemClock(kernel=kernel, boot_id=kernel.boot_id)
        elif name == "roster":
            self.roster = kernel.true_ns // NS_A_SECOND
        else:
            self._tap(days_late=amount)
            kernel.pass_true(self.random.uniform(0, TERMINAL_STORES_S_MAX))

    def _tap(self, *, days_late: float) -> None:
        true_us = self.kernel.true_ns // 1000
        # Central's own clock is as wrong as it may be.
        off_us = self.random.randint(-CENTRAL_ERROR_US, CENTRAL_ERROR_US)
        received_us = true_us + int(days_late * 24 * HOUR_US * self.random.random()) + off_us
        one = arrival(len(self.true_us) + 1, self.clock.read(), roster=self.roster)
        self.true_us.append(true_us)
        self.sightings.append(sighting(one, received_at=from_us(received_us)))


@pytest.mark.promise("TIM-01")
@given(steps=steps, seed=st.integers(0, 2**16))
@settings(max_examples=400, deadline=None)
@example([("tap", 3), ("pass", 3600.0), ("find", 0.01), ("tap", 0)], 1)
@example([("find", 0.01), ("tap", 0), ("reboot", NEVER_SET_NS), ("pass", 3600.0), ("tap", 3), ("tap", 3)], 2)
@example([("find", 0.01), ("tap", 0), ("set", NOON_NS), ("pass", 80_000.0), ("tap", 3), ("tap", 3)], 3)
def test_the_true_time_lies_in_the_stated_interval(steps: list[tuple[str, float]], seed: int) -> None:
    """Mutant: the quartz is taken for perfect (tim-01-no-drift)."""
    life = Life(seed)
    for step in steps:
        life.act(*step)
    for one, true_us, seen in zip(rebuild(life.sightings), life.true_us, life.sightings, strict=True):
        assert holds(one, true_us), (one, true_us, seen)
        assert one.earliest_us is None or one.earliest_us <= true_us, (one, true_us)
        assert true_us <= one.latest_us, (one, true_us)


@pytest.mark.promise("TIM-01")
@given(steps=steps, seed=st.integers(0, 2**16), data=st.data())
@settings(max_examples=200, deadline=None)
def test_what_is_known_of_part_of_a_journal_is_true_and_more_of_it_never_says_less(
    steps: list[tuple[str, float]], seed: int, data: st.DataObject
) -> None:
    """Records come late and out of order: each part of a journal is bounded rightly by itself."""
    life = Life(seed)
    for step in steps:
        life.act(*step)
    known = data.draw(st.sets(st.integers(0, max(0, len(life.sightings) - 1))))
    places = sorted(place for place in known if place < len(life.sightings))
    parts = dict(zip(places, rebuild([life.sightings[place] for place in places]), strict=True))
    whole = rebuild(life.sightings)
    for place, part in parts.items():
        assert holds(part, life.true_us[place])
        rounded_us = len(whole)  # a microsecond a step along the line
        assert whole[place].latest_us <= part.latest_us + rounded_us
        assert (whole[place].earliest_us or 0) >= (part.earliest_us or 0) - rounded_us


def sight(
    seq: int,
    boottime_s: float,
    *,
    boot: str = "a",
    at_s: float | None = None,
    error_s: float = 1,
    received_s: float = 100_000,
    claimed_s: float | None = None,
    roster_s: float | None = None,
) -> Sighting:
    """Times in seconds since noon; `at_s` is measured."""
    noon_us = to_us(NOON)
    earliest = None if roster_s is None else noon_us + int(roster_s * 1e6)
    latest = noon_us + int(received_s * 1e6)
    if at_s is not None:
        earliest, latest = noon_us + int((at_s - error_s) * 1e6), noon_us + int((at_s + error_s) * 1e6)
    claimed = None if claimed_s is None else noon_us + int(claimed_s * 1e6)
    received = noon_us + int(received_s * 1e6)
    return Sighting(seq, boot, int(boottime_s * 1e6), earliest, latest, at_s is not None, claimed, received)


def after_noon_s(one: Estimate) -> float:
    return (one.at_us - to_us(NOON)) / 1e6


@pytest.mark.promise("TIM-01")
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_tap_before_the_clock_was_known_is_placed_by_the_boot_clock(order: tuple[int, int]) -> None:
    """Two hours before the anchor or after it. Mutant: anchors are not used (tim-01-no-anchor)."""
    tap, anchor = sight(1 + order[0], 100), sight(1 + order[1], 7_300, at_s=7_000)
    one = dict(zip(order, rebuild(sorted([tap, anchor])), strict=True))[0 if order == (0, 1) else 1]
    found = [each for each in rebuild(sorted([tap, anchor])) if each.basis == RECONSTRUCTED]
    assert found == [one] or len(found) == 1
    assert after_noon_s(found[0]) == pytest.approx(7_000 - 7_200, abs=0.01)
    assert found[0].error_ms == pytest.approx(1_000 + 7_200 * 0.501 + 20, abs=2)


@pytest.mark.promise("TIM-01")
def test_a_boot_without_any_clock_lies_between_the_boots_around_it() -> None:
    """Mutant: a boot bounds only itself (tim-01-boots-apart)."""
    before, lost, after = sight(1, 50, at_s=0), sight(2, 60, boot="b"), sight(3, 10, boot="c", at_s=3_600)
    one = rebuild([before, lost, after])[1]
    assert one.basis == BOUNDED
    assert one.earliest_us == to_us(NOON) - 1_000_000
    assert one.latest_us == to_us(NOON) + 3_601_000_000


def test_a_hardware_clock_is_believed_only_between_its_bounds() -> None:
    plausible = rebuild([sight(1, 1, at_s=0), sight(2, 10, boot="b", claimed_s=500, received_s=900)])[1]
    assert (plausible.basis, after_noon_s(plausible)) == (CLAIMED, 500)
    assert plausible.error_ms == 501_000
    impossible = rebuild([sight(1, 1, at_s=0), sight(2, 10, boot="b", claimed_s=-500, received_s=900)])[1]
    assert (impossible.basis, after_noon_s(impossible)) == (BOUNDED, 900)


def test_a_tap_that_names_a_roster_was_not_before_its_publication() -> None:
    reading = Reading(datetime(1970, 1, 1, 0, 5, tzinfo=UTC), 300 * NS_A_SECOND, "b", "unset", 0, 0)
    at, basis, error_ms = believe(arrival(1, reading, roster=int(NOON.timestamp())), received_at=NOON)
    assert (at, basis, error_ms) == (NOON, BOUNDED, 5_000)
    _, _, unknown = believe(arrival(1, reading, roster=8123), received_at=NOON)
    assert unknown is None, "somebody else's numbers say nothing of time"


def test_evidence_that_contradicts_itself_leaves_only_the_receipt() -> None:
    """Two boots under one id, as from a terminal without a real boot id: no bound may be made of them."""
    lie = [sight(1, 10, at_s=0), sight(2, 20, received_s=9_000), sight(3, 30, at_s=50_000)]
    one = rebuild(lie)[1]
    assert (one.basis, one.error_ms, after_noon_s(one)) == (BOUNDED, None, 9_000)


def test_a_compared_clock_ahead_of_central_says_so_in_its_error() -> None:
    ahead = Reading(datetime(2026, 11, 22, 12, 1, tzinfo=UTC), NS_A_SECOND, "b", "synced", 20, 0)
    assert believe(arrival(1, ahead), received_at=NOON) == (ahead.at, MEASURED, 60_000)
    usual = Reading(datetime(2026, 11, 22, 11, 59, tzinfo=UTC), NS_A_SECOND, "b", "holdover", 20, 0)
    assert believe(arrival(1, usual), received_at=NOON) == (usual.at, MEASURED, 21)


def test_a_clock_held_over_for_too_long_is_placed_by_its_boot_clock() -> None:
    """Somebody set it an hour back: it says so in its error, and its boot clock tells better."""
    noon = Reading(NOON, 100 * NS_A_SECOND, "b", "synced", 20, 0)
    moved = Reading(NOON, 3_700 * NS_A_SECOND, "b", "holdover", 3_600_000, 1)
    received = from_us(to_us(NOON) + 2 * HOUR_US)
    found = rebuild([sighting(arrival(n, one), received_at=received) for n, one in enumerate((noon, moved), 1)])[1]
    assert found.basis == RECONSTRUCTED
    assert after_noon_s(found) == pytest.approx(3_600, abs=2)
    assert found.error_ms is not None
    assert found.error_ms < 3_000


@pytest.mark.parametrize(
    ("new", "worth_it"),
    [
        (Estimate(0, CLAIMED, 10_000, 0, 0), False),
        (Estimate(0, RECONSTRUCTED, 10_000, 0, 0), True),
        (Estimate(2_000_000, CLAIMED, 10_000, 0, 0), True),
        (Estimate(0, CLAIMED, 9_000, 0, 0), False),
        (Estimate(0, CLAIMED, 4_000, 0, 0), True),
        (Estimate(0, CLAIMED, None, 0, 0), True),
    ],
)
def test_an_estimate_is_written_again_only_when_it_says_more(new: Estimate, *, worth_it: bool) -> None:
    assert better(new, Estimate(0, CLAIMED, 10_000, 0, 0)) is worth_it
