"""The same taps through others' hands: what a good script, Node-RED and ThingsBoard Gateway make of them, beside ours.

Taps, one a message, wait in Mosquitto in the session of whoever is measured next; the clock runs from its connection to
the broker until the last row is visible in the same PostgreSQL, asked from outside: nobody's own stopwatch counts. The
processor time that program, database and broker took for a row stands beside the rate: it says who is the limit, and
changes less with what else the machine does. Then each is killed with SIGKILL in the middle and started again, and
what never arrives is counted. Ours is the real worker, with its chain check, presence and raw bytes; the others write a
plain table with a primary key. The gateway's own SQLite storage is drained beside our journal (`rivals_storage.py`).
Rivals are installed into a scratch folder; one that cannot be had is left out, and said. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from benchmarks import processor, rivals_flow, rivals_paho, rivals_storage
from benchmarks.ingest import CARD_KEY, SITE, TERMINALS, WORKERS, clear, make_taps, messages_of, publisher
from central.kit.migrate import upgrade
from central.worker import shared_work
from edge_agent.wire.topics import all_terminals
from simulators.processes import Program, make_keys
from simulators.seeding import seed_site
from simulators.servers import MosquittoBroker, PostgresServer, free_port, wait_until

ROUND_S_MAX = 180.0
QUIET_S = 15.0
"""Connected and without a new row for so long, nothing more comes: a busy machine is slow, not done."""
SETTLE_S = 1.0
KILLS_MAX = 3
POLL_S = 0.1
"""Counting takes the database's time from whoever is measured."""
SESSION_S = 3600
PLAIN_TABLE = """
CREATE TABLE IF NOT EXISTS rival_event (
  journal uuid, seq bigint, occurred_at timestamptz NOT NULL, site text NOT NULL, terminal text NOT NULL, token text,
  direction text, bytes bytea NOT NULL, PRIMARY KEY (journal, seq))
"""
TOPIC = all_terminals("events")
Messages = list[tuple[str, bytes]]


@dataclass
class Way:
    """One way from the broker to rows."""

    name: str
    program: Callable[[], Program]
    client_id: str
    subscription: str
    table: str
    taps: int
    """So many that it works for a few seconds."""
    rates: list[float] = field(default_factory=list)
    cpu_us: list[dict[str, float]] = field(default_factory=list)
    """Processor time a row, by who used it."""
    lost: list[int] = field(default_factory=list)
    stored_at_kill: int = 0


@dataclass(frozen=True)
class Ground:
    """The servers everybody runs against."""

    folder: Path
    url: str
    broker: MosquittoBroker
    server_pids: dict[str, int]

    def rows(self, table: str) -> int:
        """Count."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            found = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
        return int(found[0]) if found else 0

    def cpu_s(self, program: Program) -> dict[str, float]:
        """Processor time used so far by the program and the two servers."""
        return {name: processor.tree_s(pid) for name, pid in {"program": program.pid, **self.server_pids}.items()}

    def empty(self) -> None:
        """Begin anew."""
        clear(self.url)
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(PLAIN_TABLE)
            connection.execute("TRUNCATE rival_event")


def note(sentence: str) -> None:
    """Say how far it is."""
    print(sentence, file=sys.stderr, flush=True)


def queue_up(url: str, way: Way, messages: Messages) -> None:
    """Leave the messages with the broker, in a fresh session that waits for the way's program."""
    client = Client(CallbackAPIVersion.VERSION2, client_id=way.client_id, protocol=MQTTv5)
    host, _, port = url.removeprefix("mqtt://").partition(":")
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # the library's own gap
    properties.SessionExpiryInterval = SESSION_S
    subscribed = threading.Event()
    client.on_subscribe = lambda *_: subscribed.set()
    client.connect(host, int(port), clean_start=True, properties=properties)
    client.loop_start()
    client.subscribe(way.subscription, qos=1)
    if not subscribed.wait(ROUND_S_MAX):
        raise TimeoutError("the broker does not take the subscription")
    client.disconnect()
    client.loop_stop()
    feeder = publisher(url)
    waiting = [feeder.publish(topic, payload, qos=1) for topic, payload in messages]
    for message in waiting:
        message.wait_for_publish(ROUND_S_MAX)
    feeder.disconnect()
    feeder.loop_stop()


