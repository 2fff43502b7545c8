"""People at browsers, and accounts for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest
from fastapi import FastAPI
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import Engine

from central.identity.accounts import Scope, create_user
from central.identity.passwords import passwords
from central.kit.db import write_session
from simulators.clocks import HandClock
from simulators.visitor import PASSWORD, Visitor
from simulators.web import WebServer


@pytest.fixture(autouse=True)
def quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2 as always, with a small memory: these tests sign in hundreds of times."""
    quick = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=64, parallelism=1),))
    monkeypatch.setattr(passwords(), "_hasher", quick)


@pytest.fixture
def web_app(registry_web: WebServer) -> FastAPI:
    return registry_web._server.config.app  # type: ignore[return-value]


@pytest.fixture
def visitor(registry_web: WebServer) -> Iterator[Callable[[], Visitor]]:
    made: list[httpx.Client] = []

    def make() -> Visitor:
        headers = {"accept": "text/html", "accept-language": "en"}
        made.append(httpx.Client(base_url=registry_web.url, headers=headers, timeout=30))
        return Visitor(made[-1])

    yield make
    for client in made:
        client.close()


@pytest.fixture
def person(central_engine: Engine, hand_clock: HandClock, site_seven: dict[str, int]) -> Callable[..., str]:
    """Make an account with a role; return its address."""
    assert site_seven

    def make(name: str, role: str = "safety_officer", **scope: str | None) -> str:
        where = Scope(**(scope or {"site": "site-07"}))
        with write_session(central_engine) as session:
            create_user(
                session,
                email=f"{name}@b.test",
                name=name,
                password=PASSWORD,
                role=role,
                scope=where,
                language="en",
                actor="system:test",
                now=hand_clock.now(),
            )
        return f"{name}@b.test"

    return make
