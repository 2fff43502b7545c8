"""What time it is and how far to trust it. No tap waits for a clock: a reading says its basis and its error instead."""

from __future__ import annotations

import ctypes
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from edge_agent.wire.messages import ClockState

EARLIEST_BELIEVABLE_AT = datetime(2020, 1, 1, tzinfo=UTC)
"""A wall clock before this was never set: no terminal of ours is that old."""
STEP_NS_MAX = 1_000_000_000
"""The wall clock may move this far against the boot clock before it counts as a step."""
DRIFT_PPM_MAX = 500
"""How fast an undisciplined quartz may run away; the kernel assumes the same."""
ASK_AGAIN_NS = 1_000_000_000
"""The kernel's synchronisation is asked for at most once a second; the clocks themselves are read every time."""
RTC_ERROR_MS = 60_000
"""A hardware clock that nobody compared since boot."""
UNSET_ERROR_MS = 100 * 365 * 86_400_000
"""A clock that was never set: a century, so that nobody computes with it."""
UNTOLD_ERROR_US = 100_000
"""What a daemon's bound leaves out: systemd-timesyncd tells the kernel 0 and lets it grow."""
STEERED_PPM_MAX = 1_000
"""How fast the wall clock may gain on the unsteered one between two runs of the agent without having been set."""
BOOT_ID_PATH = Path("/proc/sys/kernel/random/boot_id")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST_WALL_NS = int(EARLIEST_BELIEVABLE_AT.timestamp()) * 1_000_000_000
_TIME_ERROR = 5
_STA_UNSYNC = 0x0040
_STA_NANO = 0x2000
_NOTICED_NS = 1_000_000
"""A change of the wall clock against the boot clock after which the kernel is asked at once."""
_INTERRUPTED_NS = 1_000_000
_TRIES_MAX = 3
_COMPARED = ("synced", "holdover")
_NS_A_MS = 1_000_000
_NS_A_SECOND = 1_000_000_000


# Structs, not dataclasses or named tuples: made in a tenth of the time, and a tap waits for two of them.
class Reading(Struct, frozen=True, gc=False):
    """One look at the clock. `epoch` rises whenever the wall clock stepped against the boot clock."""

    at: datetime
    boottime_ns: int
    boot_id: str
    state: ClockState
    error_ms: int
    epoch: int


class Anchor(Struct, frozen=True):
    """The last moment at which the wall clock was known to be right, within `error_ms`."""

    wall_ns: int
    boottime_ns: int
    boot_id: str
    error_ms: int


class Clock(Protocol):
    """Where time comes from: `SystemClock` in the field, a clock of their own in simulations."""

    def read(self) -> Reading:
        """Read the time now; never fails and never blocks."""


class KernelTime(Struct, frozen=True, gc=False):
    """What the kernel says: wall and boot clock in nanoseconds, whether it is synchronised, its bound in µs.

    `steady_ns` counts like the boot clock, but nobody steers it: a daemon may slew the boot clock by 8 %. 0: not known.
    """

    wall_ns: int
    boottime_ns: int
    synchronised: bool
    error_us: int
    steady_ns: int = 0


class _Timex(ctypes.Structure):
    """The head of Linux's `struct timex` on 64 bits; the padding holds the rest."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("precision", ctypes.c_long),
        ("tolerance", ctypes.c_long),
        ("time_s", ctypes.c_long),
        ("time_fraction", ctypes.c_long),
        ("rest", ctypes.c_char * 256),
    )


class Kernel:
    """The real clocks of this machine, by adjtimex(2) and clock_gettime(2)."""

    def __init__(self) -> None:
        library = ctypes.CDLL(None)
        self._adjtimex = getattr(library, "adjtimex", None)
        self._timex = _Timex()
        self._timex_at = ctypes.byref(self._timex)
        self._asked_ns: int | None = None
        self._offset_ns = 0
        self._asleep_ns = 0
        self._synchronised, self._error_us = False, 0

    def __call__(self) -> KernelTime:
        """Read the clocks and the synchronisation; a kernel that refuses adjtimex counts as unsynchronised.

        Not thread-safe: `SystemClock` calls it under its lock.
        """
        for _ in range(_TRIES_MAX):
            boottime_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
            wall_ns = time.time_ns()
            raw_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
            if time.clock_gettime_ns(time.CLOCK_BOOTTIME) - boottime_ns < _INTERRUPTED_NS:
                break  # otherwise somebody else had the processor in between: the three do not belong together
        offset_ns = wall_ns - boottime_ns
        stale = self._asked_ns is None or boottime_ns - self._asked_ns >= ASK_AGAIN_NS
        if stale or abs(offset_ns - self._offset_ns) > _NOTICED_NS:
            self._asked_ns, self._offset_ns = boottime_ns, offset_ns
            self._ask()
            self._look_how_long_asleep()
        return KernelTime(wall_ns, boottime_ns, self._synchronised, self._error_us, raw_ns + self._asleep_ns)

    def _ask(self) -> None:
        if self._adjtimex is None:
            return
        timex = self._timex
        answer = self._adjtimex(self._timex_at)
        self._synchronised = 0 <= answer != _TIME_ERROR and not timex.status & _STA_UNSYNC and self._is_shown(timex)
        still_to_slew_us = abs(timex.offset) // 1000 if timex.status & _STA_NANO else abs(timex.offset)
        self._error_us = max(0, timex.maxerror) + still_to_slew_us + UNTOLD_ERROR_US

    def _is_shown(self, timex: _Timex) -> bool:
        """Whether this process is shown the kernel's own wall clock: the kernel vouches for no other."""
        return bool(abs(timex.time_s * _NS_A_SECOND - time.time_ns()) < 2 * _NS_A_SECOND)

    def _look_how_long_asleep(self) -> None:
        """Follow the time that the machine slept, which the unsteered clock leaves out."""
        before_ns = time.monotonic_ns()
        boottime_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        most_ns, least_ns = boottime_ns - before_ns, boottime_ns - time.monotonic_ns()
        if not least_ns - _NOTICED_NS <= self._asleep_ns <= most_ns + _NOTICED_NS:
            self._asleep_ns = max(0, least_ns)


