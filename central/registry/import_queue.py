"""Runs of imports in a web process: one at a time, in a thread of their own, so that no page waits for them.

What waits lives in this process alone, as its asker's reach does. It says now and then that it is not lost; when the
process ends in order it goes back to where it began, and when it does not, it is given up after `RUN_S_MAX`.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psycopg
import structlog
from sqlalchemy.exc import SQLAlchemyError

from central.kit.db import write_session
from central.registry import imports

if TYPE_CHECKING:
    from concurrent.futures import Future

    from sqlalchemy import Engine

    from central.kit.clock import Clock
    from central.registry.import_runs import Run

BEAT_S = 30

_log = structlog.get_logger()


class ImportQueue:
    """Takes runs and does them in order. How many may wait is `imports.check_room`'s to say."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._held: set[int] = set()
        self._stopping = threading.Event()
        self._thread = ThreadPoolExecutor(1, "imports")

    def add(self, run: Run) -> None:
        """Let a run wait for its turn; returns at once."""
        self._held.add(run.import_id)
        try:
            begun = self._thread.submit(run, self._stopping.is_set)
        except RuntimeError:  # asked for in the last instant of the process: it goes back like all others
            run(self._stopping.is_set)
        else:
            begun.add_done_callback(lambda done: self._ended(run, done))

    def say_held(self) -> None:
        """Say of what waits or runs here that it is not lost. Blocks."""
        held = sorted(self._held.copy())
        if held:
            with write_session(self._engine) as session:
                imports.say_heard_of(session, held, now=self._clock.now())

    async def beat(self) -> None:
        """Say it every half a minute, until cancelled."""
        while True:
            await asyncio.sleep(BEAT_S)
            try:
                await asyncio.to_thread(self.say_held)
            except (psycopg.Error, SQLAlchemyError) as error:
                _log.warning("imports_not_told_of", error=str(error).strip()[:300])

    def close(self) -> None:
        """End what runs at its next row and what waits at once, each back where it began. Blocks until then."""
        self._stopping.set()
        self._thread.shutdown()

    def _ended(self, run: Run, done: Future[None]) -> None:
        self._held.discard(run.import_id)
        if error := done.exception():
            _log.error("import_run_failed", id=run.import_id, exc_info=error)
