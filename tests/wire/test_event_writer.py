"""The journal's event writer against the plain encoder: the same bytes, whatever the event holds."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.clock import Reading
from edge_agent.wire.codec import decode_event, encode_event, time_text
from edge_agent.wire.event_writer import EventWriter
from edge_agent.wire.messages import JOURNAL, TAP, Credential, TapData

JOURNAL_ID = "01a2b3c4-0000-7000-8000-000000000001"
BOOT_ID = "5d2f5a0e-9f0a-4a6b-8a53-0d7a3f7f1c11"
TEXT = st.text(max_size=30)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXT, lambda inner: st.dictionaries(TEXT, inner)
)
ZONES = st.just(UTC) | st.sampled_from([timezone(timedelta(hours=9)), timezone(timedelta(hours=-3, minutes=-30))])
INSTANTS = st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1), timezones=ZONES)  # noqa: DTZ001 - zones are added
TAPPED = TapData("in", "r1", "gate-03", Credential("desfire_ev2", 3, 2), "accepted", "green", 8123)


class Attributes(NamedTuple):
    type_: str
    seq: int
    stamp: Reading
    prev_hash: str
    data: object
    token: str | None


STAMPS = st.builds(
    Reading,
    at=INSTANTS,
    boottime_ns=st.integers(0, 2**64),
    boot_id=st.just(BOOT_ID) | TEXT,
    state=st.sampled_from(["synced", "holdover", "rtc", "unset"]),
    error_ms=st.integers(0, 2**63 - 1),
    epoch=st.integers(0, 2**63 - 1),
)
EVENTS = st.builds(
    Attributes,
    type_=st.sampled_from([TAP, JOURNAL]) | TEXT,
    seq=st.integers(1, 2**63 - 1),
    stamp=STAMPS,
    prev_hash=st.sampled_from(["0" * 64, "af" * 32]),
    data=st.just(TAPPED) | VALUES,
    token=st.none() | st.just("9f" * 16) | TEXT,
)
CODES = st.from_regex(r"[a-z0-9-]{1,40}", fullmatch=True)


@given(st.lists(EVENTS, min_size=1, max_size=3), CODES, CODES)
def test_a_journals_writer_gives_the_bytes_of_the_plain_encoder(
    events: list[Attributes], site: str, terminal: str
) -> None:
    writer = EventWriter(site=site, terminal=terminal, journal_id=JOURNAL_ID)
    for event in events:
        stamp = event.stamp
        plain = encode_event(
            type_=event.type_,
            site=site,
            terminal=terminal,
            journal_id=JOURNAL_ID,
            seq=event.seq,
            at=stamp.at,
            boot_id=stamp.boot_id,
            boottime_ns=stamp.boottime_ns,
            clock_state=stamp.state,
            clock_error_ms=stamp.error_ms,
            clock_epoch=stamp.epoch,
            prev_hash=event.prev_hash,
            data=event.data,
            token=event.token,
        )
        assert writer.write(event.type_, event.seq, stamp, event.prev_hash, event.data, event.token) == plain
        msgspec.json.decode(plain)


def test_a_tap_from_the_writer_decodes_as_an_event_of_the_contract() -> None:
    writer = EventWriter(site="site-07", terminal="gate-03", journal_id=JOURNAL_ID)
    stamp = Reading(datetime(2026, 11, 22, 12, 30, 1, 999_999, tzinfo=UTC), 1, BOOT_ID, "rtc", 0, 0)
    raw = writer.write(TAP, 7, stamp, "0" * 64, TAPPED, "9f" * 16)
    event = decode_event(raw)
    assert (event.id, event.sequence) == (f"{JOURNAL_ID}-{7:020d}", f"{7:020d}")
    assert msgspec.json.decode(event.data, type=TapData) == TAPPED


@given(INSTANTS)
def test_a_time_is_written_in_utc_with_its_milliseconds_cut_off(instant: datetime) -> None:
    cut = instant.replace(microsecond=instant.microsecond // 1000 * 1000)
    written = time_text(instant)
    assert len(written) == len("2026-11-22T12:30:01.999Z")
    assert written.endswith("Z")
    assert datetime.fromisoformat(written) == cut


def test_a_percent_sign_in_what_repeats_is_written_as_it_is() -> None:
    """Mutant: the form takes it for a place to fill."""
    writer = EventWriter(site="site-07", terminal="gate-03", journal_id=JOURNAL_ID)
    stamp = Reading(datetime(2026, 11, 22, 12, 30, 1, tzinfo=UTC), 1, "100 %d", "rtc", 0, 0)
    event = decode_event(writer.write("a%b%%", 7, stamp, "0" * 64, {}, None))
    assert (event.type, event.bootid) == ("a%b%%", "100 %d")


def test_a_time_is_written_in_utc_whatever_the_machines_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutant: the local zone's hour with a Z behind it."""
    monkeypatch.setenv("TZ", "Asia/Seoul")
    time.tzset()
    try:
        assert time_text(datetime(2026, 11, 22, 12, 30, 1, tzinfo=UTC)) == "2026-11-22T12:30:01.000Z"
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
