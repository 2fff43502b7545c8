"""Second factors, as people meet them: asked for where roles need one, never shown twice with one code."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import Engine, text
from sqlmodel import Session

from central.identity import rules, second_factor, throttle, totp
from central.identity.second_factor import WrongCode
from central.identity.tickets import LinkOver
from central.kit.db import read_session, write_session
from central.kit.errors import Conflict
from simulators.clocks import HandClock
from simulators.passkey import Authenticator
from simulators.visitor import PASSWORD, Visitor, code_now, said
from simulators.web import WebServer

Visit = Callable[[], Visitor]
MakePerson = Callable[..., str]


@pytest.fixture
def required(web_app: FastAPI) -> None:
    web_app.state.actors._second_factor_required = True


@pytest.fixture
def enrolled(visitor: Visit, person: MakePerson, hand_clock: HandClock) -> tuple[str, bytes, list[str]]:
    """Somebody with an authenticator app: address, the app's secret, the codes on paper."""
    email = person("kim")
    kim = visitor()
    kim.sign_in(email)
    secret = kim.set_up_app()
    shown = kim.confirm_app(code_now(secret, hand_clock)).text
    codes = re.findall(r"<code>([0-9a-f-]{34})</code>", shown)
    assert len(codes) == second_factor.SPARE_CODES
    hand_clock.move(timedelta(seconds=90))
    return email, secret, codes


@pytest.mark.promise("ACC-02")
@pytest.mark.usefixtures("required")
def test_a_role_that_sees_people_opens_nothing_until_a_factor_is_set_up(
    visitor: Visit, person: MakePerson, hand_clock: HandClock
) -> None:
    officer, auditor = visitor(), visitor()
    assert officer.sign_in(person("kim"), target="/x").headers["location"] == "/account/second-factor?next=%2Fx"
    assert officer.get("/api/v1/sites/site-07").status_code == 401
    assert officer.get("/account/tokens").status_code == 303
    before = officer.secret
    secret = officer.set_up_app()
    assert "not right" in said(officer.confirm_app("000000"))
    officer.confirm_app(code_now(secret, hand_clock), next="/x")
    assert officer.secret != before
    assert officer.get("/api/v1/sites/site-07").status_code == 200
    assert auditor.sign_in(person("park", "association", site=None)).status_code == 303
    assert auditor.get("/account/tokens").status_code == 200


@pytest.mark.promise("ACC-02")
def test_a_code_opens_once_and_the_session_gets_another_secret(
    visitor: Visit, registry_web: WebServer, enrolled: tuple[str, bytes, list[str]], hand_clock: HandClock
) -> None:
    """Mutant: do not compare the step with the newest one taken."""
    email, secret, _ = enrolled
    first, second = visitor(), visitor()
    assert first.sign_in(email, target="/y").headers["location"] == "/sign-in/second-factor?next=%2Fy"
    second.sign_in(email)
    assert first.get("/api/v1/sites/site-07").status_code == 401
    assert first.get("/account/second-factor").headers["location"].startswith("/sign-in/second-factor")
    before, code = first.secret, code_now(secret, hand_clock)
    assert first.send("/sign-in/second-factor", code=code, next="/y").headers["location"] == "/y"
    assert first.secret != before
    url = f"{registry_web.url}/api/v1/sites/site-07"
    assert httpx.get(url, cookies={"ccs_session": before}).status_code == 401
    assert httpx.get(url, cookies={"ccs_session": first.secret}).status_code == 200
    replayed = second.send("/sign-in/second-factor", code=code)
    assert replayed.status_code == 401
    assert "used already" in said(replayed)
    hand_clock.move(timedelta(seconds=30))
    assert second.send("/sign-in/second-factor", code=code_now(secret, hand_clock)).status_code == 303


