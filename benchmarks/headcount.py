"""How fast the headcount answers, whether history slows it, and what one change costs with a thousand watchers.

    python benchmarks/headcount.py [--taps 1000000] [--rounds 5] [--seconds 1.0] [--watchers 1000]

One server process on one core (uvicorn), clients in another process; only ratios within one run mean anything. Prints
JSON; each figure is the median of the rounds. The big history is 10 million taps with `--taps 10000000`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import shutil
import statistics
import sys
import tempfile
import threading
import time
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from sqlalchemy import text
from starlette.responses import Response

from central.app import create_app
from central.identity.accounts import create_token
from central.kit.clock import SystemClock
from central.kit.config import Settings
from central.kit.db import make_engine, write_session
from central.kit.migrate import upgrade
from simulators.filled_site import enter, fill_site
from simulators.servers import PostgresServer, accepts, free_port, wait_until

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

    from sqlalchemy import Engine

    from simulators.filled_site import FilledSite

SMALL_TAPS = 10_000
CONNECTIONS = 32
CHUNK_TAPS = 500_000
PREBUILT = b'{"site":"site-07","inside":187}' + b" " * 1_400
PATH = "/api/v1/sites/site-07/headcount"


def serve(database_url: str, port: int, pipe: Connection) -> None:
    """Serve in a child process; answer `cpu` on the pipe with the process's CPU seconds so far."""
    app = create_app(Settings(database_url=database_url, secret_key="b" * 32, secure_cookies=False))

    @app.get("/bench/prebuilt", response_class=Response)
    async def prebuilt() -> Response:
        return Response(PREBUILT, media_type="application/json")

    def answer() -> None:
        while pipe.recv() == "cpu":
            used = resource.getrusage(resource.RUSAGE_SELF)
            pipe.send(used.ru_utime + used.ru_stime)

    threading.Thread(target=answer, daemon=True).start()
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error", access_log=False, timeout_graceful_shutdown=1)


class Server:
    """The web process under measurement."""

    def __init__(self, database_url: str) -> None:
        self.port = free_port()
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process: BaseProcess = context.Process(target=serve, args=(database_url, self.port, theirs), daemon=True)
        self._process.start()
        wait_until(lambda: accepts(self.port), what="the server under measurement")

    def cpu_s(self) -> float:
        """CPU seconds the server has used so far."""
        self._pipe.send("cpu")
        return float(self._pipe.recv())

    def stop(self) -> None:
        """Stop it."""
        self._process.terminate()
        self._process.join(10)


async def requests_per_s(port: int, path: str, token: str, *, seconds: float) -> float:
    """Ask over kept connections, one request at a time on each, and count the complete answers."""
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    until = time.monotonic() + seconds
    counts = await asyncio.gather(*(_ask(port, request, until) for _ in range(CONNECTIONS)))
    return sum(counts) / seconds


async def _ask(port: int, request: bytes, until: float) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    count = 0
    while time.monotonic() < until:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"expected 200, got {head[:60]!r}")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        count += 1
    writer.close()
    return count


def write_taps(engine: Engine, filled: FilledSite, *, total: int, already: int) -> None:
    """Grow the stored history to `total` taps, half a million at a time."""
    sql = text(
        "INSERT INTO attendance_event (journal, seq, received_at, occurred_at, site_id, terminal_id, worker_id,"
        " time_basis, direction, decision, assurance, type, reader, zone, token, hash, bytes)"
        " SELECT :journal, n, t, t, :site, :terminal, :first + n % :workers, 0, n % 2, 0, 3, 'ccs.tap.v1', 'r1',"
        " 'zone-01', decode(repeat('9f', 16), 'hex'), sha256(n::text::bytea), convert_to(repeat('x', 400), 'UTF8')"
        " FROM generate_series(CAST(:start AS bigint), :stop) n,"
        " LATERAL (SELECT now() - interval '1 year' + n * interval '1 second' AS t) AS at_time"
    )
    with engine.connect() as connection:
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("SELECT ccs_event_month(now() - n * interval '1 month') FROM generate_series(0, 12) n"))
        for start in range(already + 1, total + 1, CHUNK_TAPS):
            given = {"journal": filled.journal_ids[0], "terminal": filled.terminal_ids[0], "site": filled.site_id}
            more = {"first": filled.worker_ids[0], "workers": len(filled.worker_ids)}
            bounds = {"start": start, "stop": min(start + CHUNK_TAPS - 1, total)}
            connection.execute(sql, given | more | bounds)
            connection.commit()
        connection.execute(text("ANALYZE attendance_event"))
        connection.commit()


