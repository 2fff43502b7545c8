"""The columns of what is taken in and handed out as a sheet: the same names both ways, in English and Korean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from central.kit.sentences import sentence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its heading, the Korean ones that are understood as well (the first is written), what it holds."""

    name: str
    korean: tuple[str, ...]
    holds: str
    needed: bool = False


@dataclass(frozen=True, slots=True)
class Form:
    """A kind of sheet."""

    name: str
    columns: tuple[Column, ...]

    @property
    def needed(self) -> tuple[str, ...]:
        """Return the names of the columns that every sheet of this kind has."""
        return tuple(column.name for column in self.columns if column.needed)

    def known(self) -> dict[str, str]:
        """Return every heading that is understood, in small letters, with its column's name."""
        return {alias.lower(): column.name for column in self.columns for alias in (column.name, *column.korean)}

    def headings(self, language: str) -> list[str]:
        """Return the headings to write."""
        return [column.korean[0] if language == "ko" else column.name for column in self.columns]


ROLL = Form(
    "roll",
    (
        Column("name", ("성명", "이름"), sentence("as on the card"), needed=True),
        Column(
            "employer",
            ("소속", "소속업체"),
            sentence("business number, or exact name of an employer of the site"),
            needed=True,
        ),
        Column("trade", ("직종",), sentence("code, Korean or English name"), needed=True),
        Column("from_on", ("시작일", "투입일"), sentence("first day of the employment"), needed=True),
        Column("until_on", ("종료일",), sentence("first day that no longer belongs to it")),
        Column("worker_no", ("근로자번호",), sentence("the mutual-aid association's number")),
        Column("birth_on", ("생년월일",), sentence("date of birth")),
        Column("nationality", ("국적",), sentence("a country's two letters")),
        Column("language", ("언어",), sentence("ko, en, vi, …; ko when empty")),
        Column("phone", ("전화", "전화번호", "휴대전화"), sentence("telephone")),
        Column("card_uid", ("카드UID",), sentence("the card's identity in hex; never stored")),
        Column("card_token", ("카드토큰",), sentence("the card's token instead")),
        Column("safety_no", ("안전교육이수번호", "이수증번호"), sentence("number of the safety-education certificate")),
        Column("safety_from_on", ("안전교육이수일",), sentence("day on which it was given")),
        Column("safety_until_on", ("안전교육만료일",), sentence("first day on which it is no longer valid")),
        Column("visa", ("체류자격",), sentence("status of stay: E-9, H-2, F-4")),
        Column("visa_from_on", ("체류시작일",), sentence("first day of the stay; from_on when empty")),
        Column("visa_until_on", ("체류만료일",), sentence("first day on which it is no longer valid")),
        Column("grade", ("기능등급",), sentence("skill grade in the trade")),
        Column("grade_from_on", ("등급취득일",), sentence("day of the grade; from_on when empty")),
        Column("contract_kind", ("근로계약", "고용형태"), sentence("daily, fixed or regular; daily when empty")),
        Column("wage_won", ("임금",), sentence("agreed wage in won: makes a labour contract")),
        Column("wage_per", ("임금단위",), sentence("hour, day or month; day when empty")),
        Column("minutes_a_day", ("1일소정근로분",), sentence("agreed minutes a day; 480 when empty")),
        Column("signed_on", ("계약일",), sentence("day of signing; from_on when empty")),
    ),
)
"""A site's roll: who works there, for whom, and what is on record of them."""

CONTRACTS = Form(
    "contracts",
    (
        Column("ref", ("번호", "계약번호"), sentence("a name for the contract within this sheet"), needed=True),
        Column(
            "above", ("상위번호", "상위계약"), sentence("`ref` of the contract above; `#17` for one registered as 17")
        ),
        Column("kind", ("구분", "계약구분"), sentence("prime, supervision, sub, equipment or material"), needed=True),
        Column(
            "contractor",
            ("업체", "계약상대자"),
            sentence("business number, or exact name of an organization"),
            needed=True,
        ),
        Column("work", ("공사내용", "공종"), sentence("what is to be done or delivered"), needed=True),
        Column("amount_won", ("계약금액", "금액"), sentence("in won"), needed=True),
        Column("begins_on", ("착공일", "시작일"), sentence("first day of the work"), needed=True),
        Column("ends_on", ("준공일", "종료일"), sentence("last day of the work"), needed=True),
        Column("signed_on", ("계약일",), sentence("day of signing")),
        Column(
            "effective_on", ("효력일",), sentence("from when the terms hold; signed_on, else begins_on, when empty")
        ),
        Column("contractor_name", ("업체명",), sentence("registers an unknown business number under this name")),
        Column("site", ("현장", "현장코드"), sentence("code of a site: the contractor works there from begins_on")),
    ),
)
"""A project's contracts, each below the one that `above` names."""

FORMS: Mapping[str, Form] = {form.name: form for form in (ROLL, CONTRACTS)}

WORDS: Mapping[str, Mapping[str, str]] = {
    "kind": {
        "원도급": "prime",
        "원도급계약": "prime",
        "감리": "supervision",
        "건설사업관리": "supervision",
        "하도급": "sub",
        "장비": "equipment",
        "자재": "material",
    },
    "grade": {"초급": "beginner", "중급": "intermediate", "고급": "advanced", "특급": "expert"},
    "contract_kind": {"일용": "daily", "기간제": "fixed", "상용": "regular"},
    "wage_per": {"시급": "hour", "일급": "day", "월급": "month", "시간": "hour", "일": "day", "월": "month"},
}
"""Korean words for codes, as sheets have them."""


def code_of(column: str, text: str) -> str:
    """Return the code for a cell's word; what is no Korean word stays as it is, in small letters."""
    return WORDS[column].get(text, text.lower())


def word_of(column: str, code: str, language: str) -> str:
    """Return the word to write for a code."""
    found: Sequence[str] = [word for word, one in WORDS[column].items() if one == code]
    return found[0] if language == "ko" and found else code
