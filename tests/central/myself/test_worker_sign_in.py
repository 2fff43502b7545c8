"""A worker's way in: number and code, desk, card; nobody else's, and nothing told of who is registered."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from central.myself import rules
from simulators.clocks import HandClock
from simulators.own_site import OwnSite
from simulators.sms import SmsGateway

HUNG, HUNGS = "26-0001", "01011110001"
MINSU = "26-0002"


def shape(text: str) -> str:
    """An answer without what differs each time anyway."""
    return re.sub(r'value="[^"]+"|\d times', "", text)


def test_a_worker_comes_in_by_number_and_code_and_sees_their_own_name(
    phone: Callable[..., Any],
) -> None:
    hung = phone()
    answer = hung.sign_in(" 26-0001 ", HUNGS)
    assert (answer.status_code, answer.headers["location"]) == (303, "/me")
    page = hung.get("/me")
    assert "Nguyễn Văn Hùng" in page.text
    assert "김민수" not in page.text
    assert hung.post("/me/sign-out").headers["location"] == "/me/sign-in"
    assert hung.get("/me").url.path == "/me/sign-in"


@pytest.mark.promise("ACC-01")
def test_nothing_tells_whether_a_number_is_registered(
    phone: Callable[..., Any], gateway: SmsGateway, database_url: str
) -> None:
    """Mutant: say that the number is unknown."""
    answers = {number: phone().ask(number) for number in (HUNG, MINSU, "26-9999")}
    assert {answer.status_code for answer in answers.values()} == {200}
    assert len({shape(answer.text) for answer in answers.values()}) == 1
    wrong = {
        number: phone_answer
        for number, asked in answers.items()
        for phone_answer in [phone().post("/me/sign-in/code", ticket=phone().ticket(asked), code="000000")]
    }
    assert {answer.status_code for answer in wrong.values()} == {401}
    assert len({shape(answer.text) for answer in wrong.values()}) == 1
    assert [text.to for text in gateway.texts] == [HUNGS]
    with psycopg.connect(database_url) as connection:
        (rows,) = connection.execute("SELECT count(*) FROM kit_outgoing WHERE channel = 'sms'").fetchone() or (0,)
    assert rows == 3, "the same is written for every number"


def test_a_code_is_good_once_in_its_own_browser_and_for_ten_minutes(
    phone: Callable[..., Any], gateway: SmsGateway, hand_clock: HandClock
) -> None:
    hung, other = phone(), phone()
    ticket = hung.ticket(hung.ask(HUNG))
    elsewhere = other.ticket(other.ask("26-0003"))
    (code,) = gateway.codes(HUNGS)
    assert other.post("/me/sign-in/code", ticket=elsewhere, code=code).status_code == 401
    assert hung.post("/me/sign-in/code", ticket=ticket, code=code).status_code == 303
    assert other.post("/me/sign-in/code", ticket=ticket, code=code).status_code == 410
    again = other.ticket(other.ask(HUNG))
    hand_clock.move(rules.CODE_LIFE)
    assert other.post("/me/sign-in/code", ticket=again, code=gateway.codes(HUNGS)[-1]).status_code == 410


def test_guesses_and_requests_are_counted(
    phone: Callable[..., Any], gateway: SmsGateway, hand_clock: HandClock
) -> None:
    hung = phone()
    ticket = hung.ticket(hung.ask(HUNG))
    right = gateway.codes(HUNGS)[0]
    wrong = f"{(int(right) + 1) % 1_000_000:06d}"
    for _ in range(rules.TRIES_A_TICKET_MAX):
        assert hung.post("/me/sign-in/code", ticket=ticket, code=wrong).status_code == 401
    assert hung.post("/me/sign-in/code", ticket=ticket, code=right).status_code == 429
    for _ in range(rules.CODES_FROM_ONE_PLACE_MAX - 1):
        assert hung.ask(HUNG).status_code == 200
    refused = hung.ask(HUNG)
    assert refused.status_code == 429
    assert "Wait 15 minutes" in refused.text
    assert len(gateway.texts) == rules.CODES_FROM_ONE_PLACE_MAX
    hand_clock.move(timedelta(minutes=16))
    assert hung.sign_in(HUNG, HUNGS).status_code == 303


def test_nobody_can_flood_a_telephone_with_codes(
    phone: Callable[..., Any], gateway: SmsGateway, hand_clock: HandClock
) -> None:
    hung = phone()
    for _ in range(rules.TEXTS_A_DAY_MAX):
        hung.ask(HUNG)
        hand_clock.move(timedelta(minutes=16))
    assert len(gateway.texts) == rules.TEXTS_A_DAY_MAX
    beyond = hung.ask(HUNG)
    assert "a code is on its way" not in beyond.text
    assert "Ask your site office" in beyond.text
    assert len(gateway.texts) == rules.TEXTS_A_DAY_MAX


def test_a_worker_is_spoken_to_in_their_own_language_from_then_on(phone: Callable[..., Any]) -> None:
    hung = phone("fr")
    hung.sign_in(HUNG, HUNGS)
    assert '<html lang="vi">' in hung.get("/me").text
    chosen = phone("en")
    chosen.client.get("/language/ne")
    chosen.sign_in(HUNG, HUNGS)
    assert '<html lang="ne">' in chosen.get("/me").text


def hold(own_site: OwnSite, clock: HandClock, times: int, *, number: str = MINSU, **how: Any) -> None:
    for _ in range(times):
        clock.move(timedelta(seconds=4))
        own_site.tap(number, clock.now(), **how)
    clock.move(timedelta(seconds=3))


def asked_times(answer: Any) -> int:
    found = re.search(r"(\d) times", answer.text)
    assert found is not None
    return int(found[1])


def test_a_worker_without_a_phone_comes_in_by_card(
    phone: Callable[..., Any], own_site: OwnSite, hand_clock: HandClock
) -> None:
    minsu = phone()
    answer = minsu.ask(MINSU)
    ticket, times = minsu.ticket(answer), asked_times(answer)
    early = minsu.post("/me/sign-in/card", ticket=ticket)
    assert early.status_code == 409
    assert "not seen" in early.text
    hold(own_site, hand_clock, times)
    assert minsu.post("/me/sign-in/card", ticket=ticket).status_code == 303
    assert "김민수" in minsu.get("/me").text


@pytest.mark.promise("ACC-01")
def test_passing_a_gate_or_a_copied_card_opens_nobodys_days(
    phone: Callable[..., Any], own_site: OwnSite, hand_clock: HandClock
) -> None:
    """Mutant: let any assurance do."""
    thief = phone()
    answer = thief.ask(MINSU)
    ticket, times = thief.ticket(answer), asked_times(answer)
    hold(own_site, hand_clock, 1)
    assert thief.post("/me/sign-in/card", ticket=ticket).status_code == 409
    hand_clock.move(timedelta(minutes=2))
    hold(own_site, hand_clock, times, assurance=1)
    assert thief.post("/me/sign-in/card", ticket=ticket).status_code == 409
    hold(own_site, hand_clock, times, decision="auth_failed")
    assert thief.post("/me/sign-in/card", ticket=ticket).status_code == 409


def test_a_session_lasts_a_week_without_use_and_ends_on_every_phone_at_once(
    phone: Callable[..., Any], hand_clock: HandClock
) -> None:
    first, second = phone(), phone()
    for one in (first, second):
        assert one.sign_in(HUNG, HUNGS).status_code == 303
    hand_clock.move(timedelta(days=6))
    assert first.get("/me").url.path == "/me"
    hand_clock.move(timedelta(days=2))
    assert second.get("/me").url.path == "/me/sign-in"
    assert first.get("/me").url.path == "/me"
    assert second.sign_in(HUNG, HUNGS).status_code == 303
    assert first.post("/me/sign-out/everywhere").status_code == 303
    assert second.get("/me").url.path == "/me/sign-in"


def test_a_workers_session_opens_nothing_of_the_offices(phone: Callable[..., Any]) -> None:
    hung = phone()
    hung.sign_in(HUNG, HUNGS)
    for path in ("/workers", "/objections", "/api/v1/workers", "/accounts"):
        assert hung.client.get(path).status_code in {403, 404}, path
    assert hung.client.get("/account").status_code in {303, 401}
