"""What a page of a long list costs beside its one indexed query.

    python -m benchmarks.lists [--rounds 25]

100,000 workers with an employment, a paper and a card each, 3,500 projects with a site of two terminals each, 10,000
organizations. A page's one query is the statement that fetches its rows with all that the page shows of them. In turns
in one process: the whole page, by the clock, from the request's arrival to the answer's last byte (session, access,
every query, HTML, compression), then that statement alone, by the bare driver, fetched to the last row. Whoever asks
may see everything, or (marked so) is of a prime contractor and sees their own sites' rows. "nothing listed" is what any
page costs, and what of a page is spent waiting for its queries stands beside it. Prints JSON; medians of the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import tempfile
import time
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from central.app import create_app
from central.identity.accounts import create_token
from central.identity.credentials import new_session_secret, secret_hash
from central.identity.models import Membership, SignIn, User
from central.identity.permissions import Role
from central.kit.clock import SystemClock
from central.kit.config import Settings
from central.kit.db import make_engine, write_session
from central.kit.migrate import upgrade
from simulators.servers import PostgresServer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fastapi import FastAPI

WORKERS, PROJECTS, ORGANIZATIONS = 100_000, 3_500, 10_000
FILL = f"""
INSERT INTO registry_organization (name, kind, business_no)
SELECT 'Firm ' || lpad(g::text, 6, '0'), (ARRAY['client', 'prime', 'sub', 'supplier'])[1 + g % 4],
       lpad(g::text, 10, '0')
FROM generate_series(1, {ORGANIZATIONS}) g;
INSERT INTO registry_project (code, name, client_id, begins_on)
SELECT 'project-' || g, 'Project ' || lpad(g::text, 6, '0'), 1 + g % 100, date '2024-01-01' + g % 900
FROM generate_series(1, {PROJECTS}) g;
INSERT INTO registry_site (code, project_id, name, address, timezone)
SELECT 'site-' || id, id, 'Site ' || id, '', 'Asia/Seoul' FROM registry_project;
INSERT INTO registry_site_employer (site_id, organization_id, tier, from_on)
SELECT id, 1 + id % 5000, 'prime', date '2024-01-01' FROM registry_site;
INSERT INTO registry_worker (name, worker_no, language, is_test)
SELECT (ARRAY['김', '이', '박', '최', '정', '강', '조', '윤', '장', '임'])[1 + g % 10] || chr(44032 + g * 7 % 11172)
       || chr(44032 + g * 13 % 11172), 'N-' || g, 'ko', false
FROM generate_series(1, {WORKERS}) g;
INSERT INTO registry_employment (worker_id, site_id, employer_id, trade, from_on)
SELECT id, 1 + id % {PROJECTS}, 1 + (1 + id % {PROJECTS}) % 5000, 'rebar', date '2025-01-01' FROM registry_worker;
INSERT INTO registry_worker_paper (worker_id, kind, value, number, from_on, until_on, recorded_at, recorded_by)
SELECT id, 'safety_certificate', '', '', date '2025-01-01', date '2026-06-01', now(), 'bench' FROM registry_worker;
INSERT INTO registry_card (token, kind, state) SELECT md5(id::text), 'card', 'issued' FROM registry_worker;
INSERT INTO registry_card_assignment (card_id, worker_id, from_at)
SELECT id, id, now() - interval '9 days' FROM registry_card;
INSERT INTO registry_terminal (site_id, code, name, zone, in_service)
SELECT id, 'gate-' || n, 'Gate ' || n, '', true
FROM registry_site, generate_series(1, 2) n;
INSERT INTO attendance_terminal_status (terminal_id, online, heard_at, clock_state, head_seq, unacknowledged,
                                        roster_version, readers, versions, last_tap_at, boot_id)
SELECT id, id % 50 > 0, now(), 'synced', 0, 0, 0, '{{"r1": "ok"}}', '{{"agent": "1.0"}}', now(), ''
FROM registry_terminal;
INSERT INTO attendance_presence (site_id, person, worker_id, state, since_at, last_at, last_journal, last_seq,
                                 last_direction, last_terminal_id, last_zone, entry_assurance, doubts)
