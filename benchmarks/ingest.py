"""Ingest against its limit, in one run: Mosquitto to committed row to PUBACK, beside the tutorial way and row by row.

The limit is one binary COPY, by psycopg, of the same rows from bytes made before, into the same table with its keys and
indexes, on the same server. Ours is the drain rate: everything waits in the broker, in the persistent session of one
worker process; the clock, the worker's own, runs from the first message taken to the PUBACK of the last, which follows
its commit. So nobody publishes while anything is timed; broker, worker and database share the machine. Messages carry
the content type that terminals give them. The workers' processor time a tap, beside the rate, says whether they or the
machine around them were the limit.
Only the ratios mean anything. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from sqlmodel import Session

from benchmarks.ingest_worker import Sitting, work
from central.attendance import models
from central.attendance.copying import COPY_EVENTS, EVENT_COLUMNS
from central.kit.db import make_engine
from central.kit.migrate import upgrade
from central.worker import shared_work
from edge_agent.wire.codec import decode_event, split_batch
from edge_agent.wire.ids import card_token
from edge_agent.wire.messages import BATCH_CONTENT_TYPE
from simulators.journal import JournalMaker
from simulators.seeding import SeededSite, seed_site
from simulators.servers import MosquittoBroker, PostgresServer, wait_until

CARD_KEY = bytes(32)
SITE = "bench"
TERMINALS = [f"gate-{number:02d}" for number in range(20)]
WORKERS = 500
NAME = "bench"
ROUND_S_MAX = 120.0


def make_taps(seeded: SeededSite, count: int) -> list[JournalMaker]:
    """Make journals of all terminals with `count` taps together."""
    journals = [JournalMaker(SITE, terminal) for terminal in TERMINALS]
    tokens = [card_token(CARD_KEY, identity) for identity in seeded.identities]
    for number in range(count):
        direction = "in" if (number // len(tokens)) % 2 == 0 else "out"
        journals[number % len(journals)].tap(tokens[number % len(tokens)], direction)
    return journals


def messages_of(journals: list[JournalMaker], size: int) -> list[tuple[str, bytes]]:
    """Interleave the terminals' batches."""
    queues = [[(journal.topic, batch) for batch in journal.batches(size)] for journal in journals]
    return [queue[at] for at in range(max(map(len, queues))) for queue in queues if at < len(queue)]


def clear(url: str) -> None:
    """Empty attendance's tables."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "TRUNCATE attendance_event, attendance_journal, attendance_presence, attendance_terminal_status"
        )
        connection.execute("CHECKPOINT")


def publisher(url: str) -> Client:
    """Connect a client that publishes at QoS 1."""
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
    client.max_inflight_messages_set(100)  # the library walks through its whole window at each PUBACK
    host, _, port = url.removeprefix("mqtt://").partition(":")
    client.connect(host, int(port))
    client.loop_start()
    wait_until(client.is_connected, what="the publisher")
    return client


def _feed(url: str, messages: list[tuple[str, bytes]]) -> None:
    client = publisher(url)
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # the library's own gap
    properties.ContentType = BATCH_CONTENT_TYPE
    last = [client.publish(topic, payload, qos=1, properties=properties) for topic, payload in messages]
    for message in last:
        message.wait_for_publish(ROUND_S_MAX)
    client.disconnect()
    client.loop_stop()


def queue_up(mqtt_url: str, messages: list[tuple[str, bytes]], names: list[str]) -> None:
    """Leave everything with the broker, in sessions that wait for the workers of these names."""
    for name in names:
        client = Client(CallbackAPIVersion.VERSION2, client_id=f"ccs-worker-{name}", protocol=MQTTv5)
        host, _, port = mqtt_url.removeprefix("mqtt://").partition(":")
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # the library's own gap
        properties.SessionExpiryInterval = int(ROUND_S_MAX)
        subscribed = threading.Event()
        client.on_subscribe = lambda *_, done=subscribed: done.set()
        client.connect(host, int(port), clean_start=True, properties=properties)
        client.loop_start()
        client.subscribe(shared_work("events"), qos=1)
        if not subscribed.wait(ROUND_S_MAX):
            raise TimeoutError("the broker does not take the worker's subscription")
        client.disconnect()
        client.loop_stop()
    _feed(mqtt_url, messages)


class Drained(NamedTuple):
    """Taps a second of all workers together, the largest one's peak, and their processor time a tap."""

    per_s: float
    peak_mb: float
    processor_us_a_tap: float


