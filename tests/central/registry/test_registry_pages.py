"""The registry's pages: the same answer for ten workers and for many, each look written down, nothing out of reach."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from typing import Any

import httpx
import psycopg
import pytest
from python_calamine import CalamineWorkbook
from sqlalchemy import Engine, event

Api = Callable[..., httpx.Client]


@pytest.fixture
def reader(api_for: Api, registry_web: object) -> httpx.Client:
    """A browser's stand-in with every right, in English."""
    client = api_for("*")
    client.base_url = httpx.URL(registry_web.url)  # type: ignore[attr-defined]
    client.cookies.set("ccs_language", "en")
    return client


def enrol(operator: httpx.Client, prime: int, name: str, **more: object) -> int:
    terms = {"site": "site-07", "employer_id": prime, "trade": "rebar", "from_on": "2026-02-01"}
    made = operator.post("workers", json={"name": name, "employment": terms, **more})
    assert made.status_code == 201, made.text
    return int(made.json()["id"])


def names(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return re.findall(r'<a href="/workers/\d+">([^<]+)</a>', answer.text)


def every_page(reader: httpx.Client, path: str) -> list[str]:
    found: list[str] = []
    while path:
        answer = reader.get(path)
        found += names(answer)
        following = re.search(r'href="(/workers\?[^"]*after=[^"]*)"', answer.text)
        path = following[1].replace("&amp;", "&") if following else ""
    return found


def by_number(name: str) -> str:
    return "~" if name == "Elsewhere" else f"N-{99 - int(name[-2:])}"


def by_entry(name: str) -> int:
    return 60 if name == "Elsewhere" else int(name[-2:])


ORDERS: dict[str, Callable[[str], Any]] = {
    "sort=number": by_number,
    "sort=number&down=1": by_number,
    "sort=name&down=1": str,
    "sort=newest": by_entry,
    "sort=newest&down=1": by_entry,
}


def test_the_list_is_filtered_sorted_and_paged_by_the_server(
    reader: httpx.Client, operator: httpx.Client, site_seven: dict[str, int]
) -> None:
    for number in range(60):
        enrol(operator, site_seven["prime"], f"Worker {number:02}", worker_no=f"N-{99 - number}")
    operator.post("workers", json={"name": "Elsewhere"})
    first = reader.get("/workers")
    shown = names(first)
    assert shown == ["Elsewhere", *(f"Worker {number:02}" for number in range(49))]
    following = re.search(r'href="(/workers\?[^"]*after=[^"]*)"', first.text)
    assert following is not None
    assert names(reader.get(following[1].replace("&amp;", "&"))) == [f"Worker {number:02}" for number in range(49, 60)]
    assert names(reader.get("/workers?sort=number&down=1"))[:2] == ["Elsewhere", "Worker 00"]
    for order in ("sort=number", "sort=number&down=1", "sort=name&down=1", "sort=newest", "sort=newest&down=1"):
        assert every_page(reader, f"/workers?{order}") == sorted(
            every_page(reader, "/workers"), key=ORDERS[order], reverse="down" in order
        )
    assert names(reader.get("/workers?sort=newest&down=1"))[0] == "Elsewhere"
    assert names(reader.get("/workers?q=Worker 0&site=site-07&trade=rebar")) == [f"Worker 0{n}" for n in range(10)]
    assert names(reader.get("/workers?q=N-99")) == ["Worker 00"]
    assert "No worker fits this filter." in reader.get("/workers?trade=paver").text
    for wrong in ("/workers?after=zzz", "/workers?sort=height", "/workers?trade=juggler"):
        assert reader.get(wrong).status_code == 422
    assert names(reader.get("/workers?q=%00Worker 07")) == ["Worker 07"]


def test_a_list_takes_as_many_queries_for_many_as_for_few(
    reader: httpx.Client, operator: httpx.Client, site_seven: dict[str, int], central_engine: Engine
) -> None:
    statements: list[str] = []

    def count(_c: object, _cu: object, statement: str, *_: object) -> None:
        statements.append(statement)

    def asked(path: str) -> int:
        statements.clear()
        assert reader.get(path).status_code == 200
        return len([text for text in statements if "registry_" in text])

    enrol(operator, site_seven["prime"], "Kim")
    event.listen(central_engine, "before_cursor_execute", count)
    few = {path: asked(path) for path in ("/workers", "/projects", "/projects/gym", "/workers.csv")}
    for number in range(20):
        enrol(operator, site_seven["prime"], f"W{number}")
    assert {path: asked(path) for path in few} == few
    assert few["/workers"] == 1


def test_a_card_shows_a_persons_papers_and_who_may_be_the_same(
    reader: httpx.Client, operator: httpx.Client, site_seven: dict[str, int]
) -> None:
    first = enrol(operator, site_seven["prime"], "สมชาย <b>", birth_on="1990-01-01")
    enrol(operator, site_seven["prime"], "สมชาย <b>", birth_on="1990-01-01")
    operator.post("cards", json={"uid": "04000001", "holder": {"worker_id": first}})
    paper = {"kind": "visa", "value": "E-9", "from_on": "2020-01-01", "until_on": "2021-01-01"}
    operator.post(f"workers/{first}/papers", json=paper)
    shown = reader.get(f"/workers/{first}").text
    for word in ("สมชาย &lt;b&gt;", "Visa E-9", "Expired", "Hanbit", "In use", "the two are to be merged"):
        assert word in shown, word
    assert "Visa: Expired (2021-01-01)" in reader.get("/workers").text
    assert reader.get("/workers/99999").status_code == 404


def test_an_export_holds_what_the_list_shows_no_formula_and_leaves_a_trace(
    reader: httpx.Client, operator: httpx.Client, site_seven: dict[str, int], database_url: str
) -> None:
    enrol(operator, site_seven["prime"], "=HYPERLINK(1)", worker_no="N-1")
    enrol(operator, site_seven["prime"], "Nguyễn Văn Hùng")
    rows = list(csv.reader(io.StringIO(reader.get("/workers.csv").content.decode("utf-8-sig"))))
    assert [row[0] for row in rows] == ["Name", "'=HYPERLINK(1)", "Nguyễn Văn Hùng"]
    sheet = CalamineWorkbook.from_filelike(io.BytesIO(reader.get("/workers.xlsx").content)).get_sheet_by_index(0)
    assert [row[0] for row in sheet.to_python()] == ["Name", "=HYPERLINK(1)", "Nguyễn Văn Hùng"]
    with psycopg.connect(database_url) as connection:
        traces = connection.execute("SELECT detail ->> 'form' FROM audit_event WHERE tag = 'worker:export'").fetchall()
    assert traces == [("csv",), ("xlsx",)]


def test_a_project_shows_its_contracts_as_of_a_day(
    reader: httpx.Client, operator: httpx.Client, site_seven: dict[str, int]
) -> None:
    terms = {"amount_won": 2_000_000_000, "begins_on": "2026-03-01", "ends_on": "2027-06-30"}
    body = {"contractor_id": site_seven["prime"], "kind": "prime", "work": "structure", **terms}
    assert operator.post("projects/gym/contracts", json=body).status_code == 201
    shown = reader.get("/projects/gym?on=2026-03-01").text
    for word in ("Hanbit", "Prime contract", "2,000,000,000", "Long-term mode", "City Works"):
        assert word in shown, word
    assert "No contract of this project" in reader.get("/projects/gym?on=2026-02-28").text
    assert reader.get("/projects/gym?on=yesterday").status_code == 422
    assert 'href="/projects/gym"' in reader.get("/projects?q=Gym").text
    assert "No project fits" in reader.get("/projects?q=zzz").text
