"""One act on many workers: shown first, then exactly that and nothing else, with an audit row for each change."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import httpx
import psycopg
import pytest

from central.kit import web
from simulators.clocks import HandClock
from simulators.web import WebServer


@pytest.fixture
def person(api_for: Callable[..., httpx.Client], registry_web: WebServer, site_seven: dict[str, int]) -> httpx.Client:
    assert site_seven
    client = api_for("*")
    client.base_url = httpx.URL(registry_web.url)
    client.cookies.set("ccs_language", "en")
    client.cookies.set(web.CSRF_COOKIE, "c" * 32)
    client.headers["x-csrf-token"] = web._token(b"s" * 32, "c" * 32, "0" * 16)
    return client


@pytest.fixture
def people(person: httpx.Client, site_seven: dict[str, int]) -> list[int]:
    """Three workers on the site's roll, the first two with a card."""
    ids = []
    for number, name in enumerate(("An", "Bae", "Choi")):
        terms = {"site": "site-07", "employer_id": site_seven["prime"], "trade": "rebar", "from_on": "2026-02-01"}
        made = person.post("api/v1/workers", json={"name": name, "employment": terms})
        assert made.status_code == 201, made.text
        ids.append(int(made.json()["id"]))
        if number < 2:
            card = person.post("api/v1/cards", json={"token": f"{number:032x}"}).json()["id"]
            given = person.post(f"api/v1/cards/{card}/assignments", json={"worker_id": ids[-1]})
            assert given.status_code == 201, given.text
    return ids


def rows_told(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 200, answer.text
    return dict(re.findall(r'<tr><th scope="row">([^<]+)</th><td[^>]*>([^<]+)</td></tr>', answer.text))


def hidden(answer: httpx.Response) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', answer.text):
        found.setdefault(name, []).append(value)
    return found


def audited(database_url: str, tag: str) -> int:
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT count(*) FROM audit_event WHERE tag = %s", [tag]).fetchone()
    assert row is not None
    return int(row[0])


def test_employments_are_ended_after_a_second_look_each_with_its_own_audit_row(
    person: httpx.Client, people: list[int], database_url: str
) -> None:
    chosen = person.post("workers/chosen", data={"worker": people})
    assert "3 chosen workers" in chosen.text
    sent = {"worker": people, "site": "site-07", "on": "2026-11-30"}
    look = person.post("workers/chosen/end", data=sent)
    told = rows_told(look)
    assert set(told) == {"An", "Bae", "Choi"}
    assert told["An"] == "the employment by Hanbit ends: 2026-11-30 is the first day without it"
    assert audited(database_url, "employment:amend") == 0
    done = person.post("workers/chosen/end/do", data=hidden(look))
    assert done.status_code == 303, done.text
    roll = person.get("api/v1/sites/site-07/employments").json()["items"]
    assert {row["until_on"] for row in roll} == {"2026-11-30"}
    assert audited(database_url, "employment:amend") == 3
    again = person.post("workers/chosen/end", data=sent)
    assert set(rows_told(again).values()) == {"not employed on this site on that day: nothing to end"}
    assert "Nothing would change." in again.text


def test_only_what_was_shown_is_done(person: httpx.Client, people: list[int], site_seven: dict[str, int]) -> None:
    """Mutant: do whatever the plan is by now."""
    assert site_seven
    sent = {"worker": people, "site": "site-07", "on": "2026-11-30"}
    look = person.post("workers/chosen/end", data=sent)
    row = person.get("api/v1/sites/site-07/employments").json()["items"][0]["id"]
    assert person.patch(f"api/v1/sites/site-07/employments/{row}", json={"until_on": "2026-10-01"}).status_code == 200
    refused = person.post("workers/chosen/end/do", data=hidden(look))
    assert refused.status_code == 409
    assert "something changed since this was shown" in refused.text
    roll = person.get("api/v1/sites/site-07/employments").json()["items"]
    assert sorted(str(one["until_on"]) for one in roll) == ["2026-10-01", "None", "None"]


def test_workers_are_moved_to_another_trade_and_cards_are_blocked(
    person: httpx.Client, people: list[int], hand_clock: HandClock
) -> None:
    hand_clock.move(timedelta(hours=1))
    sent = {"worker": people, "site": "site-07", "on": "2026-11-30", "employer": "Hanbit", "trade": "painter"}
    look = person.post("workers/chosen/employ", data=sent)
    assert set(rows_told(look).values()) == {
        "the present employment ends and the new one begins on 2026-11-30 (painter)"
    }
    assert person.post("workers/chosen/employ/do", data=hidden(look)).status_code == 303
    roll = person.get("api/v1/sites/site-07/employments", params={"on": "2026-12-01"}).json()["items"]
    assert [row["trade"] for row in roll] == ["painter"] * 3

    look = person.post("workers/chosen/block", data={"worker": people})
    assert rows_told(look)["Choi"] == "holds no card: nothing to block"
    assert "2 of 3 workers would be changed" in look.text
    assert person.post("workers/chosen/block/do", data=hidden(look)).status_code == 303
    assert [card["state"] for card in person.get("api/v1/cards").json()["items"]] == ["blocked", "blocked"]


@pytest.mark.parametrize(
    ("act", "sent", "said"),
    [
        ("end", {"site": "site-99", "on": "2026-11-30"}, "there is no such site"),
        ("end", {"site": "site-07", "on": ""}, "give a date"),
        ("end", {"site": "site-07", "on": "soon"}, "is no date"),
        ("employ", {"site": "site-07", "on": "2026-11-30", "employer": "Nobody"}, "no employer of the site is called"),
    ],
)
def test_what_was_typed_wrong_is_said_and_kept(
    person: httpx.Client, people: list[int], act: str, sent: dict[str, str], said: str
) -> None:
    answer = person.post(f"workers/chosen/{act}", data={"worker": people, **sent})
    assert answer.status_code == 422
    assert said in answer.text
    assert f'value="{sent["site"]}"' in answer.text


def test_nobody_chosen_is_said(person: httpx.Client, people: list[int]) -> None:
    assert people
    answer = person.post("workers/chosen", data={})
    assert answer.status_code == 422
    assert "choose at least one worker in the list" in answer.text
