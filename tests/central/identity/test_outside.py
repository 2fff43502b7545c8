"""Single sign-on against a real provider process of ours: linked by the owner, signed, bound to the browser, once."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from central.identity import recovery, throttle, tickets
from central.identity.letters import Letters
from central.identity.outside_provider import OutsideRefused, OutsideUnavailable, Provider, Providers, load_providers
from central.identity.rules import RECOVERY_LIFE
from central.identity.tickets import TicketKind
from central.kit.clock import SystemClock
from central.kit.config import BadSetting
from central.kit.db import read_session, write_session
from simulators.children import ChildProcess
from simulators.clocks import HandClock
from simulators.servers import accepts, free_port, wait_until
from simulators.visitor import PASSWORD, Visitor, said
from simulators.web import WebServer

Visit = Callable[[], Visitor]
MakePerson = Callable[..., str]
SITE = "/api/v1/sites/site-07"
NEW = "another long password"


@pytest.fixture
def provider(registry_web: WebServer, web_app: FastAPI, hand_clock: HandClock, tmp_path: Path) -> Iterator[Provider]:
    """A provider in a process of its own, offered at the sign-in page."""
    port = free_port()
    back = f"{registry_web.url}/sign-in/back/city"
    command = [sys.executable, "-m", "simulators.oidc", str(port), "ccs", "a secret", back]
    child = ChildProcess(command, log=tmp_path / "oidc.log")
    child.start()
    wait_until(lambda: accepts(port), what="the OpenID provider")
    made = Provider("city", "City SSO", f"http://127.0.0.1:{port}", "ccs", "a secret", vouches_for_factor=True)
    web_app.state.providers = Providers((made,))
    hand_clock.at = _real_now()
    yield made
    child.signal(15)


def _real_now() -> datetime:
    """The provider signs with the machine's clock."""
    return SystemClock().now()


def leave(kim: Visitor, *, link: bool = False) -> dict[str, str]:
    """Go towards the provider; return what it is asked."""
    page = kim.send("/account/outside/city") if link else kim.get("/sign-in/with/city?next=/account")
    return asked_of(page)


def asked_of(page: httpx.Response) -> dict[str, str]:
    """What the provider is asked, as the page says on which the browser leaves."""
    assert page.status_code == 200, page.text
    address = page.headers["refresh"].partition("url=")[2]
    return dict(parse_qsl(urlsplit(address).query)) | {"address": address.partition("?")[0]}


def answer(asked: dict[str, str], subject: str = "kim-17", **more: str) -> str:
    """Say who it is at the provider; return the way back."""
    form = {name: value for name, value in asked.items() if name != "address"} | {"subject": subject} | more
    sent = httpx.post(asked["address"], data=form)
    assert sent.status_code == 303, sent.text
    back = urlsplit(sent.headers["location"])
    return f"{back.path}?{back.query}"


@pytest.fixture
def linked(visitor: Visit, person: MakePerson, provider: Provider) -> str:
    assert provider
    email = person("kim")
    kim = visitor()
    kim.sign_in(email)
    back = kim.get(answer(leave(kim, link=True)))
    assert back.headers["location"] == "/account"
    assert "Disconnect City SSO" in kim.text("/account")
    return email


def test_who_linked_their_account_signs_in_without_a_password(visitor: Visit, linked: str) -> None:
    assert linked
    kim = visitor()
    assert "City SSO" in kim.text("/sign-in")
    back = kim.get(answer(leave(kim)))
    assert back.headers["location"] == "/account"
    assert kim.get(SITE).status_code == 200
    assert "oidc:city" not in kim.text("/sign-in")


def test_nobody_comes_in_by_an_account_that_its_owner_did_not_link(visitor: Visit, linked: str) -> None:
    assert linked
    stranger = visitor()
    refused = stranger.get(answer(leave(stranger), subject="somebody-else"))
    assert refused.status_code == 401
    assert "no account here is connected" in said(refused)
    assert stranger.secret == ""


@pytest.mark.promise("ACC-02")
def test_what_comes_back_is_good_once_and_in_its_own_browser_only(visitor: Visit, linked: str) -> None:
    """Mutant: do not bind the way to the browser; or do not use the ticket up."""
    assert linked
    kim, thief = visitor(), visitor()
    way = answer(leave(kim))
    thief.get(way)
    assert thief.secret == ""
    kim.get(way)
    assert kim.secret == "", "the thief's try used it up"
    second = answer(leave(kim))
    kim.get(second)
    assert kim.secret
    again = visitor()
    again.client.cookies.update(kim.client.cookies)
    again.client.cookies.delete("ccs_session")
    assert again.get(second).status_code == 410


@pytest.mark.promise("ACC-02")
@pytest.mark.parametrize(
    "mood", ["another_audience", "another_issuer", "another_key", "expired", "old_nonce", "unsigned"]
)
def test_a_provider_that_lies_is_not_believed(visitor: Visit, linked: str, mood: str) -> None:
    assert linked
    kim = visitor()
    assert "cannot be believed" in said(kim.get(answer(leave(kim), mood=mood)))
    assert kim.secret == ""


