from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import httpx
import psycopg
import pytest
from sqlalchemy import Engine

from central.identity import rules, throttle
from central.identity.accounts import Scope, create_user, disable_user, prune
from central.identity.actors import ActorCache
from central.identity.signin import WrongCredentials, sign_in
from central.kit.db import write_session
from central.kit.errors import AppError, Conflict, Invalid
from simulators.clocks import HandClock
from simulators.web import WebServer

EMAIL, PASSWORD = "officer@example.test", "correct horse battery"


@pytest.fixture
def officer(central_engine: Engine, hand_clock: HandClock, site_seven: dict[str, int]) -> int:
    assert site_seven
    with write_session(central_engine) as session:
        return create_user(
            session,
            email=f"  {EMAIL.upper()} ",
            name="Park Safety",
            password=PASSWORD,
            role="safety_officer",
            scope=Scope(site="site-07"),
            actor="system:test",
            now=hand_clock.now(),
        )


@pytest.fixture
def browser(registry_web: WebServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=registry_web.url, headers={"accept": "text/html"}, timeout=30) as client:
        yield client


def form_token(browser: httpx.Client, path: str = "/sign-in") -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', browser.get(path).text)
    assert found is not None
    return found[1]


def send(browser: httpx.Client, *, password: str = PASSWORD, email: str = EMAIL, target: str = "/") -> httpx.Response:
    form = {"email": email, "password": password, "next": target, "csrf_token": form_token(browser)}
    return browser.post("/sign-in", data=form)


def test_a_person_signs_in_and_goes_on_to_where_they_wanted(browser: httpx.Client, officer: int) -> None:
    assert officer
    answer = send(browser, target="/sites/site-07?a=b")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sites/site-07?a=b"
    cookie = next(value for value in answer.headers.get_list("set-cookie") if value.startswith("ccs_session="))
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    shown = browser.get("/api/v1/sites/site-07")
    assert shown.status_code == 200, shown.text
    assert browser.get("/sign-in?next=/x").headers["location"] == "/x"


def test_the_cookie_is_marked_secure_unless_told_otherwise(
    registry_web: WebServer, browser: httpx.Client, officer: int
) -> None:
    assert officer
    token = form_token(browser)
    settings = registry_web._server.config.app.state.settings  # type: ignore[union-attr]
    object.__setattr__(settings, "secure_cookies", True)
    answer = browser.post("/sign-in", data={"email": EMAIL, "password": PASSWORD, "csrf_token": token})
    cookie = next(value for value in answer.headers.get_list("set-cookie") if value.startswith("ccs_session="))
    assert "Secure" in cookie


@pytest.mark.parametrize("target", ["https://evil.test/", "//evil.test", "/\\evil.test"])
def test_nobody_is_sent_to_another_host_after_signing_in(browser: httpx.Client, officer: int, target: str) -> None:
    assert officer
    assert send(browser, target=target).headers["location"] == "/"


def test_a_wrong_password_and_an_unknown_account_get_the_same_sentence(browser: httpx.Client, officer: int) -> None:
    assert officer
    wrong, unknown = send(browser, password="not this one"), send(browser, email="nobody@example.test")
    assert (wrong.status_code, unknown.status_code) == (401, 401)
    sentences = [re.search(r'role="alert"[^>]*>([^<]+)<', answer.text) for answer in (wrong, unknown)]
    assert sentences[0] is not None
    assert sentences[1] is not None
    assert sentences[0][1] == sentences[1][1]
    assert "ccs_session" not in browser.cookies


@pytest.mark.promise("ACC-02")
def test_a_form_from_another_site_or_without_its_token_is_refused(browser: httpx.Client, officer: int) -> None:
    assert officer
    form = {"email": EMAIL, "password": PASSWORD, "csrf_token": form_token(browser)}
    assert browser.post("/sign-in", data=form, headers={"origin": "https://evil.test"}).status_code == 403
    assert browser.post("/sign-in", data=form | {"csrf_token": "0" * 80}).status_code == 403
    assert browser.post("/sign-in", data=form).status_code == 303
    assert browser.post("/sign-out").status_code == 403
    assert browser.get("/api/v1/sites/site-07").status_code == 200


def test_signing_in_again_makes_a_new_secret_and_ends_the_old_session(
    registry_web: WebServer, central_engine: Engine, hand_clock: HandClock, officer: int
) -> None:
    assert officer
    now = hand_clock.now()

    def enter(previous: str | None) -> str:
        started = sign_in(
            central_engine, email=EMAIL, password=PASSWORD, address="10.0.0.1", previous_secret=previous, now=now
        )
        return started.secret

    first = enter(None)
    second = enter(first)
    assert first != second
    url = f"{registry_web.url}/api/v1/sites/site-07"
    assert httpx.get(url, cookies={"ccs_session": first}).status_code == 401
    assert httpx.get(url, cookies={"ccs_session": second}).status_code == 200