async def watch_cost(
    server: Server, engine: Engine, filled: FilledSite, token: str, *, watchers: int, rounds: int
) -> Any:  # noqa: ANN401 - JSON
    """Open streams, make changes one by one, and measure CPU and the time until the last watcher has each."""
    request = f"GET {PATH}/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    streams = []
    for _ in range(watchers):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1 << 20)
        writer.write(request)
        streams.append((reader, writer))
    await asyncio.gather(*(_until(reader, b'"inside":') for reader, _ in streams))
    cpu_ms, last_ms = [], []
    for index in range(rounds):
        name = f"watched {index}"
        expected = f'"inside":{len(filled.worker_ids) + index + 1},'.encode()
        waiting = asyncio.gather(*(_until(reader, expected) for reader, _ in streams))
        before, began = server.cpu_s(), time.monotonic()
        await asyncio.to_thread(enter, engine, filled, name=name, now=SystemClock().now())
        await waiting
        last_ms.append((time.monotonic() - began) * 1_000)
        cpu_ms.append((server.cpu_s() - before) * 1_000)
    for _, writer in streams:
        writer.close()
    return {
        "watchers": watchers,
        "cpu_ms_a_broadcast": round(statistics.median(cpu_ms), 1),
        "change_to_last_watcher_ms": round(statistics.median(last_ms), 1),
    }


async def _until(reader: asyncio.StreamReader, wanted: bytes) -> None:
    seen = b""
    while wanted not in seen:
        part = await reader.read(65_536)
        if not part:
            raise RuntimeError("the server closed a stream")
        seen = (seen + part)[-65_536:]


def rates(server: Server, token: str, *, rounds: int, seconds: float) -> dict[str, float]:
    """Measure both endpoints in turn, so that a busy moment hits both."""
    found: dict[str, list[float]] = {"prebuilt": [], "headcount": []}
    for _ in range(rounds):
        for name, path in (("prebuilt", "/bench/prebuilt"), ("headcount", PATH)):
            found[name].append(asyncio.run(requests_per_s(server.port, path, token, seconds=seconds)))
    return {name: statistics.median(values) for name, values in found.items()}


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run everything and return the figures."""
    folder = Path(tempfile.mkdtemp(prefix="ccs-bench-"))
    folder.chmod(0o777)
    postgres = PostgresServer(folder / "postgres", settings={"fsync": "off"})
    postgres.start()
    server = None
    try:
        upgrade(postgres.url())
        engine = make_engine(postgres.url())
        now = SystemClock().now()
        filled = fill_site(engine, now=now, inside=187)
        with write_session(engine) as session:
            _, token = create_token(
                session,
                name="bench",
                scopes=["site:headcount:read"],
                site="site-07",
                expires_at=None,
                actor="system:bench",
                now=now,
            )
        server = Server(postgres.url())
        given = {"rounds": arguments.rounds, "seconds": arguments.seconds}
        write_taps(engine, filled, total=SMALL_TAPS, already=0)
        rates(server, token, rounds=1, seconds=arguments.seconds)
        small = rates(server, token, **given)
        write_taps(engine, filled, total=arguments.taps, already=SMALL_TAPS)
        big = rates(server, token, **given)
        watched = asyncio.run(
            watch_cost(server, engine, filled, token, watchers=arguments.watchers, rounds=arguments.rounds)
        )
        engine.dispose()
        return {
            "what": "headcount",
            "cpus": os.cpu_count(),
            "rounds": arguments.rounds,
            "prebuilt_per_s": round(small["prebuilt"]),
            "headcount_per_s": round(small["headcount"]),
            "headcount_of_prebuilt": round(small["headcount"] / small["prebuilt"], 3),
            "history": {
                "taps_small": SMALL_TAPS,
                "taps_big": arguments.taps,
                # each headcount rate stands against its own prebuilt rate: a busy machine is no history
                "times_slower": round(
                    (small["headcount"] / small["prebuilt"]) / (big["headcount"] / big["prebuilt"]), 3
                ),
            },
            "stream": watched,
        }
    finally:
        if server is not None:
            server.stop()
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    """Parse arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--taps", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--watchers", type=int, default=1_000)
    arguments = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536), hard))
    print(json.dumps(measure(arguments), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
