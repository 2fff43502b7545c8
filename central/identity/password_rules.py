"""What a new password must be: long enough, and not among the first thousand million that somebody guesses.

How early it would be guessed is estimated by zxcvbn, which brings its own lists: 30,000 passwords of earlier breaches,
names, words, keyboard walks and dates, and finds them in disguise too. No rule asks for kinds of characters.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from central.kit.errors import Invalid
from central.kit.sentences import sentence

if TYPE_CHECKING:
    from collections.abc import Iterable

PASSWORD_CHARS_MIN = 10
PASSWORD_CHARS_MAX = 200
GUESSES_MIN = 10**9
CHARS_WEIGHED_MAX = 72
"""The estimate grows with the square of the length; longer ones were good before here."""
OUR_WORDS = ("ccs", "clean", "construction", "site", "seoul", "pmis", "ebaro", "allimi", "건설", "현장", "서울", "공사")
"""Words that people here would think of first."""
_WORD = re.compile(r"\w+")


def check_password(password: str, *, about: Iterable[str]) -> None:
    """Pass for a good new password, or raise `Invalid`. `about`: the person's address and name. Takes milliseconds."""
    from zxcvbn import zxcvbn  # its lists take a fifth of a second to load

    if not PASSWORD_CHARS_MIN <= len(password) <= PASSWORD_CHARS_MAX:
        raise Invalid(
            sentence(
                "the password has %(chars)s characters: use %(least)s to %(most)s",
                chars=len(password),
                least=PASSWORD_CHARS_MIN,
                most=PASSWORD_CHARS_MAX,
            )
        )
    theirs = [word.lower() for text in about for word in _WORD.findall(text)]
    found = zxcvbn(password[:CHARS_WEIGHED_MAX], user_inputs=[*theirs, *OUR_WORDS])
    if found["guesses"] < GUESSES_MIN:
        raise Invalid("this password is guessed early: take several words that do not belong together")
