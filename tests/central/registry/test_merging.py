from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import httpx
import psycopg
from hypothesis import given
from hypothesis import strategies as st

import central.models
from central.privacy import held
from central.registry.merge_repository import HELD
from central.registry.merging import Spell, clashes
from simulators.servers import wait_until

Api = Callable[..., httpx.Client]


def employ(operator: httpx.Client, prime: int, from_on: str, until_on: str | None, **more: object) -> int:
    terms = {"site": "site-07", "employer_id": prime, "trade": "rebar", "from_on": from_on, "until_on": until_on}
    made = operator.post("workers", json={"name": "김철수", "birth_on": "1980-05-05", "employment": terms, **more})
    assert made.status_code == 201, made.text
    return int(made.json()["id"])


def test_everything_of_one_worker_goes_to_the_other_and_the_trail_names_it(
    operator: httpx.Client, site_seven: dict[str, int], database_url: str
) -> None:
    kept = employ(operator, site_seven["prime"], "2026-01-01", "2026-06-01")
    other = employ(operator, site_seven["prime"], "2026-06-01", None, worker_no="A-77", phone="010-1234-5678")
    shown = operator.get(f"workers/{other}").json()
    assert shown["notices"] == []
    operator.post("cards", json={"uid": "04000001", "holder": {"worker_id": other, "from_at": "2026-06-01T00:00:00Z"}})
    operator.post(f"workers/{other}/papers", json={"kind": "safety_certificate", "from_on": "2026-01-01"})
    done = operator.post(
        f"workers/{kept}/merge", json={"other_id": other, "reason": "same person: card and birth date"}
    )
    assert done.status_code == 200, done.text
    assert done.json()["moved"] == {
        "employments": 1,
        "labour_contracts": 0,
        "papers": 1,
        "bars": 0,
        "card_assignments": 1,
    }
    now = operator.get(f"workers/{kept}").json()
    assert (now["worker_no"], now["phone"]) == ("A-77", "010-1234-5678")
    assert operator.get(f"workers/{other}").json()["merged_into_id"] == kept
    assert [row["id"] for row in operator.get("workers").json()["items"]] == [kept]
    again = operator.post(f"workers/{kept}/merge", json={"other_id": other, "reason": "x"})
    assert again.status_code == 409
    assert f"was merged into worker {kept}" in again.json()["detail"]
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT subject, detail FROM audit_event WHERE tag = 'worker:merge'").fetchone()
    assert row is not None
    assert row[0] == f"worker:{other}"
    assert row[1]["into"] == kept
    assert len(row[1]["moved"]["employments"]) == 1


def test_two_with_one_name_and_birth_date_are_told_and_only_a_person_merges_them(
    operator: httpx.Client, site_seven: dict[str, int]
) -> None:
    first = employ(operator, site_seven["prime"], "2026-01-01", None)
    terms = {"site": "site-07", "employer_id": site_seven["prime"], "trade": "rebar", "from_on": "2026-01-01"}
    body = {"name": "김철수", "birth_on": "1980-05-05", "employment": terms}
    second = operator.post("workers", json=body).json()
    assert f"worker {first} has the same name" in second["notices"][0]
    refused = operator.post(f"workers/{first}/merge", json={"other_id": second["id"], "reason": "x"})
    assert refused.status_code == 409
    assert "at one time" in refused.json()["detail"]


def test_two_numbers_of_the_association_or_work_out_of_sight_are_no_merge(
    operator: httpx.Client, api_for: Api, site_seven: dict[str, int]
) -> None:
    first = employ(operator, site_seven["prime"], "2026-01-01", "2026-02-01", worker_no="A-1")
    second = employ(operator, site_seven["prime"], "2026-03-01", None, worker_no="A-2")
    refused = operator.post(f"workers/{first}/merge", json={"other_id": second, "reason": "x"})
    assert "two people" in refused.json()["detail"]
    third = employ(operator, site_seven["prime"], "2026-02-01", "2026-02-10")
    operator.post("sites", json={"code": "site-08", "project": "gym", "name": "Annex"})
    employer = {"organization_id": site_seven["prime"], "tier": "prime", "from_on": "2026-01-01"}
    operator.post("sites/site-08/employers", json=employer)
    there = {"worker_id": third, "employer_id": site_seven["prime"], "trade": "rebar", "from_on": "2026-03-01"}
    assert operator.post("sites/site-08/employments", json=there).status_code == 201
    contractor = api_for("registry:*", site="site-07")
    refused = contractor.post(f"workers/{first}/merge", json={"other_id": third, "reason": "x"})
    assert refused.status_code == 409
    assert "where you may not see" in refused.json()["detail"]


