from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import httpx
import psycopg
import pytest
from sqlalchemy import Engine

from central.identity.accounts import create_token, expand_scopes, expire_tokens, list_tokens, revoke_token
from central.identity.permissions import Permission
from central.kit.db import read_session, write_session
from central.kit.errors import Invalid, NotFound
from simulators.clocks import HandClock
from simulators.web import WebServer


def ask(web: WebServer, secret: str, path: str = "/api/v1/sites/site-07") -> httpx.Response:
    return httpx.get(web.url + path, headers={"Authorization": f"Bearer {secret}"})


def test_a_token_opens_what_its_scopes_say_until_it_is_revoked(
    registry_web: WebServer,
    site_seven: dict[str, int],
    token_of: Callable[..., str],
    central_engine: Engine,
    hand_clock: HandClock,
    database_url: str,
) -> None:
    assert site_seven
    secret = token_of("registry:site:read")
    assert secret.startswith("ccs_")
    assert ask(registry_web, secret).status_code == 200
    assert ask(registry_web, secret, "/api/v1/sites/site-07/terminals").status_code == 403
    with psycopg.connect(database_url) as connection:
        stored = connection.execute(
            "SELECT count(*) FROM identity_api_token WHERE secret_hash::text LIKE %s", (secret,)
        )
        assert stored.fetchone() == (0,)
    with read_session(central_engine) as session:
        newest = list_tokens(session)[0]
    with write_session(central_engine) as session:
        revoke_token(session, token_id=newest.id, actor="system:test", now=hand_clock.now())
    refused = ask(registry_web, secret)
    assert refused.status_code == 401
    assert refused.json()["type"] == "urn:ccs:problem:token_refused"
    with write_session(central_engine) as session, pytest.raises(NotFound):
        revoke_token(session, token_id=newest.id, actor="system:test", now=hand_clock.now())


def test_a_token_ends_at_its_time_and_the_job_records_it_once(
    registry_web: WebServer,
    site_seven: dict[str, int],
    token_of: Callable[..., str],
    central_engine: Engine,
    hand_clock: HandClock,
    database_url: str,
) -> None:
    assert site_seven
    secret = token_of("registry:site:read", expires_in=timedelta(days=1))
    hand_clock.move(timedelta(days=1) - timedelta(seconds=1))
    assert ask(registry_web, secret).status_code == 200
    hand_clock.move(timedelta(seconds=1))
    assert ask(registry_web, secret).status_code == 401
    for expected in (1, 0):
        with write_session(central_engine) as session:
            assert expire_tokens(session, actor="system:scheduler", now=hand_clock.now()) == expected
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT count(*) FROM audit_event WHERE tag = 'api_token:expire'").fetchone()
    assert rows == (1,)


def test_a_site_that_a_token_may_not_know_is_404_before_any_403(
    registry_web: WebServer, site_seven: dict[str, int], operator: httpx.Client, token_of: Callable[..., str]
) -> None:
    assert site_seven
    operator.post("sites", json={"code": "site-08", "project": "gym", "name": "Annex"})
    secret = token_of("registry:site:read", site="site-07")
    known, hidden, absent = (
        ask(registry_web, secret, f"/api/v1/sites/{code}") for code in ("site-07", "site-08", "no")
    )
    assert known.status_code == 200
    assert hidden.status_code == absent.status_code == 404
    assert hidden.json() | {"instance": ""} == absent.json() | {"instance": ""}
    terminals = [
        ask(registry_web, secret, f"/api/v1/sites/{code}/terminals").status_code for code in ("site-07", "site-08")
    ]
    assert terminals == [403, 404]


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer x", "Basic ccs_abc", "Bearer ccs_unknown", "Bearer ccs_" + "a" * 500]
)
def test_a_header_that_is_no_good_token_is_refused_even_beside_a_cookie(registry_web: WebServer, header: str) -> None:
    answer = httpx.get(f"{registry_web.url}/api/v1/sites", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"


def test_nobody_signed_in_is_told_how_to_come_in(registry_web: WebServer) -> None:
    answer = httpx.get(f"{registry_web.url}/api/v1/sites")
    assert answer.status_code == 401
    assert "Bearer ccs_" in answer.json()["detail"]


def test_scope_patterns_stand_for_what_matches_and_typos_are_named() -> None:
    assert expand_scopes(["*"]) == sorted(permission.value for permission in Permission)
    assert all(scope.endswith(":read") for scope in expand_scopes(["registry:*:read"]))
    with pytest.raises(Invalid, match="did you mean 'site:headcount:read'"):
        expand_scopes(["site:headcounts:read"])
    with pytest.raises(Invalid, match="at least one scope"):
        expand_scopes([])


def test_a_token_for_a_site_that_is_not_there_is_refused(central_engine: Engine, hand_clock: HandClock) -> None:
    with write_session(central_engine) as session, pytest.raises(NotFound, match="site-99"):
        create_token(session, name="x", scopes=["*"], site="site-99", expires_at=None, actor="a", now=hand_clock.now())
