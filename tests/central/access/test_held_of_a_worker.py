"""Everything held of a worker can be read and taken along; what may go is erased, and each line says what stays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from sqlalchemy import Engine, text

from central.identity.permissions import Role
from central.kit import web
from central.kit.clock import SystemClock
from central.kit.db import read_session, write_session
from central.privacy import erasure, held
from central.privacy.rules import rules
from central.registry.cards import ZONE
from simulators.two_worlds import World
from simulators.web import WebServer

COLUMN = """SELECT table_name FROM information_schema.columns
            WHERE column_name = 'worker_id' AND table_schema = 'public'
              AND table_name NOT LIKE 'attendance_event\\_%'"""
NO_SECTION = {
    "attendance_event": "its taps are the section taps",
}


@pytest.fixture
def operator(
    access_web: WebServer, access_app: FastAPI, people_of: dict[Role, int], session_for: Callable[[int], str]
) -> Iterator[httpx.Client]:
    key = access_app.state.settings.secret_key.encode()
    cookies = {
        "ccs_session": session_for(people_of[Role.SYSTEM_OPERATOR]),
        "ccs_language": "en",
        web.CSRF_COOKIE: "c" * 32,
    }
    headers = {"x-csrf-token": web._token(key, "c" * 32, "0" * 16), "accept": "text/html"}
    with httpx.Client(base_url=access_web.url, cookies=cookies, headers=headers, timeout=200) as client:
        yield client


@pytest.fixture
def left(access_engine: Engine, worlds: tuple[World, World]) -> int:
    """A worker of the own world whose employment ended a month ago, with something of everything."""
    worker = worlds[0].ids["worker_prime"]
    with write_session(access_engine) as session:
        sql = """UPDATE registry_worker SET phone = '010-1234-5678', birth_on = '1980-01-01', nationality = 'KR'
                 WHERE id = :worker"""
        session.execute(text(sql), {"worker": worker})
        ended = SystemClock().now().date() - timedelta(days=31)
        sql = "UPDATE registry_employment SET until_on = :ended WHERE worker_id = :worker"
        session.execute(text(sql), {"worker": worker, "ended": ended})
    return worker


def test_no_table_about_workers_is_left_out_of_what_is_held_and_of_the_rules(database_url: str) -> None:
    """Mutant: a new table about workers that nobody exports or lets end."""
    with psycopg.connect(database_url) as connection:
        found = {row[0] for row in connection.execute(COLUMN.encode())}
    shown = {table for section in held.SECTIONS for table in section.tables}
    ruled = {table for rule in rules() for table in rule.tables}
    assert found - shown - set(NO_SECTION) == set()
    assert found - ruled == set()


def test_everything_held_is_shown_and_taken_along_and_both_are_recorded(
    operator: httpx.Client, left: int, access_engine: Engine
) -> None:
    shown = operator.get(f"/workers/{left}/data")
    assert shown.status_code == 200, shown.text
    for words in ("010-1234-5678", "1980-01-01", "worker prime own", "safety_certificate", "200000"):
        assert words in shown.text, words
    taken = operator.get(f"/workers/{left}/data.json").json()["held"]
    assert set(taken) == {section.code for section in held.SECTIONS}
    assert taken["registered"][0]["phone"] == "010-1234-5678"
    assert [one["employer"] for one in taken["employments"]] == ["prime own"]
    assert "worker:look" in {one["tag"] for one in taken["acts"]}, "who looked is part of what is held"
    with read_session(access_engine) as session:
        sql = "SELECT count(*) FROM audit_event WHERE tag = 'worker:data_export'"
        assert session.execute(text(sql)).scalar_one() == 1
    assert operator.get("/workers/99999/data").status_code == 404


def test_a_request_erases_what_no_law_holds_and_says_of_each_line_what_stays(operator: httpx.Client, left: int) -> None:
    """Mutants: erased before the second look; kept lines are not told."""
    plan = operator.get(f"/workers/{left}/erasure")
    assert plan.status_code == 200, plan.text
    assert "Telephone number" in plan.text
    assert "Kept until" in plan.text
    assert operator.get(f"/workers/{left}/data.json").json()["held"]["registered"][0]["phone"] == "010-1234-5678"
    refused = operator.post(f"/workers/{left}/erasure", data={"reason": " "})
    assert (refused.status_code, "say why" in refused.text) == (422, True)
    done = operator.post(f"/workers/{left}/erasure", data={"reason": "asked on 2026-11-20"}, follow_redirects=True)
    assert "asked on 2026-11-20" in done.text
    taken = operator.get(f"/workers/{left}/data.json").json()["held"]
    assert taken["registered"][0]["phone"] is None
    assert taken["registered"][0]["name"] == "worker prime own", "a law keeps it for five years"
    lines = {line["code"]: line["outcome"] for line in taken["erasures"][0]["lines"]}
    assert (lines["phone"], lines["person"], lines["bars"]) == ("erased", "kept", "erased")
    again = operator.post(f"/workers/{left}/erasure", data={"reason": "again"})
    assert (again.status_code, "nothing is held" in again.text) == (422, True)


def test_what_is_over_goes_at_night_and_only_that(
    access_engine: Engine, left: int, worlds: tuple[World, World]
) -> None:
    """Mutant: the nightly run erases of somebody who is employed."""
    now = SystemClock().now()
    later = now.astimezone(ZONE).date() + timedelta(days=365 * 6)
    with write_session(access_engine) as session:
        session.execute(text("UPDATE registry_worker SET created_at = created_at - interval '10 years'"))
    assert (
        erasure.erase_what_is_over(access_engine, actor="system:test", today=now.astimezone(ZONE).date(), now=now) == 0
    )
    assert erasure.erase_what_is_over(access_engine, actor="system:test", today=later, now=now) == 1
    assert erasure.erase_what_is_over(access_engine, actor="system:test", today=later, now=now) == 0
    with read_session(access_engine) as session:
        names = {row.id: row.name for row in session.execute(text("SELECT id, name FROM registry_worker"))}
        wages = session.execute(text("SELECT count(*) FROM registry_labour_contract WHERE worker_id = :w"), {"w": left})
        assert wages.scalar_one() == 0
    assert names[left] == held.ERASED_NAME
    assert names[worlds[0].ids["worker_sub"]] == "worker sub own"


def test_a_rule_can_be_made_longer_with_a_reason_never_shorter_than_the_law(operator: httpx.Client) -> None:
    assert "Telephone number" in operator.get("/retention").text
    for months, reason in (("12", "x"), ("61", ""), ("abc", "x"), ("9999", "x")):
        assert operator.post("/retention/person", data={"months": months, "reason": reason}).status_code == 422
    assert operator.post("/retention/audit", data={"months": "12", "reason": "x"}).status_code == 404
    done = operator.post("/retention/person", data={"months": "72", "reason": "a lawsuit"}, follow_redirects=True)
    assert "a lawsuit" in done.text
    assert "72 months" in done.text
