"""Two worlds that must not see each other, and somebody of every role in the first."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from central.app import create_app
from central.identity.credentials import secret_hash
from central.identity.models import Membership, SignIn, User
from central.identity.permissions import Role
from central.kit.clock import SystemClock
from central.kit.config import Settings
from central.kit.db import make_engine, write_session
from simulators.two_worlds import SCOPES, World, build_world
from simulators.web import WebServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fastapi import FastAPI
    from sqlalchemy import Engine

_numbers = itertools.count(1)


@pytest.fixture
def access_engine(database_url: str) -> Iterator[Engine]:
    engine = make_engine(database_url, pool_size=5)
    yield engine
    engine.dispose()


@pytest.fixture
def worlds(access_engine: Engine) -> tuple[World, World]:
    with write_session(access_engine) as session:
        now = SystemClock().now()
        return build_world(session, "own", now=now), build_world(session, "other", now=now)


@pytest.fixture
def people_of(access_engine: Engine, worlds: tuple[World, World]) -> dict[Role, int]:
    """Somebody of each role in the own world; a worker has an account and no membership."""
    own = worlds[0]
    found = {}
    with write_session(access_engine) as session:
        for role in Role:
            user = User(email=f"{role}@example.org", name=role.value, password_hash="none")
            session.add(user)
            session.flush()
            found[role] = user.id or 0
            if role is Role.WORKER:
                continue
            scope = SCOPES[role]
            member = Membership(user_id=user.id or 0, role=role.value)
            if scope == "site":
                member.site_id = own.ids["site"]
            elif scope is not None:
                member.organization_id = own.ids[scope]
            session.add(member)
    return found


@pytest.fixture
def session_for(access_engine: Engine) -> Callable[..., str]:
    """Start a session of a `user_id`, or of a `worker_id` at their own view, and return its cookie."""

    def start(user_id: int | None = None, *, worker_id: int | None = None) -> str:
        secret, now = f"secret-{next(_numbers)}", SystemClock().now()
        with write_session(access_engine) as session:
            hashed = secret_hash(secret)
            expires = now + timedelta(hours=1)
            row = SignIn(
                secret_hash=hashed,
                user_id=user_id,
                worker_id=worker_id,
                created_at=now,
                seen_at=now,
                expires_at=expires,
            )
            session.add(row)
        return secret

    return start


@pytest.fixture
def access_app(database_url: str, tmp_path: Path) -> FastAPI:
    key = tmp_path / "data.key"
    key.write_text("cd" * 32)
    given = {"secret_key": "s" * 32, "secure_cookies": False, "data_key_file": key}
    return create_app(Settings(database_url=database_url, **given))  # type: ignore[arg-type]  # each of its own kind


@pytest.fixture
def access_web(access_app: FastAPI, worlds: tuple[World, World]) -> Iterator[WebServer]:  # noqa: ARG001 - filled before it serves
    with WebServer(access_app) as server:
        yield server
