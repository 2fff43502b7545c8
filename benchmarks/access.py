"""What knowing who asks, and showing them only theirs, costs of a warm request.

    python -m benchmarks.access [--requests 200]

Three processes serve the same site from one database to somebody of its prime contractor: as it is; with every guard
answered beforehand (no session looked up, no permission asked); with the guards answered and the rows uncut too. One
client asks them in turns, so that a busy moment hits all three. Prints JSON; figures are medians.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import uvicorn
from fastapi import Request
from fastapi.dependencies.utils import get_dependant
from fastapi.routing import APIRoute
from sqlmodel import select

from central.app import create_app
from central.identity import guards
from central.identity.credentials import new_session_secret, secret_hash
from central.identity.models import Membership, SignIn, User
from central.identity.permissions import Role
from central.identity.policy import EVERYTHING
from central.kit.clock import SystemClock
from central.kit.config import Settings
from central.kit.db import make_engine, write_session
from central.kit.migrate import upgrade
from central.registry.models import SiteEmployer
from simulators.filled_site import fill_site
from simulators.servers import PostgresServer, accepts, free_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.process import BaseProcess

    from fastapi import FastAPI
    from fastapi.dependencies.models import Dependant
    from sqlalchemy import Engine

WAYS = ("checked", "guards_answered", "rows_uncut")
PATHS = {
    "headcount": "/api/v1/sites/site-07/headcount",
    "a site": "/api/v1/sites/site-07",
    "workers, API": "/api/v1/workers",
    "workers, page": "/workers",
}
PEOPLE = 400
WARM_UP = 20


def serve(database_url: str, port: int, way: str, secret: str) -> None:
    """Serve in a child process, one of the three ways."""
    app = create_app(Settings(database_url=database_url, secret_key="b" * 32, secure_cookies=False))
    if way != "checked":
        answer_guards(app, secret, cut=way == "guards_answered")
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error", access_log=False, timeout_graceful_shutdown=1)


def answer_guards(app: FastAPI, secret: str, *, cut: bool) -> None:
    """Put every guard's answer in its place: the actor, the site and the rows that it would find.

    In the routes themselves: FastAPI would read the signature of a `dependency_overrides` anew in each request.
    """
    actor = app.state.actors.load_session(secret)
    row = app.state.actors.load_site("site-07")
    for one in app.routes:
        if isinstance(one, APIRoute):
            answer(one.dependant, actor, row, cut=cut)


def answer(dependant: Dependant, actor: Any, row: Any, *, cut: bool) -> None:  # noqa: ANN401 - as the cache gives them
    """Replace the guards among what a route depends on by their answers."""
    for place, lower in enumerate(dependant.dependencies):
        permission, call = getattr(lower.call, guards.ASKS_FOR, None), lower.call
        name = getattr(call, "__qualname__", "")
        value: Any = actor
        if name.startswith("site_guard"):
            held = guards.permissions_on(actor, row.id)
            value = guards.SiteRef(row.id, row.code, row.name, row.timezone, held)
        elif name.startswith("reach_guard"):
            value = actor.reach(permission) if cut else EVERYTHING
        elif not name.startswith("permission_guard") and call not in {guards.current_actor, guards.current_person}:
            answer(lower, actor, row, cut=cut)
            continue
        known = get_dependant(path="/", call=constant(actor, value), name=lower.name)
        dependant.dependencies[place] = known


def constant(actor: Any, value: Any) -> Callable[..., Any]:  # noqa: ANN401 - any guard's answer
    """Make a dependency that asks nothing."""

    async def answer(request: Request) -> Any:  # noqa: ANN401 - as above
        request.state.actor = actor
        return value

    return answer


def sign_in(engine: Engine, site_id: int) -> str:
    """Make somebody of the site's prime contractor, signed in; return the session's secret."""
    now, secret = SystemClock().now(), new_session_secret()
    with write_session(engine) as session:
        prime = session.exec(
            select(SiteEmployer.organization_id).where(SiteEmployer.site_id == site_id, SiteEmployer.tier == "prime")
        ).first()
        user = User(email="bench@example.org", name="bench")
        session.add(user)
        session.flush()
        session.add(Membership(user_id=user.id or 0, role=Role.CONTRACTOR.value, organization_id=prime))
        session.add(SignIn(secret_hash=secret_hash(secret), user_id=user.id, expires_at=now + timedelta(hours=12)))
    return secret


def ask(ports: dict[str, int], secret: str, path: str, *, times: int) -> dict[str, list[float]]:
    """Ask each way in turns; return what each request took, in ms."""
    taken: dict[str, list[float]] = {way: [] for way in WAYS}
    clients = {
        way: httpx.Client(base_url=f"http://127.0.0.1:{port}", cookies={"ccs_session": secret}, timeout=60)
        for way, port in ports.items()
    }
    for number in range(WARM_UP + times):
        for way, client in clients.items():
            began = time.perf_counter()
            answer = client.get(path, headers={"accept": "text/html,application/json"})
            spent = (time.perf_counter() - began) * 1_000
            if answer.status_code != httpx.codes.OK:
                raise RuntimeError(f"{path} ({way}): expected 200, got {answer.status_code}: {answer.text[:300]}")
            if number >= WARM_UP:
                taken[way].append(spent)
    for client in clients.values():
        client.close()
    return taken


def share(taken: dict[str, list[float]], without: str) -> float:
    """Return the part of a checked request that is saved when its neighbour in time does without."""
    saved = [whole - rest for whole, rest in zip(taken["checked"], taken[without], strict=True)]
    return round(statistics.median(saved) / statistics.median(taken["checked"]), 4)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run everything and return the figures."""
    folder = Path(tempfile.mkdtemp(prefix="ccs-bench-"))
    folder.chmod(0o777)
    postgres = PostgresServer(folder / "postgres", settings={"fsync": "off"})
    postgres.start()
    processes: list[BaseProcess] = []
    try:
        upgrade(postgres.url())
        engine = make_engine(postgres.url())
        filled = fill_site(engine, now=SystemClock().now(), inside=PEOPLE)
        secret = sign_in(engine, filled.site_id)
        engine.dispose()
        ports = {way: free_port() for way in WAYS}
        for way, port in ports.items():
            given = (postgres.url(), port, way, secret)
            processes.append(get_context("spawn").Process(target=serve, args=given, daemon=True))
            processes[-1].start()
            wait_until(lambda port=port: accepts(port), what="a server under measurement", timeout_s=180)  # type: ignore[misc]
        taken = {name: ask(ports, secret, path, times=arguments.requests) for name, path in PATHS.items()}
    finally:
        for process in processes:
            process.terminate()
            process.join(10)
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "what": "access",
        "cpus": os.cpu_count(),
        "requests": arguments.requests,
        "median_ms": {
            name: {way: round(statistics.median(values), 3) for way, values in one.items()}
            for name, one in taken.items()
        },
        "guards_share": {name: share(one, "guards_answered") for name, one in taken.items()},
        "access_share": {name: share(one, "rows_uncut") for name, one in taken.items()},
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=200, help="of each way and path")
    print(json.dumps(measure(parser.parse_args()), indent=2))
