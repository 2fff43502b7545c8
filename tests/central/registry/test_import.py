from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

import httpx
import psycopg
import pytest
import xlsxwriter  # type: ignore[import-untyped]  # it ships no types
from sqlalchemy import Engine, event, text
from typer.testing import CliRunner, Result

from central.audit.service import verify_chain
from central.cli import app
from central.kit.db import read_session, write_session
from central.kit.errors import Invalid
from central.registry import sheet
from central.registry.guesses import Guesses
from central.registry.intake import take_roll
from central.registry.places import site_by_code
from simulators.clocks import HandClock

HEADINGS = ["name", "employer", "trade", "from_on", "worker_no", "card_uid"]
Import = Callable[..., Result]


def write_xlsx(path: Path, rows: Sequence[Sequence[object]]) -> Path:
    book = xlsxwriter.Workbook(str(path))
    page = book.add_worksheet()
    day = book.add_format({"num_format": "yyyy-mm-dd"})
    for number, row in enumerate(rows):
        for place, cell in enumerate(row):
            if isinstance(cell, date):
                page.write_datetime(number, place, cell, day)
            else:
                page.write(number, place, cell)
    book.close()
    return path


@pytest.fixture
def run_import(
    monkeypatch: pytest.MonkeyPatch, database_url: str, tmp_path: Path, site_seven: dict[str, int]
) -> Import:
    assert site_seven
    key = tmp_path / "card.key"
    key.write_text("ab" * 32)
    monkeypatch.setenv("CCS_DATABASE_URL", database_url)
    monkeypatch.setenv("CCS_CARD_KEY_FILE", str(key))
    monkeypatch.setenv("COLUMNS", "300")

    def run(path: Path, *more: str, site: str = "site-07") -> Result:
        return CliRunner().invoke(app, ["import", str(path), "--site", site, *more])

    return run


def counts(database_url: str) -> tuple[int, ...]:
    query = "SELECT (SELECT count(*) FROM registry_{}) , (SELECT count(*) FROM registry_{}), (SELECT count(*) FROM {})"
    with psycopg.connect(database_url) as connection:
        row = connection.execute(query.format("worker", "employment", "registry_card_assignment").encode()).fetchone()
    assert row is not None
    return tuple(row)


ROLL: list[Sequence[object]] = [
    HEADINGS,
    ["김철수", "Hanbit", "철근공", date(2026, 11, 1), 1001, "04A1B2C3"],
    ["Nguyen Van A", "124-81-00998", "scaffolder", "2026-11-02", "1002", "04A1B2C4"],
    ["", "", "", "", "", ""],
    ["이영희", "Hanbit", "Rebar fixer", "2026. 11. 3.", "", ""],
]


def test_a_roll_is_taken_once_however_often_it_is_imported(
    run_import: Import, database_url: str, tmp_path: Path, operator: httpx.Client
) -> None:
    path = write_xlsx(tmp_path / "roll.xlsx", ROLL[:3])
    first = run_import(path)
    assert first.exit_code == 0, first.output
    assert "2 rows taken: 2 new workers, 2 employments, 2 cards" in first.stdout
    again = run_import(path)
    assert "2 rows taken: nothing new; 2 rows were already there" in again.stdout
    assert counts(database_url) == (2, 2, 2)
    found = operator.get("workers", params={"worker_no": "1001"}).json()["items"][0]
    assert found["name"] == "김철수"
    roll = operator.get("sites/site-07/employments").json()["items"]
    assert [(row["trade"], row["from_on"]) for row in roll] == [("rebar", "2026-11-01"), ("scaffolder", "2026-11-02")]


def test_a_dry_run_says_what_would_come_and_takes_nothing(
    run_import: Import, database_url: str, tmp_path: Path
) -> None:
    result = run_import(write_xlsx(tmp_path / "roll.xlsx", ROLL), "--dry-run")
    assert result.exit_code == 0, result.output
    assert "3 rows would be taken: 3 new workers, 3 employments, 2 cards" in result.stdout
    assert counts(database_url) == (0, 0, 0)


