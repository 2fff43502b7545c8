"""Whatever shows a person's data says so in the audit trail, and nobody unknown is shown any (PRV-01).

Every route is asked, whoever wrote it: an answer that holds a name which stands in one worker's row only must have left
a look at that worker behind.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import Engine, text

from central.identity.looks import Looks
from central.identity.permissions import Role
from central.kit.clock import SystemClock
from central.kit.db import read_session, write_session
from simulators.filled_site import presence
from simulators.two_worlds import World
from simulators.web import WebServer, read_by

STREAMS = {"/api/v1/sites/{code}/headcount/stream", "/api/v1/sites/{code}/feed/stream"}
"""They do not end by themselves; the first holds no names, the second reads as the feed does."""
GUEST = "손님카나리"
COLLEAGUE = "동료카나리"
OF_ACCOUNTS = {"user:look", "audit:look"}
OF_GUESTS = {"day_pass:look", "people:look", "people:export"}
"""Visitors are no workers: the look names the site whose guests it showed."""
SURELY = {
    "/accounts",
    "/accounts/{user_id}",
    "/api/v1/sites/{code}/people",
    "/api/v1/workers",
    "/api/v1/workers/{worker_id}",
    "/sites/{code}",
    "/sites/{code}/headcount.{form}",
    "/workers",
    "/workers.{form}",
    "/workers/{worker_id}",
}
"""Routes that show people: were none of them seen to, the walk would prove nothing."""


def canary(kind: str) -> str:
    return f"카나리아-{kind}"


@pytest.fixture
def own(worlds: tuple[World, World], access_engine: Engine) -> World:
    """The own world, with names that stand nowhere else, and both workers inside the site."""
    world, now = worlds[0], SystemClock().now()
    with write_session(access_engine) as session:
        for kind in ("prime", "sub"):
            worker = world.ids[f"worker_{kind}"]
            given = {"name": canary(kind), "phone": f"010-0000-{worker:04d}", "worker": worker}
            session.execute(text("UPDATE registry_worker SET name = :name, phone = :phone WHERE id = :worker"), given)
            where = {"at": now, "terminal_id": world.ids["terminal"], "journal": 1}
            session.add(presence(world.ids["site"], worker, **where))  # type: ignore[arg-type]  # each of its own kind
        session.execute(
            text("UPDATE registry_day_pass SET name = :name WHERE id = :id"),
            {"name": GUEST, "id": world.ids["day_pass"]},
        )
    return world


def words(answer: httpx.Response) -> str:
    """What an answer says, also inside a workbook."""
    if not answer.content.startswith(b"PK"):
        return answer.text
    with zipfile.ZipFile(io.BytesIO(answer.content)) as book:
        return "".join(book.read(name).decode(errors="replace") for name in book.namelist())


def said_by(client: httpx.Client, path: str) -> str:
    """Ask, and read the answer; a stream does not end by itself and is left at its first words."""
    with client.stream("GET", path) as answer:
        if "event-stream" in answer.headers.get("content-type", ""):
            return next(answer.iter_text(), "")
        answer.read()
        return words(answer)


def looked_at(engine: Engine, since: int) -> tuple[set[int], set[str]]:
    """The workers and the tags of what was written down since a row."""
    with read_session(engine) as session:
        sql = "SELECT tag, ccs_audit_workers(subject, detail) FROM audit_event WHERE id > :since"
        rows = list(session.execute(text(sql), {"since": since}))
    return {worker for _, workers in rows for worker in workers}, {tag for tag, _ in rows}


def newest(engine: Engine) -> int:
    with read_session(engine) as session:
        return int(session.execute(text("SELECT coalesce(max(id), 0) FROM audit_event")).scalar_one())


@pytest.mark.promise("PRV-01")
def test_whoever_is_shown_somebodys_data_has_left_a_look_behind(
    access_app: FastAPI,
    access_web: WebServer,
    access_engine: Engine,
    own: World,
    people_of: dict[Role, int],
    session_for: Callable[[int], str],
) -> None:
    """Mutants: what a request read is not written down; a headcount's look does not say whom it showed."""
    missing, shown = [], set()
    with write_session(access_engine) as session:
        given = {"name": COLLEAGUE, "id": people_of[Role.CONTRACTOR]}
        session.execute(text("UPDATE identity_user SET name = :name WHERE id = :id"), given)
    cookies = {"ccs_session": session_for(people_of[Role.SYSTEM_OPERATOR])}
    with httpx.Client(base_url=access_web.url, cookies=cookies, timeout=200) as client:
        for path in (one for one in read_by(access_app) if one not in STREAMS):
            access_app.state.looks = Looks(access_engine)  # each route for itself: nothing was looked at a moment ago
            since = newest(access_engine)
            said = said_by(client, own.address(path, user_id=people_of[Role.CONTRACTOR]))
            named = {own.ids[f"worker_{kind}"] for kind in ("prime", "sub") if canary(kind) in said}
            workers, tags = looked_at(access_engine, since)
            if not named <= workers:
                missing.append(f"{path} shows workers {named} and wrote down {workers or 'nothing'}")
            if GUEST in said and not tags & OF_GUESTS:
                missing.append(f"{path} shows a guest and wrote down {tags or 'nothing'}")
            if COLLEAGUE in said and not tags & OF_ACCOUNTS:
                missing.append(f"{path} shows somebody's account and wrote down {tags or 'nothing'}")
            if named or GUEST in said or COLLEAGUE in said:
                shown.add(path)
    assert missing == []
    assert shown >= SURELY


@pytest.mark.promise("PRV-01")
def test_nobody_unknown_is_shown_a_persons_data(access_app: FastAPI, access_web: WebServer, own: World) -> None:
    """Mutant: a page of people without a guard."""
    with httpx.Client(base_url=access_web.url, timeout=200) as client:
        for path in (one for one in read_by(access_app) if one not in STREAMS):
            said = said_by(client, own.address(path))
            for kept in (canary("prime"), canary("sub"), GUEST, "010-0000", "@example.org"):
                assert kept not in said, path
