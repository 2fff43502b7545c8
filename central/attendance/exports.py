"""The list of who is inside as CSV, XLSX and PDF: each says of when it is and how much it doubts."""

from __future__ import annotations

import io
import json
import threading
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

import typst
import xlsxwriter  # type: ignore[import-untyped]  # ships no types

from central.attendance import wording
from central.attendance.headcount import TROUBLED
from central.kit import tables
from central.kit.i18n import date_time, gettext

if TYPE_CHECKING:
    from central.attendance.headcount import Headcount, Person

Form = Literal["csv", "xlsx", "pdf"]
MEDIA_TYPES: dict[Form, str] = tables.MEDIA_TYPES | {"pdf": "application/pdf"}
FONTS = Path(__file__).parent.parent / "kit" / "fonts"
DOCUMENT = Path(__file__).parent / "templates" / "headcount.typ"


@dataclass(frozen=True, slots=True)
class Sheet:
    """What an export is made of. `people` may be fewer than the headcount's when a filter was set."""

    site_code: str
    site_name: str
    timezone: str
    language: str
    headcount: Headcount
    people: tuple[Person, ...]
    filtered: bool
    asked_by: str
    printed_at: datetime
    true_at: datetime | None = None
    known_at: datetime | None = None

    def say(self, message: str, **values: object) -> str:
        """Translate into the sheet's language."""
        return gettext(self.language, message, **values)

    def when(self, at: datetime) -> str:
        """Write an instant as the site's wall clock."""
        return date_time(at, self.timezone)

    @property
    def beyond(self) -> str:
        """Who may be inside beyond "at most", to be written after the number; empty when nobody."""
        return wording.beyond(self.language, self.headcount, timezone=self.timezone)


def file_name(sheet: Sheet, form: str) -> str:
    """Name the file after site and instant: `headcount-site-07-20261122-0941.pdf`."""
    local = sheet.headcount.as_of.astimezone(ZoneInfo(sheet.timezone))
    return f"headcount-{sheet.site_code}-{local:%Y%m%d-%H%M}.{form}"


def write(sheet: Sheet, form: Form) -> bytes:
    """Write the sheet in one of the forms."""
    writers = {"csv": _csv, "xlsx": _xlsx, "pdf": _pdf}
    return writers[form](sheet)


def facts(sheet: Sheet) -> list[tuple[str, str]]:
    """List what stands above the table: site, instant, counts, doubt."""
    say, count = sheet.say, sheet.headcount
    rows = [
        (say("Site"), f"{sheet.site_name} ({sheet.site_code})"),
        (say("As of"), f"{sheet.when(count.as_of)} {sheet.timezone}"),
        (say("Inside"), str(count.inside)),
        (say("Certain"), str(count.certain)),
        (say("Probable"), str(count.probable)),
        (say("Unknown"), str(count.unknown)),
        (say("Visitors and drivers"), str(count.visitors)),
        (say("Unknown cards"), str(count.unknown_cards)),
        (say("Refused at the gate"), str(count.refused)),
        (say("Not received"), wording.not_received(sheet.language, count)),
        (say("At most"), f"{count.at_most:,}{sheet.beyond}"),
    ]
    troubled = [terminal for terminal in count.terminals if terminal.freshness in TROUBLED]
    if troubled:
        named = ", ".join(
            f"{terminal.name or terminal.code}: {wording.word(sheet.language, wording.FRESHNESS, terminal.freshness)}"
            for terminal in troubled
        )
        rows.append((say("Terminals in doubt"), named))
    if sheet.true_at is not None:
        rows.append((say("What was true at"), sheet.when(sheet.true_at)))
    if sheet.known_at is not None:
        rows.append((say("What we knew at"), sheet.when(sheet.known_at)))
    if sheet.filtered:
        rows.append(
            (say("Filtered list"), say("%(shown)s of %(all)s people", shown=len(sheet.people), all=len(count.people)))
        )
    rows.append((say("Printed by"), f"{sheet.asked_by}, {sheet.when(sheet.printed_at)}"))
    return rows


