"""Child processes with a log, in sessions of their own: Ctrl-C in a terminal reaches only whoever started them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STOP_S_MAX = 15.0
_PR_SET_PDEATHSIG = 1


def dies_with(number: int) -> Callable[[], None] | None:
    """Make what a child runs before its program, so that it hears signal `number` when we die; Linux only, else None.

    The kernel watches the thread that starts the child: start it from one that lives as long as the process.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    return lambda: prctl(_PR_SET_PDEATHSIG, number)


@dataclass
class ChildProcess:
    """A child process with a log file."""

    command: list[str]
    log: Path
    user: int | None = None
    env: dict[str, str] | None = None
    last_words: int | None = None
    """The signal that it hears when we die, see `dies_with`."""
    _child: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        """Start it in its own session."""
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                self.command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                preexec_fn=dies_with(self.last_words) if self.last_words else None,  # noqa: PLW1509 - one system call
                user=self.user,
                group=self.user,
                extra_groups=[] if self.user else None,
                env=self.env,
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        """Whether it lives."""
        return self._child is not None and self._child.poll() is None

    @property
    def pid(self) -> int | None:
        """Its process id, once started."""
        return self._child.pid if self._child else None

    def tail(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-1500:] if self.log.exists() else ""

    def signal(self, number: int, *, wait_s: float = STOP_S_MAX) -> None:
        """Send a signal and wait for the end; SIGKILL when it does not come. Safe to call twice."""
        if self._child is None:
            return
        if self._child.poll() is None:
            self._child.send_signal(number)
        try:
            self._child.wait(wait_s)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait(wait_s)

    def kill_group(self) -> None:
        """SIGKILL it and its children."""
        if self._child is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait(STOP_S_MAX)
