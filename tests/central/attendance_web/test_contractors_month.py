"""A contractor's month from the API's examples alone, and its workers' taps as they come."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from sqlalchemy import Engine

from central.attendance.batch import Message
from central.attendance.ingest import Ingest
from central.attendance.intake import connect
from central.identity.credentials import secret_hash
from central.identity.models import ApiToken, Membership, SignIn, User
from central.kit.clock import SystemClock
from central.kit.db import write_session
from edge_agent.wire.ids import card_token
from simulators.journal import JournalMaker
from simulators.seeding import SeededSite, seed_site
from simulators.web import WebServer

CARD_KEY = bytes(range(32))
SCRIPT = Path(__file__).parents[3] / "docs/examples/contractors_month.py"
SCOPE = "attendance:worker:read"
OWN = slice(4, 7)
"""Of the site's ten workers, those of the subcontractor."""
LAST = datetime.now(UTC).replace(day=1) - timedelta(days=1)
MONTH = f"{LAST:%Y-%m}"


@dataclass
class Ground:
    """A site with two employers, and the subcontractor's person and program."""

    site: SeededSite
    journal: JournalMaker
    database_url: str
    cookie: str
    token: str

    def work(self, worker: int, day: int, *, leaves: bool = True) -> None:
        """Have somebody come and, perhaps, leave on a day of last month."""
        token = card_token(CARD_KEY, self.site.identities[worker])
        self.journal.at = LAST.replace(day=day, hour=0, minute=worker, second=0, microsecond=0)
        self.journal.tap(token)
        if leaves:
            self.journal.at += timedelta(hours=8)
            self.journal.tap(token, "out")

    def take(self, *seqs: int) -> None:
        """Store some of what the terminal recorded, each by itself, in this order."""
        with connect(self.database_url) as connection:
            for seq in seqs:
                message = Message(self.journal.topic, self.journal.batch(seq, seq))
                Ingest(connection).take([message], now=datetime.now(UTC))

    def everything(self) -> None:
        with connect(self.database_url) as connection:
            messages = [Message(self.journal.topic, batch) for batch in self.journal.batches()]
            Ingest(connection).take(messages, now=datetime.now(UTC))


@pytest.fixture
def ground(database_url: str, site_engine: Engine) -> Ground:
    site = seed_site(database_url, card_key=CARD_KEY, site="site-21")
    own = list(site.workers[OWN])
    with psycopg.connect(database_url) as connection:
        row = connection.execute(
            "INSERT INTO registry_organization (name, kind) VALUES ('두레철근', 'sub') RETURNING id"
        ).fetchone()
        assert row is not None
        connection.execute(
            "INSERT INTO registry_site_employer (site_id, organization_id, tier, from_on) VALUES (%s, %s, 'sub', %s)",
            (site.site_id, row[0], LAST.date() - timedelta(days=60)),
        )
        connection.execute("UPDATE registry_employment SET employer_id = %s WHERE worker_id = ANY(%s)", (row[0], own))
    now = SystemClock().now()
    with write_session(site_engine) as session:
        user = User(email="sub@example.org", name="두레 담당", password_hash="none")
        session.add(user)
        session.flush()
        session.add(Membership(user_id=user.id or 0, role="subcontractor", organization_id=row[0]))
        signed: dict[str, Any] = {"user_id": user.id or 0, "created_at": now, "seen_at": now}
        signed["expires_at"] = now + timedelta(hours=1)
        session.add(SignIn(secret_hash=secret_hash("the-cookie"), **signed))
        token: dict[str, Any] = {"name": "payroll", "scopes": [SCOPE], "owner_id": user.id}
        session.add(ApiToken(secret_hash=secret_hash("ccs_payroll"), **token))
    return Ground(site, JournalMaker("site-21", "gate-01"), database_url, "the-cookie", "ccs_payroll")


@pytest.fixture
def web(central_app: FastAPI, ground: Ground) -> Iterator[WebServer]:  # noqa: ARG001 - filled before it serves
    with WebServer(central_app) as server:
        yield server


