"""Ingest against its limit, in one run: Mosquitto to committed row to PUBACK, beside the tutorial way and row by row.

The limit is a bare binary COPY of the same rows, same keys and indexes, on the same server. Only the ratios mean
anything: publisher, broker, worker and database share the machine. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import statistics
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import structlog
from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from sqlmodel import Session

from central.attendance.models import Event
from central.attendance.storing import COPY_EVENTS, EVENT_TYPES
from central.kit.config import Settings
from central.kit.db import make_engine
from central.kit.migrate import upgrade
from central.worker import run_worker
from edge_agent.wire.codec import decode_event, split_batch
from edge_agent.wire.ids import card_token
from simulators.journal import JournalMaker
from simulators.seeding import SeededSite, seed_site
from simulators.servers import MosquittoBroker, PostgresServer, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CARD_KEY = bytes(32)
SITE = "bench"
TERMINALS = [f"gate-{number:02d}" for number in range(20)]
WORKERS = 500
SLOW_TAPS = 1_500
"""Of the ways that commit each tap: enough to measure, few enough to wait for."""
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


def stored(url: str) -> int:
    """Count the rows."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT coalesce(sum(durable), 0) FROM attendance_journal").fetchone()
    return int(row[0]) if row else 0


def listening(url: str) -> bool:
    """Whether a worker is connected to the database, which it does once it is up."""
    with psycopg.connect(url) as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'ccs-worker'"
        return connection.execute(query).fetchone() == (1,)