def measure_rate(ground: Ground, way: Way, messages: Messages) -> None:
    """Note rows a second, from when the program is connected to the broker until the last row is seen, and its cost."""
    ground.empty()
    queue_up(ground.broker.url, way, messages)
    program = way.program()
    program.start()
    try:
        wait_until(lambda: has_client(ground.broker.port), what=f"{way.name} to connect", timeout_s=ROUND_S_MAX)
        begun_s, before = time.monotonic(), ground.cpu_s(program)
        *_, (ended_s, rows) = watch(ground, way, len(messages))
        after = ground.cpu_s(program)
    finally:
        program.kill()
    if rows < len(messages):
        raise RuntimeError(f"{way.name} stored {rows} of {len(messages)}:\n{program.tail()}")
    way.rates.append(rows / (ended_s - begun_s))
    way.cpu_us.append({name: (after[name] - before[name]) / rows * 1e6 for name in after})
    costs = ", ".join(f"{name} {value:.0f}" for name, value in way.cpu_us[-1].items())
    note(f"{way.name}: {way.rates[-1]:,.0f} rows/s; processor, µs a row: {costs}")


def watch(ground: Ground, way: Way, expected: int) -> Iterator[tuple[float, int]]:
    """Yield (instant, rows) from the first row on, until all are there or none comes any more."""
    seen, moved_s, begun_s = 0, time.monotonic(), time.monotonic()
    while seen < expected and time.monotonic() - begun_s < ROUND_S_MAX:
        time.sleep(POLL_S)
        rows = ground.rows(way.table)
        now_s = time.monotonic()
        if rows != seen:
            seen, moved_s = rows, now_s
            yield now_s, rows
        elif seen and now_s - moved_s > QUIET_S:
            return


