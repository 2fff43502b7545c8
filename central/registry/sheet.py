"""Reading a roll of workers from XLSX or CSV: limits first, then columns, then cells as text. No database."""

from __future__ import annotations

import csv
import difflib
import io
import re
import zipfile
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from python_calamine import CalamineError, CalamineWorkbook

from central.kit.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

FILE_BYTES_MAX = 20 * 1024 * 1024
UNPACKED_BYTES_MAX = 200 * 1024 * 1024
ROWS_MAX = 20_000
HEIGHT_MAX = 2 * ROWS_MAX
CELL_CHARS_MAX = 300
_FORMULA = re.compile(rb"<f[\s>/]")
_SCAN_BYTES = 1 << 20

COLUMNS: dict[str, tuple[str, ...]] = {
    "name": ("성명", "이름"),
    "employer": ("소속", "소속업체"),
    "trade": ("직종",),
    "from_on": ("시작일", "투입일"),
    "until_on": ("종료일",),
    "worker_no": ("근로자번호",),
    "language": ("언어",),
    "phone": ("전화", "전화번호"),
    "card_uid": ("카드UID",),
    "card_token": ("카드토큰",),
}
"""Column to its Korean headings.

`name`; `employer`: business number, or exact name of an employer of the site; `trade`: code, Korean or English name;
`from_on`: first day of the employment; `until_on`: first day after it; `worker_no`: the association's number;
`language`: e.g. ko, en, vi; `phone`; `card_uid`: the card's identity in hex, or `card_token`.
"""
REQUIRED = ("name", "employer", "trade", "from_on")


@dataclass(frozen=True, slots=True)
class SheetRow:
    """One row, by column; `number` is the row's number as the spreadsheet shows it."""

    number: int
    cells: dict[str, str]


def read_sheet(path: Path) -> list[SheetRow]:
    """Read the first sheet; raise `Invalid` for a wrong kind of file, too much of it, formulas or columns."""
    size = path.stat().st_size
    if size > FILE_BYTES_MAX:
        raise Invalid(f"{path.name} has {size:,} bytes: at most {FILE_BYTES_MAX:,}; split it")
    kind = path.suffix.lower()
    if kind == ".csv":
        rows = _csv_rows(path)
    elif kind == ".xlsx":
        rows = _xlsx_rows(path)
    else:
        raise Invalid(f"{path.name} is neither .xlsx nor .csv: save it as one of them")
    return _named(rows, file=path.name)


def _csv_rows(path: Path) -> Iterator[list[Any]]:
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        try:
            text = content.decode("cp949")  # what Korean spreadsheets write
        except UnicodeDecodeError as error:
            raise Invalid(f"{path.name} is neither UTF-8 nor CP949 text: save it as UTF-8 CSV") from error
    try:
        yield from csv.reader(io.StringIO(text, newline=""), strict=True)
    except csv.Error as error:
        raise Invalid(f"{path.name} is not readable as CSV ({error}): save it again as CSV") from error


def _xlsx_rows(path: Path) -> Iterator[list[Any]]:
    _check_archive(path)
    try:
        sheet = CalamineWorkbook.from_path(str(path)).get_sheet_by_index(0)
        if sheet.total_height > HEIGHT_MAX:  # blank rows between are allowed, within reason
            raise Invalid(f"{path.name} has {sheet.total_height:,} rows: at most {ROWS_MAX:,}; split it")
        yield from sheet.to_python(skip_empty_area=False)
    except CalamineError as error:
        raise Invalid(f"{path.name} is not readable as XLSX ({error}): save it again as XLSX") from error


def _check_archive(path: Path) -> None:
    """Refuse what unpacks to too much, and formulas: a value that depends on another program is no evidence."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(part.file_size for part in archive.infolist())
            if unpacked > UNPACKED_BYTES_MAX:
                raise Invalid(f"{path.name} unpacks to {unpacked:,} bytes: at most {UNPACKED_BYTES_MAX:,}; split it")
            for part in archive.namelist():
                if part.startswith("xl/worksheets/") and _has_formula(archive, part):
                    raise Invalid(f"{path.name} holds formulas: paste the values only, and save it again")
    except zipfile.BadZipFile as error:
        raise Invalid(f"{path.name} is no XLSX file: save it again as XLSX") from error


def _has_formula(archive: zipfile.ZipFile, part: str) -> bool:
    tail = b""
    with archive.open(part) as content:
        while block := content.read(_SCAN_BYTES):
            if _FORMULA.search(tail + block):
                return True
            tail = block[-2:]
    return False


def _named(rows: Iterable[Sequence[Any]], *, file: str) -> list[SheetRow]:
    source = iter(rows)
    columns = _columns([_text(cell) for cell in next(source, [])], file=file)
    found: list[SheetRow] = []
    for number, row in enumerate(source, 2):
        cells = {name: _cell(row, place, number=number, column=name) for name, place in columns.items()}
        if not any(cells.values()):
            continue
        if len(found) >= ROWS_MAX:
            raise Invalid(f"{file} has more than {ROWS_MAX:,} rows: split it")
        found.append(SheetRow(number, cells))
    if not found:
        raise Invalid(f"{file} has no rows under its headings: is the roll on the first sheet?")
    return found


def _columns(headings: Sequence[str], *, file: str) -> dict[str, int]:
    """Return where each column is; refuse unknown, repeated and missing ones, naming what was found and expected."""
    known = {alias.lower(): name for name, aliases in COLUMNS.items() for alias in (name, *aliases)}
    places: dict[str, int] = {}
    faults: list[str] = []
    for place, heading in enumerate(headings):
        name = known.get(heading.lower())
        if name is None and heading:
            near = difflib.get_close_matches(heading.lower(), list(known), n=1)
            faults.append(f"unknown column {heading!r}" + (f" (did you mean {near[0]!r}?)" if near else ""))
        elif name in places:
            faults.append(f"column {heading!r} stands twice")
        elif name is not None:
            places[name] = place
    faults += [f"missing column {name!r}" for name in REQUIRED if name not in places]
    if faults:
        found = ", ".join(heading or "(empty)" for heading in headings) or "nothing"
        expected = ", ".join(f"{name} ({'/'.join(aliases)})" for name, aliases in COLUMNS.items())
        raise Invalid(
            f"{file}: {'; '.join(faults)}. Found: {found}. Expected: {expected}; needed are {', '.join(REQUIRED)}"
        )
    return places


def _cell(row: Sequence[Any], place: int, *, number: int, column: str) -> str:
    text = _text(row[place]) if place < len(row) else ""
    if len(text) > CELL_CHARS_MAX:
        raise Invalid(f"row {number}, {column}: {len(text)} characters, at most {CELL_CHARS_MAX}")
    if text.startswith(("=", "@")):
        raise Invalid(f"row {number}, {column}: {text[:30]!r} is a formula: write the value itself")
    return text


def _text(cell: Any) -> str:  # noqa: ANN401 - whatever a spreadsheet cell may hold
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == datetime.min.time() else cell.isoformat()
    if isinstance(cell, date):
        return cell.isoformat()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()
