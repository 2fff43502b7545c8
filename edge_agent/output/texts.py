"""The sentences of the screen in the workforce's languages, from one data file. Korean and English always too."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable

ALWAYS = ("ko", "en")
"""Shown whatever the worker's language: the site's office reads one of them."""


class Text(Struct, frozen=True):
    """`title` is read across the yard, `sub` says what to do."""

    title: str
    sub: str


class Language(Struct, frozen=True):
    """`name` in the language itself; `speech` is the BCP 47 tag asked of the speech engine."""

    name: str
    speech: str
    texts: dict[str, Text]


class Line(Struct, frozen=True):
    """One text in one language, ready to show and to speak."""

    lang: str
    speech: str
    title: str
    sub: str


@cache
def languages() -> dict[str, Language]:
    """Read the data file, once."""
    data = Path(__file__).with_name("texts.json").read_bytes()
    return msgspec.json.decode(data, type=dict[str, Language])


def known(codes: Iterable[str]) -> tuple[str, ...]:
    """Keep the codes that there are texts for, in order, once each, with Korean and English at the end if missing."""
    return tuple(dict.fromkeys(code for code in (*codes, *ALWAYS) if code in languages()))


def line(key: str, lang: str) -> Line:
    """Say one text in one language; in Korean when there are no texts in it. Never raises on a worker's language."""
    if lang not in languages():
        lang = ALWAYS[0]
    language = languages()[lang]
    text = language.texts[key]
    return Line(lang=lang, speech=language.speech, title=text.title, sub=text.sub)


def lines(key: str, lang: str | None) -> tuple[Line, ...]:
    """Say one text in the worker's language first, then in Korean and English; an unknown language gets those two."""
    return tuple(line(key, code) for code in known([lang] if lang else []))
