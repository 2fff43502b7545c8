"""Languages of the pages: source sentences are English, Korean is a catalogue read once at start.

The catalogue is the `.po` text itself, so there is no compiled file that could lag behind it.
"""

from __future__ import annotations

from functools import cache, lru_cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from markupsafe import Markup

from central.kit.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

LANGUAGES = {"ko": "한국어", "en": "English"}
"""Code to the language's own name, in the order offered."""
PHONE_LANGUAGES = {
    **LANGUAGES,
    "zh": "中文",
    "vi": "Tiếng Việt",
    "th": "ไทย",
    "uz": "Oʻzbekcha",  # noqa: RUF001 - its own letter
    "mn": "Монгол",
    "ru": "Русский",
    "km": "ខ្មែរ",
    "my": "မြန်မာ",
    "id": "Bahasa Indonesia",
    "ne": "नेपाली",
}
"""Of what workers see on their own phones: the languages that terminals speak, too."""
DEFAULT_LANGUAGE = "ko"
LOCALE_FOLDER = Path(__file__).parent / "locale"
_ACCEPTED_MAX = 20
_SENTENCES_MAX = 4_000


@cache
def translations(language: str) -> NullTranslations:
    """Return a language's catalogue; English is the source and needs none."""
    path = LOCALE_FOLDER / language / "LC_MESSAGES" / "messages.po"
    if not path.exists():
        return NullTranslations()
    with path.open("rb") as source:
        catalogue = read_po(source, locale=language)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return GNUTranslations(compiled)


def gettext(language: str, message: str, **values: object) -> str:
    """Translate a sentence and fill in its `%(name)s` places."""
    text = translations(language).gettext(message)
    return text % values if values else text


def spoken(language: str) -> dict[str, Callable[..., Markup]]:
    """Return `_`, `gettext` and `ngettext` of a language's templates; what is filled in is escaped.

    Templates say the same few hundred sentences in every answer: each is looked up and marked as safe once.
    """
    catalogue = translations(language)

    @lru_cache(maxsize=_SENTENCES_MAX)
    def whole(message: str) -> Markup:
        return Markup(catalogue.gettext(message))  # noqa: S704 - our own sentence, not somebody's text

    def say(message: str, /, **values: object) -> Markup:
        return whole(message) % values if values else whole(message)

    def count(one: str, many: str, number: int, /, **values: object) -> Markup:
        return Markup(catalogue.ngettext(one, many, number)) % {"num": number, **values}  # noqa: S704 - as above

    return {"_": say, "gettext": say, "ngettext": count}


def said(language: str, message: str) -> str:
    """Say a refusal's sentence, with or without places, in a language; as it is where the language has it not."""
    if isinstance(message, Sentence):
        values = {
            name: said(language, one) if isinstance(one, Sentence) else one for name, one in message.values.items()
        }
        return gettext(language, message.pattern, **values)
    return translations(language).gettext(message) if message else ""


def choose_language(chosen: str | None, accept_language: str | None, *, offered: Mapping[str, str] = LANGUAGES) -> str:
    """Pick the person's own choice, else the browser's first that we have, else the default."""
    if chosen is not None and chosen in offered:
        return chosen
    weighted: list[tuple[float, str]] = []
    for part in (accept_language or "").split(",")[:_ACCEPTED_MAX]:
        tag, _, quality = part.strip().partition(";q=")
        try:
            weighted.append((-float(quality or 1), tag.split("-")[0].lower()))
        except ValueError:
            continue
    for _, tag in sorted(weighted, key=lambda pair: pair[0]):
        if tag in offered:
            return tag
    return DEFAULT_LANGUAGE


_MINUTES_CHARS = len("2026-11-22 07:41")


def clock_time(at: datetime, timezone: str) -> str:
    """Write an instant as the site's wall clock, `07:41:05`: the same in every language."""
    return at.astimezone(ZoneInfo(timezone)).strftime("%H:%M:%S")


def date_time(at: datetime, timezone: str) -> str:
    """Write an instant as the site's date and wall clock, `2026-11-22 07:41`."""
    return at.astimezone(ZoneInfo(timezone)).isoformat(" ", "minutes")[:_MINUTES_CHARS]
