"""Tables that people take along: CSV and XLSX in which no cell can start a formula."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Literal

import xlsxwriter  # type: ignore[import-untyped]  # ships no types
from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Form = Literal["csv", "xlsx"]
MEDIA_TYPES: dict[Form, str] = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_XLSX_OPTIONS = {
    "in_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}


def answer(lines: Iterable[Sequence[str]], *, form: Form, name: str) -> Response:
    """Answer with a file `name.form`; the first line names the columns."""
    headers = {"Content-Disposition": f'attachment; filename="{name}.{form}"', "Cache-Control": "no-store"}
    body = csv_of(lines) if form == "csv" else xlsx_of(lines)
    return Response(body, media_type=MEDIA_TYPES[form], headers=headers)


def csv_of(lines: Iterable[Sequence[str]]) -> bytes:
    """Write CSV with a byte-order mark, so that spreadsheet programs read Korean."""
    out = io.StringIO(newline="")
    csv.writer(out).writerows([[harmless(cell) for cell in line] for line in lines])
    return out.getvalue().encode("utf-8-sig")


def harmless(cell: str) -> str:
    """Return a cell that no spreadsheet program runs as a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA_STARTS) else cell


def xlsx_of(lines: Iterable[Sequence[str]]) -> bytes:
    """Write a workbook of one sheet, its first line fixed at the top and bold."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, _XLSX_OPTIONS) as book:
        sheet, bold = book.add_worksheet(), book.add_format({"bold": True})
        for number, line in enumerate(lines):
            for column, cell in enumerate(line):
                sheet.write_string(number, column, cell, bold if number == 0 else None)
        sheet.freeze_panes(1, 0)
    return out.getvalue()
