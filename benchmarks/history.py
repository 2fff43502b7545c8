"""What a long history costs: two databases on one server, alike but for the months stored before the present one.

A district of 380 sites and 11,400 workers who tap four times on 22 days a month is a million taps a month. The small
database holds the last month, the big one that month and `--months` - 1 before it. In turns, in one run: the headcount
of a site, a worker's month, a look back to the last working day; and, once each, recomputing everybody's presence from
zero. The server itself writes the taps, with short bytes (20 instead of some 650 each): that makes the tables smaller
than life, not the indexes, and no question here reads the bytes. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from central.attendance import jobs, keeping
from central.attendance.diary import worker_days
from central.attendance.intake import connect
from central.attendance.keeping import PersonKey
from central.attendance.months import Month, make_month, month_of
from central.attendance.service import site_headcount
from central.kit.db import make_engine, read_session
from central.kit.ids import SiteId
from central.kit.migrate import upgrade
from simulators.servers import PostgresServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

SITES, WORKERS_A_SITE, WORK_DAYS, TAPS_A_DAY = 380, 30, 22, 4
WORKERS = SITES * WORKERS_A_SITE
TAPS_A_MONTH = WORKERS * WORK_DAYS * TAPS_A_DAY
QUESTIONS_A_ROUND = 60
SEED = 7
DAY_BEGINS = timedelta(hours=21, minutes=50)
"""Ten to seven in Seoul."""

REGISTRY = f"""
INSERT INTO registry_organization (name, kind) VALUES ('City Works Office', 'client'), ('Hanbit', 'prime');
INSERT INTO registry_project (code, name, client_id) VALUES ('district', 'District', 1);
INSERT INTO registry_site (code, project_id, name, address, timezone)
  SELECT 'site-' || n, 1, 'Site ' || n, '', 'Asia/Seoul' FROM generate_series(1, {SITES}) n;
INSERT INTO registry_terminal (site_id, code, name, zone, readers, in_service)
  SELECT n, 'gate-01', 'Gate', 'gate', '[{{"name": "r1", "direction": "in"}}, {{"name": "r2", "direction": "out"}}]',
    true FROM generate_series(1, {SITES}) n;
INSERT INTO registry_worker (name, language, is_test)
  SELECT 'Worker ' || n, 'ko', false FROM generate_series(1, {WORKERS}) n;
INSERT INTO registry_employment (worker_id, site_id, employer_id, trade, from_on)
  SELECT n, 1 + (n - 1) / {WORKERS_A_SITE}, 2, 'rebar', '2020-01-01' FROM generate_series(1, {WORKERS}) n;
INSERT INTO attendance_journal (journal_id, terminal_id, durable_hash)
  SELECT gen_random_uuid(), n, decode(repeat('00', 32), 'hex') FROM generate_series(1, {SITES}) n;
INSERT INTO attendance_terminal_status (terminal_id, online, boot_id, heard_at, head_seq, unacknowledged, clock_state,
  roster_version) SELECT n, true, '', now(), 0, 0, 'synced', 0 FROM generate_series(1, {SITES}) n;
"""
# In the order of receipt, as ingest writes: day by day, tap by tap. Workers come forty seconds after each other.
TAPS = f"""
INSERT INTO attendance_event (journal, seq, received_at, occurred_at, site_id, terminal_id, worker_id, time_basis,
  direction, decision, assurance, type, reader, zone, token, hash, bytes)
SELECT site, %(before)s + (day * {TAPS_A_DAY} + k) * {WORKERS_A_SITE} + place + 1, at + interval '1 second', at, site,
  site, worker, 0, k %% 2, 0, 3, 'ccs.tap.v1', 'r' || 1 + k %% 2, 'gate',
  decode(lpad(to_hex(worker), 32, '0'), 'hex'), sha256((worker::text || at)::bytea),
  '\\x0102030405060708091011121314151617181920'
FROM generate_series(0, {WORK_DAYS - 1}) day, generate_series(0, {TAPS_A_DAY - 1}) k,
  generate_series(0, {WORKERS_A_SITE - 1}) place, generate_series(1, {SITES}) site,
  LATERAL (SELECT (site - 1) * {WORKERS_A_SITE} + place + 1 AS worker,
    %(first_day)s + day * interval '1 day' + (ARRAY['0:00', '5:10', '6:00', '10:10']::interval[])[k + 1]
      + place * interval '40 seconds' AS at) made
"""


def write_month(connection: psycopg.Connection[Any], month: Month, *, before: int) -> None:
    """Store a month's taps; `before` is the highest seq of each journal."""
    make_month(connection, month)
    first_day = month.from_at + DAY_BEGINS
    connection.execute(TAPS.encode(), {"before": before, "first_day": first_day})


def months_until(now: datetime, count: int) -> list[Month]:
    """List the `count` months before the one of `now`, oldest first."""
    found = [month_of(month_of(now).from_at - timedelta(days=1))]
    while len(found) < count:
        found.insert(0, month_of(found[0].from_at - timedelta(days=1)))
    return found


def fill(url: str, months: list[Month]) -> None:
    """Make the registry and store these months."""
    upgrade(url)
    journal_taps = TAPS_A_MONTH // SITES
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(REGISTRY.encode())
        for number, month in enumerate(months):
            write_month(connection, month, before=number * journal_taps)
            print(f"stored {(number + 1) * TAPS_A_MONTH:,} taps", file=sys.stderr)
        # The taps lie in every month, in the order of their numbers: what ingest would have kept.
        connection.execute(
            "UPDATE attendance_journal SET durable = %s, durable_hash = sha256('x')", (len(months) * journal_taps,)
        )
        connection.execute("VACUUM ANALYZE attendance_event")


