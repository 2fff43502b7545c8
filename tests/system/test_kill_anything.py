"""Edge, worker, broker and PostgreSQL are killed (-9) at random while cards are held to three terminals."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import psycopg
import pytest

from central.kit.migrate import upgrade
from edge_agent.wire.codec import GENESIS_HASH
from simulators.processes import CentralProgram, Keys, TerminalProgram, make_keys
from simulators.seeding import SeededSite, seed_site
from simulators.servers import MosquittoBroker, PostgresServer, wait_until
from simulators.socket_card import Shown, SocketHand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TERMINALS = ("gate-01", "gate-02", "gate-03")
WORKERS_A_TERMINAL = 100
TAPS_A_TERMINAL = 2_000
KILLS_EACH = 5
SETTLE_S_MAX = 120.0


@dataclass
class Estate:
    """Everything that runs, and how to kill it and bring it back."""

    postgres: PostgresServer
    broker: MosquittoBroker
    worker: CentralProgram
    terminals: dict[str, TerminalProgram]
    site: SeededSite
    lock: threading.Lock = field(default_factory=threading.Lock)

    def database(self) -> psycopg.Connection:
        return psycopg.connect(self.postgres.url("ccs"), autocommit=True)

    def victims(self) -> dict[str, Callable[[random.Random], None]]:
        def server(victim: PostgresServer | MosquittoBroker) -> Callable[[random.Random], None]:
            def kill(_: random.Random) -> None:
                victim.kill()
                victim.start()

            return kill

        def worker(_: random.Random) -> None:
            self.worker.program.kill()
            self.worker.program.start()

        def edge(chance: random.Random) -> None:
            terminal = self.terminals[chance.choice(TERMINALS)]
            terminal.program.kill()
            terminal.start()

        return {"postgres": server(self.postgres), "broker": server(self.broker), "worker": worker, "edge": edge}


@pytest.fixture
def estate(tmp_path: Path, server_folder: Path) -> Iterator[Estate]:
    keys: Keys = make_keys(tmp_path / "keys")
    postgres = PostgresServer(server_folder / "killed-postgres", settings={"shared_buffers": "64MB"})
    broker = MosquittoBroker(tmp_path / "mosquitto")
    postgres.start()
    broker.start()
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS ccs")
        connection.execute("CREATE DATABASE ccs")
    upgrade(postgres.url("ccs"))
    site = seed_site(
        postgres.url("ccs"),
        card_key=keys.card_key_bytes,
        terminals=dict.fromkeys(TERMINALS, ("in", "out")),
        workers=WORKERS_A_TERMINAL * len(TERMINALS),
    )
    worker = CentralProgram("worker", tmp_path / "central", postgres.url("ccs"), broker.url, keys)
    terminals = {
        code: TerminalProgram("site-07", code, tmp_path / code, broker.url, keys, name=code) for code in TERMINALS
    }
    running = Estate(postgres, broker, worker, terminals, site)
    worker.start()
    for terminal in terminals.values():
        terminal.start()
    yield running
    for terminal in terminals.values():
        terminal.program.stop()
    worker.program.stop()
    broker.stop()
    postgres.stop()


@dataclass
class Gate:
    """One terminal's morning: its workers go in and out in turn, and tap again whenever they saw no colour."""

    terminal: TerminalProgram
    cards: tuple[bytes, ...]
    taps: int
    pace: threading.Event
    greens: list[Shown] = field(default_factory=list)
    inside: set[bytes] = field(default_factory=set)
    failure: BaseException | None = None

    def run(self) -> None:
        try:
            for number in range(self.taps):
                card = self.cards[number % len(self.cards)]
                going_in = card not in self.inside
                self.greens.append(self.tap(card, "in" if going_in else "out"))
                (self.inside.add if going_in else self.inside.discard)(card)
                self.pace.wait(0.02)
        except BaseException as failure:  # noqa: BLE001 - carried to the test's own thread
            self.failure = failure

    def tap(self, card: bytes, direction: str) -> Shown:
        """Hold the card until green is seen; an answer that never came means nothing, so tap again."""
        port = self.terminal.reader(direction).port
        seen: list[Shown] = []

        def green() -> bool:
            with contextlib.suppress(OSError), SocketHand(port) as hand:
                answer = hand.hold(card)
                if answer.shown == "green":
                    seen.append(answer)
                    return True
            return False

        wait_until(green, what=f"green at {self.terminal.code}", timeout_s=60)
        return seen[0]


