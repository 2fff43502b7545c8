"""One life of the agent in virtual time: the product's loops around one open journal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from edge_agent.journal.record import JournalFailed, JournalFull, JournalLimits
from edge_agent.loops.board import Board
from edge_agent.loops.gate import Gate
from edge_agent.loops.heartbeat import HeartbeatLoop
from edge_agent.loops.herald import Herald
from edge_agent.loops.uplink import UplinkLoop
from edge_agent.readers.base import ReaderConfig
from edge_agent.wire.messages import BOOT
from simulators.virtual.link import VirtualLink
from simulators.virtual.plan import KEEP_WINDOW

if TYPE_CHECKING:
    from edge_agent.clock import SystemClock
    from edge_agent.journal.store import Journal
    from simulators.virtual.terminal import Terminal

KIB = 1024
LIMITS = JournalLimits(
    keep_window=KEEP_WINDOW,
    reserve_bytes=64 * KIB,
    floor_bytes=96 * KIB,
    wal_bytes=64 * KIB,
    wal_bytes_idle_max=32 * KIB,
    wal_bytes_hard_max=256 * KIB,
)
CARD_KEY = b"k" * 32
READERS = (
    ReaderConfig("r-in", "socket", "", "in", "gate"),
    ReaderConfig("r-out", "socket", "", "out", "gate"),
    ReaderConfig("r-tap", "socket", "", "tap", "gate"),
    ReaderConfig("r-muster", "socket", "", "muster", "gate"),
)


class Process:
    """One life of the agent. Made anew at each start, dropped at each death."""

    def __init__(self, terminal: Terminal, journal: Journal, clock: SystemClock) -> None:
        world = terminal.world
        self.journal, self.clock = journal, clock
        log = cast("Any", terminal.log)
        board = Board(terminal.roster, {one.name: 0.0 for one in READERS}, tapped_at=0.0)
        herald = Herald(
            site=terminal.site, terminal=terminal.code, journal=journal, clock=clock, board=board, config_hash="virtual"
        )
        herald.versions = {"agent": "virtual"}
        self.uplink = UplinkLoop(
            herald=herald,
            journal=journal,
            board=board,
            tell_screens=lambda: None,
            pass_down=lambda _topic, _payload: None,
            log=log,
        )
        self.gate = Gate(
            journal=journal,
            clock=clock,
            board=board,
            card_key=CARD_KEY,
            readers=READERS,
            displays=(),
            appended=terminal.appended,
            log=log,
        )
        try:
            journal.append(type_=BOOT, data=herald.boot_data())
        except (JournalFull, JournalFailed) as exc:
            log.error("boot_not_recorded", reason=str(exc))  # noqa: TRY400 - it is expected here
        self.link = VirtualLink(world, terminal.broker, client_id=terminal.code, report=terminal.report)
        link = cast("Any", self.link)
        self.uplink.use(link)
        self.heartbeat = HeartbeatLoop(
            period_s=world.plan.heartbeat_s,
            herald=herald,
            journal=journal,
            clock=clock,
            uplink=self.uplink,
            link=link,
            log=log,
        )
        self.pruned_us = world.now_us
        self.wakes_us: int | None = None


def abandon(journal: Journal) -> None:
    """Let go of a journal as the kernel does for a dead process: nothing is written, the lock is free."""
    journal._handles.close()  # noqa: SLF001 - a dead process closes nothing in order
    journal._lock.release()  # noqa: SLF001
