"""Choosing among the people of a headcount: by employer, trade, zone, confidence and text. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from central.attendance.headcount import COUNTED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from central.attendance.headcount import Person


@dataclass(frozen=True, slots=True)
class Choice:
    """What is asked for; an empty text asks for nothing."""

    employer: str = ""
    trade: str = ""
    zone: str = ""
    confidence: str = ""
    q: str = ""

    @property
    def active(self) -> bool:
        """Whether anything is left out."""
        return any(asdict(self).values())

    def query(self, **changed: str) -> str:
        """Write the choice as a query string, with some parts changed."""
        return urlencode({name: value for name, value in (asdict(self) | changed).items() if value})


def chosen(people: Iterable[Person], choice: Choice) -> list[Person]:
    """Keep who fits every part of the choice; `q` is looked for in names, employers and card tokens."""
    needle = choice.q.strip().casefold()
    return [
        one
        for one in people
        if (not choice.employer or one.employer == choice.employer)
        and (not choice.trade or one.trade == choice.trade)
        and (not choice.zone or one.last_zone == choice.zone)
        and (not choice.confidence or one.confidence == choice.confidence)
        and (not needle or needle in f"{one.name}\n{one.employer}\n{one.person}".casefold())
    ]


def tally(people: Iterable[Person], attribute: str) -> list[tuple[str, int]]:
    """Count who is inside by an attribute, most first."""
    counts = Counter(str(getattr(one, attribute)) for one in people if one.standing in COUNTED)
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
