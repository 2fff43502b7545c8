"""The whole OpenAPI is asked by somebody of every role with made-up requests: nothing fails or shows another's rows.

Requests come from the API's own description (schemathesis): valid ones, and ones that are wrong in one place. What they
name of somebody's is taken from the own world or from the other, so that guards are passed and refused. The other world
carries a word that stands nowhere else; whoever sees it has seen what is not theirs.

In CI each operation is asked a few times, by everybody over all of them; `make ask-everything` asks each one as each
role, longer, and with a seed of your own (SEED=7, EXAMPLES=15).
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance
from sqlalchemy import Engine

from central.identity.permissions import Role
from central.kit import web
from central.kit.clock import SystemClock
from central.kit.db import write_session
from simulators.two_worlds import EVERYWHERE, World, build_world
from simulators.web import WebServer

CANARY = "kq7canary"
THEIRS = re.compile(rf"worker (prime|sub) {CANARY}|\b(prime|sub)-{CANARY}|\b(site|project)-{CANARY}")
"""Names and numbers of the other world's people and places. Organizations are everybody's who may look them up."""
SEED = int(os.environ.get("CCS_SEED", "1"))
EXAMPLES = {"short": 3, "long": int(os.environ.get("CCS_EXAMPLES", "40"))}
"""Of one operation: by everybody in turn, or by one role."""
ANSWER_S_MAX = 60
STREAMS = "text/event-stream"

Browsers = dict[Role | None, requests.Session]
"""Of somebody of each role; None: nobody."""

pytestmark = [pytest.mark.system, pytest.mark.promise("ACC-01")]


@pytest.fixture
def worlds(access_engine: Engine) -> tuple[World, World]:
    with write_session(access_engine) as session:
        now = SystemClock().now()
        return build_world(session, "own", now=now), build_world(session, CANARY, now=now)


@dataclass
class Asked:
    """What the answers were, to see that the asking reached something."""

    statuses: dict[int, int] = field(default_factory=dict)
    operations: set[str] = field(default_factory=set)
    roles: dict[Role | None, int] = field(default_factory=dict)

    def note(self, label: str, role: Role | None, status: int) -> None:
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.roles[role] = self.roles.get(role, 0) + 1
        if status < 300:
            self.operations.add(label)


def operations_of(app: FastAPI) -> list[Any]:
    """Every operation that answers and ends, in order."""
    schema = schemathesis.openapi.from_dict(app.openapi())
    found = [one.ok() for one in schema.get_all_operations()]
    return sorted((one for one in found if STREAMS not in str(one.definition.raw)), key=lambda one: one.label)


def named_in(world: World, *, who: str) -> dict[str, Any]:
    """What requests name of somebody's, as it is called in one world."""
    ids = world.ids
    return {
        "site": world.site,
        "project": world.project,
        "terminal": "gate-01",
        "organization_id": ids["sub"],
        "client_id": ids["client"],
        "contractor_id": ids["sub"],
        "employer_id": ids[who],
        "contract_id": ids["contract_sub"],
        "parent_id": ids["contract_prime"],
        "worker_id": ids[f"worker_{who}"],
        "kept_id": ids[f"worker_{who}"],
        "other_id": ids[f"worker_{who}"],
        "card_id": ids[f"card_{who}"],
    }


def aimed(case: Any, world: World | None, *, who: str) -> None:
    """Name the world's own rows in a request wherever its fields are called so."""
    if world is None:
        return
    named = named_in(world, who=who)
    if "code" in case.path_parameters:
        place = "project" if "/projects/" in case.operation.path else "site"
        case.path_parameters["code"] = named[place]
    for part in (case.path_parameters, case.query, case.body):
        if isinstance(part, dict):
            part.update({name: named[name] for name in part.keys() & named.keys()})


