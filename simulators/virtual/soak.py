"""Seed after seed until told to stop, in several processes, with a record of what was run and what was found."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing import get_context
from typing import TYPE_CHECKING

from simulators.virtual.plan import plan_of
from simulators.virtual.run import commit, play, report, shrink

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.context import ForkServerContext
    from pathlib import Path

    from simulators.virtual.run import Result

RUNS_A_PROCESS_MAX = 500
"""After so many a process is replaced: memory that leaks would hide in a soak for hours."""
WAITING_A_PROCESS = 2


@dataclass(slots=True)
class Soaked:
    """What a soak has come to."""

    first_seed: int
    seeds: int = 0
    terminal_hours: float = 0.0
    promised: int = 0
    elapsed_s: float = 0.0
    sometimes: Counter[str] = field(default_factory=Counter)
    failures: list[int] = field(default_factory=list)

    def add(self, result: Result) -> None:
        """Count one run."""
        self.seeds += 1
        self.terminal_hours += result.plan.terminal_hours
        self.promised += result.promised
        self.sometimes.update(result.sometimes)
        if not result.ok:
            self.failures.append(result.plan.seed)

    def record(self) -> dict[str, object]:
        """Return what goes into the file."""
        return {
            "ended_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "commit": commit(),
            "first_seed": self.first_seed,
            "seeds": self.seeds,
            "terminal_hours": round(self.terminal_hours),
            "taps_shown": self.promised,
            "elapsed_s": round(self.elapsed_s),
            "failures": sorted(self.failures),
            "sometimes": dict(sorted(self.sometimes.items())),
        }


class Soak:
    """Runs seeds from `first_seed` on. `stop()` lets the running ones end; failures are shrunk and written down."""

    def __init__(self, folder: Path, *, first_seed: int, processes: int) -> None:
        self._folder = folder
        self._processes = processes
        self._stopping = False
        self.soaked = Soaked(first_seed)

    def stop(self) -> None:
        """Begin no more runs."""
        self._stopping = True

    def run(self, *, seeds_max: int | None, seconds_max: float | None, told: Callable[[Soaked], None]) -> Soaked:
        """Run until told to stop, or to a limit; append the summary to `soak.jsonl`."""
        started = time.monotonic()
        soaked = self.soaked
        self._folder.mkdir(parents=True, exist_ok=True)
        next_seed = soaked.first_seed
        with ProcessPoolExecutor(
            self._processes,
            mp_context=_context(),
            initializer=_ignore_interrupts,
            max_tasks_per_child=RUNS_A_PROCESS_MAX,
        ) as pool:
            running: set[Future[Result]] = set()
            while running or not self._stopping:
                while not self._stopping and len(running) < self._processes * WAITING_A_PROCESS:
                    running.add(pool.submit(_play_seed, next_seed))
                    next_seed += 1
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for one in done:
                    self._take(one.result(), pool)
                soaked.elapsed_s = time.monotonic() - started
                told(soaked)
                self._stopping = (
                    self._stopping
                    or (seeds_max is not None and next_seed >= soaked.first_seed + seeds_max)
                    or (seconds_max is not None and soaked.elapsed_s >= seconds_max)
                )
        with (self._folder / "soak.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(soaked.record(), ensure_ascii=False) + "\n")
        return soaked

    def _take(self, result: Result, pool: ProcessPoolExecutor) -> None:
        self.soaked.add(result)
        if result.ok:
            return
        name = self._folder / f"failure-{result.plan.seed}"
        name.with_suffix(".txt").write_text(report(result) + "\n", encoding="utf-8")
        smallest = pool.submit(shrink, result).result()
        name.with_suffix(".trace").write_bytes(smallest.trace)
        text = f"{report(result)}\n\nThe smallest run found that fails alike:\n\n{report(smallest)}\n"
        name.with_suffix(".txt").write_text(text, encoding="utf-8")


def _context() -> ForkServerContext:
    """Fork every process from one that has loaded the code: an edit made meanwhile changes nothing."""
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _play_seed(seed: int) -> Result:
    return play(plan_of(seed))
