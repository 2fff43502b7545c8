from __future__ import annotations

from collections.abc import Callable

import httpx
import psycopg
import pytest
from sqlalchemy import Engine, event

from edge_agent.wire.ids import card_token

Api = Callable[..., httpx.Client]


def employ_at_seven(operator: httpx.Client, prime: int, name: str = "Kim", **more: object) -> int:
    terms = {"site": "site-07", "employer_id": prime, "trade": "rebar", "from_on": "2026-11-01"}
    made = operator.post("workers", json={"name": name, "employment": terms, **more})
    assert made.status_code == 201, made.text
    return int(made.json()["id"])


def test_a_site_is_registered_read_and_amended(operator: httpx.Client, site_seven: dict[str, int]) -> None:
    amended = operator.patch("sites/site-07", json={"calendar": {"week": ["mon"], "day_start": "05:00"}})
    assert amended.status_code == 200, amended.text
    shown = operator.get("sites/site-07").json()
    assert shown["id"] == site_seven["site"]
    assert shown["timezone"] == "Asia/Seoul"
    assert shown["calendar"]["day_start"] == "05:00"


@pytest.mark.parametrize(
    ("path", "body", "word"),
    [
        ("organizations", {"name": "A", "kind": "prim"}, "did you mean 'prime'"),
        ("organizations", {"name": "A", "kind": "prime", "business_no": "124-81-00999"}, "check digit"),
        ("organizations", {"name": "A", "kind": "prime", "business_no": "12"}, "not ten digits"),
        ("sites", {"code": "Site 8", "project": "gym", "name": "x"}, "lower-case letters, digits and hyphens"),
        ("sites", {"code": "site-8", "project": "gym", "name": "x", "timezone": "Asia/Soul"}, "Asia/Seoul"),
        ("sites", {"code": "site-8", "project": "gym", "name": "x", "calendar": {"holidays": []}}, "holidays"),
        ("sites", {"code": "site-8", "project": "none", "name": "x"}, "no project 'none'"),
        ("workers", {"name": "Kim", "phone": "call me"}, "telephone"),
        ("workers", {"name": "Kim", "resident_no": "1"}, "resident_no"),
        ("cards", {"token": "XYZ"}, "32 characters"),
        ("cards", {"uid": "zz"}, "hexadecimal"),
        ("cards", {"uid": "04"}, "1 bytes"),
        ("sites/site-07/terminals", {"code": "g", "readers": [{"name": "r1", "direction": "up"}]}, "'in'"),
    ],
)
def test_a_wrong_entry_is_refused_with_a_sentence_that_says_what_to_do(
    operator: httpx.Client, site_seven: dict[str, int], path: str, body: dict[str, object], word: str
) -> None:
    assert site_seven
    answer = operator.post(path, json=body)
    assert answer.status_code in {404, 422}, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert word in answer.json()["detail"]


def test_two_employers_of_a_worker_at_once_are_refused_with_a_sentence(
    operator: httpx.Client, site_seven: dict[str, int]
) -> None:
    worker = employ_at_seven(operator, site_seven["prime"])
    again = {"worker_id": worker, "employer_id": site_seven["prime"], "trade": "철근공", "from_on": "2026-11-10"}
    refused = operator.post("sites/site-07/employments", json=again)
    assert refused.status_code == 409
    assert refused.json()["type"] == "urn:ccs:problem:overlap"
    assert "end the present employment first" in refused.json()["detail"]
    roll = operator.get("sites/site-07/employments").json()["items"]
    ended = operator.patch(f"sites/site-07/employments/{roll[0]['id']}", json={"until_on": "2026-11-10"})
    assert ended.status_code == 200
    taken = operator.post("sites/site-07/employments", json=again)
    assert taken.status_code == 201, taken.text
    assert taken.json()["trade"] == "rebar"
    on_the_ninth = operator.get("sites/site-07/employments", params={"on": "2026-11-09"}).json()["items"]
    assert [row["id"] for row in on_the_ninth] == [roll[0]["id"]]


def test_an_employer_must_work_on_the_site_when_the_employment_begins(
    operator: httpx.Client, site_seven: dict[str, int]
) -> None:
    worker = employ_at_seven(operator, site_seven["prime"])
    stranger = operator.post("organizations", json={"name": "Other", "kind": "sub"}).json()["id"]
    terms = {"worker_id": worker, "employer_id": stranger, "trade": "rebar", "from_on": "2027-01-01"}
    refused = operator.post("sites/site-07/employments", json=terms)
    assert refused.status_code == 409
    assert "register it as an employer of the site first" in refused.json()["detail"]


