"""Numbers, cards and names that did not fit, counted of each asker: nobody finds out by trying who is registered.

Who knows a number and its name may employ the person wherever they worked before. So a wrong name for somebody beyond
the asker's reach is a guess, wherever it is made: in a form, by the API or in a row of a roll.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from central.identity import attempts
from central.identity.throttle import TooManyAttempts
from central.kit.errors import AppError
from central.kit.sentences import sentence
from central.registry.refusals import NumberTaken
from central.registry.workers import NobodyOfThatName

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sqlalchemy import Engine

    from central.identity.policy import Reach

GUESSES_MAX = 10
"""Within `throttle.WINDOW`."""


class TooManyGuesses(AppError):
    """Too many numbers, cards and names did not fit lately."""

    status = 429
    code = "too_many_guesses"


class Guesses:
    """Counts what one asker guessed, in transactions of their own: a refused request and a dry run count as well.

    Of who reaches everybody nothing is counted: there is nothing to guess.
    """

    def __init__(self, engine: Engine, actor: str, reach: Reach | None, *, now: datetime) -> None:
        self._engine = engine
        self._limits = {} if reach is None or reach.everywhere else {f"guess:{actor}": GUESSES_MAX}
        self._now = now

    def check(self) -> None:
        """Pass while something may be guessed, or raise `TooManyGuesses`: before the answer is worked out."""
        if self._limits:
            with _said():
                attempts.check(self._engine, self._limits, now=self._now)

    def wrong(self) -> None:
        """Count one that did not fit, or raise `TooManyGuesses` instead of saying so."""
        if self._limits:
            with _said():
                attempts.count(self._engine, self._limits, now=self._now)

    @contextmanager
    def counted(self, number: str | None) -> Iterator[None]:
        """Count a number (None: none is given) when the block finds that it is another's, or not of that name."""
        if number is None:
            yield
            return
        self.check()
        try:
            yield
        except (NobodyOfThatName, NumberTaken):
            self.wrong()
            raise


@contextmanager
def _said() -> Iterator[None]:
    try:
        yield
    except TooManyAttempts as error:
        raise TooManyGuesses(
            sentence(
                "too many worker numbers, cards and names did not fit together: compare them with the workers' cards,"
                " and try again in 15 minutes"
            ),
            **error.extensions,
        ) from error
