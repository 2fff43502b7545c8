"""A sheet of contracts: the chain row by row, five hundred at once, told what is wrong, and undone."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import httpx
import psycopg
import pytest

from central.kit import web
from simulators.servers import wait_until
from simulators.web import WebServer

HEAD = "ref,above,kind,contractor,work,amount_won,begins_on,ends_on,contractor_name,site"
CHAIN = [
    '1,,원도급,124-81-00998,gymnasium,"1,250,000,000",2026-01-05,2027-12-20,',
    "1.1,1,하도급,220-81-62517,rebar,300000000,2026-02-01,2026-09-30,Seoul Rebar",
    "1.2,1,material,220-81-62517,steel,100000000원,2026-02-01,2026-09-30,",
]


def business_number(number: int) -> str:
    """Make a number with a right check digit."""
    nine = f"{number:09d}"
    total = sum(int(d) * w for d, w in zip(nine, (1, 3, 7, 1, 3, 7, 1, 3, 5), strict=True)) + int(nine[8]) * 5 // 10
    return nine + str((10 - total % 10) % 10)


@pytest.fixture
def person(api_for: Callable[..., httpx.Client], registry_web: WebServer, site_seven: dict[str, int]) -> httpx.Client:
    assert site_seven
    client = api_for("*")
    client.base_url = httpx.URL(registry_web.url)
    client.cookies.set("ccs_language", "en")
    client.cookies.set(web.CSRF_COOKIE, "c" * 32)
    client.headers["x-csrf-token"] = web._token(b"s" * 32, "c" * 32, "0" * 16)
    return client


def ended(person: httpx.Client, path: str) -> httpx.Response:
    found: list[httpx.Response] = []

    def looked() -> bool:
        found[:] = [person.get(path)]
        assert found[0].status_code == 200, found[0].text
        return 'id="progress"' not in found[0].text

    wait_until(looked, what="the import's end")
    return found[0]


def give(person: httpx.Client, rows: Sequence[str]) -> httpx.Response:
    content = "\n".join([HEAD, *rows]).encode()
    answer = person.post("projects/gym/imports", files={"file": ("contracts.csv", content)})
    assert answer.status_code == 303, answer.text
    return ended(person, answer.headers["location"])


def act(person: httpx.Client, page: httpx.Response, event: str) -> httpx.Response:
    answer = person.post(f"{page.url.path}/{event}")
    assert answer.status_code == 303, answer.text
    return ended(person, page.url.path)


def told(page: httpx.Response) -> dict[str, str]:
    return dict(re.findall(r'<tr><th scope="row">(\d+)</th><td>([^<]+)</td>', page.text))


def chain_on(person: httpx.Client, day: str = "2026-06-01") -> list[tuple[int, str, str, int]]:
    items = person.get("api/v1/projects/gym/contracts", params={"on": day}).json()["items"]
    return [(one["depth"], one["contractor"], one["kind"], one["amount_won"]) for one in items]


def test_a_chain_is_taken_once_and_undone_for_every_day(person: httpx.Client) -> None:
    page = give(person, CHAIN)
    assert "<dt>New contracts</dt><dd>3</dd>" in page.text, page.text
    assert "<dt>New organizations</dt><dd>1</dd>" in page.text
    page = act(person, page, "take")
    expected = [
        (0, "Hanbit", "prime", 1_250_000_000),
        (1, "Seoul Rebar", "sub", 300_000_000),
        (1, "Seoul Rebar", "material", 100_000_000),
    ]
    assert chain_on(person) == expected
    again = act(person, give(person, CHAIN), "take")
    assert "<dt>Already there</dt><dd>3</dd>" in again.text
    assert chain_on(person) == expected
    undone = act(person, page, "undo")
    assert "3 rows were undone, 0 stay." in undone.text
    assert chain_on(person) == chain_on(person, "2027-01-01") == []
    act(person, give(person, CHAIN), "take")
    assert chain_on(person) == expected


def at_site(person: httpx.Client) -> list[tuple[str, str, str | None]]:
    items = person.get("api/v1/sites/site-07/employers").json()["items"]
    return [(one["tier"], one["from_on"], one["until_on"]) for one in items]


def test_contractors_are_brought_to_a_site_once_and_their_rolls_can_follow(person: httpx.Client) -> None:
    before = at_site(person)
    rows = [
        CHAIN[0] + ",site-07",  # is there already
        CHAIN[1] + ",site-07",
        "1.2,1,material,220-81-62517,steel,100000000,2026-01-20,2026-09-30,,site-07",
        f"1.3,1,equipment,{business_number(300_000_001)},crane,1000000,2026-03-01,2026-09-30,Crane,site-07",
    ]
    page = act(person, give(person, rows), "take")
    assert "<dt>Firms brought to a site</dt><dd>2</dd>" in page.text
    brought = [("sub", "2026-01-20", None), ("supplier", "2026-03-01", None)]
    assert at_site(person) == before + brought
    again = act(person, give(person, rows), "take")
    assert "<dt>Already there</dt><dd>4</dd>" in again.text
    roll = "name,employer,trade,from_on\nKim Chulsoo,2208162517,rebar,2026-03-02\n"
    answer = person.post("sites/site-07/imports", files={"file": ("roll.csv", roll.encode())})
    act(person, ended(person, answer.headers["location"]), "take")
    undone = act(person, page, "undo")
    assert "the firm employed people on the site since" in undone.text
    assert at_site(person) == before + brought[:1]


def test_a_site_of_another_project_or_a_closed_one_takes_no_firm(person: httpx.Client) -> None:
    page = give(person, [CHAIN[0] + ",site-99", CHAIN[1] + ",site-07"])
    assert "no such site to which you may bring firms" in told(page)["2"]
    assert person.patch("api/v1/sites/site-07", json={"closed_on": "2026-01-31"}).status_code == 200
    page = give(person, [CHAIN[0], CHAIN[1] + ",site-07"])
    assert "the site is closed from 2026-01-31 on" in told(page)["3"]
    assert chain_on(person) == []


def test_rows_that_contradict_the_chain_are_told_by_number_and_nothing_is_taken(person: httpx.Client) -> None:
    page = give(
        person,
        [
            *CHAIN,
            "1.3,1,sub,2208162517,roof,9900000000,2026-02-01,2026-09-30,",
            "1.4,9,sub,2208162517,roof,1000,2026-02-01,2026-09-30,",
            "1.5,1,sub,2208162518,roof,1000,2026-02-01,2026-09-30,Wrong digit",
            "1.6,1,sub,Nobody,roof,1000,2026-02-01,2026-09-30,",
            "1.1,1,sub,2208162517,roof,1000,2026-02-01,2026-09-30,",
            "1.7,1,sub,2208162517,rebar,1000,2026-03-01,2026-09-30,",
            "1.8,1,sub,2208162517,roof,1000,2026-10-01,2026-09-30,",
            "1.9,1,prime,2208162517,roof,1000,2026-02-01,2026-09-30,",
            "2.0,1.2,sub,2208162517,roof,1000,2026-02-01,2026-09-30,",
        ],
    )
    found = told(page)
    assert sorted(found, key=int) == [str(number) for number in range(5, 14)]
    for row, words in (
        ("5", "is larger than the contract above"),
        ("6", "no row above has this ref"),
        ("7", "wrong check digit"),
        ("8", "no organization is called"),
        ("9", "stands twice"),
        ("10", "choose dates that do not overlap"),
        ("11", "before it begins"),
        ("13", "nothing is subcontracted below a material contract"),
    ):
        assert words in found[row], found[row]
    assert chain_on(person) == []


def test_five_hundred_subcontracts_are_taken_and_those_with_something_below_stay(
    person: httpx.Client, database_url: str
) -> None:
    rows = [CHAIN[0]]
    for number in range(500):
        firm = f"sub,{business_number(300_000_000 + number)},work {number}"
        rows.append(f"1.{number},1,{firm},1000000,2026-02-01,2026-09-30,Firm {number}")
    page = act(person, give(person, rows), "take")
    assert "<dt>New contracts</dt><dd>501</dd>" in page.text
    assert len(chain_on(person)) == 501
    with psycopg.connect(database_url) as connection:
        found = connection.execute("SELECT id, contractor_id FROM registry_contract WHERE work = 'work 7'").fetchone()
    assert found is not None
    below = {"parent_id": found[0], "contractor_id": found[1] + 1, "kind": "sub", "work": "again", "amount_won": 5}
    below |= {"begins_on": "2026-03-01", "ends_on": "2026-04-01"}
    assert person.post("api/v1/projects/gym/contracts", json=below).status_code == 201
    page = act(person, page, "undo")
    assert "499 rows were undone, 2 stay." in page.text
    assert told(page) == dict.fromkeys(["2", "10"], "something was recorded below the contract since")
    assert len(chain_on(person)) == 3


def test_no_contract_begins_by_a_sheet_in_a_project_that_was_completed_by_then(
    person: httpx.Client, database_url: str
) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE registry_project SET completed_on = '2026-02-01'")
    page = give(person, CHAIN)
    assert set(told(page)) == {"3", "4"}, "the prime contract began before"
    assert "the project was completed on 2026-02-01" in told(page)["3"]