def test_a_card_has_one_holder_at_an_instant_and_changes_hands_at_one(
    operator: httpx.Client, site_seven: dict[str, int], database_url: str
) -> None:
    first, second = (employ_at_seven(operator, site_seven["prime"], name) for name in ("Kim", "Lee"))
    made = operator.post(
        "cards", json={"uid": "04:A1:B2:C3:D4:E5:F6", "holder": {"worker_id": first, "from_at": "2026-11-01T00:00:00Z"}}
    ).json()
    assert made["token"] == card_token(bytes.fromhex("ab" * 32), bytes.fromhex("04a1b2c3d4e5f6"))
    over = operator.post(f"cards/{made['id']}/assignments", json={"worker_id": second})
    assert over.status_code == 409
    assert "already has a holder" in over.json()["detail"]
    ended = operator.patch(
        f"cards/{made['id']}/assignments/{made['holder']['id']}",
        json={"until_at": "2026-11-20T00:00:00Z", "reason": "returned"},
    )
    assert ended.status_code == 200, ended.text
    assert operator.get(f"cards/{made['id']}").json()["holder"] is None
    handed = {"worker_id": second, "from_at": "2026-11-20T00:00:00Z"}
    assert operator.post(f"cards/{made['id']}/assignments", json=handed).status_code == 201
    assert operator.get(f"cards/{made['id']}").json()["holder"]["worker_id"] == second
    with psycopg.connect(database_url) as connection:
        stored = connection.execute("SELECT count(*) FROM audit_event WHERE detail::text ILIKE '%04a1b2%'").fetchone()
    assert stored == (0,)


