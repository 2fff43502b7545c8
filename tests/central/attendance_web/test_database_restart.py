from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from central.app import create_app
from central.identity.accounts import create_token
from central.kit.clock import SystemClock
from central.kit.config import Settings
from central.kit.db import make_engine, write_session
from central.kit.migrate import upgrade
from simulators.filled_site import enter, fill_site
from simulators.servers import PostgresServer, wait_until
from simulators.web import WebServer

HEADCOUNT = "/api/v1/sites/site-07/headcount"


@pytest.fixture
def own_postgres(server_folder: Path) -> Iterator[PostgresServer]:
    server = PostgresServer(server_folder / "own" / "postgres")
    server.start()
    yield server
    server.stop()


def test_the_web_says_that_the_database_is_away_and_goes_on_by_itself_when_it_is_back(
    own_postgres: PostgresServer,
) -> None:
    """Mutant: connections of before the restart are used without a look; the LISTEN connection is not made again."""
    url = own_postgres.url()
    upgrade(url)
    engine, now = make_engine(url, pool_size=2), SystemClock().now()
    filled = fill_site(engine, now=now, inside=3)
    with write_session(engine) as session:
        given = {"name": "m", "scopes": ["site:headcount:read"], "site": None, "expires_at": None}
        _, secret = create_token(session, **given, actor="system:test", now=now)  # type: ignore[arg-type]  # as named
    app = create_app(Settings(database_url=url, secret_key="s" * 32, secure_cookies=False))
    headers = {"Authorization": f"Bearer {secret}"}
    with WebServer(app) as web, httpx.Client(base_url=web.url, headers=headers, timeout=60) as client:
        assert client.get(HEADCOUNT).json()["inside"] == 3
        events: list[str] = []
        watching = threading.Thread(target=watch, args=(client, events), daemon=True)
        watching.start()
        wait_until(lambda: any("headcount" in line for line in events), what="the stream's first figures")
        own_postgres.kill()
        wait_until(lambda: client.get("/readyz").status_code == 503, what="the web to say that it cannot work")
        assert client.get("/healthz").status_code == 200
        wait_until(lambda: client.get(HEADCOUNT).status_code == 503, what="old figures to be refused")
        own_postgres.start()
        wait_until(lambda: client.get("/readyz").status_code == 200, what="the web to be ready again")
        wait_until(lambda: client.get(HEADCOUNT).status_code == 200, what="figures")
        enter(engine, filled, name="Late Comer", now=SystemClock().now())
        wait_until(lambda: any('"inside":4' in line for line in events), what="the same stream to go on")
    engine.dispose()


def watch(client: httpx.Client, events: list[str]) -> None:
    with client.stream("GET", f"{HEADCOUNT}/stream") as stream:
        try:
            for line in stream.iter_lines():
                events.append(line)  # noqa: PERF402 - one by one, as they come
        except httpx.TransportError:
            return
