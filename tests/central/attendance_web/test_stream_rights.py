"""A stream of the headcount lives no longer than the right to see it."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import httpx
import pytest
from sqlalchemy.exc import OperationalError

from central.attendance.board import HeadcountBoard
from central.identity.accounts import create_token, disable_user, revoke_token
from central.identity.guards import SESSION_COOKIE
from central.identity.signin import sign_in
from central.kit.clock import SystemClock
from central.kit.db import write_session
from central.kit.ids import SiteId
from simulators.servers import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from simulators.filled_site import FilledSite
    from simulators.web import WebServer

STREAM = "/api/v1/sites/site-07/headcount/stream"
PASSWORD = "correct horse battery staple"


class Watching:
    """A stream that is being read; `ended` once the server has ended it."""

    def __init__(self, url: str, **credentials: dict[str, str]) -> None:
        self.begun, self.ended = threading.Event(), threading.Event()
        self._client = httpx.Client(base_url=url, timeout=30, **credentials)  # type: ignore[arg-type]  # headers or cookies
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        wait_until(self.begun.is_set, what="the stream to begin")

    def wait(self, what: str) -> None:
        """Wait for the server to end it."""
        wait_until(self.ended.is_set, what=what)
        self._thread.join()
        self._client.close()

    def _read(self) -> None:
        with self._client.stream("GET", STREAM) as answer:
            assert answer.status_code == 200
            for line in answer.iter_lines():
                if line.startswith("data:"):
                    self.begun.set()
        self.ended.set()


def token(engine: Engine) -> tuple[int, str]:
    with write_session(engine) as session:
        return create_token(
            session,
            name="a screen",
            scopes=("site:headcount:read",),
            site="site-07",
            expires_at=None,
            actor="system:test",
            now=SystemClock().now(),
        )


def test_a_revoked_token_sees_its_stream_end_at_once_and_another_goes_on(
    central_web: WebServer, site_engine: Engine
) -> None:
    """Mutant: rights are asked when the stream begins only; it then lives on for minutes."""
    (mine, secret), (others, other) = token(site_engine), token(site_engine)
    watching = Watching(central_web.url, headers={"Authorization": f"Bearer {secret}"})
    staying = Watching(central_web.url, headers={"Authorization": f"Bearer {other}"})
    with write_session(site_engine) as session:
        revoke_token(session, token_id=mine, actor="system:test", now=SystemClock().now())
    watching.wait("the stream of the revoked token to end")
    assert not staying.ended.is_set()
    with write_session(site_engine) as session:
        revoke_token(session, token_id=others, actor="system:test", now=SystemClock().now())
    staying.wait("the other stream to end with its own token")


def test_a_closed_account_sees_its_stream_end_at_once(
    central_web: WebServer, site_engine: Engine, person_for: Callable[..., str]
) -> None:
    email, now = person_for("safety_officer"), SystemClock().now()
    started = sign_in(site_engine, email=email, password=PASSWORD, address="::1", previous_secret=None, now=now)
    watching = Watching(central_web.url, cookies={SESSION_COOKIE: started.secret})
    with write_session(site_engine) as session:
        disable_user(session, email=email, actor="system:test", now=SystemClock().now())
    watching.wait("the stream of the closed account to end")


def test_a_sign_in_that_replaces_another_ends_what_that_one_watched(
    central_web: WebServer, site_engine: Engine, person_for: Callable[..., str]
) -> None:
    email, now = person_for("safety_officer"), SystemClock().now()
    first = sign_in(site_engine, email=email, password=PASSWORD, address="::1", previous_secret=None, now=now)
    watching = Watching(central_web.url, cookies={SESSION_COOKIE: first.secret})
    sign_in(site_engine, email=email, password=PASSWORD, address="::1", previous_secret=first.secret, now=now)
    watching.wait("the stream of the session that was replaced to end")


def test_a_right_that_went_before_the_stream_was_known_is_found_missing(
    site_engine: Engine, filled: FilledSite
) -> None:
    async def refused() -> bool:
        return False

    async def watch() -> list[bytes]:
        board = HeadcountBoard(site_engine, SystemClock())
        stream = await board.watch(SiteId(filled.site_id), may_watch=refused)
        return [message async for message in stream]

    assert asyncio.run(watch()) == []


def test_while_nobody_can_say_who_may_watch_the_question_is_put_again(
    site_engine: Engine, filled: FilledSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("central.attendance.board.RIGHTS_PAUSE_S", 0.01)
    asked: list[int] = []

    async def may_watch() -> bool:
        asked.append(1)
        if 1 < len(asked) < 4:
            raise OperationalError("SELECT", {}, Exception("the database is away"))
        return len(asked) < 4

    async def watch() -> int:
        board = HeadcountBoard(site_engine, SystemClock())
        stream = await board.watch(SiteId(filled.site_id), may_watch=may_watch)
        await anext(stream)
        board.rights_changed()
        await asyncio.wait_for(_drained(stream), 20)
        board.close()
        return len(asked)

    assert asyncio.run(watch()) == 4


async def _drained(stream: object) -> None:
    async for _ in stream:  # type: ignore[attr-defined]  # an async iterator
        pass
