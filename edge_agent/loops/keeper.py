"""Looks after the journal while nobody holds a card: folds its log back, deletes what may go, says what is wrong."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from edge_agent.journal.record import JournalFailed, JournalFull, JournalUnusable

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from structlog.typing import FilteringBoundLogger

    from edge_agent.clock import Clock
    from edge_agent.journal.store import Journal
    from edge_agent.loops.board import Board
    from edge_agent.supervisor import Heart

LOOK_S = 2.0
QUIET_S = 0.5
"""Housekeeping waits until no card was seen for so long …"""
PUT_OFF_S_MAX = 60.0
"""… but not longer than this."""
PRUNE_EVERY_S = 3600.0
GIVE_UP_S = 120.0
"""A journal that does not open again for so long is damaged: the agent ends, and its next start looks at the file."""
_TROUBLE = (JournalFailed, JournalFull, JournalUnusable, OSError)
"""What housekeeping may meet. A full disk never ends the agent: cards are answered red, and musters still fit."""


class KeeperLoop:
    """The journal's housekeeping, away from the tap path. `settle` is called at every look, whatever the disk says."""

    def __init__(
        self,
        *,
        journal: Journal,
        clock: Clock,
        board: Board,
        log: FilteringBoundLogger,
        settle: Callable[[], None] = lambda: None,
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._board = board
        self._log = log
        self._settle = settle
        self._trouble = ""
        self._failed_at: float | None = None

    def run(self, stop: threading.Event, heart: Heart) -> None:
        """Keep house until `stop`."""
        kept_at, pruned_at = time.monotonic(), time.monotonic() - PRUNE_EVERY_S
        while not stop.wait(LOOK_S):
            heart.beat()
            self._settle()
            now = time.monotonic()
            if now - self._board.tapped_at < QUIET_S and now - kept_at < PUT_OFF_S_MAX:
                continue
            kept_at = now
            self._maintain(now)
            if now - pruned_at >= PRUNE_EVERY_S:
                pruned_at = now
                self._prune()

    def _maintain(self, now: float) -> None:
        try:
            trouble = self._journal.maintain().trouble
            self._failed_at = None
        except JournalFailed as exc:
            trouble = str(exc)
            self._failed_at = now if self._failed_at is None else self._failed_at
        except _TROUBLE as exc:
            trouble = str(exc)
        if trouble and trouble != self._trouble:
            self._log.error("journal_trouble", detail=trouble)
        self._trouble = trouble
        if self._failed_at is not None and now - self._failed_at >= GIVE_UP_S:
            raise JournalFailed(f"the journal has failed for {GIVE_UP_S:.0f} s: {trouble}")

    def _prune(self) -> None:
        try:
            deleted = self._journal.prune(self._clock.read())
        except _TROUBLE as exc:
            self._log.error("journal_not_pruned", reason=str(exc))
            return
        if deleted:
            self._log.info("journal_pruned", deleted=deleted, why="held by central for longer than they must be kept")