def test_whoever_was_merged_before_names_the_one_that_is_kept_in_the_end(
    operator: httpx.Client, site_seven: dict[str, int], database_url: str
) -> None:
    """Mutant: leave what pointed to the other entry. What is held of the first would be shown and erased no more."""
    spells = [("2026-01-01", "2026-02-01"), ("2026-02-01", "2026-03-01"), ("2026-03-01", None)]
    first, second, last = (employ(operator, site_seven["prime"], *spell) for spell in spells)
    for kept, other in ((second, first), (last, second)):
        done = operator.post(f"workers/{kept}/merge", json={"other_id": other, "reason": "same person"})
        assert done.status_code == 200, done.text
    with psycopg.connect(database_url) as connection:
        assert held.entries_of(connection, last) == [first, second, last]
        acts = connection.execute(
            "SELECT ccs_audit_workers(subject, detail) FROM audit_event WHERE tag = 'worker:merge' ORDER BY id"
        ).fetchall()
    assert [set(row[0]) for row in acts] == [{first, second}, {first, second, last}]


def test_of_two_merges_into_each_other_at_once_one_is_refused(
    operator: httpx.Client, site_seven: dict[str, int], database_url: str
) -> None:
    """Mutant: judge the two as they were read before the wait for each other."""
    pair = [employ(operator, site_seven["prime"], f"2026-0{n}-01", f"2026-0{n}-02") for n in (1, 2)]

    def merge(kept: int, other: int) -> int:
        return operator.post(f"workers/{kept}/merge", json={"other_id": other, "reason": "same person"}).status_code

    with ThreadPoolExecutor(2) as pool, psycopg.connect(database_url, autocommit=True) as looking:
        with psycopg.connect(database_url) as holding:
            holding.execute("SELECT id FROM registry_worker FOR UPDATE")
            answers = [pool.submit(merge, *way) for way in (pair, reversed(pair))]
            waiting = (
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            wait_until(lambda: looking.execute(waiting).fetchone() == (2,), what="both merges at the lock")
        assert sorted(one.result() for one in answers) == [200, 409]
        into = looking.execute("SELECT count(*) FROM registry_worker WHERE merged_into_id IS NULL").fetchone()
    assert into == (1,)


def test_a_merge_moves_every_table_that_names_a_worker() -> None:
    """Mutant: a new table that names a worker is forgotten here."""
    naming = {
        table.name
        for table in central.models.metadata.tables.values()
        if table.name.startswith("registry_")
        for key in table.foreign_keys
        if key.column.table.name == "registry_worker"
    }
    assert naming - {"registry_worker"} == {str(model.__tablename__) for model in HELD.values()}  # type: ignore[attr-defined]


days = st.dates(date(2026, 1, 1), date(2026, 1, 20))
spells = st.lists(
    st.tuples(st.integers(1, 2), days, st.none() | days).filter(lambda one: one[2] is None or one[1] < one[2]),
    max_size=4,
)


@given(spells, spells)
def test_spells_clash_exactly_when_they_share_a_day_at_a_place(kept: list[Spell], other: list[Spell]) -> None:
    def held(one: Spell) -> set[tuple[int, int]]:
        last = date(2026, 1, 31) if one[2] is None else one[2]
        return {(one[0], day) for day in range(one[1].toordinal(), last.toordinal())}

    expected = any(held(a) & held(b) for a in kept for b in other)
    assert bool(clashes(kept, other)) == expected
