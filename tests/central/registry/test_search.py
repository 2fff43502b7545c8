"""The search in the head finds what is registered, as far as roles reach; each worker shown is written down."""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, event

from central.registry.words import words_in

Api = Callable[..., httpx.Client]


@pytest.fixture
def browser_for(api_for: Api, registry_web: object) -> Api:
    """Make a browser's stand-in with the given rights, in English."""

    def make(*scopes: str, site: str | None = None) -> httpx.Client:
        client = api_for(*scopes, site=site)
        client.base_url = httpx.URL(registry_web.url)  # type: ignore[attr-defined]
        client.cookies.set("ccs_language", "en")
        return client

    return make


@pytest.fixture
def town(operator: httpx.Client, site_seven: dict[str, int]) -> dict[str, int]:
    """Two sites with a worker and a terminal each, and firms with marks in their names."""
    operator.post("organizations", json={"name": "(주)두레-철근", "kind": "sub"})
    operator.post(
        "projects", json={"code": "bridge-2", "name": "한강 보행교 (2공구)", "client_id": site_seven["prime"]}
    )
    operator.post("sites", json={"code": "site-08", "project": "bridge-2", "name": "보행교 북단"})
    operator.post(
        "sites/site-08/employers",
        json={"organization_id": site_seven["prime"], "tier": "prime", "from_on": "2026-01-01"},
    )
    for site in ("site-07", "site-08"):
        operator.post(f"sites/{site}/terminals", json={"code": "gate-01", "name": f"정문 {site}"})
    ids = dict(site_seven)
    for site, name, number in (("site-07", "김철수", "N-1"), ("site-08", "Nguyễn Văn Hùng", "N-2")):
        job = {"site": site, "employer_id": site_seven["prime"], "trade": "rebar", "from_on": "2026-02-01"}
        ids[name] = operator.post("workers", json={"name": name, "worker_no": number, "employment": job}).json()["id"]
    ids["card"] = operator.post("cards", json={"uid": "04AABB01", "holder": {"worker_id": ids["김철수"]}}).json()["id"]
    return ids


def found(client: httpx.Client, question: str) -> list[str]:
    answer = client.get("/search/found", params={"q": question})
    assert answer.status_code == 200, answer.text
    return re.findall(r'<li><a href="([^"]+)"', answer.text)


def test_beginnings_of_words_numbers_and_codes_are_found(
    browser_for: Api, operator: httpx.Client, town: dict[str, int]
) -> None:
    client = browser_for("*")
    token = operator.get(f"cards/{town['card']}").json()["token"]
    assert found(client, "보행") == ["/sites/site-08", "/projects/bridge-2"]
    assert found(client, "철근") == [one for one in found(client, "두레 철") if "organizations" in one] != []
    assert found(client, "gate-01") == ["/sites/site-07/terminals/gate-01", "/sites/site-08/terminals/gate-01"]
    assert found(client, "site-08 정문") == ["/sites/site-08/terminals/gate-01"]
    assert found(client, "nguyễn hù") == [f"/workers/{town['Nguyễn Văn Hùng']}"]
    assert found(client, "N-1") == [f"/workers/{town['김철수']}"]
    assert found(client, "124-81") == [f"/organizations/{town['prime']}"]
    assert found(client, token[:6]) == [f"/cards/{town['card']}"]
    assert found(client, "없는것") == []
    assert "Nothing here begins with" in client.get("/search?q=zzz").text


@pytest.mark.promise("ACC-01")
def test_nothing_beyond_ones_reach_is_found(browser_for: Api, town: dict[str, int]) -> None:
    """Mutant acc-01-search-uncut: look for every kind with the reach of the kind before."""
    scopes = ("registry:worker:read", "registry:terminal:read", "site:headcount:read", "registry:project:read")
    seven = browser_for(*scopes, site="site-07")
    assert found(seven, "nguyễn") == []
    assert found(seven, "보행교") == []
    assert found(seven, "gate") == ["/sites/site-07/terminals/gate-01"]
    assert found(seven, "김철") == [f"/workers/{town['김철수']}"]
    assert found(browser_for("registry:organization:read"), "김철") == []
    mixed = browser_for("registry:terminal:read")
    assert found(mixed, "김철") == []
    assert len(found(mixed, "정문")) == 2


def test_each_worker_shown_is_in_the_audit_trail(browser_for: Api, town: dict[str, int], database_url: str) -> None:
    found(browser_for("*"), "김")
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "SELECT subject, detail->'workers' FROM audit_event WHERE tag = 'worker:look'"
        ).fetchall()
    assert rows == [("/search/found", [town["김철수"]])]


def test_a_search_asks_once_a_kind_along_its_index(
    browser_for: Api, town: dict[str, int], central_engine: Engine
) -> None:
    assert town
    statements: list[str] = []
    client = browser_for("*")
    event.listen(central_engine, "before_cursor_execute", lambda _c, _cu, statement, *_: statements.append(statement))
    client.get("/search", params={"q": "정문"})
    asked = [text for text in statements if "to_tsquery" in text]
    assert len(asked) == 5
    with central_engine.connect() as connection:
        connection.exec_driver_sql("SET enable_seqscan = off")
        for text in asked:
            table = re.search(r"FROM (registry_\w+)", text)
            assert table is not None
            where = text[text.index("to_tsvector") : text.index("@@")]
            plan = connection.exec_driver_sql(
                f"EXPLAIN SELECT 1 FROM {table[1]} WHERE {where} @@ to_tsquery('simple', '''x'':*')"
            )
            assert f"ix_{table[1]}_words" in "\n".join(row[0] for row in plan), table[1]


@given(st.text(max_size=60))
def test_any_question_becomes_words_that_the_database_can_be_asked(question: str) -> None:
    for word in words_in(question):
        assert word
        assert not set(word) & set("'\\:&|!()<>*\0 ")


@pytest.mark.parametrize(
    "question", ["'", "\\", "a:b", "'':*", "<->", "()", "💥 '", "a\0b", "%", "정 & !문", "x" * 100]
)
def test_odd_questions_are_answered(browser_for: Api, town: dict[str, int], question: str) -> None:
    assert town
    assert browser_for("*").get("/search", params={"q": question}).status_code == 200
