"""API tokens that people make for themselves: shown once, bounded by their owner, over at their time."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import Engine

from central.identity.accounts import end_membership
from central.kit.db import write_session
from simulators.account_rows import memberships
from simulators.clocks import HandClock
from simulators.visitor import Visitor, said
from simulators.web import WebServer

Visit = Callable[[], Visitor]
MakePerson = Callable[..., str]
SITE = "/api/v1/sites/site-07"


def make_token(kim: Visitor, **more: object) -> httpx.Response:
    return kim.send("/account/tokens", **({"name": "site app", "days": 30, "scopes": ["registry:site:read"]} | more))


def ask(web: WebServer, secret: str, path: str = SITE) -> int:
    return httpx.get(web.url + path, headers={"Authorization": f"Bearer {secret}"}).status_code


def test_a_token_of_ones_own_is_shown_once_bounded_by_its_owner_and_revoked_by_them(
    visitor: Visit,
    person: MakePerson,
    registry_web: WebServer,
    central_engine: Engine,
    hand_clock: HandClock,
    database_url: str,
) -> None:
    """Mutant: give the token its scopes without asking what its owner holds now."""
    email = person("kim")
    kim, stranger = visitor(), visitor()
    kim.sign_in(email)
    stranger.sign_in(person("park"))
    made = make_token(kim)
    secret = (re.findall(r"ccs_[\w-]{43}", made.text) or [""])[0]
    assert ask(registry_web, secret) == 200
    assert ask(registry_web, secret, f"{SITE}/terminals") == 403
    shown = kim.text("/account/tokens")
    assert secret not in shown
    number = re.findall(r"/account/tokens/(\d+)/revoke", shown)[0]
    assert stranger.send(f"/account/tokens/{number}/revoke").status_code == 404
    second = re.findall(r"ccs_[\w-]{43}", make_token(kim).text)[0]
    kim.send(f"/account/tokens/{number}/revoke")
    assert (ask(registry_web, secret), ask(registry_web, second)) == (401, 200)
    with write_session(central_engine) as session:
        end_membership(
            session, membership_id=memberships(database_url, email)[0], actor="system:test", now=hand_clock.now()
        )
    assert ask(registry_web, second) == 404


def test_a_token_ends_at_its_time(
    visitor: Visit, person: MakePerson, registry_web: WebServer, hand_clock: HandClock
) -> None:
    kim = visitor()
    kim.sign_in(person("kim"))
    secret = re.findall(r"ccs_[\w-]{43}", make_token(kim, days=7).text)[0]
    hand_clock.move(timedelta(days=7) - timedelta(seconds=1))
    assert ask(registry_web, secret) == 200
    hand_clock.move(timedelta(seconds=1))
    assert ask(registry_web, secret) == 401


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"scopes": ["identity:user:write"]}, "you do not hold"),
        ({"scopes": ["*"]}, "you do not hold"),
        ({"scopes": []}, "at least one scope"),
        ({"days": 0}, "366 days"),
        ({"days": 9999}, "366 days"),
        ({"name": " "}, "the name has"),
    ],
)
def test_a_token_that_cannot_be_is_refused(
    visitor: Visit, person: MakePerson, more: dict[str, object], sentence: str
) -> None:
    kim = visitor()
    kim.sign_in(person("kim"))
    assert sentence in said(make_token(kim, **more))
