"""Checks of the machine under the agent. Each answers what was found and, when it is not good, what to do."""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from edge_agent.clock import Reading

Verdict = Literal["good", "doubtful", "bad"]

SYNC_ROUNDS = 20
SYNC_BYTES = 4096
SYNC_MS_DOUBTFUL = 100.0
DISK_BYTES_DOUBTFUL = 512 * 1024 * 1024
DISK_BYTES_BAD = 32 * 1024 * 1024
CLOCK_ERROR_MS_DOUBTFUL = 1_000


@dataclass(frozen=True, slots=True)
class Check:
    """One line of a diagnosis. `remedy` is empty when the verdict is good; `bad` means that taps cannot be promised."""

    name: str
    verdict: Verdict
    found: str
    remedy: str = ""


def disk_free(folder: Path) -> Check:
    """Look at the space left for the journal."""
    free = shutil.disk_usage(folder).free
    found = f"{free / 1024 / 1024:,.0f} MiB free in {folder}"
    if free < DISK_BYTES_BAD:
        return Check("disk", "bad", found, "make room now: taps are refused when the disk is full")
    if free < DISK_BYTES_DOUBTFUL:
        return Check("disk", "doubtful", found, "make room, or lower journal.bytes_max and keep_days")
    return Check("disk", "good", found)


def sync_time(folder: Path) -> Check:
    """Measure what one write that must survive a power cut takes here."""
    times_ms = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(SYNC_ROUNDS):
            started = time.perf_counter()
            file.write(b"\0" * SYNC_BYTES)
            file.flush()
            os.fsync(file.fileno())
            times_ms.append((time.perf_counter() - started) * 1000)
    median, worst = statistics.median(times_ms), max(times_ms)
    found = f"write and fsync: median {median:.2f} ms, worst {worst:.1f} ms of {SYNC_ROUNDS}"
    if median > SYNC_MS_DOUBTFUL:
        return Check(
            "sync", "doubtful", found, "the disk is slow: workers wait this long at the gate; use a better card"
        )
    return Check("sync", "good", found)


def clock(reading: Reading) -> Check:
    """Look at what the time rests on. No tap is refused for it."""
    found = f"{reading.at:%Y-%m-%d %H:%M:%S} UTC, {reading.state}, error at most {reading.error_ms:,} ms"
    if reading.state == "synced" and reading.error_ms <= CLOCK_ERROR_MS_DOUBTFUL:
        return Check("clock", "good", found)
    remedy = "let the machine synchronise (systemd-timesyncd or chrony); taps are kept meanwhile, with this error"
    return Check("clock", "doubtful", found, remedy)
