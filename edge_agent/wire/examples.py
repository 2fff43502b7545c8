"""One example of every message, the same bytes each time: for the documents, and for whoever writes a terminal."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agent.wire import messages as m
from edge_agent.wire import records as r
from edge_agent.wire.codec import GENESIS_HASH, encode, encode_event, event_hash, join_batch, sign
from edge_agent.wire.ids import card_token

if TYPE_CHECKING:
    from msgspec import Struct

SITE, TERMINAL = "site-07", "gate-03"
JOURNAL_ID = "01931f3e-8d2a-7c41-9b5e-3f6a2d90c1e7"
BOOT_ID = "6b1f0c52-7c1e-4a39-8d55-0e9f2f1a7b10"
AT = datetime(2026, 11, 22, 0, 41, 3, 512_000, tzinfo=UTC)
CARD_KEY = hashlib.sha256(b"example system key").digest()
SIGNING_KEY_SEED = hashlib.sha256(b"example signing key").digest()
KEY_ID = "example-1"

_ID = m.Credential(method="desfire_ev2", assurance=3, keyver=2)
_WEAK = m.Credential(method="id_only", assurance=0)


def example_token(number: int) -> str:
    """Make the token of an example card."""
    return card_token(CARD_KEY, number.to_bytes(7, "big"))


def _tap(direction: m.Direction, decision: m.Decision, shown: m.Shown, credential: m.Credential = _ID) -> m.TapData:
    return m.TapData(
        direction=direction,
        reader="r1",
        zone="gate-03",
        credential=credential,
        decision=decision,
        shown=shown,
        rosterver=8123,
    )


def _story() -> list[tuple[str, Struct | dict[str, Any], str | None]]:
    """List (type, data, card token) of one morning at one gate: every event type, every decision."""
    return [
        (m.BOOT, r.BootData(versions={"ccs-edge": "0.1.0"}, config_hash=hashlib.sha256(b"").hexdigest()), None),
        (m.READER, r.ReaderData(reader="r1", state="found", detail="ACS ACR122U"), None),
        (m.ROSTER_APPLIED, r.RosterAppliedData(version=8123), None),
        (m.TAP, _tap("in", "accepted", "green"), example_token(1)),
        (m.TAP, _tap("in", "repeat", "green"), example_token(1)),
        (m.TAP, _tap("in", "unknown_card", "amber", _WEAK), example_token(2)),
        (m.TAP, _tap("in", "barred", "red"), example_token(3)),
        (m.TAP, _tap("tap", "auth_failed", "red", _WEAK), example_token(4)),
        (m.TAP, _tap("out", "accepted", "green"), example_token(1)),
        (m.MUSTER, _tap("muster", "accepted", "green"), example_token(1)),
        (m.CLOCK_ANCHOR, r.ClockAnchorData(error_ms=12, was="holdover"), None),
        (m.CLOCK_STEP, r.ClockStepData(from_=AT, to=AT + timedelta(hours=9), epoch=5), None),
        (m.READER, r.ReaderData(reader="r1", state="lost", detail="unplugged"), None),
        (m.JOURNAL, r.JournalData(what="full", free_bytes=4096, used_bytes=2_147_479_552), None),
        (m.JOURNAL, _recovered(), None),
        (m.CORRECTION, {"note": "fields are not defined yet"}, None),
    ]


def _recovered() -> r.JournalData:
    return r.JournalData(
        what="recovered",
        journal_id="01931f3e-0000-7000-8000-000000000001",
        first=101,
        last=140,
        reason="the file is not a database",
        file="journal.damaged-1",
        readable=12,
    )


def events() -> list[bytes]:
    """Encode the story as the first records of one journal, each naming its predecessor's hash."""
    previous, encoded = GENESIS_HASH, []
    for seq, (type_, data, token) in enumerate(_story(), start=1):
        record = encode_event(
            type_=type_,
            site=SITE,
            terminal=TERMINAL,
            journal_id=JOURNAL_ID,
            seq=seq,
            at=AT + timedelta(seconds=seq),
            boot_id=BOOT_ID,
            boottime_ns=81_234_567_890_123 + seq * 1_000_000_000,
            clock_state="holdover",
            clock_error_ms=850,
            clock_epoch=4,
            prev_hash=previous,
            data=data,
            token=token,
        )
        encoded.append(record)
        previous = event_hash(record)
    return encoded