def test_a_write_that_names_itself_is_done_once(operator: httpx.Client) -> None:
    key = {"Idempotency-Key": "import-1/row-7"}
    body = {"name": "Hanbit", "kind": "prime"}
    first = operator.post("organizations", json=body, headers=key)
    again = operator.post("organizations", json=body, headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert len(operator.get("organizations").json()["items"]) == 1
    other = operator.post("organizations", json={"name": "Other", "kind": "prime"}, headers=key)
    assert other.status_code == 409
    assert "use a new key" in other.json()["detail"]


def test_a_refused_write_leaves_its_name_free(operator: httpx.Client) -> None:
    key = {"Idempotency-Key": "k"}
    assert operator.post("organizations", json={"name": "A", "kind": "wrong"}, headers=key).status_code == 422
    assert operator.post("organizations", json={"name": "A", "kind": "prime"}, headers=key).status_code == 201


def test_a_list_goes_on_where_the_cursor_says_and_ends(operator: httpx.Client) -> None:
    for number in range(5):
        operator.post("organizations", json={"name": f"Firm {number}", "kind": "sub"})
    names, cursor = [], None
    while True:
        page = operator.get("organizations", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        assert len(page["items"]) <= 2
        names += [row["name"] for row in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert names == [f"Firm {number}" for number in range(5)]
    assert operator.get("organizations", params={"limit": 201}).status_code == 422
    assert operator.get("organizations", params={"cursor": "nonsense"}).status_code == 422


def test_a_list_takes_as_many_queries_for_many_rows_as_for_few(
    operator: httpx.Client, site_seven: dict[str, int], central_engine: Engine
) -> None:
    statements: list[str] = []

    def count(_c: object, _cu: object, statement: str, *_: object) -> None:
        statements.append(statement)

    def asked(path: str) -> int:
        operator.get(path)
        statements.clear()
        assert operator.get(path).status_code == 200
        return len([text for text in statements if "registry_" in text])

    event.listen(central_engine, "before_cursor_execute", count)
    worker = employ_at_seven(operator, site_seven["prime"])
    operator.post("cards", json={"uid": "04000000", "holder": {"worker_id": worker}})
    few = {path: asked(path) for path in ("workers", "cards", "sites/site-07/employments", "sites")}
    for number in range(1, 8):
        worker = employ_at_seven(operator, site_seven["prime"], f"W{number}")
        operator.post("cards", json={"uid": f"0400000{number}", "holder": {"worker_id": worker}})
    assert {path: asked(path) for path in few} == few
    assert few["workers"] == 1


def test_a_right_on_one_site_reaches_that_sites_people_only(
    operator: httpx.Client, api_for: Api, site_seven: dict[str, int]
) -> None:
    operator.post("sites", json={"code": "site-08", "project": "gym", "name": "Annex"})
    here = employ_at_seven(operator, site_seven["prime"])
    elsewhere = operator.post("workers", json={"name": "Lee"}).json()["id"]
    contractor = api_for("registry:*", site="site-07")
    assert [row["id"] for row in contractor.get("workers").json()["items"]] == [here]
    assert contractor.get(f"workers/{elsewhere}").status_code == 404
    assert contractor.patch(f"workers/{elsewhere}", json={"name": "Mine"}).status_code == 404
    assert contractor.get("sites/site-08/employments").status_code == 404
    assert [row["code"] for row in contractor.get("sites").json()["items"]] == ["site-07"]
    assert contractor.post("workers", json={"name": "Park"}).status_code == 403
    assert contractor.post(f"workers/{here}/bars", json={"reason": "x"}).status_code == 403
    barred = contractor.post(f"workers/{here}/bars", json={"reason": "no helmet", "site": "site-07"})
    assert barred.status_code == 201, barred.text
    assert contractor.post("organizations", json={"name": "A", "kind": "sub"}).status_code == 403


def test_only_who_proves_terminals_there_registers_somebody_who_is_never_counted(
    api_for: Api, operator: httpx.Client, site_seven: dict[str, int]
) -> None:
    """Mutant: let whoever registers workers say who is a test worker."""
    terms = {"site": "site-07", "employer_id": site_seven["prime"], "trade": "rebar", "from_on": "2026-11-01"}
    ordinary, test = ({"name": "Kim", "employment": terms, "is_test": is_test} for is_test in (False, True))
    firm = api_for("registry:worker:write", site="site-07")
    everywhere = api_for("registry:worker:write", "registry:worker:read")
    assert firm.post("workers", json=ordinary).status_code == 201
    for client in (firm, everywhere):
        refused = client.post("workers", json=test)
        assert (refused.status_code, refused.json()["permission"]) == (403, "registry:terminal:write"), refused.text
    engineer = api_for("registry:worker:write", "registry:terminal:write", site="site-07")
    assert engineer.post("workers", json=test).json()["is_test"] is True
    assert engineer.post("workers", json={"name": "Kim", "is_test": True}).status_code == 403, "on that site alone"
    assert operator.post("workers", json={"name": "Kim", "is_test": True}).status_code == 201


def test_only_who_proves_terminals_everywhere_puts_right_who_is_counted(
    api_for: Api, operator: httpx.Client, site_seven: dict[str, int], database_url: str
) -> None:
    worker = employ_at_seven(operator, site_seven["prime"])
    card_token_of = card_token(bytes(range(32)), b"04000009")
    holder = {"worker_id": worker, "from_at": "2026-11-01T00:00:00Z"}
    assert operator.post("cards", json={"token": card_token_of, "holder": holder}).status_code == 201
    engineer = api_for("registry:worker:write", "registry:terminal:write", site="site-07")
    for is_test in (True, False):
        refused = engineer.patch(f"workers/{worker}", json={"is_test": is_test})
        assert refused.status_code == 403, refused.text
    with psycopg.connect(database_url, autocommit=True) as listening:
        listening.execute("LISTEN ccs_registry")
        assert operator.patch(f"workers/{worker}", json={"is_test": True}).json()["is_test"] is True
        told = next(listening.notifies(timeout=10, stop_after=1)).payload
        assert card_token_of in told, "who is inside is counted anew"
        detail = listening.execute("SELECT detail FROM audit_event WHERE tag = 'worker:amend'").fetchall()
    assert detail == [({"is_test": [False, True]},)]
    assert operator.patch(f"workers/{worker}", json={"is_test": None}).status_code == 422


@pytest.mark.parametrize("way", ["employ", "register", "amend"])
def test_nobody_finds_out_by_trying_which_numbers_are_registered_and_for_whom(
    api_for: Api, operator: httpx.Client, site_seven: dict[str, int], way: str
) -> None:
    """Mutant: count nothing. A number within ten tries and a name that fits is an answer; the eleventh gets none."""
    assert operator.post("workers", json={"name": "Kim", "worker_no": "901"}).status_code == 201
    own = employ_at_seven(operator, site_seven["prime"], name="An")
    terms = {"employer_id": site_seven["prime"], "trade": "rebar", "from_on": "2026-11-01"}
    firm = api_for("registry:worker:write", site="site-07")

    def attempt(client: httpx.Client, name: str, number: str) -> httpx.Response:
        if way == "employ":
            return client.post("sites/site-07/employments", json={"worker_no": number, "name": name, **terms})
        if way == "amend":
            return client.patch(f"workers/{own}", json={"worker_no": number})
        return client.post(
            "workers", json={"name": name, "worker_no": number, "employment": {"site": "site-07", **terms}}
        )

    refused = {"employ": 404, "register": 409, "amend": 409}[way]
    answers = [attempt(firm, f"Kim {number}", "901") for number in range(12)]
    assert [one.status_code for one in answers] == [refused] * 10 + [429] * 2
    right = attempt(firm, "Kim", "901" if way == "employ" else "902")
    assert right.status_code == 429
    assert right.json()["type"].endswith("too_many_guesses")
    assert firm.post("workers", json={"name": "Lee", "employment": {"site": "site-07", **terms}}).status_code == 201
    others = [attempt(operator, "Nobody", "901").status_code for _ in range(12)]
    assert others == [refused] * 12, "who reaches everybody has nothing to guess"


def test_each_look_at_workers_is_audited_at_most_once_a_minute(
    operator: httpx.Client, site_seven: dict[str, int], database_url: str
) -> None:
    worker = employ_at_seven(operator, site_seven["prime"])
    for _ in range(3):
        operator.get("workers")
        operator.get(f"workers/{worker}")
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT subject FROM audit_event WHERE tag = 'worker:look' ORDER BY id").fetchall()
    assert rows == [("/api/v1/workers",), (f"/api/v1/workers/{worker}",)]


def test_a_change_is_told_to_the_other_processes_when_it_is_committed(
    operator: httpx.Client, site_seven: dict[str, int], database_url: str
) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("LISTEN ccs_registry")
        operator.post(
            "sites/site-07/terminals", json={"code": "gate-01", "readers": [{"name": "r1", "direction": "in"}]}
        )
        notice = next(connection.notifies(timeout=10, stop_after=1))
        assert notice.payload == f'{{"tokens":[],"sites":[{site_seven["site"]}]}}'
        worker = employ_at_seven(operator, site_seven["prime"])
        next(connection.notifies(timeout=10, stop_after=1))
        card = operator.post("cards", json={"uid": "04000001", "holder": {"worker_id": worker}}).json()
        notice = next(connection.notifies(timeout=10, stop_after=1))
        assert notice.payload == f'{{"tokens":["{card["token"]}"],"sites":[{site_seven["site"]}]}}'


def test_a_terminal_is_registered_once_and_amended(operator: httpx.Client, site_seven: dict[str, int]) -> None:
    assert site_seven
    body = {"code": "gate-01", "zone": "north", "readers": [{"name": "r1", "direction": "in"}]}
    made = operator.post("sites/site-07/terminals", json=body)
    assert made.json()["readers"] == [{"name": "r1", "direction": "in", "zone": "north"}]
    twice = operator.post("sites/site-07/terminals", json=body)
    assert twice.status_code == 409
    assert "already has a terminal with this code" in twice.json()["detail"]
    assert (made.json()["state"], made.json()["in_service"]) == ("registered", False)
    renamed = operator.patch("sites/site-07/terminals/gate-01", json={"name": "Main gate"})
    assert renamed.json()["name"] == "Main gate"
    assert operator.patch("sites/site-07/terminals/gate-01", json={"in_service": True}).status_code == 422
    assert operator.patch("sites/site-07/terminals/gate-01", json={}).status_code == 422
    assert operator.patch("sites/site-07/terminals/gate-01", json={"zone": None}).status_code == 422
    assert operator.get("sites/site-07/terminals/gate-02").status_code == 404


def test_trades_carry_both_names(operator: httpx.Client) -> None:
    trades = operator.get("trades").json()["items"]
    assert {"code": "rebar", "ko": "철근공", "en": "Rebar fixer"} in trades
    assert len({trade["code"] for trade in trades}) == len(trades) == 22
