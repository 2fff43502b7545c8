"""Edge, worker, broker and PostgreSQL are killed (-9) at random while cards are held to three terminals."""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from central.kit.migrate import upgrade
from simulators.estate import Crowd, Estate, RunningSite
from simulators.servers import MosquittoBroker, PostgresServer, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TERMINALS = ("gate-01", "gate-02", "gate-03")
WORKERS_A_TERMINAL = 100
KILLS = int(os.environ.get("CCS_KILLS", "20"))
GREENS_BETWEEN_KILLS = (3, 120)
GREENS_S_MAX = 300.0


class Scene:
    """Everything that runs, and how to kill it and bring it back."""

    def __init__(self, estate: Estate, site: RunningSite, postgres: PostgresServer, chance: random.Random) -> None:
        self.estate = estate
        self.site = site
        self.crowds = [site.crowd(code) for code in TERMINALS]
        self._postgres = postgres
        self._chance = chance
        self.victims: dict[str, Callable[[], None]] = {
            "postgres": self._kill_postgres,
            "broker": self._kill_broker,
            "worker": self._kill_worker,
            "edge": self._kill_edge,
        }

    def _kill_postgres(self) -> None:
        self._postgres.kill()
        self._postgres.start()

    def _kill_broker(self) -> None:
        """A broker is trusted with nothing: half the time it also forgets all it had."""
        self.estate.broker.kill()
        if self._chance.random() < 0.5:
            self.estate.broker.wipe()
        self.estate.broker.start()

    def _kill_worker(self) -> None:
        self.estate.worker.program.kill()
        self.estate.worker.program.start()

    def _kill_edge(self) -> None:
        terminal = self.site.terminals[self._chance.choice(TERMINALS)]
        terminal.program.kill()
        terminal.start()

    def greens(self) -> int:
        return sum(len(crowd.greens) for crowd in self.crowds)

    def wait_for_greens(self, more: int, *, before: str) -> None:
        goal = self.greens() + more
        wait_until(
            lambda: self.greens() >= goal or any(crowd.failed for crowd in self.crowds),
            what=f"{more} more greens before killing {before}",
            timeout_s=GREENS_S_MAX,
        )


@pytest.fixture
def seed() -> int:
    found = int(os.environ.get("CCS_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
    print(f"\nseed {found}: replay the kills with CCS_SEED={found}")
    return found


@pytest.fixture
def scene(tmp_path: Path, server_folder: Path, seed: int) -> Iterator[Scene]:
    postgres = PostgresServer(server_folder / "killed-postgres", settings={"shared_buffers": "64MB"})
    broker = MosquittoBroker(tmp_path / "mosquitto")
    postgres.start()
    broker.start()
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS ccs")
        connection.execute("CREATE DATABASE ccs")
    upgrade(postgres.url("ccs"))
    estate = Estate(tmp_path, postgres.url("ccs"), broker)
    site = estate.site("site-07", TERMINALS, workers=WORKERS_A_TERMINAL * len(TERMINALS))
    estate.worker.start()
    for terminal in site.terminals.values():
        terminal.start()
    yield Scene(estate, site, postgres, random.Random(seed))
    site.stop()
    estate.worker.program.stop()
    broker.stop()
    postgres.stop()


def kill_at_random(scene: Scene, chance: random.Random, kills: int) -> list[str]:
    """Kill each kind as often as the others, in an order and at moments that the seed decides."""
    order = [name for name in scene.victims for _ in range(-(-kills // len(scene.victims)))][:kills]
    chance.shuffle(order)
    for number, name in enumerate(order, 1):
        scene.wait_for_greens(chance.randint(*GREENS_BETWEEN_KILLS), before=name)
        print(f"kill {number}: {name} after {scene.greens()} greens", flush=True)
        scene.victims[name]()
    return order


def everything_is_right(scene: Scene, crowds: list[Crowd]) -> None:
    for crowd in crowds:
        crowd.finish()
    scene.estate.wait_settled(crowds)
    assert scene.estate.complaints(scene.site, crowds) == []


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.promise("DUR-01", "DUR-02")
def test_whatever_is_killed_every_green_tap_is_counted_once(scene: Scene, seed: int) -> None:
    """Mutants: journal with synchronous=NORMAL survives this (a process is killed, not the power), but green before
    append does not; PUBACK or ack before commit; a duplicate stored twice."""
    chance = random.Random(seed)
    for _ in range(10**6 if os.environ.get("CCS_SOAK") else 1):
        for crowd in scene.crowds:
            crowd.start()
        order = kill_at_random(scene, chance, KILLS)
        everything_is_right(scene, scene.crowds)
        print(f"{scene.greens()} green taps, {len(order)} killed: {dict(Counter(order))}")
