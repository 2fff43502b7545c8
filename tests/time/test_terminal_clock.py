"""The terminal's clock under a bad one: what it calls compared is right within its error, whatever happens to it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.clock import Anchor, Kernel, KernelTime, Reading, SystemClock
from edge_agent.health import probe
from edge_agent.timekeeping import KEEP_EVERY_NS, AnchorFile, ClockNews, ClockWatch, clock_news
from edge_agent.wire.messages import CLOCK_ANCHOR, CLOCK_STEP
from simulators.bad_clock import FAR_AHEAD_NS, NEVER_SET_NS, NS_A_SECOND, BadClock

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOON_NS = int(NOON.timestamp()) * NS_A_SECOND

steps = st.lists(
    st.one_of(
        st.tuples(st.just("pass"), st.floats(0.001, 200_000)),
        st.tuples(st.just("set"), st.sampled_from([NEVER_SET_NS, FAR_AHEAD_NS, NOON_NS, NOON_NS - 5 * NS_A_SECOND])),
        st.tuples(st.just("nudge"), st.floats(-3, 3)),
        st.tuples(st.just("find"), st.floats(0.0001, 2)),
        st.tuples(st.just("lose"), st.just(0)),
        st.tuples(st.just("reboot"), st.sampled_from([NEVER_SET_NS, FAR_AHEAD_NS, NOON_NS])),
        st.tuples(st.just("restart"), st.just(0)),
    ),
    max_size=25,
)


def act(clock: BadClock, step: tuple[str, float]) -> None:
    name, amount = step
    if name == "pass":
        clock.pass_true(amount)
    elif name == "set":
        clock.set_wall(int(amount))
    elif name == "nudge":
        clock.set_wall(clock.wall_ns + int(amount * NS_A_SECOND))
    elif name == "find":
        clock.find_source(bound_ns=int(amount * NS_A_SECOND))
    elif name == "lose":
        clock.lose_source()
    elif name == "reboot":
        clock.boot(wall_ns=int(amount))


@pytest.mark.promise("TIM-01")
@given(steps=steps, seed=st.integers(0, 2**16))
@settings(max_examples=300, deadline=None)
def test_what_the_clock_calls_compared_is_right_within_its_error(steps: list[tuple[str, float]], seed: int) -> None:
    """Over steps, drift, reboots, restarts. Mutant: a clock that was set goes on as if it was not (tim-01-set)."""
    kernel = BadClock(true_ns=NOON_NS, random=Random(seed))
    clock, anchor, reading = SystemClock(kernel=kernel, boot_id=kernel.boot_id), None, None
    for step in [("pass", 1.0), *steps]:
        act(kernel, step)
        if step[0] in {"reboot", "restart"}:
            clock = SystemClock(kernel=kernel, boot_id=kernel.boot_id, previous=reading)
            if anchor is not None:
                clock.trust(anchor)
        reading = clock.read()
        anchor = clock.anchor or anchor
        if reading.state in {"synced", "holdover"}:
            off_ms = abs((reading.at.timestamp() - kernel.true_ns / NS_A_SECOND) * 1000)
            assert off_ms <= reading.error_ms + 1, (reading, kernel.true_ns)


@pytest.mark.promise("TIM-01")
def test_a_clock_that_was_set_by_hand_is_held_over_with_the_step_in_its_error() -> None:
    """The terminal knows how far it was moved; central computes the true time from the boot clock."""
    kernel = BadClock(true_ns=NOON_NS, random=Random(1))
    clock = SystemClock(kernel=kernel, boot_id="b")
    kernel.find_source(bound_ns=NS_A_SECOND // 100)
    clock.read()
    kernel.pass_true(100)
    kernel.set_wall(kernel.wall_ns - 3600 * NS_A_SECOND)
    reading = clock.read()
    assert reading.state == "holdover"
    assert 3_600_000 <= reading.error_ms <= 3_600_000 + 200
    assert reading.epoch == 1


def test_a_restarted_agent_holds_over_from_the_last_reading_of_the_same_boot() -> None:
    kernel = BadClock(true_ns=NOON_NS, random=Random(1))
    kernel.find_source(bound_ns=NS_A_SECOND // 100)
    before = SystemClock(kernel=kernel, boot_id="b").read()
    kernel.lose_source()
    kernel.pass_true(60)
    after = SystemClock(kernel=kernel, boot_id="b", previous=before).read()
    assert (before.state, after.state) == ("synced", "holdover")
    assert after.error_ms < before.error_ms + 100


@pytest.mark.promise("TIM-01")
def test_a_battery_that_died_shows_after_a_reboot_as_a_clock_that_was_never_set() -> None:
    """Mutant: what the clock was before the reboot is forgotten (tim-01-floor)."""
    earlier = Reading(NOON, 100 * NS_A_SECOND, "earlier", "synced", 20, 0)
    kernel = BadClock(true_ns=NOON_NS + 3600 * NS_A_SECOND, random=Random(1))
    kernel.boot(wall_ns=NOON_NS - 3600 * NS_A_SECOND)
    assert SystemClock(kernel=kernel, boot_id="later", previous=earlier).read().state == "unset"
    kernel.set_wall(NOON_NS + 3600 * NS_A_SECOND)
    assert SystemClock(kernel=kernel, boot_id="later", previous=earlier).read().state == "rtc"


def test_a_kernel_that_found_a_source_is_believed_even_against_an_earlier_time() -> None:
    """Or one day with a lying source would make every later day's clock unset."""
    lied = Reading(datetime(2099, 1, 1, tzinfo=UTC), 100 * NS_A_SECOND, "earlier", "synced", 20, 0)
    kernel = BadClock(true_ns=NOON_NS, random=Random(1))
    kernel.find_source(bound_ns=1000)
    assert SystemClock(kernel=kernel, boot_id="later", previous=lied).read().state == "synced"


