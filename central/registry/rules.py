"""What may stand in the registry. Pure: values in, normalised values or a refusal out."""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import available_timezones

from central.kit.errors import Invalid
from central.kit.sentences import sentence
from edge_agent.wire.ids import InvalidCode, card_token, site_code

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date, datetime

ORGANIZATION_KINDS = ("client", "prime", "sub", "supplier", "supervisor")
TIERS = ("prime", "sub", "supplier")
CARD_KINDS = ("card", "mobile", "temporary")
ENDED_REASONS = ("lost", "replaced", "returned", "blocked", "expired")
DIRECTIONS = ("in", "out", "tap", "muster")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
READERS_A_TERMINAL_MAX = 16
CALENDAR_DAYS_MAX = 1_000
UID_BYTES_MIN = 4
UID_BYTES_MAX = 20
WORKER_YEARS_MIN = 15
WORKER_YEARS_MAX = 100
_BUSINESS_NO_WEIGHTS = (1, 3, 7, 1, 3, 7, 1, 3, 5)
_BUSINESS_NO_DIGITS = 10
WORKER_NO = re.compile(r"^[0-9A-Za-z-]{1,20}$")
_PHONE = re.compile(r"^[0-9+() -]{5,20}$")
_COUNTRY = re.compile(r"^[A-Z]{2}$")
TOKEN = re.compile(r"^[0-9a-f]{32}$")
_READER_NAME = re.compile(r"^[a-z0-9_-]{1,40}$")
_DAY_START = re.compile(r"^([01][0-9]|2[0-3]):[0-5][0-9]$")
_DATE = re.compile(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade of the list that the associations publish, under our own stable code."""

    code: str
    ko: str
    en: str


@cache
def trades() -> dict[str, Trade]:
    """Return every trade by code."""
    rows = json.loads((Path(__file__).parent / "trades.json").read_text())
    return {row["code"]: Trade(**row) for row in rows}


def one_of(what: str, value: str, words: Sequence[str]) -> str:
    """Pass a value of a closed list, or refuse with the list and the nearest word."""
    if value in words:
        return value
    near = difflib.get_close_matches(value, words, n=1)
    hint = sentence(" (did you mean %(word)s?)", word=repr(near[0])) if near else ""
    raise Invalid(
        sentence(
            "the %(what)s %(value)s is unknown%(hint)s: use one of %(words)s",
            what=what,
            value=repr(value),
            hint=hint,
            words=", ".join(words),
        )
    )


def trade_code(value: str) -> str:
    """Return the code of a trade given as code, Korean or English name."""
    text = value.strip()
    for trade in trades().values():
        if text in {trade.code, trade.ko} or text.lower() == trade.en.lower():
            return trade.code
    return one_of("trade", text, tuple(trades()))


def business_number(value: str) -> str:
    """Return ten digits after checking the check digit; hyphens and blanks are dropped."""
    digits = re.sub(r"[\s-]", "", value)
    if not (digits.isascii() and digits.isdigit() and len(digits) == _BUSINESS_NO_DIGITS):
        raise Invalid(
            sentence("the business number %(value)s is not ten digits, e.g. 124-81-00998", value=repr(value)),
            field="business_no",
        )
    numbers = [int(digit) for digit in digits]
    total = sum(number * weight for number, weight in zip(numbers, _BUSINESS_NO_WEIGHTS, strict=False))
    total += numbers[8] * 5 // 10
    if (10 - total % 10) % 10 != numbers[9]:
        raise Invalid(
            sentence(
                "the business number %(value)s has a wrong check digit: compare it with the certificate",
                value=repr(value),
            ),
            field="business_no",
        )
    return digits


def code(what: str, value: str) -> str:
    """Pass a code as it stands in MQTT topics."""
    try:
        return site_code(value)
    except InvalidCode as error:
        told = sentence(
            "the code %(value)s is not 1 to 40 lower-case letters, digits and hyphens, like site-07", value=repr(value)
        )
        raise Invalid(told, field="code", of=what) from error


def time_zone(value: str) -> str:
    """Pass the name of a time zone that this machine knows."""
    if value not in available_timezones():
        raise Invalid(
            sentence("the time zone %(value)s is unknown: use a name like Asia/Seoul", value=repr(value)),
            field="timezone",
        )
    return value


def worker_number(value: str) -> str:
    """Pass an association's worker number."""
    if not WORKER_NO.match(value):
        raise Invalid(
            sentence("the worker number %(value)s is not 1 to 20 letters, digits or hyphens", value=repr(value)),
            field="worker_no",
        )
    return value


def phone_number(value: str) -> str:
    """Pass a telephone number."""
    if not _PHONE.match(value):
        raise Invalid(
            sentence(
                "the telephone number %(value)s is not 5 to 20 digits, blanks, hyphens or a plus sign",
                value=repr(value),
            ),
            field="phone",
        )
    return value


def birth_date(value: date, *, now: datetime) -> date:
    """Pass the date of birth of somebody who may work: 15 to 100 years old (Labour Standards Act 64: not under 15)."""
    years = now.year - value.year - ((now.month, now.day) < (value.month, value.day))
    if not WORKER_YEARS_MIN <= years <= WORKER_YEARS_MAX:
        raise Invalid(
            sentence("born on %(day)s means %(years)s years old: check the date", day=value.isoformat(), years=years),
            field="birth_on",
        )
    return value


def country(value: str) -> str:
    """Return a country's code in capitals."""
    code_ = value.strip().upper()
    if not _COUNTRY.match(code_):
        raise Invalid(
            sentence(
                "the nationality %(value)s is not a country's two-letter code, e.g. KR, VN or CN", value=repr(value)
            ),
            field="nationality",
        )
    return code_


def period(from_: date | datetime, until: date | datetime | None) -> None:
    """Pass a half-open period that holds something."""
    if until is not None and until <= from_:
        raise Invalid(
            sentence(
                "the period ends (%(until)s) before or when it begins (%(begins)s)",
                until=until.isoformat(),
                begins=from_.isoformat(),
            ),
            field="until_on",
        )


def token_of(*, token: str | None, uid: str | None, card_key: bytes | None) -> str:
    """Return a card's token: as given, or from a raw identity in hex under the system key. The identity is dropped."""
    if (token is None) == (uid is None):
        raise Invalid(sentence("give a card either by its token or by its uid, not both"))
    if token is not None:
        if not TOKEN.match(token):
            raise Invalid(
                sentence("a card token is 32 characters of 0-9 and a-f: give the uid instead if that is what you have")
            )
        return token
    raw = re.sub(r"[\s:-]", "", uid or "")
    try:
        identity = bytes.fromhex(raw)
    except ValueError as error:
        raise Invalid(
            sentence("the card's uid is not hexadecimal: expected pairs of 0-9 and a-f, e.g. 04A1B2C3D4E5F6")
        ) from error
    if not UID_BYTES_MIN <= len(identity) <= UID_BYTES_MAX:
        raise Invalid(
            sentence(
                "the card's uid has %(bytes)s bytes: expected %(min)s to %(max)s",
                bytes=len(identity),
                min=UID_BYTES_MIN,
                max=UID_BYTES_MAX,
            )
        )
    if card_key is None:
        raise Invalid(
            sentence("central has no card key, so it cannot take a uid: set CCS_CARD_KEY_FILE, or give the token")
        )
    return card_token(card_key, identity)


def readers(rows: Iterable[Mapping[str, Any]], *, zone: str) -> list[dict[str, str]]:
    """Check a terminal's readers: names apart from each other, directions known; a missing zone is the terminal's."""
    checked: dict[str, dict[str, str]] = {}
    for row in rows:
        name = str(row["name"])
        if not _READER_NAME.match(name):
            raise Invalid(f"the reader name {name!r} is not 1 to 40 characters of a-z, 0-9, '_' and '-'")
        if name in checked:
            raise Invalid(f"the reader name {name!r} stands twice: give each reader of a terminal its own name")
        direction = one_of("direction", str(row["direction"]), DIRECTIONS)
        checked[name] = {"name": name, "direction": direction, "zone": str(row.get("zone") or zone)}
    if len(checked) > READERS_A_TERMINAL_MAX:
        raise Invalid(f"the terminal has {len(checked)} readers: at most {READERS_A_TERMINAL_MAX}")
    return list(checked.values())


def calendar(value: Mapping[str, Any]) -> dict[str, Any]:
    """Check a site's calendar: `week`, `closed`, `open`, `day_start`, all optional, nothing else."""
    unknown = sorted(set(value) - {"week", "closed", "open", "day_start"})
    if unknown:
        raise Invalid(f"the calendar has {', '.join(unknown)}: it may hold week, closed, open and day_start")
    for day in value.get("week", []):
        one_of("weekday", str(day), WEEKDAYS)
    for name in ("closed", "open"):
        days = value.get(name, [])
        if len(days) > CALENDAR_DAYS_MAX:
            raise Invalid(f"the calendar's {name} has {len(days)} days: at most {CALENDAR_DAYS_MAX}")
        for day in days:
            if not _DATE.match(str(day)):
                told = sentence("%(day)s among the days is no date: write it like 2026-12-25", day=repr(day))
                raise Invalid(told, field="closed_days" if name == "closed" else name)
    if "day_start" in value and not _DAY_START.match(str(value["day_start"])):
        told = sentence("the day begins at %(value)s: write a time like 04:00", value=repr(value["day_start"]))
        raise Invalid(told, field="day_start")
    return dict(value)
