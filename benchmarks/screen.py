"""Tap to screen: the time from holding a card to a reader to the officer's stream saying so, through real processes.

Broker, PostgreSQL, worker, web and three terminals share this machine. Prints JSON: `python -m benchmarks.screen`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import queue
import statistics
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psycopg

from central.identity.accounts import create_token
from central.kit.db import make_engine, write_session
from central.kit.migrate import upgrade
from simulators.processes import CentralProgram, TerminalProgram, make_keys
from simulators.seeding import SeededSite, seed_site
from simulators.servers import MosquittoBroker, PostgresServer
from simulators.socket_card import SocketHand

if TYPE_CHECKING:
    from collections.abc import Iterator

TERMINALS = ("gate-01", "gate-02", "gate-03")
SITE = "site-07"
SEEN_S_MAX = 30.0


def readings(stream: Iterator[str], seen: queue.Queue[tuple[float, int]]) -> None:
    """Put the instant and the number of every headcount that the stream sends."""
    with contextlib.suppress(httpx.HTTPError):  # the measurement's end closes the stream
        for line in stream:
            if line.startswith("data:") and '"inside"' in line:
                seen.put((time.perf_counter(), int(json.loads(line[5:])["inside"])))


def tap_and_see(
    hand: SocketHand, card: bytes, expected: int, seen: queue.Queue[tuple[float, int]]
) -> tuple[float, float]:
    """Hold one card; return milliseconds until green, and until the stream says `expected`."""
    begun = time.perf_counter()
    answer = hand.hold(card)
    green = time.perf_counter()
    if answer.shown != "green":
        raise RuntimeError(f"the terminal answered {answer}")
    while True:
        at, inside = seen.get(timeout=SEEN_S_MAX)
        if inside == expected:
            return (green - begun) * 1e3, (at - begun) * 1e3


def percentile(values: list[float], share: float) -> float:
    """Return the value below which `share` of them lie."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def day(terminals: list[TerminalProgram], site: SeededSite, seen: queue.Queue[tuple[float, int]]) -> dict[str, float]:
    """Let everybody in and out again, one after another over all gates; return one day's percentiles in ms."""
    green_ms, screen_ms = [], []
    for direction in ("in", "out"):
        hands = [SocketHand(terminal.reader(direction).port) for terminal in terminals]
        for number, card in enumerate(site.identities):
            expected = number + 1 if direction == "in" else len(site.identities) - number - 1
            green, screen = tap_and_see(hands[number % len(hands)], card, expected, seen)
            green_ms.append(green)
            screen_ms.append(screen)
        for hand in hands:
            hand.close()
    return {
        "green_p50_ms": percentile(green_ms, 0.5),
        "green_p99_ms": percentile(green_ms, 0.99),
        "screen_p50_ms": percentile(screen_ms, 0.5),
        "screen_p99_ms": percentile(screen_ms, 0.99),
    }


def reader_token(database_url: str) -> str:
    """Make a token that may read the headcount."""
    engine = make_engine(database_url, pool_size=1)
    with write_session(engine) as session:
        _, secret = create_token(
            session,
            name="bench",
            scopes=["site:headcount:read"],
            site=None,
            expires_at=None,
            actor="system:bench",
            now=datetime.now(UTC),
        )
    engine.dispose()
    return secret


def measure(folder: Path, *, workers: int, days: int) -> dict[str, Any]:
    """Start everything, play the days, return the medians over days."""
    folder.chmod(0o755)
    keys = make_keys(folder / "keys")
    (folder / "pg").mkdir(mode=0o777)
    (folder / "pg").chmod(0o777)
    postgres = PostgresServer(folder / "pg" / "data")
    broker = MosquittoBroker(folder / "mosquitto")
    postgres.start()
    broker.start()
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE ccs")
    url = postgres.url("ccs")
    upgrade(url)
    site = seed_site(url, card_key=keys.card_key_bytes, terminals=dict.fromkeys(TERMINALS, ("in", "out")),
                     workers=workers, site=SITE)  # fmt: skip
    central = [CentralProgram(role, folder / "central", url, broker.url, keys) for role in ("web", "worker")]
    terminals = [TerminalProgram(SITE, code, folder / code, broker.url, keys) for code in TERMINALS]
    try:
        for program in (*central, *terminals):
            program.start()
        address = f"{central[0].url}/api/v1/sites/{SITE}/headcount/stream"
        headers = {"Authorization": f"Bearer {reader_token(url)}"}
        seen: queue.Queue[tuple[float, int]] = queue.Queue()
        with httpx.stream("GET", address, headers=headers, timeout=None) as response:
            response.raise_for_status()
            threading.Thread(target=readings, args=(response.iter_lines(), seen), daemon=True).start()
            results = [day(terminals, site, seen) for _ in range(days)]
    finally:
        for program in (*terminals, *central):
            program.program.stop()
        broker.stop()
        postgres.stop()
    medians = {name: round(statistics.median(result[name] for result in results), 2) for name in results[0]}
    return {"benchmark": "screen", "workers": workers, "days": days, "medians": medians, "each_day": results}


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--workers", type=int, default=100)
    parser.add_argument("--days", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ccs-bench-") as folder:
        print(json.dumps(measure(Path(folder), workers=options.workers, days=options.days), indent=2))


if __name__ == "__main__":
    main()