def test_somebody_who_refuses_at_the_provider_is_told_so(visitor: Visit, linked: str) -> None:
    assert linked
    kim = visitor()
    asked = leave(kim)
    back = kim.client.get("/sign-in/back/city", params={"error": "access_denied", "state": asked["state"]})
    assert "refused" in said(back)
    assert kim.secret == ""


def test_a_provider_that_saw_a_second_factor_is_believed_where_the_operator_says_so(
    visitor: Visit, web_app: FastAPI, linked: str
) -> None:
    assert linked
    web_app.state.actors._second_factor_required = True
    plain, strong = visitor(), visitor()
    assert plain.get(answer(leave(plain), amr="pwd")).headers["location"].startswith("/account/second-factor")
    assert strong.get(answer(leave(strong), amr="pwd mfa")).headers["location"] == "/account"
    assert (plain.get(SITE).status_code, strong.get(SITE).status_code) == (401, 200)


def test_an_account_is_unlinked_and_linked_to_one_only(visitor: Visit, person: MakePerson, linked: str) -> None:
    other = visitor()
    other.sign_in(person("park"))
    assert other.get(answer(leave(other, link=True))).status_code == 409
    kim = visitor()
    kim.sign_in(linked)
    assert kim.send("/account/outside/city/unlink").status_code == 303
    late = visitor()
    late.get(answer(leave(late)))
    assert late.secret == ""


SESSION_ENDERS = ("others/end", "recovery", "password", "sign-out", "operator")


@pytest.mark.promise("ACC-02")
@pytest.mark.parametrize("how", SESSION_ENDERS)
def test_a_session_that_was_ended_connects_nothing_when_its_way_comes_back(
    visitor: Visit, person: MakePerson, web_app: FastAPI, linked: str, how: str
) -> None:
    """Mutant: the ticket alone says whose account is connected, whatever became of the session that began it."""
    thief, kim, keeper = visitor(), visitor(), visitor()
    for one in (thief, kim):
        one.sign_in(linked)
    kim.send("/account/outside/city/unlink")
    way = answer(leave(thief, link=True), subject="the-thief")
    if how == "others/end":
        kim.send("/account/sessions/others/end")
    elif how == "password":
        kim.send("/account/password", old=PASSWORD, password=NEW, again=NEW)
    elif how == "sign-out":
        thief.send("/sign-out")
    elif how == "operator":
        keeper.sign_in(person("keeper", "system_operator", site=None))
        number = re.findall(r'/accounts/(\d+)">kim<', keeper.text("/accounts"))[0]
        assert keeper.send(f"/accounts/{number}/end-sessions").status_code == 303
    else:
        engine, now = web_app.state.engine, web_app.state.clock.now()
        with write_session(engine) as session:
            user_id = session.execute(text("SELECT id FROM identity_user WHERE email = :e"), {"e": linked}).scalar_one()
            secret = tickets.issue(session, kind=TicketKind.RECOVERY, life=RECOVERY_LIFE, now=now, user_id=user_id)
        recovery.set_password(engine, secret=secret, password=NEW, letters=letters_for(web_app), now=now)
    assert thief.get(way).status_code in {401, 410}
    late = visitor()
    assert "no account here is connected" in said(late.get(answer(leave(late), subject="the-thief")))


def test_another_session_of_the_same_person_does_not_finish_what_one_began(visitor: Visit, linked: str) -> None:
    """Mutant: any session of the account that is alive will do."""
    kim = visitor()
    kim.sign_in(linked)
    kim.send("/account/outside/city/unlink")
    way = answer(leave(kim, link=True), subject="kim-18")
    kim.sign_in(linked)
    assert "signed out meanwhile" in said(kim.get(way))


def test_the_mailbox_is_told_of_each_connection_made_and_taken_away(
    visitor: Visit, person: MakePerson, web_app: FastAPI, provider: Provider
) -> None:
    assert provider
    object.__setattr__(web_app.state.settings, "smtp_url", "smtp://127.0.0.1:1")
    kim = visitor()
    kim.sign_in(person("kim"))
    told = []
    for act in (lambda: kim.get(answer(leave(kim, link=True))), lambda: kim.send("/account/outside/city/unlink")):
        assert act().status_code == 303
        with read_session(web_app.state.engine) as session:
            rows = session.execute(text("SELECT recipient, subject FROM kit_outgoing")).all()
        told.append([tuple(row) for row in rows])
    assert told == [[("kim@b.test", "Your account was changed")] * count for count in (1, 2)]


def letters_for(app: FastAPI) -> Letters:
    return Letters(app.state.seal, mail_goes_out=False)


def test_who_signs_out_is_signed_out_at_the_provider_too(visitor: Visit, linked: str) -> None:
    kim = visitor()
    kim.get(answer(leave(kim)))
    left = kim.send("/sign-out")
    assert left.status_code == 200
    home = left.headers["refresh"].partition("url=")[2]
    assert kim.get(SITE).status_code == 401
    back = httpx.get(home)
    assert (back.status_code, urlsplit(back.headers["location"]).path) == (303, "/sign-in")
    by_password = visitor()
    by_password.sign_in(linked)
    assert by_password.send("/sign-out").headers["location"] == "/sign-in"


