"""Messages recorded once, as bytes, that every later version must still understand. Never edit or delete one; add."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agent.wire import messages as m
from edge_agent.wire.codec import (
    GENESIS_HASH,
    BadSignature,
    decode,
    decode_event,
    event_hash,
    join_batch,
    open_signed,
    split_batch,
)
from edge_agent.wire.examples import SIGNING_KEY_SEED
from edge_agent.wire.ids import event_id, parse_source, parse_subject
from edge_agent.wire.records import DATA_TYPES

FOLDER = Path(__file__).parent / "recorded"
V1 = FOLDER / "v1"
EVENTS = sorted(V1.glob("event-*.json"))
KINDS: dict[str, Any] = {
    "ack": m.Ack,
    "ack-nothing-held": m.Ack,
    "ack-with-gap": m.Ack,
    "birth": m.Birth,
    "central-state": m.CentralState,
    "command": m.Signed,
    "command-addressed": m.Signed,
    "command-addressed-body": m.Command,
    "command-body": m.Command,
    "heartbeat": m.Heartbeat,
    "incident": m.Incident,
    "reply": m.Reply,
    "roster-delta": m.Signed,
    "roster-delta-body": m.Roster,
    "roster-full": m.Signed,
    "roster-full-body": m.Roster,
    "state-online": m.TerminalState,
    "state-will": m.TerminalState,
}


def test_no_recorded_byte_was_changed() -> None:
    sums = dict(reversed(line.split("  ")) for line in (FOLDER / "v1.sha256").read_text().splitlines())
    assert {f"v1/{file.name}" for file in V1.iterdir()} == set(sums)
    for name, digest in sums.items():
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == digest, f"{name} must never change"


def test_every_recorded_message_has_a_reader() -> None:
    others = {"batch", "batch-empty", "incident-none"}
    assert {file.stem for file in V1.iterdir()} == set(KINDS) | others | {file.stem for file in EVENTS}


@pytest.mark.parametrize("name", KINDS)
def test_recorded_messages_decode(name: str) -> None:
    decoded = decode((V1 / f"{name}.json").read_bytes(), KINDS[name])
    assert isinstance(decoded, KINDS[name])


@pytest.mark.parametrize("file", EVENTS, ids=lambda file: file.stem)
def test_recorded_events_decode_with_their_data(file: Path) -> None:
    raw = file.read_bytes()
    event = decode_event(raw)
    assert event.id == event_id(event.journalid, int(event.sequence))
    assert parse_source(event.source) == ("site-07", "gate-03")
    kind = DATA_TYPES.get(event.type)
    if kind is not None:
        decode(bytes(event.data), kind)
    if kind is m.TapData:
        assert parse_subject(event.subject) is not None


def test_a_recorded_batch_keeps_its_events_bytes_and_their_chain() -> None:
    batch = (V1 / "batch.json").read_bytes()
    events = split_batch(batch)
    assert events == [file.read_bytes() for file in EVENTS]
    assert join_batch(events) == batch
    previous = GENESIS_HASH
    for raw in events:
        assert decode_event(raw).prevhash == previous
        previous = event_hash(raw)
    assert decode((V1 / "ack.json").read_bytes(), m.Ack).hash == previous
    assert split_batch((V1 / "batch-empty.json").read_bytes()) == []


def test_recorded_values_are_read_as_they_were_meant() -> None:
    gap = decode((V1 / "ack-with-gap.json").read_bytes(), m.Ack)
    assert (gap.durable, gap.have, gap.epoch) == (4, [(7, 9), (12, 12)], 1)
    beat = decode((V1 / "heartbeat.json").read_bytes(), m.Heartbeat)
    assert beat.readers == {"r1": 0.4, "r2": None}
    roster = decode((V1 / "roster-full-body.json").read_bytes(), m.Roster)
    assert [(entry.name, entry.lang, entry.barred) for entry in roster.entries] == [
        ("김철수", "ko", None),
        ("Nguyen Van An", "vi", "no training"),
    ]
    delta = decode((V1 / "roster-delta-body.json").read_bytes(), m.Roster)
    assert (delta.base, delta.version, delta.inside_removed) == (8123, 8124, ["worker:41"])
    assert (V1 / "incident-none.json").read_bytes() == b""


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("roster-full", m.Roster),
        ("roster-delta", m.Roster),
        ("command", m.Command),
        ("command-addressed", m.Command),
    ],
)
def test_recorded_signatures_still_verify_and_a_changed_body_does_not(name: str, kind: Any) -> None:
    key = Ed25519PrivateKey.from_private_bytes(SIGNING_KEY_SEED).public_key()
    envelope = (V1 / f"{name}.json").read_bytes()
    body = json.loads((V1 / f"{name}-body.json").read_bytes())
    assert open_signed(envelope, kind, key=key) == decode((V1 / f"{name}-body.json").read_bytes(), kind)
    changed = json.loads(envelope)
    changed["body"] = json.dumps(body | {"version": 9999})
    with pytest.raises(BadSignature, match="example-1"):
        open_signed(json.dumps(changed).encode(), kind, key=key)


def test_fields_that_a_later_version_adds_are_ignored() -> None:
    raw = json.loads((V1 / "ack.json").read_bytes()) | {"added_later": {"x": 1}}
    assert decode(json.dumps(raw).encode(), m.Ack) == decode((V1 / "ack.json").read_bytes(), m.Ack)
