"""Reading a sheet's cells: dates, whole numbers, texts within their length; a refusal names the column. Pure."""

from __future__ import annotations

import re
from datetime import date

from central.kit.errors import Invalid
from central.kit.sentences import sentence


def needed(text: str | None, column: str) -> str:
    """Pass a cell that holds something."""
    if not text:
        raise Invalid(sentence("%(column)s is empty", column=column))
    return text


def needed_day(text: str | None, column: str) -> date:
    """Read a date that must be there."""
    found = day(text, column)
    if found is None:
        raise Invalid(sentence("%(column)s is empty", column=column))
    return found


def day(text: str | None, column: str) -> date | None:
    """Read a date, written 2026-11-22, 2026. 11. 22. or 2026/11/22; None for an empty cell."""
    if not text:
        return None
    try:
        return date.fromisoformat(text) if text[4:5] == "-" else _written_day(text)
    except ValueError as error:
        raise Invalid(
            sentence("%(column)s is %(text)s: expected a date like 2026-11-22", column=column, text=repr(text[:30]))
        ) from error


def _written_day(text: str) -> date:
    year, month, day = (int(part) for part in re.split(r"[-./]", re.sub(r"\s", "", text).rstrip(".")))
    return date(year, month, day)


def whole(text: str, column: str) -> int:
    """Read a whole number, with or without commas and 원."""
    digits = text.replace(",", "").removesuffix("원").strip()
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 15:  # noqa: PLR2004 - no amount has more digits
        raise Invalid(sentence("%(column)s is %(text)s: expected a whole number", column=column, text=repr(text[:30])))
    return int(digits)


def within(text: str, column: str, chars_max: int) -> str:
    """Pass a text that is not too long."""
    if len(text) > chars_max:
        raise Invalid(
            sentence(
                "%(column)s has %(chars)s characters: at most %(max)s", column=column, chars=len(text), max=chars_max
            )
        )
    return text
