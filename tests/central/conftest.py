"""The registry's and identity's own web application on a real server, with a clock that tests move by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from fastapi import FastAPI

from central.identity.accounts import create_token
from central.identity.actors import ActorCache
from central.identity.looks import Looks
from central.identity.outside_provider import Providers
from central.identity.routers import identity_routers
from central.kit.config import Settings
from central.kit.db import make_engine, write_session
from central.kit.problems import install_problems
from central.kit.sealed import Seal
from central.registry.import_queue import ImportQueue
from central.registry.routes import ROUTERS
from simulators.clocks import HandClock
from simulators.web import WebServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import timedelta
    from pathlib import Path

    from sqlalchemy import Engine


@pytest.fixture
def hand_clock() -> HandClock:
    return HandClock()


@pytest.fixture
def central_engine(database_url: str) -> Iterator[Engine]:
    engine = make_engine(database_url, pool_size=5)
    yield engine
    engine.dispose()


@pytest.fixture
def import_queue(central_engine: Engine, hand_clock: HandClock) -> Iterator[ImportQueue]:
    queue = ImportQueue(central_engine, hand_clock)
    yield queue
    queue.close()


@pytest.fixture
def registry_web(
    database_url: str, central_engine: Engine, hand_clock: HandClock, import_queue: ImportQueue, tmp_path: Path
) -> Iterator[WebServer]:
    key_file = tmp_path / "card.key"
    key_file.write_text("ab" * 32)
    app = FastAPI()
    app.state.settings = Settings(
        database_url=database_url, secret_key="s" * 32, secure_cookies=False, card_key_file=key_file
    )
    app.state.engine = central_engine
    app.state.clock = hand_clock
    app.state.actors = ActorCache(central_engine, hand_clock, remember_s=0.0)
    app.state.looks = Looks(central_engine)
    app.state.imports = import_queue
    app.state.seal = Seal(b"k" * 32)
    app.state.providers = Providers(())
    install_problems(app)
    for router in (*identity_routers(), *ROUTERS):
        app.include_router(router)
    with WebServer(app) as server:
        yield server


@pytest.fixture
def token_of(central_engine: Engine, hand_clock: HandClock) -> Callable[..., str]:
    """Make an API token straight in the database and return its secret."""

    def make(*scopes: str, site: str | None = None, expires_in: timedelta | None = None) -> str:
        with write_session(central_engine) as session:
            now = hand_clock.now()
            _, secret = create_token(
                session,
                name="a machine",
                scopes=scopes,
                site=site,
                expires_at=now + expires_in if expires_in else None,
                actor="system:test",
                now=now,
            )
            return secret

    return make


@pytest.fixture
def api_for(registry_web: WebServer, token_of: Callable[..., str]) -> Iterator[Callable[..., httpx.Client]]:
    """Make API clients with tokens of the given scopes."""
    made: list[httpx.Client] = []

    def make(*scopes: str, site: str | None = None) -> httpx.Client:
        headers = {"Authorization": f"Bearer {token_of(*scopes, site=site)}"}
        made.append(httpx.Client(base_url=f"{registry_web.url}/api/v1/", headers=headers, timeout=30))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def operator(api_for: Callable[..., httpx.Client]) -> httpx.Client:
    """An API client that may do everything."""
    return api_for("*")


@pytest.fixture
def site_seven(operator: httpx.Client) -> dict[str, int]:
    """A site `site-07` with a prime contractor on it, made through the API; ids by name."""
    prime = operator.post("organizations", json={"name": "Hanbit", "kind": "prime", "business_no": "124-81-00998"})
    client = operator.post("organizations", json={"name": "City Works", "kind": "client"})
    operator.post("projects", json={"code": "gym", "name": "Gymnasium", "client_id": client.json()["id"]})
    site = operator.post("sites", json={"code": "site-07", "project": "gym", "name": "Gymnasium site"})
    assert site.status_code == 201, site.text
    employer = {"organization_id": prime.json()["id"], "tier": "prime", "from_on": "2026-01-01"}
    assert operator.post("sites/site-07/employers", json=employer).status_code == 201
    return {"site": site.json()["id"], "prime": prime.json()["id"]}
