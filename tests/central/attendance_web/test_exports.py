from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from python_calamine import CalamineWorkbook
from sqlalchemy import Engine, text

from central.attendance.exports import Sheet, write
from central.attendance.headcount import Headcount, Person, TerminalView
from central.kit.db import read_session
from simulators.filled_site import FilledSite

NOON = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)


def sheet(**more: Any) -> Sheet:
    person = Person(
        person="worker:1",
        worker_id=1,
        name="=HYPERLINK(1)",
        employer="한빛종합건설",
        trade="rebar",
        confidence="probable",
        reasons=("exit_weaker_than_entry",),
        since_at=NOON,
        last_at=NOON,
        last_zone="zone-01",
        last_terminal="gate-01",
        assurance=0,
    )
    terminal = TerminalView("gate-02", "후문", "zone-02", "offline", NOON, None, records_exits=True)
    count = Headcount("site-07", NOON, 1, 0, 1, 0, 0, 0, 4, (terminal,), (person,))
    given = {
        "site_code": "site-07",
        "site_name": "중앙체육관",
        "timezone": "Asia/Seoul",
        "language": "ko",
        "headcount": count,
        "people": (person,),
        "filtered": False,
        "asked_by": "안전 김",
        "printed_at": NOON,
    }
    return Sheet(**(given | more))


def test_csv_reads_in_a_spreadsheet_and_starts_no_formula() -> None:
    made = write(sheet(), "csv")
    assert made.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(made.decode("utf-8-sig"))))
    assert ["미수신", "3 이상"] in rows
    assert ["최대", "4, 그리고 12:00 이후 후문 통과자"] in rows
    assert ["기준 시각", "2026-11-23 12:00 Asia/Seoul"] in rows
    assert ["확인 필요한 단말기", "후문: 끊김"] in rows
    assert rows[-1][0] == "'=HYPERLINK(1)"
    assert rows[-1][2] == "철근공"
    assert "퇴장 태그의 인증이" in rows[-1][7]


def test_xlsx_holds_the_same_as_text() -> None:
    made = write(sheet(language="en"), "xlsx")
    rows = CalamineWorkbook.from_filelike(io.BytesIO(made)).get_sheet_by_index(0).to_python()
    flat = [str(cell) for row in rows for cell in row]
    assert "=HYPERLINK(1)" in flat
    assert "Probable" in flat
    assert "At most" in flat


@pytest.mark.parametrize("language", ["ko", "en"])
def test_pdf_is_made_with_the_bundled_font_only(language: str) -> None:
    made = write(sheet(language=language), "pdf")
    assert made.startswith(b"%PDF-")
    fonts = set(re.findall(rb"/BaseFont/(?:[A-Z]{6}\+)?([A-Za-z-]+)", made.replace(b" ", b"")))
    assert fonts
    assert all(font.startswith(b"Pretendard") for font in fonts), fonts


def test_a_bound_that_holds_is_one_number() -> None:
    heard = replace(sheet().headcount.terminals[0], freshness="fresh", not_received_at_most=3)
    made = write(sheet(language="en", headcount=replace(sheet().headcount, terminals=(heard,))), "csv")
    rows = list(csv.reader(io.StringIO(made.decode("utf-8-sig"))))
    assert ["Not received", "3"] in rows
    assert ["At most", "4"] in rows


def test_pdf_of_nobody_says_so() -> None:
    assert write(sheet(people=()), "pdf").startswith(b"%PDF-")


@pytest.mark.parametrize("form", ["csv", "xlsx", "pdf"])
def test_every_download_is_audited_before_it_is_sent(
    client_for: Callable[..., httpx.Client], site_engine: Engine, filled: FilledSite, form: str
) -> None:
    client = client_for("site:people:read", "site:headcount:read")
    for _ in range(2):
        answer = client.get(f"/sites/site-07/headcount.{form}", params={"employer": "두레철근"})
        assert answer.status_code == 200
        assert "headcount-site-07-" in answer.headers["content-disposition"]
    with read_session(site_engine) as session:
        sql = text("SELECT subject, detail FROM audit_event WHERE tag = 'people:export'")
        rows = list(session.execute(sql))
    assert [row.subject for row in rows] == [f"site:{filled.site_id}"] * 2
    assert rows[0].detail["form"] == form
    assert rows[0].detail["people"] == 8


def test_an_unknown_form_is_refused(client_for: Callable[..., httpx.Client]) -> None:
    assert client_for("site:people:read").get("/sites/site-07/headcount.doc").status_code == 422
