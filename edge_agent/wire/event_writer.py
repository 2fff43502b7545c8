"""Events of one journal as bytes, several times faster than `codec.encode_event` and byte for byte the same.

A worker waits for the light while this runs, on a processor that slept until the card came. So everything that stays
the same from event to event is serialised once, and only the rest is put between.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec

from edge_agent.wire.codec import time_text
from edge_agent.wire.ids import SEQUENCE_DIGITS, card_subject, event_id, source_urn
from edge_agent.wire.messages import ClockState

FORMS_MAX = 64

_encode = msgspec.json.Encoder().encode


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
        self._source = source_urn(site, terminal)
        self._journal_id = journal_id
        self._forms: dict[tuple[str, str, str, bool], bytes] = {}

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
        at = stamp.at
        key = (type_, stamp.boot_id, stamp.state, token is None)
        form = self._forms.get(key) or self._make_form(*key)
        return form % (
            seq,
            seq,
            # The form takes the first 24 bytes: from the opening quote to the milliseconds.
            _encode(at) if at.microsecond and at.tzinfo is UTC else _encode(time_text(at)),
            b"" if token is None else _encode(card_subject(token)),
            stamp.boottime_ns,
            stamp.error_ms,
            stamp.epoch,
            prev_hash.encode(),
            _encode(data),
        )

    def _make_form(self, type_: str, boot_id: str, state: str, without_subject: bool) -> bytes:  # noqa: FBT001 - a key
        """Serialise what stays the same, with places for the rest. Few forms live at a time: a boot is a new run."""
        if len(self._forms) >= FORMS_MAX:
            self._forms.clear()
        numbered = _constant(event_id(self._journal_id, 0))[: -SEQUENCE_DIGITS - 1]
        subject = b'%b"datacontenttype"' if without_subject else b'"subject":%b,"datacontenttype"'
        form = (
            b'{"specversion":"1.0","type":' + _constant(type_) + b',"source":' + _constant(self._source)
            + b',"id":' + numbered + b'%020d","sequence":"%020d","time":%.24bZ",' + subject
            + b':"application/json","journalid":' + _constant(self._journal_id) + b',"bootid":' + _constant(boot_id)
            + b',"boottimens":"%d","clockstate":' + _constant(state)
            + b',"clockerrms":%d,"clockepoch":%d,"prevhash":"%b","data":%b}'
        )  # fmt: skip
        self._forms[(type_, boot_id, state, without_subject)] = form
        return form


def _constant(text: str) -> bytes:
    """Serialise a string that goes into a form as it is."""
    return _encode(text).replace(b"%", b"%%")
