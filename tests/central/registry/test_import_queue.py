"""Runs of imports wait in a line of their own: pages go on, nobody fills the line, and nothing in it is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import httpx
import psycopg
import pytest

from central.kit import web
from central.registry import imports
from central.registry.import_queue import ImportQueue
from simulators.clocks import HandClock
from simulators.servers import wait_until
from simulators.web import WebServer

SHEET = b"name,employer,trade,from_on\nKim,Hanbit,rebar,2026-11-01\n"
PeopleFor = Callable[[int], list[httpx.Client]]


@pytest.fixture
def people(api_for: Callable[..., httpx.Client], registry_web: WebServer, site_seven: dict[str, int]) -> PeopleFor:
    """Make so many people who may do everything, each with an account of their own."""
    assert site_seven

    def make(count: int) -> list[httpx.Client]:
        made = [api_for("*") for _ in range(count)]
        for client in made:
            client.base_url = httpx.URL(registry_web.url)
            client.cookies.set("ccs_language", "en")
            client.cookies.set(web.CSRF_COOKIE, "c" * 32)
            client.headers["x-csrf-token"] = web._token(b"s" * 32, "c" * 32, "0" * 16)
        return made

    return make


@pytest.fixture
def held_up(database_url: str) -> Iterator[psycopg.Connection]:
    """Let no run come further than to the first question about workers, until it is closed."""
    with psycopg.connect(database_url) as connection:
        connection.execute("LOCK TABLE registry_worker IN ACCESS EXCLUSIVE MODE")
        yield connection


def give(client: httpx.Client) -> httpx.Response:
    return client.post("sites/site-07/imports", files={"file": ("a.csv", SHEET)})


def see(client: httpx.Client, path: str) -> str:
    return client.get(path).text


def ends(client: httpx.Client, path: str) -> str:
    wait_until(lambda: 'id="progress"' not in see(client, path), what="the run's end")
    return see(client, path)


def test_however_many_wait_the_pages_go_on(people: PeopleFor, held_up: psycopg.Connection) -> None:
    """Mutant: let each run wait in a thread of those that answer requests: there are forty."""
    assert held_up
    crowd = people(14)
    with ThreadPoolExecutor(8) as pool:
        given = list(pool.map(lambda number: give(crowd[number % 14]), range(42)))
    assert [one.status_code for one in given] == [303] * 42
    assert crowd[0].get("api/v1/sites/site-07", timeout=4).status_code == 200
    held_up.close()
    ends(crowd[41 % 14], given[41].headers["location"])


def test_one_person_has_three_in_the_line_and_the_fourth_is_told_so(
    people: PeopleFor, held_up: psycopg.Connection, database_url: str
) -> None:
    """Mutant: count without holding on to the count."""
    eager, other = people(2)
    with ThreadPoolExecutor(8) as pool:
        given = list(pool.map(lambda _: give(eager), range(8)))
    assert sorted(one.status_code for one in given) == [303] * 3 + [429] * 5
    told = next(one for one in given if one.status_code == 429)
    assert "3 of your imports wait or run already, so nothing was begun" in told.text
    theirs = give(other)
    assert theirs.status_code == 303
    held_up.close()
    assert "Checked, not taken yet" in ends(other, theirs.headers["location"])
    mine = [one.headers["location"] for one in given if one.status_code == 303]
    for path in mine:
        ends(eager, path)
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM registry_import").fetchone() == (4,), "nothing was kept of them"
    assert give(eager).status_code == 303


def test_the_line_is_no_longer_than_it_may_be(
    people: PeopleFor, held_up: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert held_up
    monkeypatch.setattr(imports, "RUNS_MAX", 2)
    given = [give(one) for one in people(3)]
    assert [one.status_code for one in given] == [303, 303, 429]
    assert "too many imports are waiting, so nothing was begun: try again in a few minutes" in given[2].text


def test_what_waits_long_is_shown_as_waiting_and_not_taken_for_lost(
    people: PeopleFor, held_up: psycopg.Connection, import_queue: ImportQueue, hand_clock: HandClock
) -> None:
    """Mutant: say of the one that runs alone that it is not lost."""
    first, second = people(2)
    give(first)
    path = give(second).headers["location"]
    for _ in range(3):
        hand_clock.move(timedelta(seconds=imports.RUN_S_MAX - 1))
        import_queue.say_held()
        shown = see(second, path)
        assert "It waits for its turn, or has just begun." in shown
        assert "It was interrupted" not in shown
    held_up.close()
    assert "Checked, not taken yet" in ends(second, path)


def test_a_process_that_ends_puts_what_waits_back_where_it_began(
    people: PeopleFor, held_up: psycopg.Connection, import_queue: ImportQueue
) -> None:
    """Mutant: end the thread and leave what waits in it."""
    first, second = people(2)
    paths = [give(one).headers["location"] for one in (first, second)]
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(import_queue.close)
        wait_until(import_queue._stopping.is_set, what="the stop")
        held_up.close()
        ended.result(timeout=30)
    assert "Not checked yet" in see(second, paths[1])
    assert "The server is being started anew, so nothing was changed." in see(second, paths[1])
    assert "The server is being started anew, so nothing was changed." in see(first, paths[0])


def test_what_comes_in_the_last_instant_goes_back_as_well(people: PeopleFor, import_queue: ImportQueue) -> None:
    (one,) = people(1)
    import_queue.close()
    assert "The server is being started anew" in ends(one, give(one).headers["location"])


def test_what_is_interrupted_before_it_was_taken_still_says_what_it_would_bring(
    people: PeopleFor, import_queue: ImportQueue, database_url: str
) -> None:
    """Mutant: forget what the dry run found."""
    (one,) = people(1)
    path = give(one).headers["location"]
    ends(one, path)
    with psycopg.connect(database_url) as connection:
        connection.execute("LOCK TABLE registry_worker IN ACCESS EXCLUSIVE MODE")
        assert one.post(f"{path}/take").status_code == 303
        with ThreadPoolExecutor(1) as pool:
            ended = pool.submit(import_queue.close)
            wait_until(import_queue._stopping.is_set, what="the stop")
            connection.rollback()
            ended.result(timeout=30)
    shown = one.get(path)
    assert shown.status_code == 200
    assert "The server is being started anew" in shown.text
    assert "<dt>New workers</dt><dd>1</dd>" in shown.text