def kill_at_random(estate: Estate, chance: random.Random, gates: list[Gate], kills_each: int) -> list[str]:
    """Kill each kind `kills_each` times, spread over the taps, in an order the seed decides."""
    order = [name for name in estate.victims() for _ in range(kills_each)]
    chance.shuffle(order)
    total = sum(gate.taps for gate in gates)
    for number, name in enumerate(order, 1):
        due = total * number // (len(order) + 1)
        wait_until(
            lambda due=due: sum(len(gate.greens) for gate in gates) >= due or any(gate.failure for gate in gates),
            what=f"{due} of {total} taps before killing {name}",
            timeout_s=300,
        )
        estate.victims()[name](chance)
    return order


def everything_is_acknowledged(estate: Estate, gates: list[Gate]) -> bool:
    last: dict[str, int] = {}
    for gate in gates:
        for green in gate.greens:
            last[green.journal_id] = max(last.get(green.journal_id, 0), green.seq)
    with contextlib.suppress(psycopg.OperationalError), estate.database() as connection:
        rows = connection.execute("SELECT journal_id::text, durable FROM attendance_journal").fetchall()
        durable = dict(rows)
        return all(durable.get(journal, 0) >= seq for journal, seq in last.items())
    return False


def check_the_record(estate: Estate, gates: list[Gate]) -> None:
    with estate.database() as connection:
        rows = connection.execute(
            "SELECT j.journal_id::text, e.seq, e.hash, e.bytes, j.durable FROM attendance_event e"
            " JOIN attendance_journal j ON j.id = e.journal ORDER BY 1, 2"
        ).fetchall()
        losses = connection.execute("SELECT kind, seq, detail FROM attendance_anomaly").fetchall()
        quarantined = connection.execute("SELECT reason, detail FROM attendance_quarantine").fetchall()
    assert not losses
    assert not quarantined
    stored: dict[tuple[str, int], dict[str, object]] = {}
    previous: dict[str, tuple[int, str]] = {}
    for journal, seq, digest, content, _ in rows:
        event = msgspec.json.decode(content)
        expected_seq, expected_hash = previous.get(journal, (0, GENESIS_HASH))
        assert seq == expected_seq + 1, f"{journal}: {expected_seq} is followed by {seq}"
        assert event["prevhash"] == expected_hash, f"{journal}: chain broken at {seq}"
        assert hashlib.sha256(content).digest() == digest
        previous[journal] = (seq, digest.hex())
        stored[journal, seq] = event
    for gate in gates:
        keys = [(green.journal_id, green.seq) for green in gate.greens]
        assert len(keys) == len(set(keys)), "one record answered two taps"
        assert keys == sorted(keys), "records out of order"
        missing = [key for key in keys if key not in stored]
        assert not missing, f"{len(missing)} green taps are not in the database: {missing[:5]}"


def inside_now(estate: Estate) -> set[int]:
    with estate.database() as connection:
        rows = connection.execute(
            "SELECT worker_id FROM attendance_presence WHERE site_id = %s AND state = 1", (estate.site.site_id,)
        ).fetchall()
    return {worker for (worker,) in rows}


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.promise("DUR-01", "DUR-02")
def test_whatever_is_killed_every_green_tap_is_counted_once(estate: Estate) -> None:
    """Mutants: journal with synchronous=NORMAL survives this (a process is killed, not the power), but green before
    append does not; PUBACK or ack before commit; a duplicate stored twice."""
    seed = int(os.environ.get("CCS_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
    rounds = 10**6 if os.environ.get("CCS_SOAK") else 1
    print(f"\nseed {seed}: replay the kills with CCS_SEED={seed}")
    chance = random.Random(seed)
    owner = dict(zip(estate.site.identities, estate.site.workers, strict=True))
    gates = [
        Gate(
            terminal,
            estate.site.identities[number * WORKERS_A_TERMINAL : (number + 1) * WORKERS_A_TERMINAL],
            TAPS_A_TERMINAL,
            threading.Event(),
        )
        for number, terminal in enumerate(estate.terminals.values())
    ]
    for _ in range(rounds):
        for gate in gates:
            gate.greens.clear()
        hands = [threading.Thread(target=gate.run, name=gate.terminal.code) for gate in gates]
        for hand in hands:
            hand.start()
        order = kill_at_random(estate, chance, gates, KILLS_EACH)
        for hand in hands:
            hand.join()
        for gate in gates:
            assert gate.failure is None, gate.failure
        wait_until(
            lambda: everything_is_acknowledged(estate, gates), what="everything acknowledged", timeout_s=SETTLE_S_MAX
        )
        check_the_record(estate, gates)
        assert inside_now(estate) == {owner[card] for gate in gates for card in gate.inside}
        print(f"{sum(len(gate.greens) for gate in gates)} green taps, killed in turn: {' '.join(order)}")
