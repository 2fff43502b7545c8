"""A wall clock that a test sets while a process runs: a small library preloaded into it (Linux, gcc).

libfaketime would move the monotonic clock too; this one moves nothing but the wall clock, as setting a clock does.
"""

from __future__ import annotations

import mmap
import shutil
import struct
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

if TYPE_CHECKING:
    from datetime import timedelta
    from types import TracebackType

SOURCE = Path(__file__).with_name("wallclock.c")
_BYTES = 16
_NS_A_US = 1000
_SYNCHRONISED = {"kernel": 0, "synced": 1, "unsynced": 2}


class NoWallClock(RuntimeError):
    """The library cannot be built here; the message says why and what to do."""


class WallClock:
    """One clock for the processes that are started with its `env`. Use as a context; raises `NoWallClock`."""

    def __init__(self, folder: Path) -> None:
        self._library = folder / "wallclock.so"
        self._file = folder / "wallclock"
        self._folder = folder

    def __enter__(self) -> Self:
        compiler = shutil.which("gcc") or shutil.which("cc")
        if compiler is None:
            raise NoWallClock("no C compiler: apt-get install gcc libc6-dev")
        self._folder.mkdir(parents=True, exist_ok=True)
        command = [compiler, "-shared", "-fPIC", "-O2", "-o", str(self._library), str(SOURCE), "-ldl"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            raise NoWallClock(f"{' '.join(command)}: {done.stderr.strip()}")
        self._file.write_bytes(bytes(_BYTES))
        with self._file.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), _BYTES)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._page.close()

    @property
    def env(self) -> dict[str, str]:
        """What a process is started with to live by this clock."""
        return {"LD_PRELOAD": str(self._library), "CCS_WALLCLOCK": str(self._file)}

    def move(self, by: timedelta) -> None:
        """Set the clock so far from the true time, from now on; it stops at 1970."""
        ns = (by.days * 86_400 + by.seconds) * 1_000_000_000 + by.microseconds * _NS_A_US
        struct.pack_into("=q", self._page, 0, ns)

    def say(self, state: Literal["kernel", "synced", "unsynced"]) -> None:
        """Let the kernel call itself synchronised or not, whatever it is."""
        struct.pack_into("=q", self._page, 8, _SYNCHRONISED[state])
