"""Checks of the machine under the agent. Each answers what was found and, when it is not good, what to do."""

from __future__ import annotations

import os
import shutil
import stat
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from edge_agent.clock import Reading

Verdict = Literal["good", "doubtful", "bad"]

SYNC_ROUNDS = 20
SYNC_BYTES = 4096
SYNC_MS_DOUBTFUL = 100.0
DISK_BYTES_DOUBTFUL = 512 * 1024 * 1024
DISK_BYTES_BAD = 32 * 1024 * 1024
CLOCK_ERROR_MS_DOUBTFUL = 1_000
FONTS_S_MAX = 10.0
_COMPARED = ("synced", "holdover")
"""Clocks whose error is a bound."""
_FONT_LANGUAGES = {"zh": "zh-cn"}
"""What fontconfig calls a language that it knows only with its country."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of a diagnosis. `remedy` is empty when the verdict is good; `bad` means that taps cannot be promised."""

    name: str
    verdict: Verdict
    found: str
    remedy: str = ""


def disk_free(folder: Path) -> Check:
    """Look at the space left for the journal."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError as exc:
        return Check("disk", "bad", f"{folder}: {exc.strerror}", "mend the disk, or correct terminal.data_dir")
    found = f"{free / 1024 / 1024:,.0f} MiB free in {folder}"
    if free < DISK_BYTES_BAD:
        return Check("disk", "bad", found, "make room now: taps are refused when the disk is full")
    if free < DISK_BYTES_DOUBTFUL:
        return Check("disk", "doubtful", found, "make room, or lower journal.bytes_max and keep_days")
    return Check("disk", "good", found)


def sync_time(folder: Path) -> Check:
    """Measure what one write that must survive a power cut takes here."""
    try:
        times_ms = _sync_times_ms(folder)
    except OSError as exc:
        remedy = "make room or mend the disk, and let the agent's user write there"
        return Check("sync", "bad", f"nothing can be written to {folder}: {exc.strerror}", remedy)
    median, worst = statistics.median(times_ms), max(times_ms)
    found = f"write and fsync: median {median:.2f} ms, worst {worst:.1f} ms of {SYNC_ROUNDS}"
    if median > SYNC_MS_DOUBTFUL:
        return Check(
            "sync", "doubtful", found, "the disk is slow: workers wait this long at the gate; use a better card"
        )
    return Check("sync", "good", found)


def _sync_times_ms(folder: Path) -> list[float]:
    times_ms = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(SYNC_ROUNDS):
            started = time.perf_counter()
            file.write(b"\0" * SYNC_BYTES)
            file.flush()
            os.fsync(file.fileno())
            times_ms.append((time.perf_counter() - started) * 1000)
    return times_ms


def secret_files(files: Iterable[Path]) -> Check:
    """Look at who may read the files that hold keys and passwords."""
    names = sorted({str(file) for file in files if _is_open_to_others(file)})
    if names:
        remedy = f"chmod o= {' '.join(names)}: whoever has them can pass for this terminal or make card tokens"
        return Check("secrets", "doubtful", f"anybody on this machine can read {', '.join(names)}", remedy)
    return Check("secrets", "good", "keys and passwords are closed to others")


def _is_open_to_others(file: Path) -> bool:
    try:
        return bool(file.stat().st_mode & stat.S_IRWXO)
    except OSError:  # not there, or in a folder that is closed to us: what uses the file says so
        return False


def fonts(languages: Iterable[str]) -> Check:
    """Look whether this machine can draw what the screen says in each of these languages."""
    try:
        missing = [language for language in languages if not _has_font(language)]
    except (OSError, subprocess.SubprocessError) as exc:
        remedy = "install fontconfig, or look at the screen once in every language"
        return Check("fonts", "doubtful", f"fc-list does not answer ({exc}): not looked at", remedy)
    if missing:
        remedy = "install fonts for them (Debian: fonts-noto-core, fonts-noto-cjk): workers see empty boxes"
        return Check("fonts", "doubtful", f"no font here draws {', '.join(missing)}", remedy)
    return Check("fonts", "good", "every language of the screen can be drawn")


def _has_font(language: str) -> bool:
    command = ["fc-list", f":lang={_FONT_LANGUAGES.get(language, language)}", "family"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=FONTS_S_MAX)  # noqa: S603 - a code of ours
    return bool(done.stdout.strip())


def clock(reading: Reading) -> Check:
    """Look at what the time rests on. No tap is refused for it."""
    bound = (
        f"error at most {reading.error_ms:,} ms" if reading.state in _COMPARED else "compared by nobody since the start"
    )
    found = f"{reading.at:%Y-%m-%d %H:%M:%S} UTC, {reading.state}, {bound}"
    if reading.state == "synced" and reading.error_ms <= CLOCK_ERROR_MS_DOUBTFUL:
        return Check("clock", "good", found)
    remedy = (
        "let the machine synchronise (chrony, or systemd-timesyncd); taps are kept meanwhile, and placed when it does"
    )
    return Check("clock", "doubtful", found, remedy)