def test_signing_out_ends_the_session_on_the_server(
    browser: httpx.Client, registry_web: WebServer, officer: int
) -> None:
    assert officer
    send(browser)
    secret = browser.cookies["ccs_session"]
    with httpx.Client(base_url=registry_web.url, cookies={"ccs_csrf": browser.cookies["ccs_csrf"]}) as other:
        token = form_token(other)
    assert browser.post("/sign-out", data={"csrf_token": token}).headers["location"] == "/sign-in"
    kept = httpx.get(f"{registry_web.url}/api/v1/sites/site-07", cookies={"ccs_session": secret})
    assert kept.status_code == 401
    assert browser.post("/sign-out", data={"csrf_token": token}).status_code == 303


def test_only_the_hash_of_a_session_is_stored(browser: httpx.Client, officer: int, database_url: str) -> None:
    assert officer
    send(browser)
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT secret_hash::text, id FROM identity_session").fetchone()
    assert row is not None
    assert browser.cookies["ccs_session"] not in row[0]


@pytest.mark.promise("ACC-02")
@pytest.mark.parametrize(
    ("idle", "steps", "status"),
    [
        (rules.SESSION_IDLE_MAX - timedelta(seconds=1), 1, 200),
        (rules.SESSION_IDLE_MAX, 1, 401),
        (timedelta(hours=1), 11, 200),
        (timedelta(hours=1), 12, 401),
    ],
)
def test_a_session_ends_when_idle_too_long_and_at_its_absolute_end_however_busy(
    browser: httpx.Client, hand_clock: HandClock, officer: int, idle: timedelta, steps: int, status: int
) -> None:
    assert officer
    send(browser)
    answer = None
    for _ in range(steps):
        hand_clock.move(idle)
        answer = browser.get("/api/v1/sites/site-07")
    assert answer is not None
    assert answer.status_code == status


def attempt(engine: Engine, now: object, *, address: str = "10.0.0.1", password: str = "wrong password") -> str:
    try:
        sign_in(engine, email=EMAIL, password=password, address=address, previous_secret=None, now=now)  # type: ignore[arg-type]
    except AppError as refusal:
        return refusal.code
    return "in"


def test_five_wrong_passwords_stop_an_address_and_not_the_owner_elsewhere(
    central_engine: Engine, hand_clock: HandClock, officer: int
) -> None:
    assert officer
    now = hand_clock.now()
    said = [attempt(central_engine, now) for _ in range(throttle.PAIR_FAILURES_MAX + 1)]
    assert said == ["wrong_credentials"] * throttle.PAIR_FAILURES_MAX + ["too_many_attempts"]
    assert attempt(central_engine, now, password=PASSWORD) == "too_many_attempts"
    assert attempt(central_engine, now, address="10.0.0.2", password=PASSWORD) == "in"
    later = now + throttle.WINDOW + timedelta(seconds=1)
    assert attempt(central_engine, later, password=PASSWORD) == "in"


@pytest.mark.promise("ACC-02")
def test_guesses_sent_at_the_same_time_are_counted_too(
    central_engine: Engine, hand_clock: HandClock, officer: int
) -> None:
    assert officer
    now = hand_clock.now()
    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(lambda _: attempt(central_engine, now), range(12)))
    assert said.count("wrong_credentials") == throttle.PAIR_FAILURES_MAX