def has_client(port: int) -> bool:
    """Whether a connection to a loopback port stands: established ones with it as the local port."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "01" for line in lines)


def measure_loss(ground: Ground, way: Way, messages: Messages) -> int:
    """Kill it as soon as it has begun to store, start it again, and count what never arrives."""
    for _ in range(KILLS_MAX):
        ground.empty()
        queue_up(ground.broker.url, way, messages)
        program = way.program()
        program.start()
        try:
            stored = kill_in_the_middle(ground, way, program)
            program.start()
            wait_until(lambda: has_client(ground.broker.port), what=f"{way.name} to return", timeout_s=ROUND_S_MAX)
            for _, rows in watch(ground, way, len(messages)):
                stored = rows
        finally:
            program.kill()
        if way.stored_at_kill < len(messages):
            return len(messages) - stored
    raise RuntimeError(f"{way.name} had stored all {len(messages)} before it could be killed: give it more taps")


def kill_in_the_middle(ground: Ground, way: Way, program: Program) -> int:
    """Kill it at the first rows that are seen; return how many there are once all is still."""
    next(watch(ground, way, way.taps))
    program.kill()
    wait_until(lambda: not has_client(ground.broker.port), what=f"{way.name} to be gone", timeout_s=ROUND_S_MAX)
    time.sleep(SETTLE_S)  # a statement that PostgreSQL has received is carried out without its client
    way.stored_at_kill = ground.rows(way.table)
    return way.stored_at_kill


def ways_of(ground: Ground, scratch: Path, *, taps: int) -> list[Way]:
    """List who is measured: ours first."""
    log, url, port = ground.folder / "logs", ground.url, ground.broker.port
    log.mkdir()
    keys = make_keys(ground.folder / "keys")
    env = {"CCS_DATABASE_URL": url, "CCS_MQTT_URL": ground.broker.url, "CCS_SECRET_KEY": "x" * 32}
    ours = [sys.executable, "-m", "central", "worker", "--name", "bench"]
    paho = [sys.executable, "-m", "benchmarks.rivals_paho", url, "127.0.0.1", str(port), TOPIC]
    found = [
        Way(
            "ours",
            lambda: Program("ours", ours, log / "ours.log", env | {"CCS_CARD_KEY_FILE": str(keys.card_key)}),
            "ccs-worker-bench",
            shared_work("events"),
            "attendance_event",
            taps,
        ),
        Way(
            "paho_pydantic_executemany",
            lambda: Program("paho", paho, log / "paho.log"),
            rivals_paho.CLIENT_ID,
            TOPIC,
            "rival_event",
            taps // 2,
        ),
    ]
    try:
        note("installing Node-RED from npm …")
        rivals_flow.install(scratch / "node-red")
    except (rivals_flow.NoNodeRed, OSError, subprocess.TimeoutExpired) as exc:
        note(f"Node-RED is left out: {exc}")
        return found
    for kind, count in (("row", taps // 4), ("batch", taps // 2)):
        found.append(
            Way(
                f"node_red_{kind}",
                flow_program(ground, scratch / "node-red", kind, log / f"{kind}.log"),
                rivals_flow.CLIENT_ID,
                TOPIC,
                "rival_event",
                count,
            )
        )
    return found


def flow_program(ground: Ground, folder: Path, kind: str, log: Path) -> Callable[[], Program]:
    """Make the program of one flow; its files are written anew at each start of a measurement."""

    def make() -> Program:
        rivals_flow.write_flow(
            folder,
            kind,
            database_url=ground.url,
            broker_port=ground.broker.port,
            ui_port=free_port(),
            topic=TOPIC,
        )
        return Program(kind, rivals_flow.command(folder), log)

    return make


def compare_ingest(ground: Ground, scratch: Path, *, taps: int, rounds: int) -> dict[str, Any]:
    """Measure every way in turns, then kill each."""
    gates: dict[str, tuple[str, ...]] = dict.fromkeys(TERMINALS, ("in", "out"))
    seeded = seed_site(ground.url, card_key=CARD_KEY, site=SITE, terminals=gates, workers=WORKERS)
    ways = ways_of(ground, scratch, taps=taps)
    messages = {way.taps: messages_of(make_taps(seeded, way.taps), 1) for way in ways}
    for _ in range(rounds):
        for way in ways:
            measure_rate(ground, way, messages[way.taps])
    for way in ways:
        way.lost.append(measure_loss(ground, way, messages[way.taps]))
        note(f"{way.name}: {way.lost[-1]} of {way.taps} lost, killed when {way.stored_at_kill} were stored")
    ours = statistics.median(ways[0].rates)
    return {
        way.name: {
            "rows_per_s": statistics.median(way.rates),
            "ours_times_faster": ours / statistics.median(way.rates),
            "cpu_us_a_row": {name: statistics.median(one[name] for one in way.cpu_us) for name in way.cpu_us[0]},
            "lost_at_kill": way.lost[0],
            "of_taps": way.taps,
        }
        for way in ways
    }


def compare_storage(scratch: Path, *, events: int, rounds: int) -> dict[str, Any] | None:
    """Drain both storages in turns; None when the gateway cannot be had."""
    try:
        return rivals_storage.compare(scratch, events=events, rounds=rounds)
    except rivals_storage.NoGateway as exc:
        note(f"ThingsBoard Gateway is left out: {exc}")
        return None


def run(*, taps: int, rounds: int) -> dict[str, Any]:
    """Run everything in throw-away folders."""
    folder = Path(tempfile.mkdtemp(prefix="ccs-bench-"))
    folder.chmod(0o777)
    server = PostgresServer(folder / "postgres", settings={"shared_buffers": "512MB"})
    pid_file = folder / "mosquitto.pid"
    quiet = f"set_tcp_nodelay true\nautosave_on_changes false\nautosave_interval 1800\npid_file {pid_file}"
    broker = MosquittoBroker(folder / "mosquitto", extra=quiet)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.callback(server.stop)
        stack.callback(broker.stop)
        server.start()
        broker.start()
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE ccs")
        url = server.url("ccs")
        upgrade(url)
        scratch = folder / "scratch"
        scratch.mkdir()
        storage = compare_storage(scratch, events=max(2_000, taps // 3), rounds=rounds)
        postmaster = (server.data / "postmaster.pid").read_text().split("\n", 1)[0]
        pids = {"postgres": int(postmaster), "broker": int(pid_file.read_text())}
        ground = Ground(folder, url, broker, pids)
        ingest = compare_ingest(ground, scratch, taps=taps, rounds=rounds)
    load = [round(one, 1) for one in os.getloadavg()]
    return {"benchmark": "rivals", "rounds": rounds, "load": load, "ingest": ingest, "storage": storage}


def main() -> None:
    """Read the options and print the result."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--taps", type=int, default=60_000)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--quick", action="store_true", help="one round of few taps: to see that it works")
    given = options.parse_args()
    taps, rounds = (6_000, 1) if given.quick else (given.taps, given.rounds)
    print(json.dumps(run(taps=taps, rounds=rounds), indent=2))


if __name__ == "__main__":
    main()
