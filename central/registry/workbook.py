"""Opening an XLSX file that may be hostile: every part is unpacked here, counted, and only then given to the reader.

An archive's own word is not believed, neither about its sizes nor about which of its parts is a sheet. What looks
harmless here and still asks for more memory than there is ends with the process that reads it (`reading`).
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

from python_calamine import CalamineError, CalamineWorkbook

from central.kit.errors import Invalid
from central.kit.sentences import sentence

if TYPE_CHECKING:
    from collections.abc import Iterator

UNPACKED_BYTES_MAX = 100 * 1024 * 1024
PARTS_MAX = 1_000
COLUMNS_MAX = 52
ROWS_MAX = 99_999
"""Blank rows between are allowed, within reason; how many filled rows is the reader's own limit."""
_BLOCK_BYTES = 1 << 20
_SHEET = re.compile(rb"<(?:[^<>\s:]+:)?sheetData[\s>/]")
"""Whatever its name: the workbook may point at any part."""
_FORMULA = re.compile(rb"<(?:[^<>\s:]+:)?f[\s>/]")
_FAR_OUT = re.compile(rb"""\br\s*=\s*["'](?:[A-Za-z]{0,3}\d{6,}|[B-Zb-z][A-Za-z]+\d|[A-Za-z]{3,}\d)""")
"""A cell beyond column AZ or a row beyond 99,999."""
_MACROS = ("xl/vbaproject.bin", "xl/macrosheets/")
_OTHER_KINDS = {"xl/workbook.bin", "content.xml"}
"""What makes the reader take an archive for XLSB or ODS, whose formulas stand elsewhere."""


def rows_of(content: bytes, *, file: str) -> Iterator[list[Any]]:
    """Give the first sheet's rows. Raises `Invalid` saying what is wrong with the file and what to do."""
    clean = _unpacked(content, file=file)
    try:
        with CalamineWorkbook.from_filelike(clean) as book:
            sheet = book.get_sheet_by_index(0)
            yield from sheet.to_python(skip_empty_area=False)
    except CalamineError as error:
        raise Invalid(
            sentence("%(file)s is not readable as XLSX (%(why)s): save it again as XLSX", file=file, why=str(error))
        ) from error


def _unpacked(content: bytes, *, file: str) -> io.BytesIO:
    """Pack the parts anew, stored and counted: what the reader opens is what was looked at here."""
    clean = io.BytesIO()
    left = UNPACKED_BYTES_MAX
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(clean, "w") as again:
            parts = archive.infolist()
            _check_parts([part.filename for part in parts], file=file)
            for part in parts:
                body = _body(archive, part, bytes_max=left, file=file)
                left -= len(body)
                if _SHEET.search(body):
                    _check_cells(body, file=file)
                again.writestr(part.filename, body)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise Invalid(sentence("%(file)s is no XLSX file: save it again as XLSX", file=file)) from error
    clean.seek(0)
    return clean


def _check_parts(names: list[str], *, file: str) -> None:
    known = {name.lower() for name in names}
    if len(names) > PARTS_MAX or len(known) != len(names):
        raise Invalid(sentence("%(file)s is no XLSX file: save it again as XLSX", file=file))
    if any(name.startswith(_MACROS) for name in known):
        raise Invalid(sentence("%(file)s holds macros: save it as XLSX without them", file=file))
    workbook = any(name.startswith("xl/workbook") for name in known)
    if "[content_types].xml" not in known or not workbook or known & _OTHER_KINDS:
        raise Invalid(sentence("%(file)s is no XLSX file: save it again as XLSX", file=file))


def _body(archive: zipfile.ZipFile, part: zipfile.ZipInfo, *, bytes_max: int, file: str) -> bytes:
    """Unpack one part, no further than allowed whatever its header says."""
    too_much = sentence(
        "%(file)s unpacks to more than %(max)s bytes: split it", file=file, max=f"{UNPACKED_BYTES_MAX:,}"
    )
    if part.file_size > bytes_max:
        raise Invalid(too_much)
    found = io.BytesIO()
    with archive.open(part) as source:
        while block := source.read(_BLOCK_BYTES):
            if found.tell() + len(block) > bytes_max:
                raise Invalid(too_much)
            found.write(block)
    return found.getvalue()


def _check_cells(body: bytes, *, file: str) -> None:
    """Refuse formulas (a value that depends on another program is no evidence) and cells far out."""
    if _FORMULA.search(body):
        raise Invalid(sentence("%(file)s holds formulas: paste the values only, and save it again", file=file))
    if _FAR_OUT.search(body):
        raise Invalid(
            sentence(
                "%(file)s has cells beyond column AZ or row %(rows)s: delete the empty columns and rows around the"
                " table, or split it",
                file=file,
                rows=f"{ROWS_MAX:,}",
            )
        )