def test_wrong_rows_are_named_by_their_numbers_and_nothing_is_taken(
    run_import: Import, database_url: str, tmp_path: Path
) -> None:
    rows = [
        *ROLL,
        ["박", "Nobody Ltd", "rebar", "2026-11-01", "", ""],
        ["최", "Hanbit", "rebbar", "2026-11-01", "", ""],
        ["정", "Hanbit", "rebar", "next week", "", ""],
        ["강", "Hanbit", "rebar", "2026-11-01", "", "04A1B2C3"],
        ["Other", "Hanbit", "rebar", "2026-11-01", "1001", ""],
    ]
    result = run_import(write_xlsx(tmp_path / "roll.xlsx", rows))
    assert result.exit_code == 1
    for said in (
        "row 6: employer 'Nobody Ltd' does not work on this site",
        "row 7: the trade 'rebbar' is unknown (did you mean 'rebar'?)",
        "row 8: from_on is 'next week': expected a date",
        "row 9: the card belongs to row 2, which is under another name",
        "row 10: the worker number belongs to row 2, which is under another name",
        "5 rows are wrong, so nothing was taken",
    ):
        assert said in result.stderr, result.stderr
    assert counts(database_url) == (0, 0, 0)


def test_a_row_that_contradicts_what_is_registered_or_a_row_above_it_is_named(
    run_import: Import, database_url: str, tmp_path: Path
) -> None:
    assert run_import(write_xlsx(tmp_path / "first.xlsx", ROLL[:3])).exit_code == 0
    rows = [
        HEADINGS,
        ["Other", "Hanbit", "rebar", "2026-11-01", "1001", ""],
        ["Other", "Hanbit", "rebar", "2026-11-01", "", "04A1B2C3"],
        ["Other", "Hanbit", "rebar", "2026-11-01", "1009", "04A1B2C3"],
        ["김철수", "Hanbit", "scaffolder", "2026-11-20", "1001", ""],
        ["Early", "Hanbit", "rebar", "2025-12-31", "", ""],
        ["New", "Hanbit", "rebar", "2026-11-01", "1010", "04A1B2FF"],
        ["New", "Hanbit", "painter", "2026-11-02", "1010", "04A1B2FF"],
        ["New", "Hanbit", "rebar", "2026-11-01", "1010", "04A1B2FF"],
    ]
    said = run_import(write_xlsx(tmp_path / "second.xlsx", rows)).stderr
    for expected in (
        "row 2: the worker number belongs to somebody who is registered under another name",
        "row 3: the card belongs to somebody who is registered under another name",
        "row 4: the card belongs to another worker now",
        "row 5: the worker already has an employer on this site in that period",
        "does not work on this site on 2025-12-31",
        "row 8: the worker already has an employer on this site in that period",
        "6 rows are wrong, so nothing was taken",
    ):
        assert expected in said, said
    assert counts(database_url) == (2, 2, 2)
    kept = [row for number, row in enumerate(rows, 1) if number in {1, 7, 9}]
    again = run_import(write_xlsx(tmp_path / "third.xlsx", kept))
    assert "2 rows taken: 1 new workers, 1 employments, 1 cards; 1 rows were already there" in again.stdout


