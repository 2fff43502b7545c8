"""No page, sheet or API answer asks the database more often because there are more rows.

Every route that is read is asked twice, for a few rows of every kind and for fifty: the same number of queries.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest

from central.attendance.models import Quarantined
from central.identity.accounts import create_token
from central.identity.actors import ActorCache
from central.identity.looks import Looks
from central.identity.models import ApiToken, Membership, SavedView, User
from central.identity.permissions import Role
from central.kit.clock import SystemClock
from central.kit.db import write_session
from central.kit.listen import EVERYTHING
from simulators.filled_site import presence
from simulators.two_worlds import World, crowd
from simulators.web import read_by

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastapi import FastAPI
    from sqlalchemy import Engine

    from simulators.web import WebServer

FEW, MANY = 4, 46
OK = 200
PING = ";"
"""What the pool asks a connection before it gives it out again."""
STREAMS = {"/api/v1/sites/{code}/headcount/stream", "/api/v1/sites/{code}/feed/stream"}
"""They do not end by themselves."""
LISTS = {
    *("/workers", "/cards", "/projects", "/organizations", "/bars", "/sites", "/terminals", "/objections", "/accounts"),
    *("/quarantine", "/audit", "/projects/{code}", "/sites/{code}", "/sites/{code}/about", "/sites/{code}/imports"),
    *("/workers.{form}", "/cards.{form}", "/projects.{form}", "/organizations.{form}", "/sites/{code}/roll.{form}"),
    *("/api/v1/workers", "/api/v1/cards", "/api/v1/projects", "/api/v1/organizations", "/api/v1/sites"),
}
"""Where the rows added here are seen: did one of these answer without them, the walk would prove nothing."""


@pytest.fixture
def asked() -> Iterator[list[str]]:
    """Note every statement of this process, whichever layer sends it."""
    statements: list[str] = []
    plain = psycopg.Cursor.execute

    def execute(cursor: psycopg.Cursor[Any], query: Any, *given: Any, **more: Any) -> psycopg.Cursor[Any]:
        if str(query) != PING:
            statements.append(str(query))
        return plain(cursor, query, *given, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psycopg.Cursor, "execute", execute)
        yield statements


@pytest.fixture
def operator(people_of: dict[Role, int], session_for: Callable[..., str]) -> dict[str, str]:
    """Cookies of a system operator."""
    return {"ccs_session": session_for(people_of[Role.SYSTEM_OPERATOR])}


@pytest.fixture
def machine(access_engine: Engine) -> dict[str, str]:
    """Headers of a token that may do everything."""
    with write_session(access_engine) as session:
        now = SystemClock().now()
        _, secret = create_token(session, name="m", scopes=("*",), site=None, expires_at=None, actor="t", now=now)
    return {"Authorization": f"Bearer {secret}"}


def addresses(app: FastAPI, world: World) -> dict[str, str]:
    """Every address that is read, with the own world's names in it."""
    prime = {"contract_id": world.ids["contract_prime"]}
    return {path: world.address(path, **prime) for path in read_by(app) if path not in STREAMS}


def more(engine: Engine, world: World, people: int, *, first: int, operator: int) -> None:
    """Add so many rows of every kind that a list shows."""
    now = SystemClock().now()
    with write_session(engine) as session:
        for worker in crowd(session, world, people, first=first, now=now):
            where = {"at": now, "terminal_id": world.ids["terminal"], "journal": 1}
            session.add(presence(world.ids["site"], worker, **where))  # type: ignore[arg-type]  # each of its own kind
        for number in range(first, first + people):
            user = User(email=f"u{number}@example.org", name=f"u{number}", password_hash="none")
            session.add(user)
            session.flush()
            session.add(
                Membership(user_id=user.id or 0, role=Role.CONTRACTOR.value, organization_id=world.ids["prime"])
            )
            key = {"secret_hash": bytes([number]) * 32, "expires_at": now + timedelta(days=9)}
            session.add(ApiToken(name="t", scopes=[], owner_id=operator, **key))
            if number < 20:
                session.add(SavedView(user_id=operator, path="/workers", name=f"v{number}", query="q=x"))
            bad = {"sha256": bytes([number]) * 32, "topic": "t", "reason": "unreadable", "bytes_": b"x"}
            session.add(Quarantined(**bad, first_seen_at=now, last_seen_at=now))


def test_no_answer_asks_more_often_for_more_rows(
    access_app: FastAPI,
    access_web: WebServer,
    access_engine: Engine,
    worlds: tuple[World, World],
    people_of: dict[Role, int],
    operator: dict[str, str],
    machine: dict[str, str],
    asked: list[str],
) -> None:
    app, own = access_app, worlds[0]
    app.state.actors = ActorCache(app.state.engine, SystemClock(), remember_s=3_600)
    paths = addresses(app, own)

    def walk() -> dict[str, tuple[int, int, int]]:
        app.state.actors.flush()
        app.state.looks = Looks(app.state.engine)
        found = {}
        with (
            httpx.Client(base_url=access_web.url, headers=machine, timeout=30) as token,
            httpx.Client(base_url=access_web.url, cookies=operator, timeout=30) as person,
        ):
            for client in (token, person):
                client.get(f"/sites/{own.site}")  # from now on both are known, and the site
            for path, address in paths.items():
                for client in (person, token):
                    app.state.headcounts.changed(EVERYTHING)  # else it is read again after so many seconds
                    asked.clear()
                    answer = client.get(address)
                    found[path] = (answer.status_code, len(asked), len(answer.content))
                    if answer.status_code == OK:
                        break
        return found

    more(access_engine, own, FEW, first=0, operator=people_of[Role.SYSTEM_OPERATOR])
    few = walk()
    more(access_engine, own, MANY, first=FEW, operator=people_of[Role.SYSTEM_OPERATOR])
    many = walk()
    grown = {path: (few[path], many[path]) for path in paths if many[path][1] != few[path][1]}
    assert not grown, "status, queries and bytes, for few and for many"
    unseen = {path: (few[path], many[path]) for path in LISTS if many[path][0] != OK or many[path][2] <= few[path][2]}
    assert not unseen
