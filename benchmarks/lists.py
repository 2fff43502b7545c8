"""What a page of a long list costs beside its one indexed query.

    python -m benchmarks.lists [--rounds 40]

100,000 workers with an employment, a paper and a card each, 3,500 projects with a site each, 10,000 organizations. For
each page: the query that finds its rows, all of its queries together (sent again by the bare driver), and the
processor time of the web process for the whole answer: session, access, reading rows, HTML. "nothing listed" is what
any page costs. Prints JSON; each figure is the best of the rounds, which a busy machine disturbs least.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import psycopg
from sqlalchemy import event

from central.app import create_app
from central.identity.accounts import create_token
from central.kit.clock import SystemClock
from central.kit.config import Settings
from central.kit.db import make_engine, write_session
from central.kit.migrate import upgrade
from simulators.servers import PostgresServer

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
}
NOTHING = "/new/organization"
WARM_UP = 5


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
    secret = _token(url)
    seen: list[tuple[str, Any]] = []

    def note(_c: object, _cu: object, sql: str, given: Any, *_: object) -> None:  # noqa: ANN401 - as the driver has it
        seen.append((sql, given))

    event.listen(app.state.engine, "before_cursor_execute", note)
    headers = {"Authorization": f"Bearer {secret}", "Accept": "text/html"}
    transport = httpx.ASGITransport(app=app)
    found = {}
    with psycopg.connect(url) as bare:
        async with httpx.AsyncClient(transport=transport, base_url="http://bench", headers=headers) as client:
            for name, path in PAGES.items():
                found[name] = await _one(client, bare, path, seen, rounds)
            found["nothing listed"] = {"web_cpu_ms": await _floor(client, rounds)}
    app.state.engine.dispose()
    return found


def _token(url: str) -> str:
    engine = make_engine(url)
    with write_session(engine) as session:
        now = SystemClock().now()
        _, secret = create_token(session, name="bench", scopes=("*",), site=None, expires_at=None, actor="b", now=now)
    engine.dispose()
    return secret


async def _floor(client: httpx.AsyncClient, rounds: int) -> float:
    took = []
    for _ in range(rounds):
        began = time.process_time()
        await client.get(NOTHING)
        took.append(time.process_time() - began)
    return round(min(took) * 1000, 2)


async def _one(
    client: httpx.AsyncClient, bare: psycopg.Connection[Any], path: str, seen: list[tuple[str, Any]], rounds: int
) -> dict[str, Any]:
    page_s: list[float] = []
    every_s: dict[int, list[float]] = {}
    first = rows = 0
    for turn in range(rounds + WARM_UP):
        seen.clear()
        began = time.process_time()
        answer = await client.get(path)
        took = time.process_time() - began
        answer.raise_for_status()
        queries = [one for one in seen if "FROM registry_" in one[0]]
        first = next(place for place, one in enumerate(queries) if "LIMIT" in one[0])
        for place, (sql, given) in enumerate(queries):
            began = time.perf_counter()
            found = bare.execute(sql, given).fetchall()
            if turn >= WARM_UP:
                every_s.setdefault(place, []).append(time.perf_counter() - began)
            rows = len(found) if place == first else rows
        if turn >= WARM_UP:
            page_s.append(took)
    best = {place: min(took) * 1000 for place, took in every_s.items()}
    asked = sum(best.values())
    return {
        "one_query_ms": round(best[first], 2),
        "all_queries_ms": round(asked, 2),
        "all_over_one": round(asked / best[first], 2),
        "web_cpu_ms": round(min(page_s) * 1000, 2),
        "queries": len(best),
        "rows": rows,
        "bytes": len(answer.content),
    }


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    print(json.dumps(measure(parser.parse_args().rounds), indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
