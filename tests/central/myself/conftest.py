"""Workers at their phones: the whole web application, a gateway that takes text messages, and a site with taps."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import Engine

from central.app import create_app
from central.identity.actors import ActorCache
from central.identity.credentials import secret_hash
from central.identity.models import Membership, SignIn, User
from central.kit import web
from central.kit.config import Settings
from central.kit.db import write_session
from central.kit.outbox import relay
from central.kit.sealed import Seal
from central.kit.sms import SMS, sms_of
from simulators.clocks import HandClock
from simulators.own_site import OwnSite, seed_own_site
from simulators.sms import SENDER, SmsGateway
from simulators.web import WebServer

DATA_KEY = "cd" * 32


@dataclass
class Phone:
    """A worker's browser, and the text messages that reach it."""

    client: httpx.Client
    gateway: SmsGateway
    app: FastAPI
    clock: HandClock

    def get(self, path: str) -> httpx.Response:
        return self.client.get(path, follow_redirects=True)

    def post(self, path: str, /, **form: object) -> httpx.Response:
        return self.client.post(path, data={"csrf_token": self.token()} | form)

    def token(self) -> str:
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.get("/me").text)
        assert found is not None
        return found[1]

    def ask(self, number: str) -> httpx.Response:
        """Enter a number, and let the scheduler send what is due."""
        answer = self.post("/me/sign-in", number=number)
        settings = self.app.state.settings
        sms = sms_of(settings, clock=self.clock)
        assert sms is not None
        relay(self.app.state.engine, self.app.state.seal, channel=SMS, send=sms.send, now=self.clock.now())
        return answer

    @staticmethod
    def ticket(answer: httpx.Response) -> str:
        found = re.search(r'name="ticket" value="([^"]+)"', answer.text)
        assert found is not None, answer.text
        return found[1]

    def sign_in(self, number: str, telephone: str) -> httpx.Response:
        ticket = self.ticket(self.ask(number))
        return self.post("/me/sign-in/code", ticket=ticket, code=self.gateway.codes(telephone)[-1])


@pytest.fixture
def own_site(database_url: str) -> OwnSite:
    return seed_own_site(database_url)


@pytest.fixture
def gateway(hand_clock: HandClock) -> Iterator[SmsGateway]:
    with SmsGateway(clock=hand_clock) as server:
        yield server


@pytest.fixture
def own_app(database_url: str, hand_clock: HandClock, gateway: SmsGateway, tmp_path: Path) -> FastAPI:
    key = tmp_path / "data.key"
    key.write_text(DATA_KEY)
    settings = Settings(
        database_url=database_url,
        secret_key="s" * 32,
        secure_cookies=False,
        data_key_file=key,
        sms_url=gateway.url,
        sms_from=SENDER,
    )
    app = create_app(settings, clock=hand_clock)
    app.state.actors = ActorCache(app.state.engine, hand_clock, remember_s=0.0)
    return app


@pytest.fixture
def own_web(own_app: FastAPI, own_site: OwnSite) -> Iterator[WebServer]:  # noqa: ARG001 - filled before it serves
    with WebServer(own_app) as server:
        yield server


@pytest.fixture
def seal() -> Seal:
    return Seal(bytes.fromhex(DATA_KEY))


@pytest.fixture
def phone(
    own_web: WebServer, gateway: SmsGateway, own_app: FastAPI, hand_clock: HandClock
) -> Iterator[Callable[..., Phone]]:
    made: list[httpx.Client] = []

    def make(language: str = "en") -> Phone:
        headers = {"accept": "text/html", "accept-language": language}
        made.append(httpx.Client(base_url=own_web.url, headers=headers, timeout=30))
        return Phone(made[-1], gateway, own_app, hand_clock)

    yield make
    for client in made:
        client.close()


@pytest.fixture
def office(
    own_web: WebServer, own_app: Any, central_engine: Engine, own_site: OwnSite, hand_clock: HandClock
) -> Iterator[Callable[..., httpx.Client]]:
    """Browsers of people with a role through an organization of the site."""
    made: list[httpx.Client] = []

    def make(role: str, organization: str) -> httpx.Client:
        with write_session(central_engine) as session:
            user = User(
                email=f"{role}-{organization}-{len(made)}@b.test", name=role, password_hash="none", language="en"
            )
            session.add(user)
            session.flush()
            session.add(Membership(user_id=user.id or 0, role=role, organization_id=own_site.ids[organization]))
            now = hand_clock.now()
            secret = f"secret-{role}-{organization}-{len(made)}"
            given: dict[str, Any] = {"user_id": user.id, "created_at": now, "seen_at": now, "factor_at": now}
            session.add(SignIn(secret_hash=secret_hash(secret), expires_at=now + timedelta(days=60), **given))
        key = own_app.state.settings.secret_key.encode()
        cookies = {"ccs_session": secret, web.CSRF_COOKIE: "c" * 32, "ccs_language": "en"}
        headers = {"x-csrf-token": web._token(key, "c" * 32, "0" * 16), "accept": "text/html"}
        made.append(httpx.Client(base_url=own_web.url, cookies=cookies, headers=headers, timeout=30))
        return made[-1]

    yield make
    for client in made:
        client.close()
