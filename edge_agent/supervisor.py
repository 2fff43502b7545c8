"""Runs the agent's loops as threads: restarts one that fails within a budget, tells the service manager that all turn.

The watchdog is fed only while every loop beats. A loop that fails too often, or hangs, ends the agent with an error, so
that the service manager starts it afresh.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

TICK_S = 1.0
STOP_S_MAX = 5.0
RESTARTS_MAX = 5
RESTART_WINDOW_S = 60.0
RESTART_PAUSES_S = (0.1, 0.5, 1.0, 2.0, 4.0)
STALE_S_MAX = 30.0


class Log(Protocol):
    """Where the supervisor tells what happened (a structlog logger)."""

    def info(self, event: str, **values: object) -> object:
        """Tell something expected."""
        ...

    def error(self, event: str, **values: object) -> object:
        """Tell something that a person must look at."""
        ...


class Heart:
    """One loop's sign of life: it beats while it turns; `rest` says that it waits for the world and may be silent."""

    def __init__(self, stale_s_max: float = STALE_S_MAX) -> None:
        self._stale_s_max = stale_s_max
        self._beat_at: float | None = time.monotonic()

    def beat(self) -> None:
        """Show life now; the next beat or `rest` is expected in time."""
        self._beat_at = time.monotonic()

    def rest(self) -> None:
        """Say that silence means nothing until the next beat."""
        self._beat_at = None

    def silent_s(self, now: float) -> float:
        """Return for how long a beat has been missing, in seconds; 0 while resting."""
        return 0.0 if self._beat_at is None else now - self._beat_at

    def alive(self, now: float) -> bool:
        """Whether the loop has beaten recently enough, or rests."""
        return self.silent_s(now) <= self._stale_s_max


@dataclass(slots=True)
class Budget:
    """How often a loop may be restarted: `restarts_max` within `window_s`. Pure; times are monotonic seconds."""

    restarts_max: int = RESTARTS_MAX
    window_s: float = RESTART_WINDOW_S
    _failures: deque[float] = field(default_factory=deque)

    def failed(self, now: float) -> float | None:
        """Count a failure; return the pause before the restart in seconds, or None when the budget is spent."""
        while self._failures and now - self._failures[0] > self.window_s:
            self._failures.popleft()
        self._failures.append(now)
        if len(self._failures) > self.restarts_max:
            return None
        return RESTART_PAUSES_S[min(len(self._failures), len(RESTART_PAUSES_S)) - 1]


@dataclass(frozen=True, slots=True)
class Loop:
    """A named loop. `run` blocks until `stop` is set and returns; returning earlier counts as a failure."""

    name: str
    run: Callable[[threading.Event, Heart], None]
    stale_s_max: float = STALE_S_MAX
    restarts_max: int = RESTARTS_MAX


class Notifier:
    """Speaks the service manager's notification protocol (sd_notify); says nothing when there is none."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        source = os.environ if environ is None else environ
        self._address = source.get("NOTIFY_SOCKET", "")
        usec = source.get("WATCHDOG_USEC", "")
        self.watchdog_s = int(usec) / 1_000_000 if usec.isdecimal() else None

    def tell(self, *lines: str) -> None:
        """Send assignments such as `READY=1`; a service manager that does not listen is no error."""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.sendto("\n".join(lines).encode(), address)


class Supervisor:
    """Starts the loops, watches them, stops them in order. `run` blocks the thread that calls it."""

    def __init__(self, loops: Iterable[Loop], *, log: Log, notifier: Notifier | None = None) -> None:
        self._loops = list(loops)
        self._log = log
        self._notifier = notifier or Notifier()
        self._stop = threading.Event()
        self._hearts = {loop.name: Heart(loop.stale_s_max) for loop in self._loops}
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self._failure: str | None = None

    @property
    def stopping(self) -> bool:
        """Whether an orderly stop has begun."""
        return self._stop.is_set()

    def request_stop(self, *, failure: str | None = None) -> None:
        """Ask for an orderly stop; with `failure`, `run` returns False. Safe from any thread."""
        if failure is not None and self._failure is None:
            self._failure = failure
        self._stop.set()
        with contextlib.suppress(OSError):
            self._wake_write.send(b"\0")

    def stop_on_signals(self) -> None:
        """Let SIGTERM and SIGINT begin an orderly stop; only from the main thread.

        The handlers do nothing themselves: the interpreter writes the number to the wake-up socket, so no lock can be
        held when it happens.
        """
        signal.set_wakeup_fd(self._wake_write.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _leave_to_the_wakeup)

    def run(self) -> bool:
        """Run until a stop is asked for, or a loop fails for good; return whether all went well."""
        threads = [
            threading.Thread(target=self._keep, args=(loop,), name=loop.name, daemon=True) for loop in self._loops
        ]
        for thread in threads:
            thread.start()
        self._notifier.tell("READY=1", "STATUS=running")
        watchdog_s = self._notifier.watchdog_s
        pause_s = min(TICK_S, watchdog_s / 3) if watchdog_s else TICK_S
        while not self._stop.is_set():
            self._wait(pause_s)
            self._look_at_hearts()
        self._notifier.tell("STOPPING=1")
        self._join(threads)
        if self._failure is not None:
            self._log.error("agent_failed", reason=self._failure)
        return self._failure is None

    def _wait(self, pause_s: float) -> None:
        ready, _, _ = select.select([self._wake_read], [], [], pause_s)
        if ready and any(number in {signal.SIGTERM, signal.SIGINT} for number in self._wake_read.recv(64)):
            self._log.info("stop_asked", by="signal")
            self._stop.set()

    def _look_at_hearts(self) -> None:
        now = time.monotonic()
        silent = [name for name, heart in self._hearts.items() if not heart.alive(now)]
        if not silent:
            self._notifier.tell("WATCHDOG=1")
            return
        names = ", ".join(silent)
        self.request_stop(failure=f"no sign of life from: {names}; the agent ends so that it can be started afresh")

    def _keep(self, loop: Loop) -> None:
        """Run one loop, again and again while its budget lasts."""
        budget = Budget(loop.restarts_max)
        heart = self._hearts[loop.name]
        while not self._stop.is_set():
            heart.beat()
            try:
                loop.run(self._stop, heart)
                reason = "it returned"
            except Exception as exc:  # noqa: BLE001 - a supervisor stands here
                reason = f"{type(exc).__name__}: {exc}"
                self._log.error("loop_failed", loop=loop.name, reason=reason, exc_info=exc)
            heart.rest()
            if self._stop.is_set():
                return
            pause_s = budget.failed(time.monotonic())
            if pause_s is None:
                self.request_stop(failure=f"loop {loop.name} failed more than {loop.restarts_max} times: {reason}")
                return
            self._log.info("loop_restarts", loop=loop.name, reason=reason, pause_s=pause_s)
            self._stop.wait(pause_s)

    def _join(self, threads: list[threading.Thread]) -> None:
        deadline = time.monotonic() + STOP_S_MAX
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                self._log.error("loop_hangs", loop=thread.name, reason=f"still busy {STOP_S_MAX:.0f} s after the stop")
        if threading.current_thread() is threading.main_thread():
            signal.set_wakeup_fd(-1)
        self._wake_read.close()
        self._wake_write.close()


def _leave_to_the_wakeup(_number: int, _frame: object) -> None:
    """Do nothing: the signal's number has been written to the wake-up socket."""