class SystemClock:
    """The terminal's clock. Give it what the last run knew: its epoch goes on, and so does its holdover."""

    def __init__(
        self,
        *,
        kernel: Kernel | None = None,
        boot_id: str | None = None,
        previous: Reading | None = None,
    ) -> None:
        self._kernel = kernel or Kernel()
        self._boot_id = boot_id or BOOT_ID_PATH.read_text().strip()
        self._lock = threading.Lock()
        self._offset_ns: int | None = None
        self._resumed: Reading | None = None
        self._epoch = 0
        self._anchor: Anchor | None = None
        self._not_before_ns = _EARLIEST_WALL_NS
        if previous is not None:
            self.resume(previous)

    @property
    def anchor(self) -> Anchor | None:
        """The last moment of this boot at which the wall clock was known to be right, None when there was none."""
        return self._anchor

    def resume(self, previous: Reading) -> None:
        """Go on from an earlier run's reading: its epoch holds while the boot and the offset are the same."""
        with self._lock:
            same_boot = previous.boot_id == self._boot_id
            self._epoch = previous.epoch + (0 if same_boot else 1)
            self._resumed = previous if same_boot else None
        if previous.state in _COMPARED:
            # An event's time lost what is below its millisecond.
            self.trust(Anchor(_wall_ns(previous.at), previous.boottime_ns, previous.boot_id, previous.error_ms + 1))

    def trust(self, anchor: Anchor) -> None:
        """Take an anchor that outlived a restart: within its boot time is held over from it, later it is a lower bound.

        A battery that died lets the hardware clock begin anew: a time before the anchor is no time.
        """
        with self._lock:
            if anchor.boot_id != self._boot_id:
                earliest_ns = anchor.wall_ns - anchor.error_ms * _NS_A_MS
                self._not_before_ns = max(self._not_before_ns, earliest_ns)
            elif self._anchor is None or anchor.boottime_ns > self._anchor.boottime_ns:
                self._anchor = anchor

    def read(self) -> Reading:
        """Read the time now with its basis and error."""
        with self._lock:
            now = self._kernel()
            offset_ns, steady_ns = now.wall_ns - now.boottime_ns, now.steady_ns or now.boottime_ns
            if self._offset_ns is None:
                self._epoch += self._was_set_meanwhile(now.wall_ns, steady_ns)
            elif abs(offset_ns - self._offset_ns) > STEP_NS_MAX:
                self._epoch += 1
            self._offset_ns = offset_ns
            state, error_ms = self._judge(now, steady_ns)
            return Reading(_instant(now.wall_ns), steady_ns, self._boot_id, state, error_ms, self._epoch)

    def _was_set_meanwhile(self, wall_ns: int, steady_ns: int) -> bool:
        """Whether the wall clock was set while no agent ran in this boot."""
        last, self._resumed = self._resumed, None
        if last is None:
            return False
        passed_ns = steady_ns - last.boottime_ns
        moved_ns = abs(wall_ns - _wall_ns(last.at) - passed_ns)
        return moved_ns > STEP_NS_MAX + abs(passed_ns) * STEERED_PPM_MAX // 1_000_000

    def _judge(self, now: KernelTime, steady_ns: int) -> tuple[ClockState, int]:
        """Say on what the time rests, and its error in milliseconds; of `rtc` and `unset` that is no bound."""
        if now.wall_ns < _EARLIEST_WALL_NS:
            return "unset", UNSET_ERROR_MS
        if now.synchronised:
            error_ms = -(-now.error_us // 1000)
            self._anchor = Anchor(now.wall_ns, steady_ns, self._boot_id, error_ms)
            return "synced", error_ms
        if self._anchor is None:
            return ("rtc", RTC_ERROR_MS) if now.wall_ns >= self._not_before_ns else ("unset", UNSET_ERROR_MS)
        passed_ns = steady_ns - self._anchor.boottime_ns
        drift_ns = abs(passed_ns) * DRIFT_PPM_MAX // 1_000_000
        # Somebody may have set the wall clock since: the event shows what it says, so its error is that much larger.
        moved_ns = abs(now.wall_ns - self._anchor.wall_ns - passed_ns)
        return "holdover", self._anchor.error_ms + -(-(drift_ns + moved_ns) // _NS_A_MS)


def _instant(wall_ns: int) -> datetime:
    # Exact to the microsecond: until the year 2242 a double tells microseconds apart.
    return datetime.fromtimestamp(wall_ns // 1000 / 1e6, UTC)


def _wall_ns(at: datetime) -> int:
    elapsed = at - _EPOCH
    return (elapsed.days * 86_400 + elapsed.seconds) * _NS_A_SECOND + elapsed.microseconds * 1000
