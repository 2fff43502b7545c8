"""One row of a roll, read: who, for whom, since when, with which card and papers. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from central.kit.errors import Invalid
from central.kit.sentences import sentence
from central.registry import record_rules, rules
from central.registry.cells import day, needed, needed_day, whole, within
from central.registry.columns import code_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date, datetime

    from central.registry.sheet import SheetRow

NAME_CHARS_MAX = 100
LANGUAGE_CHARS_MAX = 8
NUMBER_CHARS_MAX = 60
MINUTES_A_DAY = 480
TRADES_REMEMBERED_MAX = 1_000


class Paper(NamedTuple):
    """A paper with its time, as `record_models.WorkerPaper` keeps it."""

    kind: str
    value: str
    trade: str | None
    number: str
    from_on: date
    until_on: date | None


class Labour(NamedTuple):
    """The agreed terms of an employment, as `record_models.LabourContract` keeps them."""

    employer_id: int
    kind: str
    wage_won: int
    wage_per: str
    minutes_a_day: int
    signed_on: date
    from_on: date
    until_on: date | None


class Facts(NamedTuple):
    """What a worker's own row says besides name and number."""

    birth_on: date | None = None
    nationality: str | None = None
    phone: str | None = None
    language: str = "ko"


@dataclass(frozen=True, slots=True)
class Entry:
    """A row that can be read."""

    row: int
    """As the spreadsheet numbers it."""
    name: str
    worker_no: str | None
    facts: Facts
    employer_id: int
    trade: str
    from_on: date
    until_on: date | None
    token: str | None
    papers: tuple[Paper, ...] = ()
    labour: Labour | None = None


def read_entry(row: SheetRow, *, employers: Mapping[str, int], card_key: bytes | None, now: datetime) -> Entry:
    """Read one row's cells; `employers` are the site's by business number and name. Raises `Invalid`."""
    get = row.cells.get
    from_on = needed_day(get("from_on"), "from_on")
    until_on = day(get("until_on"), "until_on")
    employer_id = _employer(get("employer", ""), employers)
    trade = _trade(get("trade", ""))
    uid, token = get("card_uid"), get("card_token")
    birth_on, nationality, phone, number = get("birth_on"), get("nationality"), get("phone"), get("worker_no")
    return Entry(
        row=row.number,
        name=within(needed(get("name"), "name"), "name", NAME_CHARS_MAX),
        worker_no=rules.worker_number(number) if number else None,
        facts=Facts(
            birth_on=rules.birth_date(needed_day(birth_on, "birth_on"), now=now) if birth_on else None,
            nationality=rules.country(nationality) if nationality else None,
            phone=rules.phone_number(phone) if phone else None,
            language=within(get("language") or "ko", "language", LANGUAGE_CHARS_MAX),
        ),
        employer_id=employer_id,
        trade=trade,
        from_on=from_on,
        until_on=until_on,
        token=None if uid is None and token is None else rules.token_of(token=token, uid=uid, card_key=card_key),
        papers=_papers(get, trade=trade, from_on=from_on),
        labour=_labour(get, employer_id=employer_id, from_on=from_on, until_on=until_on) if get("wage_won") else None,
    )


def _papers(get: Callable[[str], str | None], *, trade: str, from_on: date) -> tuple[Paper, ...]:
    found = []
    if get("safety_no") or get("safety_from_on"):
        given = needed_day(get("safety_from_on"), "safety_from_on")
        number = within(get("safety_no") or "", "safety_no", NUMBER_CHARS_MAX)
        found.append(
            _paper("safety_certificate", "", None, number, given, day(get("safety_until_on"), "safety_until_on"))
        )
    visa = get("visa")
    if visa:
        begins = day(get("visa_from_on"), "visa_from_on") or from_on
        found.append(_paper("visa", visa, None, "", begins, day(get("visa_until_on"), "visa_until_on")))
    grade = get("grade")
    if grade:
        begins = day(get("grade_from_on"), "grade_from_on") or from_on
        found.append(_paper("skill_grade", code_of("grade", grade), trade, "", begins, None))
    return tuple(found)


def _paper(kind: str, value: str, trade: str | None, number: str, from_on: date, until_on: date | None) -> Paper:
    rules.period(from_on, until_on)
    text, trade_code = record_rules.paper(kind, value, trade)
    return Paper(kind, text, trade_code, number, from_on, until_on)


def _labour(get: Callable[[str], str | None], *, employer_id: int, from_on: date, until_on: date | None) -> Labour:
    minutes = get("minutes_a_day")
    terms = Labour(
        employer_id=employer_id,
        kind=code_of("contract_kind", get("contract_kind") or "daily"),
        wage_won=whole(get("wage_won") or "", "wage_won"),
        wage_per=code_of("wage_per", get("wage_per") or "day"),
        minutes_a_day=whole(minutes, "minutes_a_day") if minutes else MINUTES_A_DAY,
        signed_on=day(get("signed_on"), "signed_on") or from_on,
        from_on=from_on,
        until_on=until_on,
    )
    record_rules.labour(
        kind=terms.kind,
        wage_won=terms.wage_won,
        wage_per=terms.wage_per,
        minutes_a_day=terms.minutes_a_day,
        from_on=from_on,
        until_on=until_on,
    )
    return terms


def _employer(word: str, employers: Mapping[str, int]) -> int:
    if not word:
        raise Invalid(sentence("employer is empty: give its business number or its name"))
    employer_id = employers.get(word) or employers.get(word.replace("-", "").replace(" ", ""))
    if employer_id is None:
        raise Invalid(
            sentence(
                "employer %(word)s does not work on this site, or is not yours: register it there first, or check the"
                " name",
                word=repr(word),
            )
        )
    return employer_id


@lru_cache(maxsize=TRADES_REMEMBERED_MAX)
def _trade(word: str) -> str:
    return rules.trade_code(word)
