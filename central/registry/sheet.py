"""Reading a sheet from XLSX or CSV: limits first, then columns, then cells as text. No database."""

from __future__ import annotations

import csv
import difflib
import io
import unicodedata
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from central.kit.errors import Invalid
from central.kit.sentences import sentence
from central.registry import workbook
from central.registry.columns import ROLL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from central.registry.columns import Form

FILE_BYTES_MAX = 20 * 1024 * 1024
ROWS_MAX = 20_000
CELL_CHARS_MAX = 300
FILE_NAME_CHARS_MAX = 200
_FORMULA_SIGNS = ("=", "@")
_TAMED_SIGNS = ("=", "+", "-", "@")
_MIDNIGHT = datetime.min.time()


@dataclass(frozen=True, slots=True)
class SheetRow:
    """One row, by column; `number` is the row's number as the spreadsheet shows it."""

    number: int
    cells: dict[str, str]


def read_sheet(path: Path, form: Form = ROLL) -> list[SheetRow]:
    """Read a file; raise `Invalid` for a wrong kind of it, too much of it, formulas or columns."""
    check_size(path.name, path.stat().st_size)
    return read_content(path.read_bytes(), file=path.name, form=form)


def check_size(file: str, size_bytes: int) -> None:
    """Pass a file that is not too long."""
    if size_bytes > FILE_BYTES_MAX:
        raise Invalid(
            sentence(
                "%(file)s has %(bytes)s bytes: at most %(max)s; split it",
                file=file,
                bytes=f"{size_bytes:,}",
                max=f"{FILE_BYTES_MAX:,}",
            )
        )


def read_content(content: bytes, *, file: str, form: Form) -> list[SheetRow]:
    """Read the first sheet of a file's content, as `read_sheet` does."""
    check_size(file, len(content))
    kind = file.lower().rpartition(".")[2]
    if kind == "csv":
        rows = _csv_rows(content, file=file)
    elif kind == "xlsx":
        rows = workbook.rows_of(content, file=file)
    elif kind in {"xlsm", "xltm", "xlsb"}:
        raise Invalid(sentence("%(file)s may hold macros: save it as XLSX without them", file=file))
    else:
        raise Invalid(sentence("%(file)s is neither .xlsx nor .csv: save it as one of them", file=file))
    return _named(rows, file=file, form=form)


def _csv_rows(content: bytes, *, file: str) -> Iterator[list[Any]]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        try:
            text = content.decode("cp949")  # what Korean spreadsheets write
        except UnicodeDecodeError as error:
            raise Invalid(
                sentence("%(file)s is neither UTF-8 nor CP949 text: save it as UTF-8 CSV", file=file)
            ) from error
    try:
        for line in csv.reader(io.StringIO(text, newline=""), strict=True):
            yield [_as_meant(cell) for cell in line]
    except csv.Error as error:
        raise Invalid(
            sentence("%(file)s is not readable as CSV (%(why)s): save it again as CSV", file=file, why=str(error))
        ) from error


def _as_meant(cell: str) -> str:
    """Take off the sign by which an export made a spreadsheet see text: `'+82 10` was meant as `+82 10`."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_TAMED_SIGNS) else cell


def _named(rows: Iterable[Sequence[Any]], *, file: str, form: Form) -> list[SheetRow]:
    source = iter(rows)
    columns = _columns([_text(cell) for cell in next(source, [])], file=file, form=form)
    found: list[SheetRow] = []
    for number, row in enumerate(source, 2):
        width = len(row)
        cells = {name: text for name, place in columns if place < width and (text := _text(row[place]))}
        if not cells:
            continue
        if len(found) >= ROWS_MAX:
            raise Invalid(sentence("%(file)s has more than %(rows)s rows: split it", file=file, rows=f"{ROWS_MAX:,}"))
        for name, text in cells.items():
            if len(text) > CELL_CHARS_MAX or text.startswith(_FORMULA_SIGNS) or not text.isprintable():
                _refuse_cell(text, number=number, column=name)
        found.append(SheetRow(number, cells))
    if not found:
        raise Invalid(sentence("%(file)s has no rows under its headings: is the table on the first sheet?", file=file))
    return found


def _columns(headings: Sequence[str], *, file: str, form: Form) -> list[tuple[str, int]]:
    """Return where each column is; refuse unknown, repeated and missing ones, naming what was found and expected."""
    known = form.known()
    places: dict[str, int] = {}
    faults: list[str] = []
    for place, heading in enumerate(headings):
        name = known.get(heading.lower())
        if name is None and heading:
            near = difflib.get_close_matches(heading.lower(), list(known), n=1)
            faults.append(f"unknown column {heading[:60]!r}" + (f" (did you mean {near[0]!r}?)" if near else ""))
        elif name in places:
            faults.append(f"column {heading!r} stands twice")
        elif name is not None:
            places[name] = place
    faults += [f"missing column {name!r}" for name in form.needed if name not in places]
    if faults:
        raise Invalid(
            sentence(
                "%(file)s: %(faults)s. Found: %(found)s. Expected: %(expected)s; needed are %(needed)s",
                file=file,
                faults="; ".join(faults[:20]),
                found=", ".join(heading[:60] or "(empty)" for heading in headings) or "nothing",
                expected=", ".join(f"{column.name} ({'/'.join(column.korean)})" for column in form.columns),
                needed=", ".join(form.needed),
            )
        )
    return list(places.items())


def _refuse_cell(text: str, *, number: int, column: str) -> None:
    about: dict[str, str | int] = {"row": number, "column": column}
    if len(text) > CELL_CHARS_MAX:
        raise Invalid(
            sentence(
                "row %(row)s, %(column)s: %(chars)s characters, at most %(max)s",
                **about,
                chars=len(text),
                max=CELL_CHARS_MAX,
            )
        )
    if text.startswith(_FORMULA_SIGNS):
        raise Invalid(
            sentence(
                "row %(row)s, %(column)s: %(text)s is a formula: write the value itself", **about, text=repr(text[:30])
            )
        )
    raise Invalid(sentence("row %(row)s, %(column)s holds hidden characters: type the value anew", **about))


def _text(cell: Any) -> str:  # noqa: ANN401 - whatever a spreadsheet cell may hold
    """Write a cell as text, trimmed, with composed characters: some programs write 한 as ㅎ, ㅏ and ㄴ."""
    if isinstance(cell, str):
        if cell.isascii():
            return " ".join(cell.split())
        return " ".join(unicodedata.normalize("NFC", cell.replace("\u200b", "").replace("\ufeff", "")).split())
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == _MIDNIGHT else cell.isoformat()
    if isinstance(cell, date):
        return cell.isoformat()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()
