"""The whole web application on a real server, with a filled site, and people and machines to ask it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from central.app import create_app
from central.identity.accounts import Scope, create_token, create_user
from central.kit.clock import SystemClock
from central.kit.config import Settings
from central.kit.db import make_engine, write_session
from simulators.filled_site import FilledSite, fill_site
from simulators.web import WebServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastapi import FastAPI
    from sqlalchemy import Engine

PASSWORD = "correct horse battery staple"


@pytest.fixture
def site_engine(database_url: str) -> Iterator[Engine]:
    engine = make_engine(database_url, pool_size=5)
    yield engine
    engine.dispose()


@pytest.fixture
def filled(site_engine: Engine) -> FilledSite:
    return fill_site(site_engine, now=SystemClock().now())


@pytest.fixture
def central_app(database_url: str) -> FastAPI:
    return create_app(Settings(database_url=database_url, secret_key="s" * 32, secure_cookies=False))


@pytest.fixture
def central_web(central_app: FastAPI, filled: FilledSite) -> Iterator[WebServer]:  # noqa: ARG001 - filled before it serves
    with WebServer(central_app) as server:
        yield server


@pytest.fixture
def client_for(central_web: WebServer, site_engine: Engine) -> Iterator[Callable[..., httpx.Client]]:
    """Make API clients with tokens of the given scopes."""
    made: list[httpx.Client] = []

    def make(*scopes: str, site: str | None = "site-07") -> httpx.Client:
        with write_session(site_engine) as session:
            _, secret = create_token(
                session,
                name="a machine",
                scopes=scopes,
                site=site,
                expires_at=None,
                actor="system:test",
                now=SystemClock().now(),
            )
        headers = {"Authorization": f"Bearer {secret}"}
        made.append(httpx.Client(base_url=central_web.url, headers=headers, timeout=30))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def person_for(site_engine: Engine) -> Callable[..., str]:
    """Make an account with a role on the site; return its address. The password is `PASSWORD`."""

    def make(role: str, *, site: str | None = "site-07") -> str:
        email = f"{role}@example.org"
        with write_session(site_engine) as session:
            create_user(
                session,
                email=email,
                name="안전 김",
                password=PASSWORD,
                role=role,
                scope=Scope(site=site),
                actor="system:test",
                now=SystemClock().now(),
            )
        return email

    return make
