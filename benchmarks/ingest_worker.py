"""The worker process that `benchmarks.ingest` times: the worker itself, with a stopwatch."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import structlog

from central.kit.config import Settings
from central.worker import Worker, calm_collector

if TYPE_CHECKING:
    from collections.abc import Iterable
    from multiprocessing.connection import Connection
    from multiprocessing.sharedctypes import Synchronized
    from multiprocessing.synchronize import Barrier, Event

    from central.kit.mqtt_packets import Inbound

START_S_MAX = 120.0


class Sitting(NamedTuple):
    """What one worker process saw: seconds of the monotonic clock, seconds of processor time, megabytes."""

    first: float
    last: float
    processor_s: float
    peak_mb: float


def peak_mb() -> float:
    """Read this process's peak resident memory; `getrusage` counts that of the process it was forked from, too."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM:"))


class TimedWorker(Worker):
    """The worker itself, with a stopwatch on its first message and its last PUBACK."""

    def __init__(self, settings: Settings, *, name: str, left: Synchronized[int], done: Event) -> None:
        """`left` counts the messages of all workers together; `done` says that the last is acknowledged."""
        self.first = self.last = self.processor_s = 0.0
        self._processor_first_s = 0.0
        self._left, self._done = left, done
        super().__init__(settings, name=name)
        self._acknowledge = self._mqtt.acknowledge
        self._mqtt.acknowledge = self._count  # type: ignore[method-assign]  # the stopwatch

    def _receive(self, messages: list[Inbound]) -> None:
        if not self.first:
            self.first, self._processor_first_s = time.monotonic(), time.process_time()
        super()._receive(messages)

    def _count(self, messages: Iterable[Inbound]) -> int:
        sent = self._acknowledge(messages)
        self.last, self.processor_s = time.monotonic(), time.process_time() - self._processor_first_s
        with self._left.get_lock():
            self._left.value -= sent
            if self._left.value <= 0:
                self._done.set()
        return sent


def work(  # noqa: PLR0917 - a process takes its arguments by position
    database_url: str,
    mqtt_url: str,
    name: str,
    left: Synchronized[int],
    done: Event,
    together: Barrier,
    answer: Connection,
) -> None:
    """Be a worker process: begin with the others, stop when all is acknowledged, and say what it took."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    worker = TimedWorker(Settings(database_url=database_url, mqtt_url=mqtt_url), name=name, left=left, done=done)
    calm_collector()
    stop = threading.Event()

    def end() -> None:
        done.wait()
        stop.set()

    threading.Thread(target=end, daemon=True).start()
    together.wait(START_S_MAX)
    worker.run(stop)
    answer.send(Sitting(worker.first, worker.last, worker.processor_s, peak_mb()))
