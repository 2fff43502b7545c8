"""Readings of the clock: their basis, their error, and the epoch that rises at a step."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from edge_agent.clock import RTC_ERROR_MS, UNSET_ERROR_MS, Kernel, KernelTime, Reading, SystemClock
from edge_agent.wire.codec import time_text

SECOND = 1_000_000_000
NOON = int(datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()) * SECOND


class Hands(Kernel):
    """A kernel whose clocks are set by hand."""

    def __init__(self) -> None:
        self.wall_ns, self.boottime_ns, self.synchronised, self.error_us = NOON, 100 * SECOND, False, 0

    def __call__(self) -> KernelTime:
        return KernelTime(self.wall_ns, self.boottime_ns, self.synchronised, self.error_us)

    def pass_s(self, seconds: float) -> None:
        self.wall_ns += int(seconds * SECOND)
        self.boottime_ns += int(seconds * SECOND)


def test_this_machines_clock_gives_an_aware_time_its_boot_and_its_basis() -> None:
    clock = SystemClock()
    first, second = clock.read(), clock.read()
    assert first.at.tzinfo is UTC
    assert first.state in {"synced", "holdover", "rtc", "unset"}
    assert second.boottime_ns > first.boottime_ns > 0
    assert second.boot_id == first.boot_id != ""


def test_a_synchronised_clock_carries_the_kernels_bound() -> None:
    hands = Hands()
    hands.synchronised, hands.error_us = True, 1_500
    reading = SystemClock(kernel=hands, boot_id="b").read()
    assert (reading.state, reading.error_ms) == ("synced", 2)


def test_after_losing_its_source_the_error_grows_with_time() -> None:
    hands = Hands()
    hands.synchronised, hands.error_us = True, 1_000
    clock = SystemClock(kernel=hands, boot_id="b")
    clock.read()
    hands.synchronised = False
    hands.pass_s(1_000)
    reading = clock.read()
    assert (reading.state, reading.error_ms) == ("holdover", 501)


def test_a_clock_never_compared_since_boot_is_the_hardware_clock() -> None:
    reading = SystemClock(kernel=Hands(), boot_id="b").read()
    assert (reading.state, reading.error_ms) == ("rtc", RTC_ERROR_MS)


@pytest.mark.parametrize("year", [1970, 2019])
def test_a_time_before_2020_is_unset_even_if_the_kernel_calls_it_synchronised(year: int) -> None:
    hands = Hands()
    hands.wall_ns, hands.synchronised = int(datetime(year, 1, 2, tzinfo=UTC).timestamp()) * SECOND, True
    reading = SystemClock(kernel=hands, boot_id="b").read()
    assert (reading.state, reading.error_ms) == ("unset", UNSET_ERROR_MS)


@pytest.mark.parametrize(("step_s", "epoch"), [(0.9, 0), (-0.9, 0), (1.1, 1), (-3600, 1)])
def test_the_epoch_rises_when_the_wall_clock_steps_more_than_a_second(step_s: float, epoch: int) -> None:
    hands = Hands()
    clock = SystemClock(kernel=hands, boot_id="b")
    clock.read()
    hands.pass_s(3_600)
    hands.wall_ns += int(step_s * SECOND)
    assert clock.read().epoch == epoch
    hands.pass_s(5)
    assert clock.read().epoch == epoch


def test_a_restarted_agent_goes_on_in_the_same_epoch_unless_the_clock_stepped_meanwhile() -> None:
    hands = Hands()
    before = Reading(datetime(2026, 11, 22, 12, tzinfo=UTC), 100 * SECOND, "b", "rtc", 0, 4)
    hands.pass_s(60)
    assert SystemClock(kernel=hands, boot_id="b", previous=before).read().epoch == 4
    hands.wall_ns += 10 * SECOND
    assert SystemClock(kernel=hands, boot_id="b", previous=before).read().epoch == 5


def test_another_boot_is_another_epoch() -> None:
    before = Reading(datetime(2026, 11, 22, 12, tzinfo=UTC), 100 * SECOND, "earlier", "rtc", 0, 4)
    assert SystemClock(kernel=Hands(), boot_id="b", previous=before).read().epoch == 5


def test_times_are_written_with_milliseconds_cut_off_in_utc() -> None:
    kst = datetime(2026, 11, 22, 9, 41, 3, 512_999, tzinfo=UTC) + timedelta(0)
    assert time_text(kst) == "2026-11-22T09:41:03.512Z"
    assert time_text(kst.replace(microsecond=0)) == "2026-11-22T09:41:03.000Z"
