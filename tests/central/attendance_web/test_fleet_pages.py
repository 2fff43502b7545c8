"""The fleet's pages: what terminals said, worst first, in one query; their files; one terminal and its life."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from datetime import timedelta

import httpx
import psycopg
import pytest
from python_calamine import CalamineWorkbook
from sqlalchemy import Engine, event

from central.attendance.batch import Message
from central.attendance.ingest import Ingest
from central.attendance.intake import connect
from central.kit import web
from central.kit.clock import SystemClock
from simulators.filled_site import FilledSite, fill_site
from simulators.journal import JournalMaker

ClientFor = Callable[..., httpx.Client]


@pytest.fixture
def reader(client_for: ClientFor) -> httpx.Client:
    """A browser's stand-in with every right, in English."""
    client = client_for("*", site=None)
    client.cookies.set("ccs_language", "en")
    return client


@pytest.fixture
def two_sites(site_engine: Engine, filled: FilledSite, database_url: str) -> FilledSite:
    """A second site whose back gate is silent; the first site's exit lost a reader and lags."""
    other = fill_site(site_engine, now=SystemClock().now(), code="site-08", name="Bridge", inside=0, quiet_gate=True)
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "UPDATE attendance_terminal_status SET readers = '{\"r1\": null}', free_bytes = 400000000,"
            ' versions = \'{"agent": "1.4.2"}\', head_seq = 777 WHERE terminal_id = %s',
            (filled.terminal_ids[1],),
        )
    return other


def terminals_of(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return re.findall(r'<th scope="row"><a href="/sites/([^"]+)"', answer.text)


def test_the_fleet_is_shown_worst_first_and_filtered(reader: httpx.Client, two_sites: FilledSite) -> None:
    assert two_sites
    shown = reader.get("/terminals")
    found = terminals_of(shown)
    assert found[:2] == ["site-08/terminals/gate-03", "site-07/terminals/gate-02"]
    assert len(found) == 6
    for word in ("Silent 1", "Reader lost 1", "Disk nearly full", "1.4.2", "0/1", "0.4 GB", "277"):
        assert word in shown.text, word
    assert terminals_of(reader.get("/terminals?trouble=silent")) == found[:1]
    assert terminals_of(reader.get("/terminals?q=gate-02&sort=site")) == [
        "site-07/terminals/gate-02",
        "site-08/terminals/gate-02",
    ]
    assert "No terminal fits this filter." in reader.get("/terminals?q=nowhere").text
    for wrong in ("/terminals?sort=colour", "/terminals?state=x", "/terminals?start=-1"):
        assert reader.get(wrong).status_code == 422


def test_whoever_reaches_one_site_sees_its_terminals_only(client_for: ClientFor, two_sites: FilledSite) -> None:
    """Mutant: read the fleet of every site."""
    assert two_sites
    client = client_for("registry:terminal:read", site="site-08")
    assert {place.split("/")[0] for place in terminals_of(client.get("/terminals"))} == {"site-08"}
    assert b"site-07" not in client.get("/terminals.csv").content
    assert client.get("/sites/site-07/terminals/gate-01").status_code == 404
    assert client_for("site:headcount:read").get("/terminals").status_code == 403


def test_the_fleet_costs_one_query_however_many(
    reader: httpx.Client, two_sites: FilledSite, central_app: object, database_url: str
) -> None:
    statements: list[str] = []
    engine = central_app.state.engine  # type: ignore[attr-defined]
    event.listen(engine, "before_cursor_execute", lambda _c, _cu, statement, *_: statements.append(statement))

    def asked(path: str) -> int:
        statements.clear()
        assert reader.get(path).status_code == 200
        return len([text for text in statements if "terminal" in text])

    few = {path: asked(path) for path in ("/terminals", "/terminals.csv", "/sites/site-08/terminals/gate-01")}
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO registry_terminal (site_id, code, name, zone, in_service)"
            " SELECT %s, 'more-' || n, '', '', true FROM generate_series(1, 200) n",
            (two_sites.site_id,),
        )
    assert {path: asked(path) for path in few} == few
    assert len(terminals_of(reader.get("/terminals"))) == 50
    assert "Next terminals" in reader.get("/terminals?start=50").text