def test_a_code_on_paper_opens_once_in_whatever_writing(visitor: Visit, enrolled: tuple[str, bytes, list[str]]) -> None:
    email, _, codes = enrolled
    for code, status in ((codes[0].upper().replace("-", " "), 303), (codes[0], 401), (codes[1], 303)):
        guest = visitor()
        guest.sign_in(email)
        assert guest.send("/sign-in/second-factor", code=code).status_code == status


def test_one_code_sent_many_times_at_once_opens_one_session(
    visitor: Visit,
    web_app: FastAPI,
    enrolled: tuple[str, bytes, list[str]],
    central_engine: Engine,
    hand_clock: HandClock,
) -> None:
    email, secret, _ = enrolled
    guest = visitor()
    guest.sign_in(email)
    with read_session(central_engine) as session:
        row = session.execute(text("SELECT id, user_id FROM identity_session ORDER BY id DESC LIMIT 1")).one()
    code, now = code_now(secret, hand_clock), hand_clock.now()

    def show(_: int) -> bool:
        try:
            second_factor.show_code(
                central_engine, web_app.state.seal, user_id=row.user_id, session_id=row.id, code=code, now=now
            )
        except WrongCode:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(show, range(4))) == 1


def test_guessed_codes_are_stopped_for_the_person_whatever_the_session(
    visitor: Visit, enrolled: tuple[str, bytes, list[str]], hand_clock: HandClock
) -> None:
    email, secret, _ = enrolled
    statuses = []
    for _ in range(throttle.CODE_FAILURES_MAX + 1):
        guest = visitor()
        guest.sign_in(email)
        statuses.append(guest.send("/sign-in/second-factor", code="000000").status_code)
    assert statuses == [401] * throttle.CODE_FAILURES_MAX + [429]
    guest = visitor()
    guest.sign_in(email)
    assert guest.send("/sign-in/second-factor", code=code_now(secret, hand_clock)).status_code == 429
    hand_clock.move(throttle.WINDOW + timedelta(seconds=1))
    guest.sign_in(email)
    assert guest.send("/sign-in/second-factor", code=code_now(secret, hand_clock)).status_code == 303


def test_a_stolen_password_alone_adds_no_factor(visitor: Visit, enrolled: tuple[str, bytes, list[str]]) -> None:
    """Mutant: let a session that has not shown its factor set one up."""
    email, _, _ = enrolled
    thief = visitor()
    thief.sign_in(email)
    for path in ("app", "challenge", "codes", "app/remove"):
        assert thief.send(f"/account/second-factor/{path}").status_code in {303, 401}, path
    thief.app_ticket = "made up"
    assert thief.confirm_app("1").status_code in {303, 401}
    assert thief.get("/api/v1/sites/site-07").status_code == 401


@pytest.mark.promise("ACC-02")
def test_the_key_of_an_app_is_shown_once_and_confirmed_in_the_session_that_was_shown_it(
    visitor: Visit, person: MakePerson, hand_clock: HandClock
) -> None:
    """Mutants: an offer is shown again to whoever comes next; an offer is good in any session of the account."""
    email = person("kim")
    thief, kim = visitor(), visitor()
    thief.sign_in(email)
    seen = thief.set_up_app()
    kim.sign_in(email)
    kim.app_ticket = thief.app_ticket
    assert kim.confirm_app(code_now(seen, hand_clock)).status_code == 410
    mine = kim.set_up_app()
    assert mine != seen
    assert thief.confirm_app(code_now(seen, hand_clock)).status_code == 410, "another was offered meanwhile"
    wrong = kim.confirm_app(code_now(seen, hand_clock))
    assert "not right" in said(wrong)
    assert written(mine) in wrong.text, "the same key, for who scanned it and mistyped"
    assert kim.confirm_app(code_now(mine, hand_clock)).status_code == 200
    assert kim.confirm_app(code_now(mine, hand_clock)).status_code == 410