@pytest.fixture
def api(web: WebServer, ground: Ground) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {ground.token}"}
    with httpx.Client(base_url=f"{web.url}/api/v1/", headers=headers, timeout=30) as client:
        yield client


def page_sums(web: WebServer, ground: Ground) -> dict[str, int]:
    answer = httpx.get(f"{web.url}/sites/site-21/days?month={MONTH}", cookies={"ccs_session": ground.cookie})
    assert answer.status_code == 200, answer.text
    found = re.findall(r'data-sum="(\w+)">([\d,]+)<', answer.text)
    return {name: int(figure.replace(",", "")) for name, figure in found}


@pytest.mark.promise("EVD-01")
def test_a_script_from_the_apis_examples_gets_the_sums_that_the_page_shows(web: WebServer, ground: Ground) -> None:
    """Mutants: another employer's workers are shown; a day is counted without the taps behind it."""
    for day in range(10, 15):
        for worker in range(10):
            ground.work(worker, day, leaves=(worker, day) != (5, 12))
    ground.everything()
    environ = os.environ | {"CCS_TOKEN": ground.token}
    command = [sys.executable, str(SCRIPT), web.url, "site-21", MONTH]
    ran = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["sums"] == {"workers": 3, "days": 15, "taps": 29, "doubtful": 1} == page_sums(web, ground)
    assert [who.split(" ", 1)[1] for who in told["workers"]] == ["Worker 0005", "Worker 0006", "Worker 0007"]


@pytest.mark.promise("EVD-01")
def test_every_figure_of_the_month_goes_back_to_the_terminals_own_bytes(api: httpx.Client, ground: Ground) -> None:
    ground.work(4, 10)
    ground.everything()
    taps = api.get("sites/site-21/worker-taps", params={"month": MONTH}).json()["items"]
    assert [(tap["seq"], tap["on"], tap["direction"]) for tap in taps] == [
        (1, f"{MONTH}-10", "in"),
        (2, f"{MONTH}-10", "out"),
    ]
    with psycopg.connect(ground.database_url) as connection:
        for tap in taps:
            sql = """SELECT encode(sha256(e.bytes), 'hex') FROM attendance_event e
                     JOIN attendance_journal j ON j.id = e.journal WHERE j.journal_id = %s AND e.seq = %s"""
            assert connection.execute(sql, (tap["journal_id"], tap["seq"])).fetchone() == (tap["hash"],)


def news(api: httpx.Client, after: str, *, limit: int = 100) -> dict[str, Any]:
    answer = api.get("sites/site-21/feed", params={"after": after, "limit": limit})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_the_feed_gives_each_own_tap_once_however_late_it_came(api: httpx.Client, ground: Ground) -> None:
    """Mutants: a cursor that jumps a gap; the other employer's taps in the feed."""
    for worker in (4, 0, 5):
        ground.work(worker, 11)
    ground.take(1, 4, 6)
    first = news(api, "")
    assert [tap["seq"] for tap in first["taps"]] == [1, 6], "seq 4 is the other employer's"
    ground.take(2, 3, 5)
    second = news(api, first["cursor"])
    assert [tap["seq"] for tap in second["taps"]] == [2, 5]
    days = {day["worker_id"]: (day["taps"], day["doubts"]) for day in second["days"]}
    assert days == dict.fromkeys(ground.site.workers[4:6], (2, []))
    again = news(api, second["cursor"])
    assert (again["taps"], again["cursor"]) == ([], second["cursor"])
    assert news(api, "now")["cursor"] == second["cursor"]


