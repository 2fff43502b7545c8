"""Events of one journal as bytes, several times faster than `codec.encode_event` and byte for byte the same.

A worker waits for the light while this runs, on a processor that slept until the card came. So everything that stays
the same from event to event is serialised once, and only the rest is put between.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any, Protocol

import msgspec

from edge_agent.wire.codec import time_text
from edge_agent.wire.ids import card_subject, event_id, source_urn
from edge_agent.wire.messages import ClockState

_encode = msgspec.json.Encoder().encode


@lru_cache(maxsize=64)
def _quoted(text: str) -> str:
    return _encode(text).decode()


class Stamp(Protocol):
    """When an event was, and how far to trust that: a reading of the terminal's clock."""

    @property
    def at(self) -> datetime:
        """The wall clock, aware."""

    @property
    def boottime_ns(self) -> int:
        """Nanoseconds since boot."""

    @property
    def boot_id(self) -> str:
        """Which boot."""

    @property
    def state(self) -> ClockState:
        """On what the wall clock rests."""

    @property
    def error_ms(self) -> int:
        """Its bound, in milliseconds."""

    @property
    def epoch(self) -> int:
        """How often it stepped."""


class EventWriter:
    """Serialises the events of one journal."""

    def __init__(self, *, site: str, terminal: str, journal_id: str) -> None:
        self._source = _quoted(source_urn(site, terminal))
        self._id = _quoted(event_id(journal_id, 0))[:-21]
        self._journal = f'"datacontenttype":"application/json","journalid":{_quoted(journal_id)},"bootid":'
        self._heads: dict[str, str] = {}

    def write(
        self,
        type_: str,
        seq: int,
        stamp: Stamp,
        prev_hash: str,
        data: Any,  # noqa: ANN401 - any JSON value or msgspec Struct
        token: str | None,
    ) -> bytes:
        """Serialise an event, once; attributes and result are those of `codec.encode_event`."""
        head = self._heads.get(type_) or self._head(type_)
        number = f"{seq:020d}"
        subject = f'"subject":{_encode(card_subject(token)).decode()},' if token is not None else ""
        return (
            f'{head}{number}","sequence":"{number}","time":"{time_text(stamp.at)}",{subject}{self._journal}'
            f'{_quoted(stamp.boot_id)},"boottimens":"{stamp.boottime_ns}","clockstate":{_quoted(stamp.state)}'
            f',"clockerrms":{stamp.error_ms},"clockepoch":{stamp.epoch},"prevhash":"{prev_hash}"'
            f',"data":{_encode(data).decode()}}}'
        ).encode()

    def _head(self, type_: str) -> str:
        """Serialise what comes before the number; the few types of the contract are kept."""
        self._heads[type_] = f'{{"specversion":"1.0","type":{_quoted(type_)},"source":{self._source},"id":{self._id}'
        return self._heads[type_]