def examples() -> dict[str, bytes]:
    """Return every example by name: `batch`, an `event-…` a type and decision, each message of the other topics."""
    records = events()
    head = len(records)
    named = {f"event-{seq:02d}-{_story()[seq - 1][0]}": record for seq, record in enumerate(records, start=1)}
    return (
        {"batch": join_batch(records), "batch-empty": join_batch([])}
        | named
        | _from_terminal(head, event_hash(records[-1]))
        | _from_central(head, event_hash(records[-1]), event_hash(records[3]))
    )


def _from_terminal(head: int, head_hash: str) -> dict[str, bytes]:
    birth = m.Birth(
        journal_id=JOURNAL_ID,
        head_seq=head,
        head_hash=head_hash,
        boot_id=BOOT_ID,
        at=AT,
        boottime_ns=81_234_567_890_123,
        clock_state="holdover",
        clock_error_ms=850,
        versions={"ccs-edge": "0.1.0", "wire": "1"},
        config_hash=hashlib.sha256(b"").hexdigest(),
        roster_version=8123,
        durable=4,
        epoch=1,
    )
    heartbeat = m.Heartbeat(
        journal_id=JOURNAL_ID,
        boot_id=BOOT_ID,
        at=AT,
        boottime_ns=81_249_567_890_123,
        head_seq=head,
        unacknowledged=head - 4,
        free_bytes=5_368_709_120,
        clock_state="holdover",
        clock_error_ms=850,
        roster_version=8123,
        readers={"r1": 0.4, "r2": None},
        durable=4,
        epoch=1,
    )
    return {
        "birth": encode(birth),
        "heartbeat": encode(heartbeat),
        "state-online": encode(m.TerminalState(online=True, boot_id=BOOT_ID, at=AT)),
        "state-will": encode(m.TerminalState(online=False, boot_id=BOOT_ID, at=AT)),
        "reply": encode(m.Reply(id="01931f40-1111-7000-8000-000000000001", ok=True, detail="replaying 1 to 16")),
    }


def _from_central(head: int, head_hash: str, fourth_hash: str) -> dict[str, bytes]:
    key = Ed25519PrivateKey.from_private_bytes(SIGNING_KEY_SEED)
    command = m.Command(
        id="01931f40-1111-7000-8000-000000000001",
        name="replay",
        expires_at=AT + timedelta(minutes=5),
        args={"first": 1, "last": head},
        site=SITE,
        terminal=TERMINAL,
    )
    return {
        "ack": encode(m.Ack(journal_id=JOURNAL_ID, durable=head, hash=head_hash, have=[], epoch=1)),
        "ack-with-gap": encode(
            m.Ack(journal_id=JOURNAL_ID, durable=4, hash=fourth_hash, have=[(7, 9), (12, 12)], epoch=1)
        ),
        "ack-nothing-held": encode(m.Ack(journal_id=JOURNAL_ID, durable=0, hash=GENESIS_HASH, have=[], epoch=2)),
        "central-state": encode(m.CentralState(online=True, epoch=1, at=AT)),
        "incident": encode(m.Incident(id="01931f41-2222-7000-8000-000000000001", kind="drill", since=AT)),
        "incident-none": b"",
        "command-body": encode(command),
        "command": sign(command, key=key, key_id=KEY_ID),
        "roster-full-body": encode(_full()),
        "roster-full": sign(_full(), key=key, key_id=KEY_ID),
        "roster-delta-body": encode(_delta()),
        "roster-delta": sign(_delta(), key=key, key_id=KEY_ID),
    }


def _full() -> m.Roster:
    return m.Roster(
        site=SITE,
        version=8123,
        issued_at=AT,
        entries=[
            m.RosterEntry(token=example_token(1), worker="41", name="김철수"),
            m.RosterEntry(token=example_token(3), worker="43", name="Nguyen Van An", lang="vi", barred="no training"),
        ],
        inside=[
            m.Inside(person="worker:41", name="김철수", since=AT, employer="한빛건설", trade="철근공", zone="gate-03")
        ],
    )


def _delta() -> m.Roster:
    return m.Roster(
        site=SITE,
        version=8124,
        issued_at=AT + timedelta(seconds=20),
        base=8123,
        entries=[m.RosterEntry(token=example_token(5), worker="45", name="박영희")],
        removed=[example_token(3)],
        inside_removed=["worker:41"],
    )