def measure_ours(url: str, mqtt_url: str, messages: list[tuple[str, bytes]], taps: int, *, workers: int = 1) -> Drained:
    """Let worker processes drain `messages`, `taps` taps together, that wait in the broker."""
    clear(url)
    names = [f"{NAME}-{number}" for number in range(workers)]
    queue_up(mqtt_url, messages, names)
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe(duplex=False)
    left, done, together = context.Value("i", len(messages)), context.Event(), context.Barrier(workers)
    given = (left, done, together, theirs)
    processes = [context.Process(target=work, args=(url, mqtt_url, name, *given)) for name in names]
    for process in processes:
        process.start()
    found: list[Sitting] = []
    try:
        for _ in processes:
            if not mine.poll(ROUND_S_MAX):
                raise TimeoutError(f"the workers did not drain {taps} taps in {ROUND_S_MAX} s, {left.value} are left")
            found.append(mine.recv())
    finally:
        for process in processes:
            process.terminate()
            process.join(ROUND_S_MAX)
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT count(*), count(DISTINCT hash) FROM attendance_event").fetchone()
    if rows != (taps, taps):
        raise AssertionError(f"{taps} taps were sent, {rows} rows are there")
    busy = [one for one in found if one.first]
    took_s = max(one.last for one in busy) - min(one.first for one in busy)
    processor_s = sum(one.processor_s for one in busy)
    return Drained(taps / took_s, max(one.peak_mb for one in found), processor_s / taps * 1e6)


def measure_copy(url: str, data: bytes, count: int) -> float:
    """Rows a second of one binary COPY whose bytes were made before: what the server alone can do."""
    clear(url)
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        begin = time.perf_counter()
        with cursor.copy(COPY_EVENTS) as copy:
            for at in range(0, len(data), 1 << 18):
                copy.write(data[at : at + (1 << 18)])
        connection.commit()
        return count / (time.perf_counter() - begin)


def copy_bytes(url: str) -> bytes:
    """Take the stored rows out as binary COPY data."""
    out = f"COPY (SELECT {', '.join(EVENT_COLUMNS)} FROM attendance_event) TO STDOUT (FORMAT BINARY)"
    with psycopg.connect(url) as connection, connection.cursor() as cursor, cursor.copy(out) as copy:
        return b"".join(bytes(part) for part in copy)


def _row(raw: bytes, journal: int) -> dict[str, Any]:
    event = decode_event(raw)
    now = datetime.fromisoformat("2026-11-22T00:00:00+00:00")
    return {
        "journal": journal,
        "seq": int(event.sequence),
        "received_at": now,
        "occurred_at": event.time,
        "site_id": 1,
        "terminal_id": 1,
        "worker_id": 1,
        "time_basis": 0,
        "direction": 0,
        "decision": 0,
        "assurance": 3,
        "type": event.type,
        "hash": b"",
        "bytes_": raw,
    }


def measure_tutorial(url: str, mqtt_url: str, messages: list[tuple[str, bytes]]) -> float:
    """Measure the tutorial way: aiomqtt receives, SQLModel adds, a commit a tap; no hash, worker or presence."""
    import aiomqtt

    clear(url)
    engine = make_engine(url, pool_size=1)
    part = messages
    host, _, port = mqtt_url.removeprefix("mqtt://").partition(":")

    async def receive() -> float:
        begin = 0.0
        async with aiomqtt.Client(host, int(port)) as client:
            await client.subscribe("ccs/v1/+/+/events", qos=1)
            feed = threading.Thread(target=_feed, args=(mqtt_url, part))
            feed.start()
            count = 0
            async for message in client.messages:
                begin = begin or time.perf_counter()
                for raw in split_batch(bytes(message.payload)):
                    with Session(engine) as session:
                        session.add(models.Event(**_row(raw, _journal(str(message.topic)))))
                        session.commit()
                count += 1
                if count == len(part):
                    break
            feed.join()
            return len(part) / (time.perf_counter() - begin)

    rate = asyncio.run(receive())
    engine.dispose()
    return rate


def _journal(topic: str) -> int:
    return TERMINALS.index(topic.split("/")[3]) + 1