def test_the_files_hold_what_the_page_shows(reader: httpx.Client, two_sites: FilledSite, database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE registry_terminal SET name = '=1+1' WHERE id = %s", (two_sites.terminal_ids[2],))
    rows = list(csv.reader(io.StringIO(reader.get("/terminals.csv?q=site-08").content.decode("utf-8-sig"))))
    assert rows[0][:5] == ["Site", "Code of the site", "Terminal", "Code", "State"]
    assert rows[1][:6] == ["Bridge", "site-08", "'=1+1", "gate-03", "In service", "Silent"]
    sheet = CalamineWorkbook.from_filelike(io.BytesIO(reader.get("/terminals.xlsx").content)).get_sheet_by_index(0)
    assert len(sheet.to_python()) == 7
    assert sheet.to_python()[1][2] == "=1+1"


def test_a_terminals_page_shows_its_life_and_what_it_says(
    reader: httpx.Client, two_sites: FilledSite, filled: FilledSite
) -> None:
    assert two_sites, filled
    steps = "/api/v1/sites/site-07/terminals/gate-02/events"
    reader.post(steps, json={"event": "report_fault", "note": "no light <b>"})
    shown = reader.get("/sites/site-07/terminals/gate-02").text
    for word in ("Faulty; ", "Reader lost", "Report a fault", "no light &lt;b&gt;", "Repaired", "r1: Exits", "Lost: 1"):
        assert word in shown, word
    assert reader.get("/sites/site-07/terminals/gate-77").status_code == 404


def test_the_last_tap_is_told_by_ingest(reader: httpx.Client, two_sites: FilledSite, database_url: str) -> None:
    assert two_sites
    now = SystemClock().now()
    journal = JournalMaker("site-08", "gate-01", at=now - timedelta(hours=30))
    journal.tap("ab" * 16)
    journal.at += timedelta(hours=3)
    journal.tap("ab" * 16, "out")
    with connect(database_url) as connection:
        for seq in (2, 1):
            Ingest(connection).take([Message(journal.topic, journal.batch(seq, seq))], now=now)
    with psycopg.connect(database_url) as connection:
        told = connection.execute(
            "SELECT last_tap_at FROM attendance_terminal_status WHERE terminal_id = %s", (two_sites.terminal_ids[0],)
        ).fetchone()
    assert told is not None
    assert abs(told[0] - (now - timedelta(hours=27))) < timedelta(seconds=5), "the newest, whatever came last"
    assert f"{told[0].astimezone(tz=None):%Y}" in reader.get("/terminals?q=site-08").text


@pytest.fixture
def writer(reader: httpx.Client) -> httpx.Client:
    """The same with a form's token, as our own pages send it."""
    reader.cookies.set(web.CSRF_COOKIE, "c" * 32)
    reader.headers["x-csrf-token"] = web._token(b"s" * 32, "c" * 32, "0" * 16)
    return reader


def test_a_terminal_is_registered_and_led_through_its_life_by_pages(writer: httpx.Client, filled: FilledSite) -> None:
    assert filled
    new = "/sites/site-07/terminals/new"
    wrong = writer.post(new, data={"code": "Gate 9", "name": "뒷문", "ways": "in_out"})
    assert wrong.status_code == 422
    assert "뒷문" in wrong.text, "what was typed is kept"
    made = writer.post(new, data={"code": "gate-09", "name": "뒷문", "ways": "in_out"})
    place = "/sites/site-07/terminals/gate-09"
    assert made.headers["location"] == place, made.text
    shown = writer.get(place).text
    for word in ("Registered", "r1: Entries, r2: Exits", f"{place}/steps/install", "Nothing has happened to it"):
        assert word in shown, word
    assert writer.get(f"{place}/steps/repair").status_code == 409
    assert writer.post(f"{place}/steps/install", data={"note": ""}).status_code == 303
    refused = writer.post(f"{place}/steps/pass_test", data={"note": " "})
    assert refused.status_code == 409
    assert "hold one to it" in refused.text
    assert writer.post(f"{place}/steps/pass_test", data={"note": "bench sheet 12"}).status_code == 303
    assert writer.post(f"{place}/steps/put_in_service", data={"note": ""}).status_code == 303
    look = writer.post(f"{place}/steps/remove", data={"note": "gate closed"})
    assert look.status_code == 200
    assert "From now on its silence is no longer told" in look.text
    assert "In service" in writer.get(place).text, "nothing happens before the second look"
    assert writer.post(f"{place}/steps/remove", data={"note": "gate closed", "sure": "yes"}).status_code == 303
    assert "gate closed" in writer.get(place).text
