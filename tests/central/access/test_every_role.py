"""Every route is asked by somebody of every role, for what is theirs and for what is another's (ACC-01)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from central.identity.guards import ASKS_FOR, current_person, signed_in_person, signed_in_worker
from central.identity.permissions import ROLE_PERMISSIONS, Permission, Role
from central.kit import web
from simulators.two_worlds import EVERYWHERE, World
from simulators.web import WebServer, routes_of

MATRIX = Path(__file__).parents[3] / "docs" / "access-matrix.md"
WRITE = "CCS_WRITE_MATRIX"
YES = "✓"
WORLDLY = re.compile(r"\{(code|organization_id|worker_id|card_id|contract_id|row_id|terminal)\}")
"""Parts of an address that name something of somebody's."""
SIGNED_IN = {
    ("GET", "/"),
    ("GET", "/api/v1/trades"),
    ("GET", "/sites"),
    ("GET", "/search"),
    ("GET", "/search/found"),
}
"""Routes that ask only who is asking: they show everybody the same, or cut what they show to the asker's own."""
OPEN = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/sign-in"),
    ("POST", "/sign-in"),
    ("POST", "/sign-out"),
    ("GET", "/invitation/{secret}"),
    ("POST", "/invitation/{secret}"),
    ("GET", "/recovery"),
    ("POST", "/recovery"),
    ("GET", "/recovery/{secret}"),
    ("POST", "/recovery/{secret}"),
    ("POST", "/invitation/{secret}/with/{provider_id}"),
    ("GET", "/sign-in/with/{provider_id}"),
    ("GET", "/sign-in/back/{provider_id}"),
    ("GET", "/language/{code}"),
    ("GET", "/api/v1/docs"),
    ("GET", "/me/sign-in"),
    ("POST", "/me/sign-in"),
    ("POST", "/me/sign-in/card"),
    ("POST", "/me/sign-in/code"),
    ("POST", "/me/sign-out"),
    ("GET", "/receipts/{text}"),
    ("POST", "/receipts/{text}"),
    ("GET", "/api/v1/receipt-keys"),
}
"""Routes that anybody may ask: none of them shows who or what is registered."""
HEAD = """# Who may ask what

Written by `make access-matrix` from what a real server answers to somebody of every role; the test of ACC-01 fails when
it differs. Read its diff when it changes.

Each cell is the answer for one's own project, site or people, then for another's: `✓` let in, `401` sign in first,
`403` known and refused, `404` not even told that it exists. One answer where the address names nothing of anybody's. A
list shows one's own part only.

"""


def asked_for(dependant: Dependant) -> Iterator[Permission]:
    """Find what a route's guards ask for."""
    for lower in dependant.dependencies:
        permission = getattr(lower.call, ASKS_FOR, None)
        if permission is not None:
            yield permission
        yield from asked_for(lower)


def is_own_account(route: APIRoute) -> bool:
    """Whether a route is about the asker's own account or own days: no role gives or takes it."""

    def calls(dependant: Dependant) -> Iterator[object]:
        for lower in dependant.dependencies:
            yield lower.call
            yield from calls(lower)

    return not {signed_in_person, current_person, signed_in_worker}.isdisjoint(calls(route.dependant))


def permissions_of(route: APIRoute) -> list[Permission]:
    return sorted(set(asked_for(route.dependant)))


@pytest.mark.promise("ACC-01")
def test_every_route_has_a_guard_or_is_named_as_one_without(access_app: FastAPI) -> None:
    """Mutant: take the guard off a route."""
    routes = routes_of(access_app)
    unguarded = {key for key, route in routes.items() if not permissions_of(route) and not is_own_account(route)}
    assert unguarded == SIGNED_IN | OPEN


def ask(client: httpx.Client, method: str, path: str, *, form: bool) -> str:
    """Ask with an empty body: whoever is let in is told what is missing."""
    body: dict[str, Any] = {} if method == "GET" else {"data": {}} if form else {"json": {}}
    with client.stream(method, path, **body) as answer:
        status = answer.status_code
        if "event-stream" not in answer.headers.get("content-type", ""):
            answer.read()
    assert status < 500, f"{method} {path} failed: {status}"
    return str(status) if status in {401, 403, 404} else YES


