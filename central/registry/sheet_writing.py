"""Writing sheets: CSV for spreadsheets and XLSX, in which no cell can become a formula."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import xlsxwriter  # type: ignore[import-untyped]  # ships no types
from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")


def answer(lines: Iterable[Sequence[str]], *, name: str, form: str) -> Response:
    """Answer with a file; `name` is without its ending."""
    body, kind = (csv_of(lines), "text/csv; charset=utf-8") if form == "csv" else (xlsx_of(lines), XLSX)
    headers = {"Content-Disposition": f'attachment; filename="{name}.{form}"', "Cache-Control": "no-store"}
    return Response(body, media_type=kind, headers=headers)


def csv_of(lines: Iterable[Sequence[str]]) -> bytes:
    """Write CSV for spreadsheets: a cell that they would run as a formula is text instead."""
    out = io.StringIO(newline="")
    csv.writer(out).writerows([[tame(cell) for cell in line] for line in lines])
    return out.getvalue().encode("utf-8-sig")


def tame(cell: str) -> str:
    """Return a cell that no spreadsheet runs."""
    return f"'{cell}" if cell.startswith(_FORMULA_SIGNS) else cell


def xlsx_of(lines: Iterable[Sequence[str]]) -> bytes:
    """Write XLSX with every cell as text."""
    out = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(out, options) as book:
        page = book.add_worksheet()
        for number, line in enumerate(lines):
            for place, cell in enumerate(line):
                page.write_string(number, place, cell)
    return out.getvalue()
