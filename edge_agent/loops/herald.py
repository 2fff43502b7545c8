"""What a terminal says about itself: birth, state, heartbeat, and the topics it says it on."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from edge_agent.wire.codec import encode
from edge_agent.wire.messages import Birth, Heartbeat, TerminalState
from edge_agent.wire.topics import TerminalKind, terminal_topic

if TYPE_CHECKING:
    from edge_agent.clock import Clock
    from edge_agent.journal.store import Journal
    from edge_agent.loops.board import Board


class Herald:
    """One terminal's voice."""

    def __init__(
        self, *, site: str, terminal: str, journal: Journal, clock: Clock, board: Board, config_hash: str
    ) -> None:
        self.site = site
        self.terminal = terminal
        self._journal = journal
        self._clock = clock
        self._board = board
        self._config_hash = config_hash
        self.versions = versions()

    def topic(self, kind: TerminalKind) -> str:
        """Name this terminal's topic of a kind."""
        return terminal_topic(self.site, self.terminal, kind)

    def boot_data(self) -> dict[str, object]:
        """Return the data of the boot event."""
        return {"versions": self.versions, "config_hash": self._config_hash}

    def birth(self) -> bytes:
        """Say who connects, and how far its journal is."""
        reading, head, cursor = self._clock.read(), self._journal.head, self._journal.cursor
        return encode(
            Birth(
                journal_id=self._journal.journal_id,
                head_seq=head.seq,
                head_hash=head.hash,
                boot_id=reading.boot_id,
                at=reading.at,
                boottime_ns=reading.boottime_ns,
                clock_state=reading.state,
                clock_error_ms=reading.error_ms,
                versions=self.versions,
                config_hash=self._config_hash,
                roster_version=self._board.roster.version,
                durable=cursor.durable,
                epoch=cursor.epoch,
            )
        )

    def state(self, *, online: bool) -> bytes:
        """Say that this terminal is here, or away."""
        reading = self._clock.read()
        return encode(TerminalState(online=online, boot_id=reading.boot_id, at=reading.at))

    def absent(self) -> tuple[str, bytes]:
        """Make the retained message that says that this terminal is away: the will, and the farewell."""
        return self.topic("state"), self.state(online=False)

    def heartbeat(self, *, now: float) -> bytes:
        """Say how the terminal is; `now` in monotonic seconds.

        Head and cursor are looked at once each: a tap stored between two looks would make the numbers claim that
        central acknowledged more than it did, and central would take itself for restored from an older backup.
        """
        reading, head, cursor = self._clock.read(), self._journal.head, self._journal.cursor
        held = sum(last - first + 1 for first, last in cursor.have)
        return encode(
            Heartbeat(
                journal_id=self._journal.journal_id,
                boot_id=reading.boot_id,
                at=reading.at,
                boottime_ns=reading.boottime_ns,
                head_seq=head.seq,
                unacknowledged=max(0, head.seq - cursor.durable - held),
                free_bytes=self._journal.free_bytes,
                clock_state=reading.state,
                clock_error_ms=reading.error_ms,
                roster_version=self._board.roster.version,
                readers=self._board.reader_ages_s(now),
                durable=cursor.durable,
                epoch=cursor.epoch,
            )
        )


def versions() -> dict[str, str]:
    """Return what runs here: the agent and the interpreter."""
    try:
        agent = version("clean-construction-system")
    except PackageNotFoundError:  # run from a folder that was never installed
        agent = "unknown"
    return {"agent": agent, "python": platform.python_version()}