@pytest.fixture
def asker(access_web: WebServer, access_app: FastAPI) -> Iterator[httpx.Client]:
    """A browser with a form's token, so that only the guard can refuse."""
    headers = {"x-csrf-token": web._token(access_app.state.settings.secret_key.encode(), "c" * 32, "0" * 16)}
    with httpx.Client(base_url=access_web.url, headers=headers, timeout=60, verify=False) as client:
        yield client


def cell(client: httpx.Client, method: str, path: str, worlds: tuple[World, World], who: str) -> str:
    form = not path.startswith("/api/")
    if WORLDLY.search(path) is None:
        return ask(client, method, worlds[0].address(path, who=who), form=form)
    own, other = (ask(client, method, world.address(path, who=who), form=form) for world in worlds)
    return f"{own} {other}"


@pytest.mark.promise("ACC-01")
@pytest.mark.timeout(900)  # several thousand requests: a busy machine takes its time
def test_every_route_answers_every_role_as_the_matrix_says(
    access_app: FastAPI,
    worlds: tuple[World, World],
    people_of: dict[Role, int],
    asker: httpx.Client,
    session_for: Callable[..., str],
) -> None:
    """Mutant: a guard that lets everybody in; a role that holds one permission more; a new route without a guard."""
    routes = {key: route for key, route in routes_of(access_app).items() if key not in OPEN}
    rows: dict[tuple[str, str], dict[str, str]] = {key: {} for key in routes}
    for role in [None, *Role]:
        who = "sub" if role in {Role.SUBCONTRACTOR, Role.SUPPLIER} else "prime"
        mine = whose(role, people_of, worlds[0])
        over = True
        for method, path in sorted(routes):
            if over:
                asker.cookies = httpx.Cookies({web.CSRF_COOKIE: "c" * 32})
                if mine:
                    asker.cookies.set("ccs_session", session_for(**mine))
            rows[method, path][role or "nobody"] = cell(asker, method, path, worlds, who)
            over = method != "GET"  # some of what writes ends the session
    wrong = [told for key, cells in rows.items() for told in too_much(key, permissions_of(routes[key]), cells)]
    assert wrong == []
    written = HEAD + table(rows, {key: asking(route) for key, route in routes.items()})
    if os.environ.get(WRITE):
        MATRIX.write_text(written)
    assert MATRIX.read_text() == written, "read the change, then write docs/access-matrix.md anew: make access-matrix"


def whose(role: Role | None, people: dict[Role, int], world: World) -> dict[str, int]:
    """Say whose session a role's is: a worker's is their own view's, the others' are accounts'."""
    if role is Role.WORKER:
        return {"worker_id": world.ids["worker_prime"]}
    return {} if role is None else {"user_id": people[role]}


def too_much(key: tuple[str, str], asked: list[Permission], cells: dict[str, str]) -> Iterator[str]:
    """What no file may approve: let in without the permission, or to another's; a stranger told anything but 401."""
    for name, answers in cells.items():
        own, other = (answers.split() * 2)[:2]
        if name == "nobody":
            if answers.replace("401", "").strip():
                yield f"{key}: nobody gets {answers}"
            continue
        role = Role(name)
        if own == YES and not set(asked) <= ROLE_PERMISSIONS[role]:
            yield f"{key}: {name} is let in without {asked}"
        if WORLDLY.search(key[1]) and other == YES and role not in EVERYWHERE and "organization_id" not in key[1]:
            yield f"{key}: {name} is let in to another's"


def asking(route: APIRoute) -> str:
    return ", ".join(f"`{permission}`" for permission in permissions_of(route)) or (
        "one's own account" if is_own_account(route) else "sign-in"
    )


def table(rows: dict[tuple[str, str], dict[str, str]], asked: dict[tuple[str, str], str]) -> str:
    columns = ["nobody", *Role]
    lines = [
        "| route | asks for | " + " | ".join(name.replace("_", " ") for name in columns) + " |",
        "|---|---|" + "---|" * len(columns),
    ]
    for (method, path), cells in sorted(rows.items(), key=lambda one: (one[0][1], one[0][0])):
        lines.append(
            f"| `{method} {path}` | {asked[method, path]} | " + " | ".join(cells[name] for name in columns) + " |"
        )
    return "\n".join(lines) + "\n"
