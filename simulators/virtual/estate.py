"""Everything that runs: terminals, their twins, broker, workers, database, and the people who tap."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from edge_agent.readers.base import CardSeen
from edge_agent.tap.roster import RosterView
from edge_agent.wire.ids import card_token
from edge_agent.wire.messages import Credential, RosterEntry
from simulators.virtual.broker import Broker
from simulators.virtual.database import VirtualDatabase
from simulators.virtual.disk import VirtualDisk, VirtualDisks
from simulators.virtual.ledger import Ledger
from simulators.virtual.link import NOTICED_S_MAX
from simulators.virtual.plan import CALM_H
from simulators.virtual.process import CARD_KEY, READERS
from simulators.virtual.terminal import Terminal
from simulators.virtual.worker import Central, Worker

if TYPE_CHECKING:
    import random

    from simulators.virtual.world import World

SITE = "site-01"
CARDS = 24
UNKNOWN_CARDS = 3
BARRED_CARDS = 2
WORKERLESS_CARDS = 4
"""Cards that no worker holds, from central's point of view."""
CREDENTIALS = (
    Credential("desfire_ev2", 3, 2),
    Credential("ntag424_sdm", 2),
    Credential("felica_mac", 1),
    Credential("id_only", 0),
)
QUIET_S = 1800.0
"""At the end nobody taps any more, so that all can be acknowledged."""
BURST_SHARE = 0.1
BURST_TAPS_MAX = 12


