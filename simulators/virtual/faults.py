"""What befalls the system, kind by kind. Each kind has its own source of chance and stops when the calm begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulators.virtual.plan import BACKUP_AGE_H_MAX

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from pathlib import Path

    from simulators.virtual.estate import VirtualEstate
    from simulators.virtual.terminal import Terminal
    from simulators.virtual.worker import Worker

EVERY_S = {
    "kill_edge": 2400.0,
    "power_cut": 3600.0,
    "io_error": 2400.0,
    "disk_full": 5400.0,
    "rot": 9000.0,
    "swap": 14400.0,
    "image": 14400.0,
    "twin": 14400.0,
    "clock": 3600.0,
    "partition": 2400.0,
    "loss": 3600.0,
    "broker": 3600.0,
    "worker": 1800.0,
    "database": 3600.0,
    "restore": 9000.0,
}
"""How long it takes on average until the next of a kind."""
BACKUP_EVERY_S = 1200.0
COMMITTED_FIRST = 0.3
"""Of the workers' deaths, how many wait for the moment between commit and acknowledgement."""
OPERATOR_S = (120.0, 900.0)
"""How long until somebody answers an alarm."""


class Faults:
    """Plans every fault of a run, and heals everything when the calm begins."""

    def __init__(self, estate: VirtualEstate) -> None:
        self._estate = estate
        self._world = estate.world
        self._images: dict[str, Path] = {}
        self._backups: list[tuple[float, object]] = []
        kinds: dict[str, Callable[[random.Random], None]] = {name: getattr(self, f"_{name}") for name in EVERY_S}
        for name, strike in kinds.items():
            if name in self._world.plan.faults:
                self._next(name, strike, self._world.chance(f"fault {name}"))
        self._operator = self._world.chance("operator")
        self._mains = self._world.chance("mains")
        for terminal in estate.terminals:
            terminal.boots_again = self._back_later
        self._world.after(60.0, self._watch)
        self._world.after(BACKUP_EVERY_S, self._back_up)
        self._world.after(self._world.faults_end_us / 1e6, self._heal)

    def _next(self, name: str, strike: Callable[[random.Random], None], chance: random.Random) -> None:
        every_s = EVERY_S[name] / self._world.plan.intensity
        self._world.after(chance.expovariate(1 / every_s), self._strike, name, strike, chance)

    def _strike(self, name: str, strike: Callable[[random.Random], None], chance: random.Random) -> None:
        if self._world.calm:
            return
        strike(chance)
        self._next(name, strike, chance)

    def _one(self, chance: random.Random) -> Terminal:
        return chance.choice(self._estate.terminals)

    def _back_later(self, terminal: Terminal) -> None:
        self._world.after(self._mains.uniform(5, 900), self._boot, terminal)

    def _boot(self, terminal: Terminal) -> None:
        if terminal.powered:
            return
        clocks = "clock" in self._world.plan.faults
        wrong = clocks and self._mains.random() < 0.3  # noqa: PLR2004 - now and then
        synced = not clocks or self._mains.random() < 0.6  # noqa: PLR2004 - more often than not
        terminal.boot(synced=synced, wrong=wrong)

    def _watch(self) -> None:
        """An operator looks at the alarms now and then."""
        for terminal in (*self._estate.terminals, *self._estate.twins):
            if terminal.forked and terminal.powered:
                self._world.saw("forked journal noticed by its terminal")
                terminal.forked = False
                self._world.after(self._operator.uniform(*OPERATOR_S), self._attend, terminal, terminal.journal_id)
        self._world.after(60.0, self._watch)

    def _attend(self, terminal: Terminal, journal_id: str) -> None:
        if terminal.powered and terminal.journal_id == journal_id:
            self._estate.lay_aside(terminal)

    def _back_up(self) -> None:
        """Central's database is backed up; backups too old are thrown away."""
        now = self._world.now_s
        oldest = now - BACKUP_AGE_H_MAX * 3600
        self._backups = [one for one in self._backups if one[0] >= oldest]
        self._backups.append((now, self._estate.central.database.tables.copied()))
        if not self._world.calm:
            self._world.after(BACKUP_EVERY_S, self._back_up)

    def _kill_edge(self, chance: random.Random) -> None:
        terminal = self._one(chance)
        if chance.random() < 0.5:  # noqa: PLR2004 - as likely as not in the middle of a write
            terminal.disk.dies_in, terminal.disk.power_goes = chance.randrange(12), False
            return
        if terminal.process is not None:
            self._world.note(terminal.name, "is killed")
            terminal.kill(power=False)
            self._world.after(chance.uniform(1, 60), terminal.start)

    def _power_cut(self, chance: random.Random) -> None:
        terminal = self._one(chance)
        if chance.random() < 0.7:  # noqa: PLR2004 - mostly in the middle of a write
            terminal.disk.dies_in, terminal.disk.power_goes = chance.randrange(12), True
        elif terminal.powered:
            terminal.kill(power=True)
            self._back_later(terminal)

    def _io_error(self, chance: random.Random) -> None:
        terminal = self._one(chance)
        if chance.random() < 0.6:  # noqa: PLR2004 - mostly at a sync
            terminal.disk.syncs_fail = chance.randint(1, 3)
        else:
            terminal.disk.writes_fail = chance.randint(1, 3)
        self._world.note(terminal.name, "disk will fail")

    def _disk_full(self, chance: random.Random) -> None:
        terminal = self._one(chance)
        left = chance.choice((0, 4096, 40_000, 120_000))
        terminal.disk.fill(left)
        self._world.note(terminal.name, f"disk is filled up to {left} bytes")
        self._world.saw("disk full")
        self._world.after(chance.uniform(60, 3600), terminal.disk.relieve)

    def _rot(self, chance: random.Random) -> None:
        terminal = self._one(chance)
        place = terminal.disk.rot()
        if place:
            self._estate.ledger.rotten.add(terminal.name)
            self._world.note(terminal.name, f"disk rots: {place}")
            self._world.saw("bit flipped on a disk")

    def _swap(self, chance: random.Random) -> None:
        terminal = self._one(chance)
        terminal.kill(power=True)
        self._estate.destroy(terminal)
        terminal.disk.replace_by(None)
        terminal.forget_promises()
        self._world.note(terminal.name, "gets an empty disk")
        self._world.saw("disk swapped")
        self._back_later(terminal)

    def _image(self, chance: random.Random) -> None:
        """Take an image of a disk, or put an old one back."""
        terminal = self._one(chance)
        terminal.kill(power=True)
        image = self._images.pop(terminal.name, None)
        if image is None:
            self._images[terminal.name] = target = self._estate.root / f"image-{terminal.name}"
            terminal.disk.copy_to(target)
            self._world.note(terminal.name, "an image of its disk is taken")
        else:
            self._estate.destroy(terminal)
            terminal.disk.replace_by(image)
            terminal.forget_promises()
            self._world.note(terminal.name, "gets an old image of its disk back")
            self._world.saw("old image of a disk put back")
        self._back_later(terminal)

    def _twin(self, chance: random.Random) -> None:
        """A second machine runs with a copy of the disk, under the same name."""
        if self._estate.twins:
            return
        terminal = self._one(chance)
        terminal.kill(power=True)
        twin = self._estate.clone(terminal)
        self._world.saw("disk cloned into a second machine")
        self._back_later(terminal)
        twin.boots_again = self._back_later
        twin.boot()
        self._world.after(chance.uniform(1800, 7200), self._estate.retire, twin)

    def _clock(self, chance: random.Random) -> None:
        clock = self._one(chance).clock
        what = chance.choice((clock.jump, clock.synchronise, clock.lose_network_time))
        self._world.note("clock", what.__name__)
        what()

    def _partition(self, chance: random.Random) -> None:
        code = self._one(chance).code
        broker = self._estate.broker
        broker.cut.add(code)
        self._world.note("network", f"{code} is cut off")
        self._estate.starve(code)
        self._world.after(chance.choice((20.0, 300.0, 3600.0)), broker.cut.discard, code)

    def _loss(self, chance: random.Random) -> None:
        broker = self._estate.broker
        broker.lossy = True
        self._world.note("network", "drops, doubles, delays and reorders")
        self._world.after(chance.uniform(300, 3600), self._clear_network)

    def _clear_network(self) -> None:
        self._estate.broker.lossy = False

    def _broker(self, chance: random.Random) -> None:
        if self._estate.broker.up:
            self._estate.broker.restart(chance.choice((0.5, 30.0, 900.0)))

    def _worker(self, chance: random.Random) -> None:
        worker = chance.choice(self._estate.workers)
        away_s = chance.choice((1.0, 60.0, 1800.0))
        if worker.alive and chance.random() < COMMITTED_FIRST:
            worker.die_once_committed(lambda: self._world.after(away_s, self._start_worker, worker))
        elif worker.alive:
            worker.die()
            self._world.after(away_s, self._start_worker, worker)

    @staticmethod
    def _start_worker(worker: Worker) -> None:
        if not worker.alive:
            worker.start()

    def _database(self, chance: random.Random) -> None:
        self._estate.central.up = False
        self._world.note("database", "is away")
        self._world.after(chance.uniform(5, 1800), self._database_back)

    def _database_back(self) -> None:
        self._estate.central.up = True

    def _restore(self, chance: random.Random) -> None:
        """Central is put back to an older backup, its workers started anew."""
        if not self._backups:
            return
        at, tables = chance.choice(self._backups)
        for worker in self._estate.workers:
            if worker.alive:
                worker.die()
        self._estate.restore(tables, age_s=self._world.now_s - at)
        for worker in self._estate.workers:
            self._world.after(chance.uniform(1, 120), self._start_worker, worker)

    def _heal(self) -> None:
        """The calm begins: everything works from now on."""
        estate = self._estate
        self._world.note("world", "calm")
        estate.broker.lossy = False
        estate.broker.cut.clear()
        estate.central.up = True
        for twin in list(estate.twins):
            estate.retire(twin)
        for terminal in estate.terminals:
            disk = terminal.disk
            disk.dies_in, disk.syncs_fail, disk.writes_fail = None, 0, 0
            disk.relieve()
            if not terminal.powered:
                terminal.boot()
            terminal.clock.synchronise()
            terminal.start()
        for worker in estate.workers:
            worker.spare()
            self._start_worker(worker)