class Slewed(Kernel):
    """A daemon speeds wall and boot clock up by 8 %; the unsteered clock goes on."""

    def __init__(self) -> None:
        self.true_s = 0.0

    def __call__(self) -> KernelTime:
        fast_ns = int(self.true_s * 1.08 * NS_A_SECOND)
        return KernelTime(
            NOON_NS + fast_ns, 100 * NS_A_SECOND + fast_ns, False, 0, int((100 + self.true_s) * NS_A_SECOND)
        )


def test_boot_time_is_counted_by_a_clock_that_no_daemon_steers() -> None:
    kernel = Slewed()
    clock = SystemClock(kernel=kernel, boot_id="b")
    first = clock.read()
    kernel.true_s = 300
    second = clock.read()
    assert second.boottime_ns - first.boottime_ns == 300 * NS_A_SECOND
    assert second.epoch == first.epoch, "a slew is no step"


def test_this_machines_unsteered_clock_follows_its_boot_clock() -> None:
    kernel = Kernel()
    first, second = kernel(), kernel()
    assert abs(first.steady_ns - first.boottime_ns) < 0.01 * first.boottime_ns + NS_A_SECOND
    assert second.steady_ns > first.steady_ns


def reading(seconds: float, state: str = "synced", *, epoch: int = 0, boot: str = "b") -> Reading:
    at = datetime.fromtimestamp(NOON.timestamp() + seconds, UTC)
    return Reading(at, int((100 + seconds) * NS_A_SECOND), boot, state, 5, epoch)  # type: ignore[arg-type]


def test_a_step_is_told_with_what_the_clock_would_have_shown() -> None:
    stepped = Reading(datetime(2026, 11, 22, 13, 0, 15, tzinfo=UTC), 115 * NS_A_SECOND, "b", "rtc", 5, 1)
    assert clock_news(reading(0, "rtc"), stepped) == [
        ClockNews(CLOCK_STEP, {"from": "2026-11-22T12:00:15.000Z", "to": "2026-11-22T13:00:15.000Z", "epoch": 1})
    ]


def test_news_is_a_clock_that_becomes_known_and_no_other_boot() -> None:
    assert clock_news(reading(0, "rtc"), reading(1)) == [ClockNews(CLOCK_ANCHOR, {"error_ms": 5, "was": "rtc"})]
    assert clock_news(reading(0), reading(1)) == []
    assert clock_news(reading(0), reading(1, "holdover")) == []
    assert clock_news(reading(0, "rtc"), reading(1, "rtc", boot="c", epoch=1)) == []


class Readings:
    """A clock that shows one reading after the other, then the last again."""

    def __init__(self, *readings: Reading) -> None:
        self._readings = list(readings)

    def read(self) -> Reading:
        return self._readings.pop(0) if len(self._readings) > 1 else self._readings[0]


def test_an_anchor_that_the_journal_did_not_take_is_recorded_at_the_next_look() -> None:
    """Mutant: forget the news of a look whose record failed."""
    watch = ClockWatch(Readings(reading(0, "unset"), reading(15), reading(30)))
    taken: list[str] = []

    def take(news: ClockNews, _reading: Reading) -> bool:
        taken.append(news.type)
        return True

    watch.look(lambda _news, _reading: False)
    watch.look(take)
    watch.look(take)
    assert taken == [CLOCK_ANCHOR]


def test_an_anchor_outlives_the_process_and_is_not_written_more_often_than_needed(tmp_path: Path) -> None:
    path = tmp_path / "clock.json"
    file = AnchorFile(path)
    assert file.load() is None
    first = Anchor(NOON_NS, 5, "b", 3)
    file.keep(first)
    file.keep(Anchor(NOON_NS + KEEP_EVERY_NS - 1, 5 + KEEP_EVERY_NS - 1, "b", 3))
    assert AnchorFile(path).load() == first
    later = Anchor(NOON_NS + KEEP_EVERY_NS, 5 + KEEP_EVERY_NS, "b", 3)
    file.keep(later)
    assert AnchorFile(path).load() == later


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"[]", b'{"wall_ns":-1,"boottime_ns":1,"boot_id":"b","error_ms":1}']
)
def test_a_damaged_anchor_is_told_and_left_out(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "clock.json"
    path.write_bytes(content)
    file = AnchorFile(path)
    assert file.load() is None
    assert "the clock goes on without it" in file.trouble


def test_a_disk_that_takes_no_anchor_is_told_and_costs_nothing_else(tmp_path: Path) -> None:
    file = AnchorFile(tmp_path / "missing" / "clock.json")
    file.keep(Anchor(NOON_NS, 5, "b", 3))
    assert "after a restart the clock knows less" in file.trouble


def test_the_doctor_calls_no_bound_what_is_none() -> None:
    compared, hardware = probe.clock(reading(0)), probe.clock(reading(0, "rtc"))
    assert (compared.verdict, hardware.verdict) == ("good", "doubtful")
    assert "error at most 5 ms" in compared.found
    assert "compared by nobody since the start" in hardware.found
