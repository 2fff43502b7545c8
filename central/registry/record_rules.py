"""What may be on record of a worker: papers, labour contracts, identity numbers. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from central.kit.errors import Invalid
from central.kit.sentences import sentence
from central.registry import rules

if TYPE_CHECKING:
    from datetime import date

PAPER_KINDS = ("safety_certificate", "visa", "work_permit", "skill_grade")
GRADES = ("beginner", "intermediate", "advanced", "expert")
"""초급, 중급, 고급, 특급."""
VISA = re.compile(r"^[A-H]-[0-9]{1,2}(-[0-9]{1,2})?$")
LABOUR_KINDS = ("daily", "fixed", "regular")
WAGE_PERIODS = ("hour", "day", "month")
MINUTES_A_DAY_MIN = 60
MINUTES_A_DAY_MAX = 12 * 60
WAGE_WON_MAX = 100_000_000
PASS_KINDS = ("visitor", "driver")
PASSES_AN_ANSWER_MAX = 1_000
ZONE_KINDS = ("area", "gate", "muster")
_IDENTITY_DIGITS = 13


def paper(kind: str, value: str, trade: str | None) -> tuple[str, str | None]:
    """Pass a paper's value and trade as its kind needs them: a visa's status, a grade of a trade, nothing."""
    rules.one_of("kind of paper", kind, PAPER_KINDS)
    text = value.strip()
    if kind == "visa":
        text = text.upper()
        if not VISA.match(text):
            raise Invalid(
                sentence("the visa %(value)s is not a status of stay like E-9, H-2 or F-4", value=repr(value))
            )
    elif kind == "skill_grade":
        rules.one_of("grade", text, GRADES)
        if trade is None:
            raise Invalid(sentence("a grade is a trade's: name the trade"))
    elif text:
        raise Invalid(sentence("a %(kind)s has no value of its own: leave it out", kind=kind))
    return text, rules.trade_code(trade) if trade is not None else None


def labour(
    *, kind: str, wage_won: int, wage_per: str, minutes_a_day: int, from_on: date, until_on: date | None
) -> None:
    """Pass the terms of a labour contract."""
    rules.one_of("kind of labour contract", kind, LABOUR_KINDS)
    rules.one_of("wage period", wage_per, WAGE_PERIODS)
    if not 0 < wage_won <= WAGE_WON_MAX:
        raise Invalid(
            sentence("the wage is %(won)s won: expected 1 to %(max)s", won=f"{wage_won:,}", max=f"{WAGE_WON_MAX:,}")
        )
    if not MINUTES_A_DAY_MIN <= minutes_a_day <= MINUTES_A_DAY_MAX:
        raise Invalid(
            sentence(
                "the agreed day has %(minutes)s minutes: expected %(min)s to %(max)s",
                minutes=minutes_a_day,
                min=MINUTES_A_DAY_MIN,
                max=MINUTES_A_DAY_MAX,
            )
        )
    rules.period(from_on, until_on)
    if kind == "fixed" and until_on is None:
        raise Invalid(sentence("a fixed-term contract has an end: give the first day after it"))


def identity_number(value: str) -> str:
    """Return the 13 digits of a resident or alien registration number.

    The check digit is not asked for: numbers given since October 2020 have none. The date of birth in it is.
    """
    digits = re.sub(r"[\s-]", "", value)
    if not (digits.isascii() and digits.isdigit() and len(digits) == _IDENTITY_DIGITS):
        raise Invalid("the identity number is not thirteen digits: compare it with the card")
    month, day, century = int(digits[2:4]), int(digits[4:6]), digits[6]
    if not (1 <= month <= 12 and 1 <= day <= 31 and century in "0123456789"):  # noqa: PLR2004 - months and days
        raise Invalid("the identity number does not begin with a date of birth: compare it with the card")
    return digits


def validity(from_on: date, until_on: date | None, *, on: date, soon_days: int = 30) -> str:
    """Say how a paper stands on a day: `coming`, `valid`, `ending` (within `soon_days`) or `over`."""
    if on < from_on:
        return "coming"
    if until_on is None:
        return "valid"
    if on >= until_on:
        return "over"
    return "ending" if (until_on - on).days <= soon_days else "valid"