@pytest.mark.promise("ACC-02")
def test_an_offered_app_is_over_after_a_quarter_of_an_hour(
    visitor: Visit, person: MakePerson, hand_clock: HandClock
) -> None:
    """Mutant: what was offered once is confirmed months later."""
    kim = visitor()
    kim.sign_in(person("kim"))
    for wait, status in ((rules.APP_OFFER_LIFE, 410), (rules.APP_OFFER_LIFE - timedelta(seconds=1), 200)):
        secret = kim.set_up_app()
        hand_clock.move(wait)
        kim.send("/sign-in/again", password=PASSWORD, next="/account")
        answer = kim.confirm_app(code_now(secret, hand_clock))
        assert answer.status_code == status
        assert status == 200 or "set the app up again" in said(answer)


@pytest.mark.parametrize("how", ["/account/sessions/others/end", "/account/password"])
def test_an_offered_app_ends_with_the_sessions_and_with_the_password(
    visitor: Visit, person: MakePerson, hand_clock: HandClock, how: str
) -> None:
    email = person("kim")
    kim, new = visitor(), "another long password"
    kim.sign_in(email)
    secret = kim.set_up_app()
    assert kim.send(how, old=PASSWORD, password=new, again=new).status_code == 303
    assert kim.confirm_app(code_now(secret, hand_clock)).status_code == 410
    assert "Set up an app" in kim.text("/account/second-factor")


def test_two_offers_confirmed_at_once_leave_one_app(
    person: MakePerson, web_app: FastAPI, central_engine: Engine, hand_clock: HandClock
) -> None:
    """Two tabs that were offered an app at the same instant: one app is kept, and the other tab is told so."""
    email, now, seal = person("kim"), hand_clock.now(), web_app.state.seal
    with read_session(central_engine) as session:
        user_id = session.execute(text("SELECT id FROM identity_user WHERE email = :e"), {"e": email}).scalar_one()
    whose = {"user_id": user_id, "session_id": 7}
    first, second = Session(central_engine), Session(central_engine)
    with first, second:
        offers = [second_factor.offer_app(one, seal, **whose, now=now) for one in (first, second)]
        for one in (first, second):
            one.commit()

    def confirm(offer: second_factor.OfferedApp) -> bool:
        code = totp.code_of(offer.secret, totp.step_at(now))
        try:
            with write_session(central_engine) as session:
                second_factor.confirm_app(session, seal, **whose, ticket=offer.ticket, code=code, now=now)
        except (Conflict, LinkOver):
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(confirm, offers)) == 1


@pytest.mark.usefixtures("required")
def test_who_lost_everything_is_helped_by_another_operator(
    visitor: Visit, web_app: FastAPI, person: MakePerson, enrolled: tuple[str, bytes, list[str]], central_engine: Engine
) -> None:
    email, _, _ = enrolled
    web_app.state.actors._second_factor_required = False
    keeper = visitor()
    keeper.sign_in(person("operator", "system_operator", site=None))
    with read_session(central_engine) as session:
        number = session.execute(text("SELECT id FROM identity_user WHERE email = :e"), {"e": email}).scalar_one()
    assert keeper.send(f"/accounts/{number}/reset-factors").status_code == 303
    web_app.state.actors._second_factor_required = True
    guest = visitor()
    assert guest.sign_in(email).headers["location"].startswith("/account/second-factor")


def written(secret: bytes) -> str:
    """A key as the page writes it for a person's eyes."""
    plain = totp.written(secret)
    return " ".join(plain[start : start + 4] for start in range(0, len(plain), 4))


def test_the_secret_of_an_app_is_sealed_in_the_database(
    enrolled: tuple[str, bytes, list[str]], central_engine: Engine
) -> None:
    _, secret, codes = enrolled
    with read_session(central_engine) as session:
        kept = session.execute(text("SELECT secret FROM identity_totp")).scalar_one()
        hashes = session.execute(text("SELECT code_hash FROM identity_spare_code")).scalars().all()
    assert secret not in bytes(kept)
    assert codes[0].replace("-", "").encode() not in b"".join(bytes(one) for one in hashes)


# -- passkeys