def test_a_long_roll_costs_the_database_no_more_questions_than_a_short_one(
    central_engine: Engine, site_seven: dict[str, int], hand_clock: HandClock
) -> None:
    """Mutant: look each row up, or write each row, with a statement of its own."""
    assert site_seven
    asked: list[str] = []
    event.listen(central_engine, "after_cursor_execute", lambda *about: asked.append(about[2]))

    def statements(rows: int, start: int) -> int:
        asked.clear()
        roll = [
            sheet.SheetRow(
                number,
                {"name": f"w{number}", "employer": "Hanbit", "trade": "rebar", "from_on": "2026-11-01"}
                | {"worker_no": str(number), "card_token": f"{number:032x}"},
            )
            for number in range(start, start + rows)
        ]
        with write_session(central_engine) as session:
            site = site_by_code(session, code="site-07")
            guesses = Guesses(central_engine, "system:test", None, now=hand_clock.now())
            given = {"site": site, "file": "a.csv", "card_key": None, "actor": "system:test", "guesses": guesses}
            taken = take_roll(session, roll, **given, now=hand_clock.now())  # type: ignore[arg-type]  # as named
        assert taken.counts == {"workers": rows, "employments": rows, "cards": rows}
        return len(asked)

    few = statements(10, 100)
    many = statements(1_000, 1_000)
    assert many <= few + 10
    with read_session(central_engine) as session:
        assert verify_chain(session).broken_at is None
        query = text("SELECT sum(jsonb_array_length(detail->'workers')) FROM audit_event WHERE tag = 'worker:create'")
        named = session.execute(query).scalar()
    assert named == 1_010


def test_a_wrong_column_is_answered_with_the_columns_found_and_expected(
    run_import: Import, database_url: str, tmp_path: Path
) -> None:
    path = write_xlsx(tmp_path / "roll.xlsx", [["name", "employer", "trad", "from_on"], ["김", "Hanbit", "rebar", ""]])
    result = run_import(path)
    assert result.exit_code == 1
    said = " ".join(result.stderr.split())
    assert "unknown column 'trad' (did you mean 'trade'?); missing column 'trade'" in said
    assert "Found: name, employer, trad, from_on. Expected: name (성명/이름), employer" in said
    assert counts(database_url) == (0, 0, 0)


def test_an_unknown_site_is_said(run_import: Import, tmp_path: Path) -> None:
    result = run_import(write_xlsx(tmp_path / "roll.xlsx", ROLL), site="site-99")
    assert result.exit_code == 1
    assert "no such site" in result.stderr


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp949"])
def test_a_csv_with_korean_headings_is_read_in_both_encodings(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "roll.csv"
    path.write_text("성명,소속,직종,시작일\n김철수,한빛,철근공,2026-11-01\n", encoding=encoding)
    rows = sheet.read_sheet(path)
    assert rows == [
        sheet.SheetRow(2, {"name": "김철수", "employer": "한빛", "trade": "철근공", "from_on": "2026-11-01"})
    ]


def test_formulas_are_refused_in_both_kinds_of_file(tmp_path: Path) -> None:
    book = xlsxwriter.Workbook(str(tmp_path / "f.xlsx"))
    page = book.add_worksheet()
    page.write_row(0, 0, HEADINGS)
    page.write_formula(1, 0, '=HYPERLINK("x")')
    book.close()
    with pytest.raises(Invalid, match="holds formulas"):
        sheet.read_sheet(tmp_path / "f.xlsx")
    (tmp_path / "f.csv").write_text("name,employer,trade,from_on\n=1+1,a,b,c\n")
    with pytest.raises(Invalid, match=r"row 2, name: '=1\+1' is a formula"):
        sheet.read_sheet(tmp_path / "f.csv")


def test_nothing_begins_by_a_sheet_on_a_site_that_was_closed_by_then(
    run_import: Import, database_url: str, tmp_path: Path
) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE registry_site SET closed_on = '2026-11-02'")
    refused = run_import(write_xlsx(tmp_path / "roll.xlsx", ROLL[:3]))
    assert refused.exit_code == 1
    assert "row 3: the site is closed from 2026-11-02 on, so nothing begins there on 2026-11-02" in refused.output
    assert "row 2:" not in refused.output
    assert counts(database_url) == (0, 0, 0)
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE registry_site SET closed_on = NULL")
    assert run_import(tmp_path / "roll.xlsx").exit_code == 0
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE registry_site SET closed_on = '2026-11-02'")
    assert "2 rows were already there" in run_import(tmp_path / "roll.xlsx").output, "what is there begins no more"