def test_who_signs_out_while_the_provider_is_away_is_signed_out_here(
    visitor: Visit, web_app: FastAPI, linked: str
) -> None:
    assert linked
    kim = visitor()
    kim.get(answer(leave(kim)))
    away = Provider("city", "City SSO", f"http://127.0.0.1:{free_port()}", "ccs", "x")
    web_app.state.providers = Providers((away,))
    assert kim.send("/sign-out").headers["location"] == "/sign-in"
    assert kim.get(SITE).status_code == 401


@pytest.fixture
def invited(visitor: Visit, person: MakePerson, provider: Provider) -> str:
    """The path of an invitation to an account."""
    assert provider
    keeper = visitor()
    keeper.sign_in(person("keeper", "system_operator", site=None))
    shown = keeper.send("/accounts", email="lee@b.test", name="Lee", role="auditor")
    found = re.search(r"/invitation/[\w-]+", shown.text)
    assert found is not None, shown.text
    return found[0]


def test_who_is_invited_comes_in_by_the_provider_without_a_password_of_their_own(visitor: Visit, invited: str) -> None:
    lee = visitor()
    assert "Come in with City SSO" in lee.text(invited)
    back = lee.get(answer(asked_of(lee.send(f"{invited}/with/city")), subject="lee-9"))
    assert back.headers["location"] == "/"
    assert "lee@b.test" in lee.text("/account")
    assert lee.get(invited).status_code == 410
    later = visitor()
    assert later.get(answer(leave(later), subject="lee-9")).headers["location"] == "/account"
    assert later.sign_in("lee@b.test", "correct horse battery").status_code == 401
    assert later.send("/account/outside/city/unlink").status_code == 409


def test_an_invitation_is_accepted_once_however_many_ways_were_begun(visitor: Visit, invited: str) -> None:
    """Mutant: do not use the invitation up when it is accepted through a provider."""
    first, second = visitor(), visitor()
    ways = [
        answer(asked_of(one.send(f"{invited}/with/city")), subject=f"lee-{n}") for n, one in ((1, first), (2, second))
    ]
    assert first.get(ways[0]).headers["location"] == "/"
    assert second.get(ways[1]).status_code == 410
    assert second.secret == ""


def test_a_provider_account_that_is_connected_already_makes_no_second_one(
    visitor: Visit, linked: str, invited: str
) -> None:
    assert linked
    lee = visitor()
    assert lee.get(answer(asked_of(lee.send(f"{invited}/with/city")), subject="kim-17")).status_code == 409
    assert lee.secret == ""
    assert lee.get(invited).status_code == 200, "it can still be accepted"


def test_a_provider_that_is_away_is_a_sentence_not_a_crash(visitor: Visit, web_app: FastAPI) -> None:
    away = Provider("city", "City SSO", f"http://127.0.0.1:{free_port()}", "ccs", "x")
    web_app.state.providers = Providers((away,))
    assert visitor().get("/sign-in/with/city").status_code == 503
    assert visitor().get("/sign-in/with/none").status_code == 404


def test_ways_to_a_provider_are_not_begun_without_end(
    visitor: Visit, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert provider
    monkeypatch.setattr(throttle, "OUTSIDE_WAYS_MAX", 2)
    kim = visitor()
    assert [kim.get("/sign-in/with/city").status_code for _ in range(3)] == [200, 200, 429]


def test_a_document_that_is_not_the_providers_own_is_refused() -> None:
    def lie(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"issuer": "https://other.example"})

    provider = Provider("city", "City", "https://id.example", "ccs", "x")
    now = _real_now()
    for transport, refusal in (
        (httpx.MockTransport(lie), OutsideRefused),
        (httpx.MockTransport(lambda _: httpx.Response(502)), OutsideUnavailable),
        (httpx.MockTransport(lambda _: httpx.Response(200, content=b"x" * 300_000)), OutsideRefused),
    ):
        with pytest.raises(refusal):
            Providers((provider,), transport=transport).way_out(
                provider, back="x", state="s", nonce="n", verifier="v", now=now
            )


def test_the_operators_file_names_what_is_wrong_with_it(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a secret\n")
    file = tmp_path / "oidc.toml"
    good = '[[provider]]\nid = "city"\nname = "City"\nissuer = "https://id.example"\nclient_id = "ccs"\n'
    file.write_text(good + 'client_secret_file = "secret"\n')
    (made,) = load_providers(file).offered
    assert (made.client_secret, made.vouches_for_factor) == ("a secret", False)
    for written, sentence in (
        (good, "client_secret_file"),
        ("[[", "cannot be used"),
        (good.replace("https://", "http://") + 'client_secret_file = "secret"\n', "must begin with https"),
    ):
        file.write_text(written)
        with pytest.raises(BadSetting, match=sentence):
            load_providers(file)
    assert load_providers(None).offered == ()