def measure_row_by_row(url: str, mqtt_url: str, messages: list[tuple[str, bytes]]) -> float:
    """Measure a Node-RED-style flow: acknowledged on receipt, JSON to a dict, one INSERT with its own commit."""
    clear(url)
    part = messages
    done = threading.Event()
    state = {"begin": 0.0, "count": 0.0}
    connection = psycopg.connect(url, autocommit=True)
    columns = [name.removesuffix("_") for name in _row(split_batch(messages[0][1])[0], 1)]
    marks = ", ".join("%s" for _ in columns)
    insert = f"INSERT INTO attendance_event ({', '.join(columns)}) VALUES ({marks})"

    def on_message(_client: Client, _data: object, message: Any) -> None:  # noqa: ANN401 - the library's signature
        state["begin"] = state["begin"] or time.perf_counter()
        for one in json.loads(message.payload):
            raw = json.dumps(one).encode()
            connection.execute(insert, list(_row(raw, _journal(message.topic)).values()))
        state["count"] += 1
        if state["count"] == len(part):
            done.set()

    client = publisher(mqtt_url)
    client.on_message = on_message
    client.subscribe("ccs/v1/+/+/events", qos=1)
    feed = threading.Thread(target=_feed, args=(mqtt_url, part))
    feed.start()
    done.wait(ROUND_S_MAX)
    rate = len(part) / (time.perf_counter() - state["begin"])
    client.disconnect()
    client.loop_stop()
    feed.join()
    connection.close()
    return rate


def run(taps: int, rounds: int, slow: int) -> dict[str, Any]:
    """Run all ways `rounds` times, interleaved, and report medians and ratios."""
    folder = Path(tempfile.mkdtemp(prefix="ccs-bench-"))
    folder.chmod(0o777)
    server = PostgresServer(folder / "postgres", settings={"shared_buffers": "512MB"})
    # The tests' broker saves its queue on every change; here that would measure the saving.
    quiet = "set_tcp_nodelay true\nautosave_on_changes false\nautosave_interval 1800"
    broker = MosquittoBroker(folder / "mosquitto", extra=quiet)
    server.start()
    broker.start()
    found: dict[str, list[float]] = {}
    drained: dict[str, list[Drained]] = {}

    def ours(name: str, messages: list[tuple[str, bytes]], workers: int) -> None:
        one = measure_ours(url, broker.url, messages, taps, workers=workers)
        drained.setdefault(name, []).append(one)
        _note(found, name, one.per_s)

    try:
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE ccs")
        url = server.url("ccs")
        upgrade(url)
        seeded = seed_site(
            url, card_key=CARD_KEY, site=SITE, terminals=dict.fromkeys(TERMINALS, ("in", "out")), workers=WORKERS
        )
        journals = make_taps(seeded, taps)
        single, fifty = messages_of(journals, 1), messages_of(journals, 50)
        for _ in range(rounds):
            ours("ours_1", single, 1)
            ours("ours_1_two_workers", single, 2)
            data = copy_bytes(url)
            _note(found, "copy", measure_copy(url, data, taps))
            ours("ours_50", fifty, 1)
            ours("ours_50_two_workers", fifty, 2)
            _note(found, "copy", measure_copy(url, data, taps))
            _note(found, "tutorial", measure_tutorial(url, broker.url, single[:slow]))
            _note(found, "row_by_row", measure_row_by_row(url, broker.url, single[:slow]))
    finally:
        broker.stop()
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    medians = {name: statistics.median(values) for name, values in found.items()}
    ratios = {name: value / medians["copy"] for name, value in medians.items()}
    load = [round(one, 1) for one in os.getloadavg()]
    return {
        "taps": taps,
        "rounds": rounds,
        "load": load,
        "taps_per_s": medians,
        "of_bare_copy": ratios,
        "two_workers_of_one": {name: medians[f"{name}_two_workers"] / medians[name] for name in ("ours_1", "ours_50")},
        "worker_rss_mb_max": max(one.peak_mb for rounds_of in drained.values() for one in rounds_of),
        "worker_processor_us_a_tap": {
            name: statistics.median(one.processor_us_a_tap for one in rounds_of) for name, rounds_of in drained.items()
        },
    }


def _note(found: dict[str, list[float]], name: str, value: float) -> None:
    found.setdefault(name, []).append(value)
    print(f"{name}: {value:,.0f}/s", file=sys.stderr)


def main() -> None:
    """Read the options and print the result."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--taps", type=int, default=40_000)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--slow-taps", type=int, default=1_500, help="for the ways that commit each tap")
    options.add_argument("--quick", action="store_true", help="one round of 5,000 taps: to see that it works")
    given = options.parse_args()
    taps, rounds, slow = (5_000, 1, 300) if given.quick else (given.taps, given.rounds, given.slow_taps)
    print(json.dumps(run(taps, rounds, slow), indent=2))


if __name__ == "__main__":
    main()