@pytest.fixture
def device(registry_web: WebServer) -> Authenticator:
    return Authenticator(registry_web.url, "127.0.0.1")


def add_passkey(kim: Visitor, device: Authenticator) -> httpx.Response:
    made = kim.send("/account/second-factor/challenge").json()
    return kim.send(
        "/account/second-factor/passkey",
        ticket=made["ticket"],
        credential=device.create(made["options"]),
        name="office computer",
    )


def show_passkey(kim: Visitor, device: Authenticator) -> httpx.Response:
    made = kim.send("/sign-in/second-factor/challenge").json()
    return kim.send("/sign-in/second-factor/passkey", ticket=made["ticket"], credential=device.get(made["options"]))


@pytest.fixture
def kim_with_passkey(visitor: Visit, person: MakePerson, device: Authenticator) -> str:
    email = person("kim")
    kim = visitor()
    kim.sign_in(email)
    added = add_passkey(kim, device)
    assert added.status_code == 200, said(added)
    assert "office computer" in kim.text("/account/second-factor")
    return email


def test_a_passkey_is_added_and_opens_the_next_session(
    visitor: Visit, kim_with_passkey: str, device: Authenticator
) -> None:
    guest = visitor()
    assert guest.sign_in(kim_with_passkey).headers["location"].startswith("/sign-in/second-factor")
    shown = show_passkey(guest, device)
    assert shown.status_code == 303, said(shown)
    assert guest.get("/api/v1/sites/site-07").status_code == 200


def test_an_answer_to_a_passkeys_challenge_is_good_once(
    visitor: Visit, kim_with_passkey: str, device: Authenticator
) -> None:
    guest, second = visitor(), visitor()
    guest.sign_in(kim_with_passkey)
    second.sign_in(kim_with_passkey)
    made = guest.send("/sign-in/second-factor/challenge").json()
    answer = device.get(made["options"])
    assert guest.send("/sign-in/second-factor/passkey", ticket=made["ticket"], credential=answer).status_code == 303
    again = second.send("/sign-in/second-factor/passkey", ticket=made["ticket"], credential=answer)
    assert again.status_code == 410
    other = second.send("/sign-in/second-factor/challenge").json()
    assert second.send("/sign-in/second-factor/passkey", ticket=other["ticket"], credential=answer).status_code == 401


@pytest.mark.promise("ACC-02")
@pytest.mark.parametrize("flaw", ["origin", "host", "key", "clone", "garbage", "list", "stranger"])
def test_a_passkey_of_another_site_key_or_clone_opens_nothing(
    visitor: Visit, kim_with_passkey: str, device: Authenticator, flaw: str
) -> None:
    """Mutant: do not check the origin, the signature or the counter."""
    guest = visitor()
    guest.sign_in(kim_with_passkey)
    if flaw == "clone":
        show_passkey(guest, device)
        device.count = 0
        guest = visitor()
        guest.sign_in(kim_with_passkey)
    if flaw == "origin":
        device.origin = "https://evil.example"
    if flaw == "host":
        device.host = "evil.example"
    if flaw == "key":
        device.key = Authenticator("", "").key
    if flaw == "stranger":
        device.credential_id = b"another"
    made = guest.send("/sign-in/second-factor/challenge").json()
    answer = device.get(made["options"])
    if flaw == "garbage":
        broken = json.loads(answer)
        broken["response"]["authenticatorData"] = "AA"
        answer = json.dumps(broken)
    if flaw == "list":
        answer = "[]"
    refused = guest.send("/sign-in/second-factor/passkey", ticket=made["ticket"], credential=answer)
    assert refused.status_code in {401, 422}
    assert guest.get("/api/v1/sites/site-07").status_code == 401


def test_a_passkey_belongs_to_one_account(
    visitor: Visit, person: MakePerson, kim_with_passkey: str, device: Authenticator
) -> None:
    assert kim_with_passkey
    other = visitor()
    other.sign_in(person("park"))
    assert "belongs to an account" in said(add_passkey(other, device))