class VirtualEstate:
    """One run's machines. `disks` is the VFS they share."""

    def __init__(self, world: World, disks: VirtualDisks) -> None:
        self.world = world
        self.root = world.root
        self._disks = disks
        self._numbers = itertools.count(1)
        self.ledger = Ledger()
        self.broker = Broker(world)
        self._cards = [number.to_bytes(7, "big") for number in range(1, CARDS + 1)]
        tokens = [card_token(CARD_KEY, card) for card in self._cards]
        self.roster = _roster(tokens)
        codes = [f"gate-{number:02d}" for number in range(1, world.plan.terminals + 1)]
        holders = {bytes.fromhex(token): number for number, token in enumerate(tokens[:-WORKERLESS_CARDS], 1)}
        self.database = VirtualDatabase(SITE, codes, holders)
        self.central = Central(world, self.database)
        self.workers = [Worker(f"worker-{n}", self.central, self.broker) for n in range(1, world.plan.workers + 1)]
        self.terminals = [self._terminal(code, code) for code in codes]
        self.twins: list[Terminal] = []
        self.restores = 0
        self._last_tap_us = world.faults_end_us + int((CALM_H * 3600 - QUIET_S) * 1e6)

    def start(self) -> None:
        """Switch everything on."""
        for worker in self.workers:
            worker.start()
        for terminal in self.terminals:
            terminal.boot()
            self._people(terminal, self.world.chance(f"people {terminal.name}"))

    def _terminal(self, code: str, name: str) -> Terminal:
        folder = self.root / name
        disk = VirtualDisk(folder, self.world.chance(f"disk {name}"))
        self._disks.disks[str(folder)] = disk
        terminal = Terminal(self.world, self.broker, self.ledger, code=code, name=name, disk=disk, roster=self.roster)
        terminal.use(self._disks.name)
        terminal.held_for_s = self._held_for_s
        return terminal

    def _held_for_s(self, journal_id: str, seq: int) -> float | None:
        row = self.database.tables.events.get(journal_id, {}).get(seq)
        return None if row is None else (self.world.now - row.received_at).total_seconds()

    def _people(self, terminal: Terminal, chance: random.Random) -> None:
        self.world.after(chance.expovariate(self.world.plan.taps_an_hour / 3600), self._tap, terminal, chance)

    def _tap(self, terminal: Terminal, chance: random.Random) -> None:
        """Somebody taps, sometimes a whole crew one behind the other; a card held twice is common."""
        if terminal not in (*self.terminals, *self.twins) or self.world.now_us >= self._last_tap_us:
            return
        crew = chance.randint(2, BURST_TAPS_MAX) if chance.random() < BURST_SHARE else 1
        wait_s = 0.0
        for _ in range(crew):
            card = self._card(chance)
            self.world.after(wait_s, terminal.tap, card)
            if chance.random() < BURST_SHARE:
                self.world.after(wait_s + 1.5, terminal.tap, card)
            wait_s += chance.uniform(0.5, 4.0)
        self._people(terminal, chance)

    def _card(self, chance: random.Random) -> CardSeen:
        reader = chance.choices(READERS, weights=(6, 6, 2, 1))[0]
        authentic = chance.random() > 0.03  # noqa: PLR2004 - now and then a copied card
        credential = chance.choice(CREDENTIALS) if authentic else CREDENTIALS[-1]
        return CardSeen(reader.name, chance.choice(self._cards), credential, authentic)

    def starve(self, code: str) -> None:
        """A line is dead: both ends notice only when keepalive has passed."""
        for terminal in (*self.terminals, *self.twins):
            if terminal.code == code and terminal.process is not None:
                link = terminal.process.link
                self.world.after(NOTICED_S_MAX, link.starve, link.connection)

    def destroy(self, terminal: Terminal) -> None:
        """Note what goes with a disk: events of it that central does not hold at this moment."""
        events = self.database.tables.events
        for (journal_id, seq), promises in self.ledger.promised.items():
            held = events.get(journal_id, {}).get(seq)
            for one in promises:
                if one.terminal == terminal.name and (held is None or held.hash.hex() != one.hash):
                    self.ledger.destroyed.add((journal_id, seq, one.hash))
        self.ledger.gone.add(terminal.name)

    def lay_aside(self, terminal: Terminal) -> None:
        """An operator sets a journal aside: what its cursor takes for held, and central lost since, stays there."""
        cursor = terminal.process.journal.cursor if terminal.process is not None else None
        rows = self.database.tables.events.get(terminal.journal_id, {})
        for (journal_id, seq), promises in self.ledger.promised.items():
            if journal_id == terminal.journal_id and (cursor is None or seq <= cursor.durable):
                held = rows[seq].hash.hex() if seq in rows else ""
                others = [one for one in promises if one.terminal == terminal.name and one.hash != held]
                self.ledger.destroyed.update((journal_id, seq, one.hash) for one in others)
        terminal.set_aside()

    def clone(self, terminal: Terminal) -> Terminal:
        """Make a second machine from a copy of a disk, with the same configuration."""
        twin = self._terminal(terminal.code, f"{terminal.code}-twin-{next(self._numbers)}")
        image = self.root / "clone"
        terminal.disk.copy_to(image)
        twin.disk.replace_by(image)
        self.twins.append(twin)
        self.world.note(terminal.name, f"its disk is cloned into {twin.name}")
        self._people(twin, self.world.chance(f"people {twin.name}"))
        return twin

    def retire(self, twin: Terminal) -> None:
        """Take the second machine away, with its disk."""
        if twin not in self.twins:
            return
        self.twins.remove(twin)
        twin.kill(power=True)
        self.destroy(twin)
        self.world.note(twin.name, "is taken away")

    def restore(self, tables: Any, *, age_s: float) -> None:  # noqa: ANN401 - `Tables`
        """Put central back to an older backup."""
        before = self.database.tables.events
        lost = 0
        for journal_id, rows in before.items():
            missing = rows.keys() - tables.events.get(journal_id, {}).keys()
            lost += len(missing)
            gone = sorted(seq for seq in missing if not self._on_a_disk(journal_id, seq, rows[seq].hash.hex()))
            self.ledger.destroyed.update((journal_id, seq, rows[seq].hash.hex()) for seq in gone)
        for key in self.database.tables.aside.keys() - tables.aside.keys():
            where, seq = self.database.tables.aside[key]
            if where and seq and not self._on_a_disk(where, seq, key[0].hex()):
                self.ledger.destroyed.add((where, seq, key[0].hex()))
        self.database.tables = tables.copied()
        self.world.note("database", f"is restored from a backup {age_s:.0f} s old, {lost} events fewer")
        self.restores += 1
        self.world.saw("central restored from an older backup" if lost else "central restored, nothing missing")

    def _on_a_disk(self, journal_id: str, seq: int, digest: str) -> bool:
        """Whether a terminal could send an event again. What an operator set aside or took away cannot come back."""
        for terminal in self.terminals:
            if terminal.journal_id != journal_id:
                continue
            if terminal.process is not None:
                return terminal.has(seq, digest)
            promises = self.ledger.promised.get((journal_id, seq), [])
            return terminal.name not in self.ledger.gone and (
                not promises or any(one.hash == digest and one.terminal == terminal.name for one in promises)
            )
        return False


def _roster(tokens: Sequence[str]) -> RosterView:
    known = tokens[UNKNOWN_CARDS:]
    entries = {
        token: RosterEntry(
            token, f"w{number}", f"김철{number}", barred="no training" if number < BARRED_CARDS else None
        )
        for number, token in enumerate(known)
    }
    return RosterView(SITE, 1, None, MappingProxyType(entries))


@contextmanager
def virtual_ground(world: World, disks: VirtualDisks) -> Iterator[None]:
    """Let the journal ask the simulated disk for space, and the run for its ids."""
    modules = [module for name, module in sorted(sys.modules.items()) if name.startswith("edge_agent.journal.")]
    replaced: dict[str, Callable[..., object]] = {
        "free_bytes": disks.free_bytes,
        "new_journal_id": world.new_journal_id,
    }
    planted = [(one, name, function) for one in modules for name, function in replaced.items() if hasattr(one, name)]
    before = [(module, name, getattr(module, name)) for module, name, _ in planted]
    try:
        for module, name, function in planted:
            setattr(module, name, function)
        yield
    finally:
        for module, name, function in before:
            setattr(module, name, function)
        disks.disks.clear()