def recompute(url: str) -> float:
    """Fold everybody from zero, as the nightly job does; returns the seconds."""
    with connect(url) as connection:
        everyone = [
            PersonKey((worker - 1) // WORKERS_A_SITE + 1, f"worker:{worker}") for worker in range(1, WORKERS + 1)
        ]
        begin = time.perf_counter()
        for start in range(0, WORKERS, jobs.PERSONS_A_STEP):
            with connection.transaction():
                keeping.refold(connection, everyone[start : start + jobs.PERSONS_A_STEP])
        return time.perf_counter() - begin


class Questions:
    """The questions, asked of one database as the product asks them."""

    def __init__(self, engine: Engine, *, now: datetime, month: Month) -> None:
        self._engine, self._now, self._month = engine, now, month

    def headcount(self, site: int) -> None:
        """Who is inside a site now."""
        with read_session(self._engine) as session:
            site_headcount(session, site_id=SiteId(site), now=self._now)

    def worker_month(self, worker: int) -> None:
        """A worker's days of the newest month."""
        with read_session(self._engine) as session:
            month = f"{self._month.from_at:%Y-%m}"
            days = worker_days(session, worker_id=worker, month=month, sites=None, now=self._now)
        if len(days) != WORK_DAYS:
            raise AssertionError(f"{len(days)} days, {WORK_DAYS} were worked")

    def look_back(self, site: int) -> None:
        """Who was inside a site on the morning of the last day worked."""
        true_at = self._month.from_at + DAY_BEGINS + timedelta(days=WORK_DAYS - 1, hours=3)
        with read_session(self._engine) as session:
            found = site_headcount(session, site_id=SiteId(site), now=self._now, true_at=true_at)
        if found.inside != WORKERS_A_SITE:
            raise AssertionError(f"{found.inside} inside, {WORKERS_A_SITE} were")


def timed(ask: Callable[[int], None], numbers: list[int]) -> float:
    """Milliseconds a question, the median of all asked."""
    took = []
    for number in numbers:
        begin = time.perf_counter()
        ask(number)
        took.append((time.perf_counter() - begin) * 1_000)
    return statistics.median(took)


def compare(small: Questions, big: Questions, *, rounds: int) -> dict[str, dict[str, float]]:
    """Ask both databases in turns; returns the medians of the rounds and the median of their ratios."""
    choose = random.Random(SEED)
    found: dict[str, dict[str, float]] = {}
    for name, highest in (("headcount", SITES), ("worker_month", WORKERS), ("look_back", SITES)):
        pairs = []
        for number in range(rounds + 1):
            asked = [choose.randint(1, highest) for _ in range(QUESTIONS_A_ROUND if name != "look_back" else 5)]
            both = [timed(getattr(small, name), asked), timed(getattr(big, name), asked)]
            if number:  # the first round warms both up
                pairs.append(both)
        found[name] = {
            "small_ms": round(statistics.median(one[0] for one in pairs), 3),
            "big_ms": round(statistics.median(one[1] for one in pairs), 3),
            "times_slower": round(statistics.median(one[1] / one[0] for one in pairs), 3),
        }
    return found


def measure(folder: Path, months: int, rounds: int) -> dict[str, Any]:
    """Fill both databases, recompute both, ask both."""
    server = PostgresServer(folder / "postgres", settings={"fsync": "off", "shared_buffers": "2GB", "work_mem": "64MB"})
    server.start()
    try:
        now = datetime.now(UTC)
        past = months_until(now, months)
        stores = {"small": past[-1:], "big": past}
        with psycopg.connect(server.url(), autocommit=True) as connection:
            for name in stores:
                connection.execute(f"CREATE DATABASE {name}")
        recomputed = {}
        for name, stored in stores.items():
            fill(server.url(name), stored)
            took = recompute(server.url(name))
            recomputed[name] = round(took / (len(stored) * TAPS_A_MONTH / 1e6), 2)
            print(f"{name}: presence recomputed in {took:.1f} s", file=sys.stderr)
        engines = [make_engine(server.url(name), pool_size=1) for name in stores]
        small, big = (Questions(engine, now=now, month=past[-1]) for engine in engines)
        asked = compare(small, big, rounds=rounds)
        for engine in engines:
            engine.dispose()
        with psycopg.connect(server.url("big")) as connection:
            size = connection.execute("SELECT pg_database_size('big')").fetchone()
        return {
            "what": "history",
            "taps_small": TAPS_A_MONTH,
            "taps_big": months * TAPS_A_MONTH,
            "rounds": rounds,
            "load": [round(one, 1) for one in os.getloadavg()],
            "recompute_s_a_million": recomputed,
            "big_gb": round((size[0] if size else 0) / 1e9, 1),
            **asked,
        }
    finally:
        server.stop()


def main() -> int:
    """Parse arguments, measure, print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--months", type=int, default=50, help="a million taps each")
    options.add_argument("--rounds", type=int, default=5)
    given = options.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="ccs-bench-"))
    folder.chmod(0o777)
    try:
        print(json.dumps(measure(folder, given.months, given.rounds), indent=2))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