SELECT e.site_id, 'worker:' || e.worker_id, e.worker_id, 1, now(), now(), 1, e.worker_id, 0, 1, '', 3, 0
FROM registry_employment e WHERE e.worker_id % 3 > 0;
ANALYZE;
"""
PAGES = {
    "workers": "/workers",
    "workers, a name's beginning": "/workers?q=%EA%B9%80%EA%B0%80",
    "workers, a common surname": "/workers?q=%EA%B9%80",
    "workers, by number, down": "/workers?sort=number&down=1",
    "workers of a site": "/workers?site=site-70",
    "cards": "/cards",
    "cards, a holder's name": "/cards?q=%EA%B9%80%EA%B0%80",
    "projects": "/projects",
    "projects, a name's beginning": "/projects?sort=name&q=Project%200012",
    "organizations": "/organizations",
    "sites": "/sites",
    "terminals": "/terminals",
}
OWN = {"own workers": "/workers", "own cards": "/cards", "own sites": "/sites"}
"""What somebody of a prime contractor asks for."""
NOTHING = "/new/organization"
PING = ";"
"""What the pool asks a connection before it gives it out again: waited for, and no query."""
WARM_UP = 8
"""More than the driver asks before it has a statement prepared."""


def measure(rounds: int) -> dict[str, Any]:
    """Fill a database and ask each page in turns with its query."""
    folder = Path(tempfile.mkdtemp(prefix="ccs-lists-"))
    folder.chmod(0o777)
    server = PostgresServer(folder / "postgres", settings={"fsync": "off", "shared_buffers": "256MB"})
    server.start()
    try:
        url = server.url()
        upgrade(url)
        with psycopg.connect(url) as connection:
            connection.execute(FILL)
        return asyncio.run(_pages(url, rounds))
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


async def _pages(url: str, rounds: int) -> dict[str, Any]:
    app = create_app(Settings(database_url=url, secret_key="b" * 32, secure_cookies=False))
    queries = Queries()
    everything = [(b"authorization", f"Bearer {_token(url)}".encode())]
    own = [(b"cookie", f"ccs_session={_contractor(url)}".encode())]
    found: dict[str, Any] = {}
    with psycopg.connect(url, autocommit=True) as bare:
        for who, pages in ((everything, PAGES), (own, OWN)):
            for name, path in pages.items():
                found[name] = await _one(partial(_asked, app, path, who), queries, bare, rounds)
        took = [(await _timed(partial(_asked, app, NOTHING, everything)))[0] for _ in range(WARM_UP + rounds)]
    app.state.engine.dispose()
    return {
        "what": "lists",
        "cpus": os.cpu_count(),
        "rounds": rounds,
        "pages": found,
        "nothing_listed_ms": round(statistics.median(took[WARM_UP:]), 2),
    }


class Queries:
    """What this process asks the database, by whichever layer, and how long it waits for the answers."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.waited_ms = 0.0
        plain = psycopg.Cursor.execute

        def execute(cursor: psycopg.Cursor[Any], query: Any, params: Any = None, **more: Any) -> psycopg.Cursor[Any]:  # noqa: ANN401 - as the driver has it
            if str(query) != PING:
                self.asked.append((str(query), params))
            began = time.perf_counter()
            try:
                return plain(cursor, query, params, **more)
            finally:
                self.waited_ms += (time.perf_counter() - began) * 1_000

        psycopg.Cursor.execute = execute  # type: ignore[method-assign]  # for as long as this program runs

    def clear(self) -> None:
        """Begin anew."""
        self.asked.clear()
        self.waited_ms = 0.0

    def of_rows(self) -> tuple[str, Any]:
        """Return the statement that fetches the page's rows: the longest, since it says all that is shown."""
        return max((one for one in self.asked if "FROM registry_" in one[0]), key=lambda one: len(one[0]))


async def _asked(app: FastAPI, address: str, who: list[tuple[bytes, bytes]]) -> int:
    """Ask the application as a server would, without one; return the answer's bytes."""
    path, _, query = address.partition("?")
    headers = [*who, (b"host", b"bench"), (b"accept", b"text/html"), (b"accept-encoding", b"gzip")]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "server": ("bench", 80),
        "client": ("127.0.0.1", 1),
        "headers": headers,
    }
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:  # noqa: ANN401 - as ASGI asks
        sent.append(message)

    await app(scope, receive, send)
    if sent[0]["status"] != HTTPStatus.OK:
        raise RuntimeError(f"{address}: expected 200, got {sent[0]['status']}")
    return sum(len(one.get("body", b"")) for one in sent)


async def _timed(ask: Callable[[], Awaitable[int]]) -> tuple[float, int]:
    began = time.perf_counter()
    weight = await ask()
    return (time.perf_counter() - began) * 1_000, weight


async def _one(
    ask: Callable[[], Awaitable[int]], queries: Queries, bare: psycopg.Connection[Any], rounds: int
) -> dict[str, Any]:
    page_ms, waited_ms, query_ms = [], [], []
    weight = rows = asked = 0
    for _ in range(WARM_UP + rounds):
        queries.clear()
        took, weight = await _timed(ask)
        page_ms.append(took)
        waited_ms.append(queries.waited_ms)
        asked, (sql, given) = len(queries.asked), queries.of_rows()
        began = time.perf_counter()
        rows = len(bare.execute(sql, given).fetchall())
        query_ms.append((time.perf_counter() - began) * 1_000)
    page, query = statistics.median(page_ms[WARM_UP:]), statistics.median(query_ms[WARM_UP:])
    return {
        "page_ms": round(page, 2),
        "one_query_ms": round(query, 2),
        "page_over_query": round(page / query, 2),
        "waited_for_queries_ms": round(statistics.median(waited_ms[WARM_UP:]), 2),
        "queries": asked,
        "rows": rows,
        "bytes": weight,
    }


def _token(url: str) -> str:
    engine = make_engine(url)
    with write_session(engine) as session:
        now = SystemClock().now()
        _, secret = create_token(session, name="bench", scopes=("*",), site=None, expires_at=None, actor="b", now=now)
    engine.dispose()
    return secret


def _contractor(url: str) -> str:
    """Sign in somebody of an organization that is a site's prime contractor."""
    engine = make_engine(url)
    now, secret = SystemClock().now(), new_session_secret()
    with write_session(engine) as session:
        user = User(email="bench@example.org", name="bench")
        session.add(user)
        session.flush()
        session.add(Membership(user_id=user.id or 0, role=Role.CONTRACTOR.value, organization_id=71))
        session.add(SignIn(secret_hash=secret_hash(secret), user_id=user.id, expires_at=now + timedelta(hours=12)))
    engine.dispose()
    return secret


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=25)
    print(json.dumps(measure(parser.parse_args().rounds), indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