def test_the_feeds_nights_by_a_reader_without_a_direction_are_the_months(api: httpx.Client, ground: Ground) -> None:
    """Mutants: a shift that the feed comes into is read from its middle, and the months' first one, too."""
    token = card_token(CARD_KEY, ground.site.identities[4])
    before = LAST.replace(day=1) - timedelta(days=3)
    for night in range(12):
        ground.journal.at = before.replace(hour=11, minute=0, second=0, microsecond=0) + timedelta(days=night)
        ground.journal.tap(token, "tap")
        ground.journal.at += timedelta(hours=10)
        ground.journal.tap(token, "tap")
    ground.take(*range(1, 23))
    first = news(api, "")
    ground.take(23, 24)
    told = news(api, first["cursor"])["days"]
    items = api.get("sites/site-21/days", params={"month": MONTH}).json()["items"]
    assert [(day["on"], day["taps"], day["doubts"]) for day in items] == [
        (f"{MONTH}-{day:02}", 2, []) for day in range(1, 10)
    ]
    assert told == items[-1:]
    assert [day for day in first["days"] if day["on"] >= MONTH] == items[:-1]


def test_a_long_feed_comes_in_parts_that_join_without_a_gap(api: httpx.Client, ground: Ground) -> None:
    for day in (10, 11, 12):
        ground.work(4, day)
    ground.everything()
    seen, after, more = [], "", True
    while more:
        part = news(api, after, limit=2)
        seen += [tap["seq"] for tap in part["taps"]]
        after, more = part["cursor"], part["more"]
    assert seen == [1, 2, 3, 4, 5, 6]


def test_a_cursor_that_was_given_is_understood_however_torn_the_journal_is(api: httpx.Client, ground: Ground) -> None:
    """Mutant: everything held is in the cursor, which is then too long to be asked with, for ever."""
    for day in (10, 11):
        ground.work(4, day)
    ground.take(4)
    torn = [seq for start in range(1_000_004, 1_009_000, 10) for seq in (start, start + 5)]
    with psycopg.connect(ground.database_url) as connection:
        connection.execute("UPDATE attendance_journal SET ahead = ahead || %s::bigint[]", (torn,))
    for after in ("now", ""):
        first = news(api, after)
        assert [tap["seq"] for tap in first["taps"]] == ([4] if after == "" else [])
        assert 4_000 < len(first["cursor"]) < 6_000
        assert news(api, first["cursor"]) == first | {"taps": [], "days": [], "as_of": ANY}
    ground.take(1, 2, 3)
    assert [tap["seq"] for tap in news(api, first["cursor"])["taps"]] == [1, 2, 3]


def test_the_stream_tells_of_a_tap_as_it_is_stored_and_goes_on_where_it_was(api: httpx.Client, ground: Ground) -> None:
    ground.work(4, 13)

    def next_news(lines: Iterator[str]) -> tuple[str, dict[str, Any]]:
        name = ""
        for line in lines:
            if line.startswith("id: "):
                name = line.removeprefix("id: ")
            if line.startswith("data: ") and json.loads(line.removeprefix("data: "))["taps"]:
                return name, json.loads(line.removeprefix("data: "))
        raise AssertionError("the stream ended")

    with api.stream("GET", "sites/site-21/feed/stream") as stream:
        lines = stream.iter_lines()
        next(lines)
        ground.take(1)
        name, told = next_news(lines)
    assert [tap["seq"] for tap in told["taps"]] == [1]
    assert [day["doubts"] for day in told["days"]] == [["missing_exit"]]
    ground.take(2)
    with api.stream("GET", "sites/site-21/feed/stream", headers={"Last-Event-ID": name}) as stream:
        _, told = next_news(stream.iter_lines())
    assert [tap["seq"] for tap in told["taps"]] == [2]


def test_who_may_not_see_workers_gets_nothing(api: httpx.Client, client_for: Callable[..., httpx.Client]) -> None:
    assert api.get("sites/site-07/feed").status_code == 404
    other = client_for("site:headcount:read", site="site-21")
    for path in ("feed", "feed/stream", f"days?month={MONTH}", f"worker-taps?month={MONTH}"):
        assert other.get(f"/api/v1/sites/site-21/{path}").status_code == 403, path
    assert api.get("sites/site-21/feed", params={"after": "3.5-1"}).status_code == 422
