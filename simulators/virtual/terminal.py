"""A terminal in virtual time: the real gate, journal, uplink and heartbeat on a simulated disk, clock and network."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, cast

from edge_agent.clock import SystemClock
from edge_agent.journal.record import JournalFailed, JournalFull, JournalUnusable
from edge_agent.journal.recovery import set_aside
from edge_agent.journal.store import Journal
from edge_agent.loops.keeper import GIVE_UP_S
from edge_agent.loops.uplink import Appended
from edge_agent.readers.base import CardSeen
from simulators.virtual.disk import MAIN_DB, MachineDied
from simulators.virtual.ledger import Promise
from simulators.virtual.machine_clock import MachineClock
from simulators.virtual.plan import KEEP_WINDOW
from simulators.virtual.process import LIMITS, Process, abandon
from simulators.virtual.world import Violation, VirtualLog

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_agent.readers.base import Answer
    from edge_agent.tap.roster import RosterView
    from edge_agent.transport.mqtt import LinkReport
    from simulators.virtual.broker import Broker
    from simulators.virtual.disk import VirtualDisk
    from simulators.virtual.ledger import Ledger
    from simulators.virtual.world import World

READ_BYTES_MAX = 1 << 20
KEEPER_S = 120.0
PRUNE_S = 1800.0
REFUSING_S = 60.0
RESTART_S = 2.0
"""After which the service manager starts a dead agent."""


class Terminal:
    """One machine: disk, clocks, and the agent while it lives."""

    def __init__(
        self,
        world: World,
        broker: Broker,
        ledger: Ledger,
        *,
        code: str,
        name: str,
        disk: VirtualDisk,
        roster: RosterView,
    ) -> None:
        self.world, self.broker, self.ledger = world, broker, ledger
        self.site, self.code, self.name = roster.site, code, name
        self.roster = roster
        self.disk = disk
        self.clock = MachineClock(world, name)
        self.log = VirtualLog(world, name)
        self.log.heard = self._heard
        self.process: Process | None = None
        self.powered = False
        self.forked = False
        self.journal_id = ""
        """The journal on this disk, as far as it was ever opened."""
        self.life = 0
        self.held_for_s: Callable[[str, int], float | None] = lambda _journal_id, _seq: None
        """How long central has held an event, None when it does not."""
        self.boots_again: Callable[[Terminal], None] = lambda _terminal: None
        """What brings a machine back that lost its power."""
        self._vfs = ""
        self._told = False
        self._failed_us: int | None = None
        self._promised: tuple[str, int, str] = ("", 0, "")
        self._acknowledged: tuple[str, int, int] = ("", 0, 0)

    def use(self, vfs: str) -> None:
        """Name the VFS of the disk."""
        self._vfs = vfs

    def _heard(self, event: str, _fields: dict[str, Any]) -> None:
        if event == "forked_journal":
            self.forked = True

    def boot(self, *, synced: bool = True, wrong: bool = False) -> None:
        """Switch the machine on."""
        self.powered = True
        self.clock.boot(synced=synced, wrong=wrong)
        self.world.note(self.name, f"boots, clock {'wrong' if wrong else 'synced' if synced else 'from battery'}")
        self.start()

    def start(self) -> None:
        """Start the agent, as its service manager does; again and again when the journal does not open."""
        if not self.powered or self.process is not None:
            return
        self.life += 1
        self.disk.dead = False
        clock = SystemClock(kernel=cast("Any", self.clock), boot_id=self.clock.boot_id)
        try:
            journal = Journal.open(
                self.disk.folder / MAIN_DB,
                site=self.site,
                terminal=self.code,
                clock=clock,
                limits=LIMITS,
                vfs=self._vfs,
            )
        except (JournalUnusable, MachineDied) as exc:
            if not self._is_dead("while it opened the journal"):
                self.log.error("journal_unusable", reason=str(exc))  # noqa: TRY400 - it is expected here
                self._again()
            return
        self._begin(journal, clock)

    def _begin(self, journal: Journal, clock: SystemClock) -> None:
        try:
            previous = journal.last_reading()
            if previous is not None:
                clock.resume(previous)
            self._compare(journal)
            self.process = Process(self, journal, clock)
        except (JournalFailed, JournalFull, MachineDied) as exc:
            abandon(journal)
            if not self._is_dead("while it began"):
                self.log.error("agent_not_started", reason=str(exc))  # noqa: TRY400 - it is expected here
                self._again()
            return
        if self._is_dead("while it began"):
            return
        self.journal_id = journal.journal_id
        lost = journal.lost
        if lost is not None:
            self.world.saw("journal replaced, loss announced")
        self.world.note(self.name, f"runs journal {journal.journal_id} at {journal.head.seq}, lost {lost}")
        self.world.after(KEEPER_S, self._keep, self.life)
        self.world.after(1.0, self._beat, self.life)

    def _again(self) -> None:
        self.process = None
        self.world.after(REFUSING_S, self.start)

    def _compare(self, journal: Journal) -> None:
        """What this disk promised last must be on it, unless it was damaged or exchanged (DUR-01)."""
        journal_id, seq, digest = self._promised
        if journal_id != journal.journal_id or self.name in self.ledger.rotten:
            return
        if journal.head.seq < seq:
            raise Violation(
                f"{self.name}: event {seq} was shown, after the restart the journal ends at {journal.head.seq}"
            )
        found = journal.read(seq - 1, events_max=1, bytes_max=1 << 20)
        if not found or found[0].seq != seq or found[0].hash != digest:
            raise Violation(f"{self.name}: event {seq} was shown and is not what the disk holds after the restart")

    def forget_promises(self) -> None:
        """The disk is another one now."""
        self.journal_id = ""
        self._acknowledged = ("", 0, 0)
        self._promised = ("", 0, "")

    def step(self, item: LinkReport | Appended | None) -> None:
        """Give the uplink one report, and wake it when it wants."""
        process = self.process
        if process is None:
            return
        try:
            process.uplink.step(item, self.world.now_s)
        except (JournalFailed, MachineDied) as exc:
            if not self.disk.dead:
                # As its supervisor does: the loop starts over with a new connection.
                self.log.warning("uplink_restarted", reason=str(exc))
                process.uplink.start_over()
        if not self._is_dead("in the uplink"):
            self._never_back(process)
            self._wake(process)

    def _never_back(self, process: Process) -> None:
        """The cursor goes back only when central's epoch rises."""
        cursor = process.journal.cursor
        seen = (process.journal.journal_id, cursor.epoch, cursor.durable)
        if seen == self._acknowledged:
            return
        before, self._acknowledged = self._acknowledged, seen
        if before[0] == seen[0] and before[1:] > seen[1:] and self.name not in self.ledger.rotten:
            raise Violation(
                f"{self.name}: the cursor went from {before[2]} in epoch {before[1]} to {seen[2]} in {seen[1]}"
            )
        if before[0] == seen[0] and before[2] > seen[2]:
            self.world.saw("cursor moved back in a new epoch")

    def appended(self) -> None:
        """The gate has stored something: the uplink's own turn comes after the gate's."""
        if not self._told:
            self._told = True
            self.world.after(0.0, self._grown)

    def _grown(self) -> None:
        self._told = False
        self.step(Appended())

    def _wake(self, process: Process) -> None:
        wakes_at = process.uplink.wakes_at()
        if wakes_at is None:
            return
        wakes_us = max(self.world.now_us + 1000, int(wakes_at * 1e6) + 1)
        if process.wakes_us is None or wakes_us < process.wakes_us:
            process.wakes_us = wakes_us
            self.world.after((wakes_us - self.world.now_us) / 1e6, self._woken, process, wakes_us)

    def _woken(self, process: Process, wakes_us: int) -> None:
        if self.process is process and process.wakes_us == wakes_us:
            process.wakes_us = None
            self.step(None)

    def report(self, report: LinkReport) -> None:
        """Take what the link has to say."""
        self.step(report)

    def tap(self, card: CardSeen) -> Answer | None:
        """Hold a card to a reader; return what was shown, None when nothing answered."""
        process = self.process
        if process is None:
            self.world.saw("card held to a dead terminal")
            return None
        answer = None
        with contextlib.suppress(MachineDied):
            answer = process.gate.handle(card)
        if answer is not None and answer.seq:
            self._shown(process, card, answer)
        elif answer is not None and not self.disk.dead:
            self.world.note(self.name, f"{card.reader} {answer.shown} {answer.decision}")
            self.world.saw("card refused: not recorded")
        self._is_dead("in a tap")
        return answer

    def has(self, seq: int, digest: str) -> bool:
        """Whether the running agent's journal holds this event; a disk that fails at this moment is not a lost one."""
        assert self.process is not None  # noqa: S101 - asked of running agents
        try:
            found = self.process.journal.read(seq - 1, events_max=1, bytes_max=READ_BYTES_MAX)
        except (JournalFailed, MachineDied):
            self._is_dead("while it was read")
            return True
        return bool(found) and (found[0].seq, found[0].hash) == (seq, digest)

    def _shown(self, process: Process, card: CardSeen, answer: Answer) -> None:
        head = process.journal.head
        if (process.journal.journal_id, head.seq) != (answer.journal_id, answer.seq):
            raise Violation(
                f"{self.name}: {answer.shown} was shown for event {answer.seq}, the journal ends at {head.seq}"
            )
        self._promised = (answer.journal_id, answer.seq, head.hash)
        self.ledger.promise(answer.journal_id, answer.seq, Promise(head.hash, self.name, self.world.now_us))
        self.world.note(self.name, f"{card.reader} {answer.shown} {answer.decision} {answer.seq} {head.hash[:12]}")

    def _beat(self, life: int) -> None:
        process = self.process
        if process is None or life != self.life:
            return
        with contextlib.suppress(MachineDied):
            process.heartbeat.turn(self.world.now_s)
        if self._is_dead("in a heartbeat"):
            return
        self.step(Appended())
        self.world.after(self.world.plan.heartbeat_s, self._beat, life)

    def _keep(self, life: int) -> None:
        process = self.process
        if process is None or life != self.life:
            return
        try:
            process.journal.maintain()
            if self.world.now_us - process.pruned_us >= PRUNE_S * 1e6:
                self._prune(process)
            self._failed_us = None
        except (JournalFailed, JournalFull, JournalUnusable, OSError, MachineDied) as exc:
            if not self.disk.dead:
                self.log.error("journal_trouble", reason=str(exc))  # noqa: TRY400 - it is expected here
                if isinstance(exc, JournalFailed) and self._gives_up():
                    return
        if not self._is_dead("while it kept house"):
            self.world.after(KEEPER_S, self._keep, life)

    def _gives_up(self) -> bool:
        """As the product's keeper: a journal that stays broken ends the agent, and the next start looks at the file."""
        now_us = self.world.now_us
        self._failed_us = now_us if self._failed_us is None else self._failed_us
        if now_us - self._failed_us < GIVE_UP_S * 1e6:
            return False
        self.world.saw("agent ended because its journal stayed broken")
        self._failed_us = None
        self.kill(power=False)
        self.world.after(RESTART_S, self.start)
        return True

    def _prune(self, process: Process) -> None:
        """Delete what may go, and see that it might: central has held each for the keep window (DUR-03, DUR-04)."""
        process.pruned_us = self.world.now_us
        journal = process.journal
        before = journal._view().first_seq()  # noqa: SLF001 - what nobody else needs to ask
        deleted = journal.prune(process.clock.read())
        if not deleted:
            return
        self.world.note(self.name, f"prunes {deleted} events")
        self.world.saw("old events deleted at the edge")
        for seq in range(before, before + deleted):
            held_s = self.held_for_s(journal.journal_id, seq)
            if held_s is None or held_s < KEEP_WINDOW.total_seconds():
                raise Violation(
                    f"{self.name}: event {seq} was deleted, although central holds it"
                    + (" not" if held_s is None else f" only for {held_s:.0f} s of {KEEP_WINDOW.total_seconds():.0f}")
                )

    def _is_dead(self, where: str) -> bool:
        """Whether the process has just ended inside a disk operation; SQLite may have made another error of it."""
        if not self.disk.dead:
            return False
        self.world.note(self.name, f"dies {where}")
        self.world.saw(f"died {where}")
        self.kill(power=self.disk.power_goes)
        if self.powered:
            self.world.after(RESTART_S, self.start)
        else:
            self.boots_again(self)
        return True

    def kill(self, *, power: bool) -> None:
        """End the process; with `power` the whole machine, and with it what was not synced."""
        process, self.process = self.process, None
        self.disk.dead = True
        self.life += 1
        if process is not None:
            process.link.close()
            abandon(process.journal)
        self.disk.dies_in = None
        if power:
            self.powered = False
            lost = self.disk.cut_power()
            self.world.note(self.name, f"loses power with {lost} unsynced writes")
            if lost:
                self.world.saw("power cut with unsynced writes")

    def set_aside(self) -> None:
        """An operator's answer to a forked journal: `ccs-edge journal set-aside`, then a new start."""
        self.kill(power=False)
        self.disk.dead = False
        path = self.disk.folder / MAIN_DB
        if path.exists():
            set_aside(path, "two files wrote the same numbers", vfs=self._vfs)
            self.world.note(self.name, "operator sets the journal aside")
            self.world.saw("forked journal set aside by an operator")
        self.forked = False
        self.forget_promises()
        self.start()
