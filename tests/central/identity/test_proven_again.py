"""A session that was left open changes nothing of how its person signs in (ASVS 5.0, 7.5.1 and 7.5.2)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.identity import throttle
from central.identity.rules import PROOF_LIFE, proof_over
from simulators.clocks import HandClock
from simulators.visitor import PASSWORD, Visitor, code_now, said

Visit = Callable[[], Visitor]
MakePerson = Callable[..., str]
AGAIN = "/sign-in/again?next="
LATER = PROOF_LIFE + timedelta(seconds=1)

pytestmark = pytest.mark.promise("ACC-02")


@given(st.timedeltas(min_value=timedelta(), max_value=timedelta(hours=12)))
def test_a_proof_is_good_for_its_life_and_no_longer(age: timedelta) -> None:
    clock = HandClock()
    proven_at = clock.now()
    assert proof_over(proven_at, now=proven_at + age) == (age >= PROOF_LIFE)
    assert proof_over(None, now=proven_at)


@pytest.fixture
def kim(visitor: Visit, person: MakePerson, hand_clock: HandClock) -> Visitor:
    """Somebody whose sign-in was some time ago."""
    made = visitor()
    made.sign_in(person("kim"))
    hand_clock.move(LATER)
    return made


@pytest.mark.parametrize("path", ["/account/second-factor", "/account/tokens", "/account/delegations"])
def test_what_changes_a_sign_in_asks_for_the_password_again_and_then_opens(kim: Visitor, path: str) -> None:
    """Mutant: the guard does not look when its person last showed who they are."""
    assert kim.get("/account").status_code == 200
    asked = kim.get(path).headers["location"]
    assert asked.startswith(AGAIN)
    assert "Is it you?" in kim.text(asked)
    before = kim.secret
    assert kim.send("/sign-in/again", password=PASSWORD, next=path).headers["location"] == path
    assert kim.secret != before
    assert kim.get(path).status_code == 200
    assert kim.get(asked).headers["location"] == path, "it was just shown"


@pytest.mark.parametrize(
    "path",
    [
        "/account/second-factor/app",
        "/account/second-factor/app/confirm",
        "/account/second-factor/app/remove",
        "/account/second-factor/challenge",
        "/account/second-factor/codes",
        "/account/second-factor/passkey",
        "/account/second-factor/passkey/1/remove",
        "/account/sessions/others/end",
        "/account/sessions/1/end",
        "/account/tokens",
        "/account/delegations",
        "/account/outside/city",
        "/account/outside/city/unlink",
    ],
)
def test_nothing_of_it_is_sent_past_the_page(kim: Visitor, path: str) -> None:
    assert kim.send(path).headers["location"].startswith(AGAIN)


def test_who_keeps_accounts_is_asked_again_as_well(visitor: Visit, person: MakePerson, hand_clock: HandClock) -> None:
    """Mutant: an operator's screen that was left open makes somebody an operator."""
    keeper = visitor()
    keeper.sign_in(person("keeper", "system_operator", site=None))
    assert keeper.get("/accounts").status_code == 200
    hand_clock.move(LATER)
    for path in ("/accounts", "/accounts/1"):
        assert keeper.get(path).headers["location"].startswith(AGAIN)
    for path in ("/accounts", "/accounts/1/roles", "/accounts/1/reset-factors", "/accounts/1/end-sessions"):
        assert keeper.send(path).headers["location"].startswith(AGAIN)
    keeper.send("/sign-in/again", password=PASSWORD, next="/accounts")
    assert keeper.get("/accounts").status_code == 200


def test_whoever_has_a_factor_shows_that_and_no_password_does(
    visitor: Visit, person: MakePerson, hand_clock: HandClock
) -> None:
    lee = visitor()
    lee.sign_in(person("lee"))
    secret = lee.set_up_app()
    lee.confirm_app(code_now(secret, hand_clock))
    hand_clock.move(LATER)
    onward = lee.get(lee.get("/account/second-factor").headers["location"]).headers["location"]
    assert onward.startswith("/sign-in/second-factor?next=")
    assert lee.get(onward).status_code == 200
    shown = lee.send("/sign-in/second-factor", code=code_now(secret, hand_clock), next="/account/second-factor")
    assert shown.headers["location"] == "/account/second-factor"
    assert lee.get("/account/second-factor").status_code == 200


def test_a_password_alone_proves_nothing_for_who_has_a_factor(
    visitor: Visit, person: MakePerson, hand_clock: HandClock
) -> None:
    """Mutant: the password is taken from whoever has a second factor too."""
    lee = visitor()
    lee.sign_in(person("lee"))
    secret = lee.set_up_app()
    lee.confirm_app(code_now(secret, hand_clock))
    hand_clock.move(LATER)
    lee.send("/sign-in/again", password=PASSWORD, next="/account/second-factor")
    assert lee.get("/account/second-factor").headers["location"].startswith(AGAIN)


def test_wrong_passwords_are_counted(kim: Visitor) -> None:
    for _ in range(throttle.CODE_FAILURES_MAX):
        assert "not right" in said(kim.send("/sign-in/again", password="not this one", next="/account/tokens"))
    assert kim.send("/sign-in/again", password=PASSWORD, next="/account/tokens").status_code == 429


def test_who_sends_a_form_too_late_comes_back_to_its_page(kim: Visitor) -> None:
    page = f"{kim.client.base_url}/account/sessions"
    kim.client.headers["referer"] = page
    assert kim.send("/account/sessions/others/end").headers["location"] == "/sign-in/again?next=%2Faccount%2Fsessions"
    kim.client.headers["referer"] = "https://elsewhere.example/account/sessions"
    assert kim.send("/account/sessions/others/end").headers["location"] == "/sign-in/again?next=%2F"
