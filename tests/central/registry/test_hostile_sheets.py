"""Files that mean harm, or are merely odd: each is refused or read in bounded memory, with a sentence."""

from __future__ import annotations

import contextlib
import csv
import io
import random
import resource
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest
import xlsxwriter  # type: ignore[import-untyped]  # it ships no types
from hypothesis import given
from hypothesis import strategies as st

from central.kit.errors import Invalid
from central.kit.sentences import packed
from central.registry import reading, sheet, workbook
from central.registry.columns import CONTRACTS, ROLL

HEADINGS = ["name", "employer", "trade", "from_on"]
ROW = ["김", "한빛", "rebar", "2026-11-01"]


def book(rows: Sequence[Sequence[object]] = (HEADINGS, ROW)) -> bytes:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as made:
        page = made.add_worksheet()
        for number, row in enumerate(rows):
            page.write_row(number, 0, row)
    return out.getvalue()


def with_part(content: bytes, name: str, body: bytes) -> bytes:
    """Add a part to an archive, or put another in its place."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.namelist():
            if part != name:
                new.writestr(part, old.read(part))
        new.writestr(name, body)
    return out.getvalue()


def sheet_xml(cells: str) -> bytes:
    head = '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
    return f"{head}{cells}</sheetData></worksheet>".encode()


def refused(content: bytes, match: str, file: str = "a.xlsx") -> None:
    with pytest.raises(Invalid, match=match):
        sheet.read_content(content, file=file, form=ROLL)


def with_sheet_elsewhere(cells: str) -> bytes:
    """Let the workbook point at a part outside of the folder in which sheets stand."""
    name = "xl/_rels/workbook.xml.rels"
    with zipfile.ZipFile(io.BytesIO(book())) as archive:
        relations = archive.read(name).replace(b"worksheets/sheet1.xml", b"other/s.xml")
    return with_part(with_part(book(), "xl/other/s.xml", sheet_xml(cells)), name, relations)


def test_a_plain_sheet_is_read() -> None:
    rows = [sheet.SheetRow(2, dict(zip(HEADINGS, ROW, strict=True)))]
    assert sheet.read_content(book(), file="a.XLSX", form=ROLL) == rows
    assert reading.read(book(), file="a.XLSX", form=ROLL) == rows


def test_a_file_that_cannot_be_read_is_refused_with_the_same_sentence_from_the_process_that_reads() -> None:
    with pytest.raises(Invalid) as here:
        sheet.read_content(book([["nope"]]), file="명단.xlsx", form=ROLL)
    with pytest.raises(Invalid) as there:
        reading.read(book([["nope"]]), file="명단.xlsx", form=ROLL)
    assert packed(there.value.message) == packed(here.value.message)


SCATTERED = "".join(
    ('<row r="1">', "<c><v>1</v></c>" * 20_000, '</row><row r="99999"><c r="A99999"><v>1</v></c></row>')
)
"""Cells that do not say where they are: 20,000 side by side, and a row far below."""
LONG = "<si><t>{}</t></si>".format("x" * 500_000)
"""One text behind every cell."""


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(with_part(book(), "xl/worksheets/sheet1.xml", sheet_xml(SCATTERED)), id="cells without a place"),
        pytest.param(
            with_part(
                with_part(book(), "xl/sharedStrings.xml", f"<sst>{LONG}</sst>".encode()),
                "xl/worksheets/sheet1.xml",
                sheet_xml('<row r="1">{}</row>'.format('<c t="s"><v>0</v></c>' * 50_000)),
            ),
            id="one text many times",
        ),
    ],
)
def test_a_file_that_asks_for_more_memory_than_there_is_ends_nothing_but_its_own_reading(content: bytes) -> None:
    """Mutant: read it in the process that serves pages. The reader asks for 64 GB, and is ended at once."""
    with pytest.raises(Invalid, match=r"a\.xlsx takes more memory or time than a sheet may"):
        reading.read(content, file="a.xlsx", form=ROLL)


@pytest.mark.parametrize(
    ("cells", "match"),
    [
        ('<row r="1"><c r="XFD1048576"><v>1</v></c></row>', "cells beyond column AZ or row"),
        ('<row r="1"><c r="A1"><f>1+1</f><v>2</v></c></row>', "holds formulas"),
        ('<row r="1"><x-y:c r="A1"><x-y:f>1+1</x-y:f><v>2</v></x-y:c></row>', "holds formulas"),
    ],
)
def test_a_sheet_is_looked_at_wherever_the_workbook_keeps_it(cells: str, match: str) -> None:
    """Mutant: look at the parts in `xl/worksheets/` only."""
    refused(with_sheet_elsewhere(cells), match)


@pytest.mark.parametrize("part", ["xl/workbook.bin", "content.xml", "XL/Workbook.bin"])
def test_another_kind_of_workbook_under_this_name_is_refused(part: str) -> None:
    refused(with_part(book(), part, b"x"), "no XLSX file")


@pytest.mark.parametrize("name", ["a.xlsm", "a.xltm", "a.xlsb"])
def test_a_file_that_may_hold_macros_is_refused_by_its_name(name: str) -> None:
    refused(book(), "may hold macros", file=name)


@pytest.mark.parametrize("part", ["xl/vbaProject.bin", "xl/macrosheets/sheet1.xml", "XL/VBAPROJECT.BIN"])
def test_macros_under_another_name_are_refused(part: str) -> None:
    refused(with_part(book(), part, b"x"), "holds macros")


@pytest.mark.parametrize("formula", ["<f>1+1</f>", "<f t='shared'/>", "<x:f >A1</x:f>", "<f\n>1</f>"])
def test_a_formula_is_refused_however_it_is_written(formula: str) -> None:
    body = sheet_xml(f'<row r="1"><c r="A1">{formula}<v>2</v></c></row>')
    refused(with_part(book(), "xl/worksheets/sheet1.xml", body), "holds formulas")


@pytest.mark.parametrize("cell", ["=1+1", "@SUM(A1)", '=cmd|" /C calc"!A0'])
def test_a_formula_as_text_is_refused_in_csv(cell: str) -> None:
    out = io.StringIO()
    csv.writer(out).writerows([HEADINGS, [cell, *ROW[1:]]])
    refused(out.getvalue().encode(), "is a formula", file="a.csv")


def test_a_zip_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = with_part(book(), "xl/media/image1.png", bytes(workbook.UNPACKED_BYTES_MAX + 1))
    assert len(bomb) < 1_000_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(bomb, "unpacks to more than")
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 50_000


def test_an_archive_that_lies_about_its_sizes_is_refused_or_cut_to_its_word() -> None:
    """Mutant: hand the file to the reader as it came."""
    size, claimed = workbook.UNPACKED_BYTES_MAX * 2, 100
    body = bytes(size)
    packed = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = packed.compress(body) + packed.flush()
    honest = with_part(book(), "xl/worksheets/sheet1.xml", b"?" * 100)
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(honest)) as old, zipfile.ZipFile(out, "w") as new:
        for part in old.namelist():
            if part != "xl/worksheets/sheet1.xml":
                new.writestr(part, old.read(part))
        info = zipfile.ZipInfo("xl/worksheets/sheet1.xml")
        info.compress_type = zipfile.ZIP_DEFLATED
        new.writestr(info, body[:claimed])
    lying = bytearray(out.getvalue())
    with zipfile.ZipFile(io.BytesIO(bytes(lying))) as archive:
        entry = archive.getinfo("xl/worksheets/sheet1.xml")
        start = entry.header_offset + 30 + len(entry.filename)
        old_size = entry.compress_size
        directory = archive.start_dir
    lying[start : start + old_size] = data
    moved = len(data) - old_size
    struct.pack_into("<I", lying, entry.header_offset + 18, len(data))
    directory += moved
    at = lying.rindex(b"PK\x01\x02")
    struct.pack_into("<I", lying, at + 20, len(data))
    end = lying.rindex(b"PK\x05\x06")
    struct.pack_into("<I", lying, end + 16, directory)
    refused(bytes(lying), "a.xlsx")


@pytest.mark.parametrize(
    "cells",
    [
        '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>',
        "<row r='1'><c r='XFD1'><v>1</v></c></row>",
        '<row r="1"><c r = "BA1"><v>1</v></c></row>',
        '<row r="100000"/>',
        '<row r="1"><c r="a100000"><v>1</v></c></row>',
    ],
)
def test_a_cell_far_out_is_refused_before_a_table_is_laid_out(cells: str) -> None:
    refused(with_part(book(), "xl/worksheets/sheet1.xml", sheet_xml(cells)), "cells beyond column AZ or row")


def test_a_hundred_thousand_rows_are_refused_in_both_kinds_of_file() -> None:
    lines = ["name,employer,trade,from_on", *["김,한빛,rebar,2026-11-01"] * 100_000]
    refused("\n".join(lines).encode(), "more than 20,000 rows", file="a.csv")
    rows = "".join(f'<row r="{n}"><c r="A{n}"><v>{n}</v></c></row>' for n in range(1, 100_001))
    refused(with_part(book(), "xl/worksheets/sheet1.xml", sheet_xml(rows)), "cells beyond column AZ or row 99,999")


@pytest.mark.parametrize(
    ("content", "file", "match"),
    [
        (b"not a zip", "a.xlsx", "no XLSX file"),
        (b"", "a.xlsx", "no XLSX file"),
        (b"\xd0\xcf\x11\xe0old", "a.xls", r"neither \.xlsx nor \.csv"),
        (b"%PDF-1.7", "roll.pdf", r"neither \.xlsx nor \.csv"),
        (b"\xff\xfe\x00\xd8", "a.csv", "neither UTF-8 nor CP949"),
        (b"", "a.csv", "Found: nothing"),
        (b'name,"emp', "a.csv", "not readable as CSV"),
        (b"name,employer,trade,from_on\n", "a.csv", "no rows under its headings"),
        (b"name,employer,trade,from_on\na\0b,c,d,e\n", "a.csv", "hidden characters"),
        ("name,employer,trade,from_on\na\u202eb,c,d,e\n".encode(), "a.csv", "hidden characters"),
    ],
)
def test_what_is_no_sheet_at_all_is_refused_with_a_sentence(content: bytes, file: str, match: str) -> None:
    refused(content, match, file=file)


def test_an_archive_of_something_else_is_refused() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("word/document.xml", "x")
    refused(out.getvalue(), "no XLSX file")
    twice = io.BytesIO()
    with zipfile.ZipFile(twice, "w") as archive:
        archive.writestr("[Content_Types].xml", "x")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("[Content_Types].xml", "y")
    refused(twice.getvalue(), "no XLSX file")


def test_too_long_a_file_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"x" * 101)
    monkeypatch.setattr(sheet, "FILE_BYTES_MAX", 100)
    with pytest.raises(Invalid, match="at most 100; split it"):
        sheet.read_sheet(path)


NAMES = ["김철수", "Nguyễn Văn Ánh", "สมชาย ใจดี", "O'Neill-Łukasz", "남궁 민", "Батбаяр", "ខៀវ សុខា"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_of_every_script_are_the_same_however_they_were_composed(name: str, form: str) -> None:
    """A Mac writes 김 as three letters, a form as one: the same person would not be found again."""
    written = unicodedata.normalize(form, name)  # type: ignore[arg-type]  # one of its words
    for content, file in ((book([HEADINGS, [written, *ROW[1:]]]), "a.xlsx"), (csv_of(written), "a.csv")):
        assert sheet.read_content(content, file=file, form=ROLL)[0].cells["name"] == unicodedata.normalize("NFC", name)


def csv_of(name: str) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows([HEADINGS, [name, *ROW[1:]]])
    return out.getvalue().encode()


def test_blanks_of_every_kind_are_one_blank() -> None:
    found = sheet.read_content(csv_of("  Nguyễn\u00a0 Văn\u200b "), file="a.csv", form=ROLL)
    assert found[0].cells["name"] == "Nguyễn Văn"


def test_every_heading_of_both_forms_is_understood_in_both_languages() -> None:
    for form in (ROLL, CONTRACTS):
        for language in ("ko", "en"):
            headings = form.headings(language)
            row = sheet.read_content(
                "\n".join([",".join(headings), ",".join("1" for _ in headings)]).encode(), file="a.csv", form=form
            )[0]
            assert list(row.cells) == [column.name for column in form.columns]


@given(st.binary(max_size=300), st.sampled_from(["a.xlsx", "a.csv"]))
def test_any_bytes_are_read_or_refused(content: bytes, file: str) -> None:
    with contextlib.suppress(Invalid):
        sheet.read_content(content, file=file, form=ROLL)


def test_a_good_file_with_bytes_changed_anywhere_is_read_or_refused() -> None:
    good, pick = book(), random.Random(7)
    for _ in range(300):
        bad = bytearray(good)
        for _ in range(pick.randint(1, 4)):
            bad[pick.randrange(len(bad))] = pick.randrange(256)
        try:
            sheet.read_content(bytes(bad), file="a.xlsx", form=ROLL)
        except Invalid:
            continue