def clear(url: str) -> None:
    """Empty attendance's tables."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "TRUNCATE attendance_event, attendance_journal, attendance_presence, attendance_terminal_status"
        )
        connection.execute("CHECKPOINT")


def publisher(url: str) -> Client:
    """Connect a client that publishes at QoS 1 without a window of its own."""
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
    client.max_inflight_messages_set(2_000)
    host, _, port = url.removeprefix("mqtt://").partition(":")
    client.connect(host, int(port))
    client.loop_start()
    wait_until(client.is_connected, what="the publisher")
    return client


def _publish_all(url: str, messages: list[tuple[str, bytes]], go: Any) -> None:  # noqa: ANN401 - an Event of a context
    client = publisher(url)
    go.wait()
    last = [client.publish(topic, payload, qos=1) for topic, payload in messages]
    for message in last:
        message.wait_for_publish(ROUND_S_MAX)
    client.disconnect()
    client.loop_stop()


def _work(database_url: str, mqtt_url: str, name: str, stop: Any) -> None:  # noqa: ANN401 - as above
    import logging

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    run_worker(Settings(database_url=database_url, mqtt_url=mqtt_url), stop, name=name)


@contextmanager
def child(target: Callable[..., None], *args: object) -> Iterator[Any]:
    """Run a function in its own process, with an event as its last argument."""
    context = multiprocessing.get_context("spawn")
    event = context.Event()
    process = context.Process(target=target, args=(*args, event))
    process.start()
    try:
        yield event
    finally:
        event.set()
        process.join(ROUND_S_MAX)


def measure_ours(url: str, mqtt_url: str, messages: list[tuple[str, bytes]], taps: int) -> float:
    """Taps a second from the first publish to the last row committed, through one worker process."""
    clear(url)
    with child(_work, url, mqtt_url, "bench"), child(_publish_all, mqtt_url, messages) as go:
        wait_until(lambda: listening(url), what="the worker", timeout_s=ROUND_S_MAX)
        time.sleep(3.0)  # the worker has subscribed and the publisher connected; nothing is measured before
        begin = time.perf_counter()
        go.set()
        wait_until(lambda: stored(url) >= taps, what="all rows", timeout_s=ROUND_S_MAX)
        return taps / (time.perf_counter() - begin)


def rows_of(url: str) -> list[tuple[Any, ...]]:
    """Read back the rows that ingest stored: the same rows for the limit."""
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT * FROM attendance_event ORDER BY received_at, journal, seq").fetchall()


def measure_copy(url: str, rows: list[tuple[Any, ...]]) -> float:
    """Rows a second of a bare binary COPY, by psycopg, of rows ready in memory."""
    clear(url)
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        begin = time.perf_counter()
        with cursor.copy(COPY_EVENTS) as copy:
            copy.set_types(EVENT_TYPES)
            for row in rows:
                copy.write_row(row)
        connection.commit()
        return len(rows) / (time.perf_counter() - begin)


def measure_raw_copy(url: str, data: bytes, count: int) -> float:
    """Rows a second of the same COPY with its bytes made before: what the server alone can do."""
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
    out = COPY_EVENTS.replace("FROM STDIN", "TO STDOUT")
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
    part = messages[:SLOW_TAPS]
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
                for raw in split_batch(bytes(message.payload)):  # type: ignore[arg-type]  # always bytes here
                    with Session(engine) as session:
                        session.add(Event(**_row(raw, _journal(str(message.topic)))))
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


def _feed(mqtt_url: str, messages: list[tuple[str, bytes]]) -> None:
    event = threading.Event()
    event.set()
    _publish_all(mqtt_url, messages, event)


def measure_row_by_row(url: str, mqtt_url: str, messages: list[tuple[str, bytes]]) -> float:
    """Measure a Node-RED-style flow: acknowledged on receipt, JSON to a dict, one INSERT with its own commit."""
    clear(url)
    part = messages[:SLOW_TAPS]
    done = threading.Event()
    state = {"begin": 0.0, "count": 0.0}
    connection = psycopg.connect(url, autocommit=True)
    columns = [name for name in Event.__table__.columns.keys() if name not in {"reader", "zone", "token"}]  # type: ignore[attr-defined]  # noqa: SIM118
    marks = ", ".join("%s" for _ in columns)
    insert = f"INSERT INTO attendance_event ({', '.join(columns)}) VALUES ({marks})"

    def on_message(_client: Client, _data: object, message: Any) -> None:  # noqa: ANN401 - the library's signature
        state["begin"] = state["begin"] or time.perf_counter()
        for one in json.loads(message.payload):
            raw = json.dumps(one).encode()
            connection.execute(insert, list(_row(raw, _journal(message.topic)).values()))  # type: ignore[call-overload]
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


def run(taps: int, rounds: int) -> dict[str, Any]:
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
    try:
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE ccs")
        url = server.url("ccs")
        upgrade(url)
        seeded = seed_site(
            url, card_key=CARD_KEY, site=SITE, terminals=dict.fromkeys(TERMINALS, ("in", "out")), workers=WORKERS
        )
        for _ in range(rounds):
            journals = make_taps(seeded, taps)
            single, fifty = messages_of(journals, 1), messages_of(journals, 50)
            _note(found, "ours_1", measure_ours(url, broker.url, single, taps))
            _note(found, "ours_50", measure_ours(url, broker.url, fifty, taps))
            rows, data = rows_of(url), copy_bytes(url)
            _note(found, "copy", measure_copy(url, rows))
            _note(found, "copy_raw", measure_raw_copy(url, data, taps))
            _note(found, "tutorial", measure_tutorial(url, broker.url, single))
            _note(found, "row_by_row", measure_row_by_row(url, broker.url, single))
    finally:
        broker.stop()
        server.stop()
    medians = {name: statistics.median(values) for name, values in found.items()}
    ratios = {name: value / medians["copy_raw"] for name, value in medians.items()}
    return {"taps": taps, "rounds": rounds, "taps_per_s": medians, "of_bare_copy": ratios}


def _note(found: dict[str, list[float]], name: str, value: float) -> None:
    found.setdefault(name, []).append(value)
    print(f"{name}: {value:,.0f}/s", file=sys.stderr)


def main() -> None:
    """Read the options and print the result."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--taps", type=int, default=20_000)
    options.add_argument("--rounds", type=int, default=5)
    given = options.parse_args()
    print(json.dumps(run(given.taps, given.rounds), indent=2))


if __name__ == "__main__":
    main()
