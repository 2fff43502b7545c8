"""Whether a session is surely in the worker's own hands, or somebody else may hold what opened it. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime

DESK, CARD, SMS = "desk", "card", "sms"
NEW_FOR = timedelta(days=7)
"""So long a telephone or a card that an office entered may be somebody else's: the worker has time to hear of it."""


class Changed(NamedTuple):
    """When an office last changed what opens a worker's own view; None: never."""

    phone_at: datetime | None
    card_at: datetime | None
    """Of the cards that the worker holds, when the newest was recorded as theirs."""


def is_new(method: str, changed: Changed, *, now: datetime) -> bool:
    """Whether a session came in by a telephone or a card that an office entered lately."""
    at = {SMS: changed.phone_at, CARD: changed.card_at}.get(method)
    return at is not None and now < at + NEW_FOR
