"""The journal of a terminal that had no network for a month, written by the real one under a clock moved by hand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from edge_agent.journal.store import Journal
from edge_agent.wire.ids import card_token
from edge_agent.wire.messages import TAP, Credential, TapData
from simulators.terminal_clock import HandClock

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

IN_FROM_H, OUT_FROM_H, SPREAD_H = 6, 16, 2
"""Hours after the start of a day at which people come and go, and over how many hours they spread."""


@dataclass(frozen=True, slots=True)
class MonthOffline:
    """What was written: how many taps, and whose last tap is an entry."""

    taps: int
    inside: frozenset[bytes]


def write_month(
    path: Path,
    *,
    site: str,
    terminal: str,
    card_key: bytes,
    cards: Sequence[bytes],
    days: int = 30,
    until: datetime | None = None,
    stay: int = 0,
) -> MonthOffline:
    """Write `days` days to a new journal: everybody in in the morning and out in the evening, ending before `until`.

    On the last day the last `stay` people have not gone yet.
    """
    end = until or datetime.now(UTC) - timedelta(minutes=10)
    day_length = timedelta(hours=OUT_FROM_H + SPREAD_H)
    first = end - day_length - timedelta(days=days - 1)
    clock = HandClock(first)
    journal = Journal.open(path, site=site, terminal=terminal, clock=clock)
    credential = Credential("id_only", 0)
    taps = 0
    try:
        for day in range(days):
            for direction, from_h in (("in", IN_FROM_H), ("out", OUT_FROM_H)):
                leaving = cards if direction == "in" or day < days - 1 else cards[: len(cards) - stay]
                for number, card in enumerate(leaving):
                    share = timedelta(hours=SPREAD_H) * number / max(1, len(cards))
                    clock.pass_time(first + timedelta(days=day, hours=from_h) + share - clock.at)
                    reader = "r1" if direction == "in" else "r2"
                    tap = TapData(direction, reader, terminal, credential, "accepted", "green", 1)  # type: ignore[arg-type]  # literals
                    journal.append(type_=TAP, data=tap, token=card_token(card_key, card))
                    taps += 1
            journal.maintain()
    finally:
        journal.close()
    return MonthOffline(taps, frozenset(cards[len(cards) - stay :] if stay else ()))