def ask_all(operation: Any, browsers: Browsers, url: str, worlds: tuple[World, World], asked: Asked,
            *, examples: int) -> None:  # fmt: skip
    """Ask one operation with made-up requests as somebody of one role or another."""
    made = [operation.as_strategy(generation_mode=mode) for mode in schemathesis.GenerationMode]

    @seed(SEED)
    @settings(max_examples=examples, phases=[Phase.generate], database=None, deadline=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(case=st.one_of(made), world=st.sampled_from([worlds[0], worlds[1], worlds[0], None]),
           role=st.sampled_from(list(browsers)))  # fmt: skip
    def ask(case: Any, world: World | None, role: Role | None) -> None:
        who = "sub" if role in {Role.SUBCONTRACTOR, Role.SUPPLIER} else "prime"
        case.headers.pop("Authorization", None)  # the browser's session asks, not a made-up token
        case.cookies.clear()
        aimed(case, world, who=who)
        answer = case.call(base_url=url, session=browsers[role], timeout=ANSWER_S_MAX)
        asked.note(operation.label, role, answer.status_code)
        case.validate_response(answer, checks=[not_a_server_error, response_schema_conformance])
        told = told_of(case, answer.text)
        assert role in EVERYWHERE or told is None, f"{operation.label} shows {role} {told}: {answer.text[:600]}"

    ask()


def told_of(case: Any, text: str) -> str | None:
    """What of the other world an answer tells that its request did not say itself."""
    said = f"{case.path_parameters} {case.query} {case.body}"
    return next((found[0] for found in THEIRS.finditer(text) if found[0] not in said), None)


@pytest.fixture
def browser_of(
    access_app: FastAPI, people_of: dict[Role, int], session_for: Callable[[int], str]
) -> Iterator[Callable[[Role | None], requests.Session]]:
    """Make a signed-in browser for somebody of a role; None: nobody."""
    key, made = access_app.state.settings.secret_key.encode(), list[requests.Session]()

    def make(role: Role | None) -> requests.Session:
        browser = requests.Session()
        browser.headers["x-csrf-token"] = web._token(key, "c" * 32, "0" * 16)
        browser.cookies.set(web.CSRF_COOKIE, "c" * 32)
        if role is not None:
            browser.cookies.set("ccs_session", session_for(people_of[role]))
        made.append(browser)
        return browser

    yield make
    for browser in made:
        browser.close()


def test_made_up_requests_break_nothing_and_show_nothing_of_anothers(
    access_web: WebServer,
    access_app: FastAPI,
    worlds: tuple[World, World],
    browser_of: Callable[[Role | None], requests.Session],
) -> None:
    """Mutant: a route that answers from a session nobody confined; an identifier that fails the server."""
    print(f"seed {SEED}")
    asked, turns = Asked(), random.Random(SEED)
    browsers = {role: browser_of(role) for role in [None, *Role]}
    for operation in operations_of(access_app):
        few = [Role.SYSTEM_OPERATOR, *turns.sample(list(browsers), 4)]
        ask_all(operation, {one: browsers[one] for one in few}, access_web.url, worlds, asked,
                examples=EXAMPLES["short"])  # fmt: skip
    print(asked.statuses, sorted(asked.operations), asked.roles)
    assert asked.roles.keys() == browsers.keys(), f"somebody asked nothing: {asked.roles}"
    assert asked.statuses.keys() >= {200, 401, 403, 404, 422}, asked.statuses
    assert len(asked.operations) >= 25, f"most of what was asked was refused: {asked}"


@pytest.mark.long
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("role", [None, *Role])
def test_made_up_requests_of_one_role_break_nothing_and_show_nothing_of_anothers(
    access_web: WebServer,
    access_app: FastAPI,
    worlds: tuple[World, World],
    browser_of: Callable[[Role | None], requests.Session],
    role: Role | None,
) -> None:
    print(f"seed {SEED}")
    asked, browsers = Asked(), {role: browser_of(role)}
    for operation in operations_of(access_app):
        ask_all(operation, browsers, access_web.url, worlds, asked, examples=EXAMPLES["long"])
    print(f"{role or 'nobody'}: {asked.statuses}, {len(asked.operations)} operations let in")