def test_an_account_attacked_from_many_addresses_is_stopped(
    central_engine: Engine, hand_clock: HandClock, officer: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert officer
    monkeypatch.setattr(throttle, "EMAIL_FAILURES_MAX", 3)
    now = hand_clock.now()
    said = [attempt(central_engine, now, address=f"10.0.1.{number}") for number in range(4)]
    assert said[-1] == "too_many_attempts"


def test_a_throttled_person_is_told_when_to_try_again(browser: httpx.Client, officer: int) -> None:
    assert officer
    for _ in range(throttle.PAIR_FAILURES_MAX):
        send(browser, password="wrong password")
    answer = send(browser)
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "900"
    assert "15" in answer.text


def test_a_disabled_account_is_out_at_once_and_cannot_come_in(
    browser: httpx.Client, officer: int, central_engine: Engine, hand_clock: HandClock
) -> None:
    assert officer
    send(browser)
    with write_session(central_engine) as session:
        disable_user(session, email=EMAIL, actor="system:test", now=hand_clock.now())
    assert browser.get("/api/v1/sites/site-07").status_code == 401
    browser.cookies.delete("ccs_session")
    assert send(browser).status_code == 401


def test_attempts_and_sessions_of_long_ago_are_pruned(
    central_engine: Engine, hand_clock: HandClock, officer: int, database_url: str
) -> None:
    assert officer
    now = hand_clock.now()
    attempt(central_engine, now)
    attempt(central_engine, now, password=PASSWORD)
    with write_session(central_engine) as session:
        assert prune(session, now=now + timedelta(hours=1)) == 0
    with write_session(central_engine) as session:
        assert prune(session, now=now + timedelta(days=40)) > 1
    with psycopg.connect(database_url) as connection:
        left = connection.execute("SELECT count(*) FROM identity_attempt").fetchone()
    assert left == (0,)


def test_one_address_has_one_account_and_a_role_that_exists(
    central_engine: Engine, hand_clock: HandClock, officer: int
) -> None:
    assert officer
    now = hand_clock.now()

    def make(**more: object) -> None:
        facts: dict[str, object] = {"email": "a@b.test", "name": "A", "password": PASSWORD, "role": "auditor"} | more
        scope = facts.pop("scope", Scope())
        with write_session(central_engine) as session:
            create_user(session, **facts, scope=scope, actor="system:test", now=now)  # type: ignore[arg-type]

    with pytest.raises(Conflict, match="already has an account"):
        make(email=EMAIL)
    with pytest.raises(Invalid, match="did you mean 'auditor'"):
        make(role="auditer")
    with pytest.raises(Invalid, match="use 10 to 200"):
        make(password="short")
    with pytest.raises(Invalid, match="not an e-mail address"):
        make(email="nobody")
    with pytest.raises(AppError, match="no site 'site-99'"):
        make(scope=Scope(site="site-99"))
    with pytest.raises(Invalid, match="give one of them"):
        make(scope=Scope(site="site-07", project="gym"))
    make()


def test_a_warm_actor_costs_no_query_and_a_flush_forgets_it(
    central_engine: Engine, hand_clock: HandClock, officer: int
) -> None:
    assert officer
    now = hand_clock.now()
    started = sign_in(central_engine, email=EMAIL, password=PASSWORD, address="x", previous_secret=None, now=now)
    cache = ActorCache(central_engine, hand_clock)
    assert cache.remembered_actor("session", started.secret) is None
    loaded = cache.load_session(started.secret)
    assert loaded is not None
    assert cache.remembered_actor("session", started.secret) == loaded
    assert cache.load_session("unknown") is None
    cache.flush()
    assert cache.remembered_actor("session", started.secret) is None


def test_what_was_read_before_a_flush_is_not_remembered_after_it(
    central_engine: Engine, hand_clock: HandClock, officer: int, token_of: Callable[..., str]
) -> None:
    assert officer
    secret = token_of("site:headcount:read")
    cache = ActorCache(central_engine, hand_clock)
    memory = cache._actors
    generation = memory.generation
    loaded = cache.load_token(secret)
    cache.flush()
    assert loaded is not None
    memory.put(b"x", loaded, generation=generation)
    assert memory.get(b"x") is None


def test_a_project_role_and_a_prime_contractors_role_reach_their_sites(
    central_engine: Engine, hand_clock: HandClock, registry_web: WebServer, officer: int, operator: httpx.Client
) -> None:
    assert officer
    operator.post("sites", json={"code": "site-08", "project": "gym", "name": "Annex"})
    now = hand_clock.now()
    reached = {}
    for name, scope in (("p", Scope(project="gym")), ("o", Scope(organization="1248100998"))):
        with write_session(central_engine) as session:
            create_user(
                session,
                email=f"{name}@b.test",
                name=name,
                password=PASSWORD,
                role="contractor",
                scope=scope,
                actor="system:test",
                now=now,
            )
        started = sign_in(
            central_engine, email=f"{name}@b.test", password=PASSWORD, address="x", previous_secret=None, now=now
        )
        answer = httpx.get(f"{registry_web.url}/api/v1/sites", cookies={"ccs_session": started.secret})
        reached[name] = [row["code"] for row in answer.json()["items"]]
    assert reached == {"p": ["site-07", "site-08"], "o": ["site-07"]}


def test_the_sign_in_of_somebody_unknown_takes_a_password_check_too(
    central_engine: Engine, hand_clock: HandClock
) -> None:
    now = hand_clock.now()
    with pytest.raises(WrongCredentials):
        sign_in(central_engine, email="x@y.test", password=PASSWORD, address="x", previous_secret=None, now=now)
