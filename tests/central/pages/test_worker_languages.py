"""What workers see on their phones is there in every language that the terminals speak."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_file

from central.kit import i18n
from central.myself.asking import day_name, month_name
from edge_agent.output.texts import languages

MYSELF = Path(i18n.__file__).parents[1] / "myself"
OF_THE_DESK = {"answer_pages.py", "answering.py", "telling.py"}
"""Shown to those who answer, in Korean and English."""
KEYWORDS = {"_": None, "gettext": (2,), "translate": (2,), "sentence": None}


def sentences() -> set[str]:
    found = set()
    for path in MYSELF.glob("*.py"):
        if path.name not in OF_THE_DESK:
            found |= {one for _, one, _, _ in extract_from_file("python", path, keywords=KEYWORDS)}
    options = {"extensions": "jinja2.ext.i18n", "silent": "false"}
    for path in (MYSELF / "templates").glob("*.html"):
        found |= {one for _, one, _, _ in extract_from_file("jinja2", path, options=options)}
    return {one for one in found if isinstance(one, str)}


def test_the_pages_speak_what_the_terminals_speak() -> None:
    assert set(i18n.PHONE_LANGUAGES) == set(languages())
    assert len(sentences()) > 80


@pytest.mark.parametrize("language", [code for code in i18n.PHONE_LANGUAGES if code != "en"])
def test_no_sentence_of_the_workers_own_view_is_left_untranslated(language: str) -> None:
    said = i18n.translations(language).gettext
    missing = sorted(one for one in sentences() if said(one) in {one, ""})
    assert not missing, "\n".join(missing)


@pytest.mark.parametrize("language", [code for code in i18n.PHONE_LANGUAGES if code != "en"])
def test_a_translation_keeps_its_places_and_its_script(language: str) -> None:
    scripts = {
        "ko": "가-힣",
        "zh": "一-鿿",
        "th": "ก-๙",
        "mn": "\u0410-\u04e9",
        "ru": "\u0410-\u044f",
        "km": "ក-៩",
        "my": "က-႟",
        "ne": "ऀ-ॿ",
    }
    said = i18n.translations(language).gettext
    for one in sentences():
        assert set(re.findall(r"%\(\w+\)s", said(one))) == set(re.findall(r"%\(\w+\)s", one)), one
        assert language not in scripts or re.search(f"[{scripts[language]}]", said(one)), (one, said(one))


@pytest.mark.parametrize("language", list(i18n.PHONE_LANGUAGES))
def test_days_and_months_are_named_in_the_language(language: str) -> None:
    monday = date(2026, 11, 23)
    assert "23" in day_name(language, monday)
    assert "2026" in month_name(language, monday)