def columns(sheet: Sheet) -> list[str]:
    """Name the table's columns."""
    say = sheet.say
    return [
        say("Name"),
        say("Employer"),
        say("Trade"),
        say("Last gate"),
        say("Last tap"),
        say("Inside since"),
        say("Confidence"),
        say("Why"),
    ]


def line(sheet: Sheet, one: Person) -> list[str]:
    """Write one person as the table's cells."""
    word, language = wording.word, sheet.language
    standing = "" if one.standing == "inside" else f" ({word(language, wording.STANDINGS, one.standing)})"
    return [
        (one.name or one.person) + standing,
        one.employer,
        wording.trade(language, one.trade),
        f"{one.last_zone} {one.last_terminal}".strip(),
        wording.about(language, sheet.when(one.last_at), one.last_error_min),
        wording.about(language, sheet.when(one.since_at), one.since_error_min),
        word(language, wording.CONFIDENCES, one.confidence),
        "; ".join(wording.reasons(language, one.reasons)),
    ]


def _csv(sheet: Sheet) -> bytes:
    return tables.csv_of([*facts(sheet), [], columns(sheet), *(line(sheet, one) for one in sheet.people)])


def _xlsx(sheet: Sheet) -> bytes:
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    bold = book.add_format({"bold": True})
    head = book.add_format({"bold": True, "bg_color": "#EEF2F7", "bottom": 1})
    page = book.add_worksheet(sheet.say("Inside"))
    above = facts(sheet)
    for row, (name, value) in enumerate(above):
        page.write_string(row, 0, name, bold)
        page.write_string(row, 1, value)
    first = len(above) + 1
    for column, name in enumerate(columns(sheet)):
        page.write_string(first, column, name, head)
    for row, one in enumerate(sheet.people, first + 1):
        for column, cell in enumerate(line(sheet, one)):
            page.write_string(row, column, cell)
    page.autofilter(first, 0, first + max(len(sheet.people), 1), len(columns(sheet)) - 1)
    page.freeze_panes(first + 1, 1)
    for column, width in enumerate((24, 26, 16, 20, 17, 17, 12, 60)):
        page.set_column(column, column, width)
    page.set_landscape()
    page.fit_to_pages(1, 0)
    page.repeat_rows(first)
    book.close()
    return out.getvalue()


_one_at_a_time = threading.Lock()
"""The compiler is kept for its fonts, and is not shared between threads while it works."""


@cache
def _compiler() -> typst.Compiler:
    # the machine's own fonts stay in reach only for letters that ours lacks: Chinese names, Khmer, Nepali
    return typst.Compiler(root=str(DOCUMENT.parent), font_paths=[str(FONTS)], ignore_system_fonts=False)


def _at_most(sheet: Sheet) -> str:
    count = sheet.headcount
    if count.at_most_holds:
        return sheet.say("at most %(count)s", count=count.at_most)
    return f"{count.at_most:,}{sheet.beyond}"


def _pdf(sheet: Sheet) -> bytes:
    data: dict[str, Any] = {
        "language": sheet.language,
        "title": sheet.say("Who is inside"),
        "facts": facts(sheet),
        "columns": columns(sheet),
        "rows": [line(sheet, one) for one in sheet.people],
        "confidences": [one.confidence for one in sheet.people],
        "inside": str(sheet.headcount.inside),
        "at_most": _at_most(sheet),
        "as_of": f"{sheet.say('As of')} {sheet.when(sheet.headcount.as_of)}",
        "site": f"{sheet.site_name} ({sheet.site_code})",
        "empty": sheet.say("Nobody is on this list."),
        "page": sheet.say("Page"),
    }
    with _one_at_a_time:
        made = _compiler().compile(str(DOCUMENT), format="pdf", sys_inputs={"data": json.dumps(data)})
    if not isinstance(made, bytes):
        raise TypeError("the PDF compiler gave no document")
    return made
