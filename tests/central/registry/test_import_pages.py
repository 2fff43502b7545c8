"""Imports through their pages: checked first, all or nothing, told while they run, undone as far as they can be."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from datetime import timedelta

import httpx
import psycopg
import pytest
import xlsxwriter  # type: ignore[import-untyped]  # it ships no types
from sqlalchemy import Engine

from central.audit.service import verify_chain
from central.kit import web
from central.kit.db import read_session, write_session
from central.registry.imports import throw_away_old
from simulators.clocks import HandClock
from simulators.servers import wait_until
from simulators.web import WebServer

HEADINGS = [
    "name",
    "employer",
    "trade",
    "from_on",
    "worker_no",
    "birth_on",
    "card_uid",
    "visa",
    "visa_until_on",
    "wage_won",
]
ROLL = [
    HEADINGS,
    ["김철수", "Hanbit", "철근공", "2026-11-01", "1001", "1970-05-17", "04A1B2C3", "", "", "210000"],
    [
        "Nguyễn Văn Ánh",
        "124-81-00998",
        "scaffolder",
        "2026-11-02",
        "1002",
        "1990-01-02",
        "04A1B2C4",
        "E-9",
        "2027-05-01",
        "",
    ],
    ["이영희", "Hanbit", "Rebar fixer", "2026. 11. 3.", "", "", "", "", "", ""],
]
Give = Callable[..., httpx.Response]


def book(rows: Sequence[Sequence[object]]) -> bytes:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as made:
        page = made.add_worksheet()
        for number, row in enumerate(rows):
            page.write_row(number, 0, row)
    return out.getvalue()


@pytest.fixture
def person(api_for: Callable[..., httpx.Client], registry_web: WebServer, site_seven: dict[str, int]) -> httpx.Client:
    """A browser's stand-in with every right, in English, that our own page's forms trust."""
    assert site_seven
    client = api_for("*")
    client.base_url = httpx.URL(registry_web.url)
    client.cookies.set("ccs_language", "en")
    client.cookies.set(web.CSRF_COOKIE, "c" * 32)
    client.headers["x-csrf-token"] = web._token(b"s" * 32, "c" * 32, "0" * 16)
    return client


@pytest.fixture
def give(person: httpx.Client) -> Give:
    """Give a file and return the page of its import once its dry run has ended."""

    def given(
        rows: Sequence[Sequence[object]] | bytes, *, name: str = "roll.xlsx", place: str = "sites/site-07"
    ) -> httpx.Response:
        content = rows if isinstance(rows, bytes) else book(rows)
        answer = person.post(f"{place}/imports", files={"file": (name, content)})
        assert answer.status_code == 303, answer.text
        return ended(person, answer.headers["location"])

    return given


def ended(person: httpx.Client, path: str) -> httpx.Response:
    found: list[httpx.Response] = []

    def looked() -> bool:
        found[:] = [person.get(path)]
        assert found[0].status_code == 200, found[0].text
        return 'id="progress"' not in found[0].text

    wait_until(looked, what="the import's end")
    return found[0]


def act(person: httpx.Client, page: httpx.Response, event: str) -> httpx.Response:
    answer = person.post(f"{page.url.path}/{event}")
    assert answer.status_code == 303, answer.text
    return ended(person, page.url.path)


def count(database_url: str, table: str) -> int:
    with psycopg.connect(database_url) as connection:
        row = connection.execute(f"SELECT count(*) FROM registry_{table}".encode()).fetchone()
    assert row is not None
    return int(row[0])


def state_of(page: httpx.Response) -> str:
    found = re.search(r"<h1>.*?krds-badge[^>]*>([^<]+)</span></h1>", page.text)
    assert found is not None, page.text
    return found[1]


def facts_of(page: httpx.Response) -> dict[str, int]:
    found = re.findall(r"<dt>([^<]+)</dt><dd>([\d,]+)</dd>", page.text)
    return {name: int(value.replace(",", "")) for name, value in found}


def test_a_file_is_checked_then_taken_then_undone_and_nothing_of_it_is_left(
    person: httpx.Client, give: Give, database_url: str, central_engine: Engine
) -> None:
    page = give(ROLL)
    assert state_of(page) == "Checked, not taken yet"
    brings = {"Rows": 3, "New workers": 3, "Employments": 3, "Cards": 2, "Papers": 1, "Labour contracts": 1}
    assert facts_of(page) == brings | {"Already there": 0}
    assert count(database_url, "worker") == 0

    page = act(person, page, "take")
    assert state_of(page) == "Taken"
    assert [count(database_url, name) for name in ("worker", "employment", "worker_paper", "labour_contract")] == [
        3,
        3,
        1,
        1,
    ]
    found = person.get("api/v1/workers", params={"worker_no": "1002"}).json()["items"][0]
    assert (found["name"], found["birth_on"]) == ("Nguyễn Văn Ánh", "1990-01-02")
    papers = person.get(f"api/v1/workers/{found['id']}/papers").json()["items"]
    assert [(one["kind"], one["value"], one["from_on"], one["until_on"]) for one in papers] == [
        ("visa", "E-9", "2026-11-02", "2027-05-01")
    ]

    before = person.get(f"{page.url.path}?undo=1")
    assert "3 rows go with everything that they made. 0 stay" in before.text
    page = act(person, page, "undo")
    assert state_of(page) == "Undone"
    assert "3 rows were undone, 0 stay." in page.text
    left = [
        count(database_url, name)
        for name in ("worker", "employment", "worker_paper", "labour_contract", "card_assignment")
    ]
    assert left == [0, 0, 0, 0, 0]
    cards = person.get("api/v1/cards").json()["items"]
    assert [card["state"] for card in cards] == ["stock", "stock"]
    with read_session(central_engine) as session:
        assert verify_chain(session).broken_at is None

    again = give(ROLL)
    assert facts_of(again)["New workers"] == 3
    assert state_of(act(person, again, "take")) == "Taken"


def test_wrong_rows_are_told_by_number_in_the_askers_language_and_nothing_is_taken(
    person: httpx.Client, give: Give, database_url: str
) -> None:
    rows = [
        *ROLL,
        ["박", "Nobody Ltd", "rebar", "2026-11-01", "", "", "", "", "", ""],
        ["최", "Hanbit", "rebbar", "2026-11-01", "", "", "", "", "", ""],
        ["정", "Hanbit", "rebar", "next week", "", "", "", "", "", ""],
        ["강", "Hanbit", "rebar", "2026-11-01", "", "2025-01-01", "", "", "", ""],
        ["조", "Hanbit", "rebar", "2026-11-01", "", "", "", "tourist", "", ""],
        ["윤", "Hanbit", "rebar", "2026-11-01", "", "", "", "", "", "much"],
    ]
    page = give(rows)
    assert state_of(page) == "Refused"
    assert "6 rows are wrong, so nothing was taken" in page.text
    told = dict(re.findall(r'<tr><th scope="row">(\d+)</th><td>([^<]+)</td>', page.text))
    assert sorted(told) == ["10", "5", "6", "7", "8", "9"]
    assert told["6"].startswith("the trade &#39;rebbar&#39; is unknown (did you mean &#39;rebar&#39;?)")
    assert count(database_url, "worker") == 0
    person.cookies.set("ccs_language", "ko")
    korean = person.get(page.url.path).text
    told = dict(re.findall(r'<tr><th scope="row">(\d+)</th><td>([^<]+)</td>', korean))
    for sentence in told.values():
        assert re.search(r"[가-힣]{2}", sentence), sentence
    answer = person.post(f"{page.url.path}/take")
    assert answer.status_code == 409


def test_a_file_that_cannot_be_read_is_refused_with_its_sentence_and_can_be_thrown_away(
    person: httpx.Client, give: Give
) -> None:
    page = give(b"no sheet", name="roll.xlsx")
    assert state_of(page) == "Refused"
    assert "roll.xlsx is no XLSX file: save it again as XLSX" in page.text
    page = act(person, page, "discard")
    assert "Nothing of this file is kept." in page.text


@pytest.mark.promise("EVD-01")
def test_rows_on_which_something_later_stands_stay_each_with_its_reason(
    person: httpx.Client, give: Give, database_url: str, site_seven: dict[str, int]
) -> None:
    """Mutant: undo a row although a tap, a bar or a change came since."""
    rows = [
        HEADINGS,
        *[
            [f"w{n}", "Hanbit", "rebar", "2026-11-01", str(2000 + n), "", f"04A1B2{n:02X}", "", "", ""]
            for n in range(8)
        ],
    ]
    page = act(person, give(rows), "take")
    listed = person.get("api/v1/workers").json()["items"]
    ids = {one["name"]: one["id"] for one in listed}
    spells = {one["worker_id"]: one["id"] for one in person.get("api/v1/sites/site-07/employments").json()["items"]}
    assert person.post(f"api/v1/workers/{ids['w1']}/bars", json={"reason": "fights"}).status_code == 201
    assert person.patch(f"api/v1/workers/{ids['w2']}", json={"phone": "010-1234-5678"}).status_code == 200
    ending = {"until_on": "2026-11-20"}
    assert person.patch(f"api/v1/sites/site-07/employments/{spells[ids['w3']]}", json=ending).status_code == 200
    paper = {"kind": "visa", "value": "E-9", "from_on": "2026-01-01"}
    assert person.post(f"api/v1/workers/{ids['w4']}/papers", json=paper).status_code == 201
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO attendance_event (journal, seq, received_at, occurred_at, site_id, terminal_id, worker_id,"
            " time_basis, type, token, hash, bytes) SELECT 1, 1, now(), now(), %s, 1, %s, 0, 'ccs.tap.v1', "
            "decode(token, 'hex'), '', ''"
            " FROM registry_card c JOIN registry_card_assignment a ON a.card_id = c.id WHERE a.worker_id = %s",
            [site_seven["site"], ids["w5"], ids["w5"]],
        )
    looked = person.get(f"{page.url.path}?undo=1")
    assert "3 rows go with everything that they made. 5 stay" in looked.text
    page = act(person, page, "undo")
    assert state_of(page) == "Partly undone"
    told = dict(re.findall(r'<tr><th scope="row">(\d+)</th><td>([^<]+)</td>', page.text))
    assert told == {
        "3": "the worker was barred since",
        "4": "the worker was changed since",
        "5": "the employment was changed since",
        "6": "a paper of the worker was recorded since",
        "7": "a tap was recorded with it since: taps are evidence, so what they rest on stays",
    }
    left = {one["name"] for one in person.get("api/v1/workers").json()["items"]}
    assert left == {"w1", "w2", "w3", "w4", "w5"}


def test_a_run_that_was_lost_can_be_begun_again(
    person: httpx.Client, give: Give, database_url: str, hand_clock: HandClock
) -> None:
    page = give(ROLL)
    until = hand_clock.now() - timedelta(seconds=1)
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE registry_import SET state = 'taking', run_until = %s", [until])
    lost = person.get(page.url.path)
    assert "It was interrupted, so nothing was changed." in lost.text
    assert state_of(act(person, lost, "take")) == "Taken"


def test_the_same_person_again_is_told_and_the_same_file_too(person: httpx.Client, give: Give) -> None:
    content = book(ROLL)
    act(person, give(content), "take")
    rows = [HEADINGS, ["김철수", "Hanbit", "rebar", "2026-12-01", "", "1970-05-17", "", "", "", ""], *ROLL[2:3]]
    page = give(rows)
    assert "has the same name and date of birth" in page.text
    assert facts_of(page)["Already there"] == 1
    assert "This very file was taken before" in give(content).text


def test_the_empty_sheet_holds_the_headings_of_the_askers_language(person: httpx.Client) -> None:
    english = person.get("sites/site-07/imports/empty.csv").content.decode("utf-8-sig")
    assert english.startswith("name,employer,trade,from_on,")
    person.cookies.set("ccs_language", "ko")
    assert (
        person.get("sites/site-07/imports/empty.csv").content.decode("utf-8-sig").startswith("성명,소속,직종,시작일,")
    )
    assert person.get("sites/site-07/imports/empty.xlsx").content.startswith(b"PK")


def test_a_file_that_nobody_took_is_thrown_away_after_a_week(
    person: httpx.Client, give: Give, central_engine: Engine, hand_clock: HandClock, database_url: str
) -> None:
    page = give(ROLL)
    taken = act(person, give(ROLL), "take")
    with write_session(central_engine) as session:
        assert throw_away_old(session, now=hand_clock.now() + timedelta(days=6)) == 0
        assert throw_away_old(session, now=hand_clock.now() + timedelta(days=8)) == 1
    assert state_of(person.get(page.url.path)) == "Thrown away"
    assert state_of(person.get(taken.url.path)) == "Taken"
    with psycopg.connect(database_url) as connection:
        left = connection.execute("SELECT count(*) FROM registry_import WHERE content IS NOT NULL").fetchone()
    assert left == (0,)


def test_an_import_can_be_undone_for_a_month_only(person: httpx.Client, give: Give, hand_clock: HandClock) -> None:
    page = act(person, give(ROLL), "take")
    hand_clock.move(timedelta(days=32))
    answer = person.post(f"{page.url.path}/undo")
    assert answer.status_code == 409
    assert "an import can be undone for 31 days" in answer.text
