"""Rules of keeping and erasing, pure: data with its law, and what becomes of each thing held of a worker on a day."""

from __future__ import annotations

import json
from calendar import monthrange
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

RULES = Path(__file__).parent / "retention_rules.json"
ERASED, KEPT, NOTHING = "erased", "kept", "nothing"
MONTHS_A_YEAR = 12


@dataclass(frozen=True, slots=True)
class Rule:
    """How long one kind of thing is held. `law_months` None: it stays for ever, or goes by a rule of its own."""

    code: str
    ko: str
    en: str
    tables: tuple[str, ...]
    law: str
    confidence: str
    law_months: int | None = None
    """After the last employment's end nobody may erase it earlier."""
    keep_months: int | None = None
    """After so long it is erased without anybody asking."""


@dataclass(frozen=True, slots=True)
class Line:
    """What becomes of one kind of thing held of a worker."""

    code: str
    count: int
    outcome: str
    """erased | kept | nothing"""
    until: date | None = None
    """The first day on which it may be erased; None for what stays, or while the worker is employed."""

    def plain(self) -> dict[str, Any]:
        """Lay it out as it is kept and answered."""
        until = self.until.isoformat() if self.until else None
        return {"code": self.code, "count": self.count, "outcome": self.outcome, "until": until}


@cache
def rules() -> tuple[Rule, ...]:
    """Return every rule of what is held of workers: those that end, then those of what stays."""
    return (*_read("rules"), *_read("kept"))


@cache
def by_their_day() -> tuple[Rule, ...]:
    """Return the rules of what is held of others than workers: counted from its own day."""
    return _read("by_their_day")


def _read(part: str) -> tuple[Rule, ...]:
    data = json.loads(RULES.read_text(encoding="utf-8"))
    return tuple(Rule(**(one | {"tables": tuple(one["tables"])})) for one in data[part])


def months_after(day: date, months: int) -> date:
    """Return the same day so many months later, or that month's last day."""
    year, month = divmod(day.year * MONTHS_A_YEAR + day.month - 1 + months, MONTHS_A_YEAR)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def months_before(day: date, months: int) -> date:
    """Return the same day so many months earlier, or the 28th where that month may be too short."""
    year, month = divmod(day.year * MONTHS_A_YEAR + day.month - 1 - months, MONTHS_A_YEAR)
    return day.replace(year=year, month=month + 1, day=min(day.day, 28))


def lines_of(
    held: Mapping[str, int],
    *,
    ended_on: date | None,
    today: date,
    asked: bool,
    longer: Mapping[str, int] | None = None,
) -> list[Line]:
    """Say line by line what becomes of what is held: by code, how much.

    `ended_on` is the first day without any employment, None while there is one. `asked`: the worker asks, so only
    the law holds it; otherwise it stays as long as the rule, or the installation's `longer` one, says.
    """
    return [
        _line(rule, held.get(rule.code, 0), ended_on=ended_on, today=today, asked=asked, longer=longer or {})
        for rule in rules()
    ]


def _line(
    rule: Rule, count: int, *, ended_on: date | None, today: date, asked: bool, longer: Mapping[str, int]
) -> Line:
    if not count:
        return Line(rule.code, 0, NOTHING)
    if rule.law_months is None or rule.keep_months is None or ended_on is None:
        return Line(rule.code, count, KEPT)
    months = rule.law_months if asked else max(rule.law_months, longer.get(rule.code, rule.keep_months))
    until = months_after(ended_on, months)
    return Line(rule.code, count, ERASED) if until <= today else Line(rule.code, count, KEPT, until)
