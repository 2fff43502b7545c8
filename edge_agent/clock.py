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
BOOT_ID_PATH = Path("/proc/sys/kernel/random/boot_id")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST_WALL_NS = int(EARLIEST_BELIEVABLE_AT.timestamp()) * 1_000_000_000
_TIME_ERROR = 5
_STA_UNSYNC = 0x0040
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


class Clock(Protocol):
    """Where time comes from: `SystemClock` in the field, a clock of their own in simulations."""

    def read(self) -> Reading:
        """Read the time now; never fails and never blocks."""


class KernelTime(Struct, frozen=True, gc=False):
    """What the kernel says: wall and boot clock in nanoseconds, whether it is synchronised, its bound in µs."""

    wall_ns: int
    boottime_ns: int
    synchronised: bool
    error_us: int


class _Timex(ctypes.Structure):
    """The head of Linux's `struct timex` on 64 bits; the padding holds the rest."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
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
        self._synchronised, self._error_us = False, 0

    def __call__(self) -> KernelTime:
        """Read wall clock, boot clock and synchronisation; a kernel that refuses adjtimex counts as unsynchronised.

        Not thread-safe: `SystemClock` calls it under its lock.
        """
        boottime_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        if self._asked_ns is None or boottime_ns - self._asked_ns >= ASK_AGAIN_NS:
            self._ask()
            self._asked_ns = boottime_ns
        return KernelTime(time.time_ns(), boottime_ns, self._synchronised, self._error_us)

    def _ask(self) -> None:
        if self._adjtimex is None:
            return
        answer = self._adjtimex(self._timex_at)
        self._synchronised = 0 <= answer != _TIME_ERROR and not self._timex.status & _STA_UNSYNC
        self._error_us = max(0, self._timex.maxerror)


class SystemClock:
    """The terminal's clock. Give it the journal's last reading so that its epoch goes on where the last run stopped."""

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
        self._epoch = 0
        self._synced_at_ns: int | None = None
        self._synced_error_ms = 0
        if previous is not None:
            self.resume(previous)

    def resume(self, previous: Reading) -> None:
        """Go on from an earlier run's reading: its epoch holds while the boot and the offset are the same."""
        with self._lock:
            if previous.boot_id == self._boot_id:
                self._epoch = previous.epoch
                self._offset_ns = _wall_ns(previous.at) - previous.boottime_ns
            else:
                self._epoch = previous.epoch + 1

    def read(self) -> Reading:
        """Read the time now with its basis and error."""
        with self._lock:
            now = self._kernel()
            offset_ns = now.wall_ns - now.boottime_ns
            if self._offset_ns is not None and abs(offset_ns - self._offset_ns) > STEP_NS_MAX:
                self._epoch += 1
            self._offset_ns = offset_ns
            state, error_ms = self._judge(now)
            return Reading(_instant(now.wall_ns), now.boottime_ns, self._boot_id, state, error_ms, self._epoch)

    def _judge(self, now: KernelTime) -> tuple[ClockState, int]:
        """Say on what the time rests, and its error in milliseconds."""
        if now.wall_ns < _EARLIEST_WALL_NS:
            return "unset", UNSET_ERROR_MS
        if now.synchronised:
            self._synced_at_ns = now.boottime_ns
            self._synced_error_ms = -(-now.error_us // 1000)
            return "synced", self._synced_error_ms
        if self._synced_at_ns is None:
            return "rtc", RTC_ERROR_MS
        drift_ms = (now.boottime_ns - self._synced_at_ns) * DRIFT_PPM_MAX // 1_000_000 // _NS_A_MS
        return "holdover", self._synced_error_ms + drift_ms


def _instant(wall_ns: int) -> datetime:
    # Exact to the microsecond: until the year 2242 a double tells microseconds apart.
    return datetime.fromtimestamp(wall_ns // 1000 / 1e6, UTC)


def _wall_ns(at: datetime) -> int:
    elapsed = at - _EPOCH
    return (elapsed.days * 86_400 + elapsed.seconds) * _NS_A_SECOND + elapsed.microseconds * 1000
