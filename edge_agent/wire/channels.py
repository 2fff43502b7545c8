"""The topics of the contract as data: who sends what where, how, and what it is for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edge_agent.wire.messages import BATCH_CONTENT_TYPE
from edge_agent.wire.topics import CENTRAL_STATE, ROOT

_TERMINAL = f"{ROOT}/{{site}}/{{terminal}}"
_JSON = "application/json"

INTRODUCTION = """\
What a card terminal says over MQTT 5, and what it is told. Version 1.

A terminal keeps a journal: events numbered 1, 2, 3 … with no gap, each serialised once and stored before the worker \
sees green. It publishes those same bytes in batches, as often as needed, until central's `ack` covers them. The key \
of an event is (`journalid`, `sequence`); it counts once however often it arrives. An event's hash is SHA-256 of its \
own bytes as they stand in the batch; `prevhash` is the hash of the event before it, 64 zeros for the first.

`docs/write-your-own-terminal.md` walks through a session."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One topic. `action` is the terminal's; `message` names the payload's type, `signed` what its body holds."""

    name: str
    address: str
    action: Literal["send", "receive"]
    message: str
    summary: str
    description: str
    examples: tuple[str, ...]
    qos: int = 1
    retain: bool = False
    content_type: str = _JSON
    signed: str = ""

    @property
    def operation(self) -> str:
        """Name the operation: `sendEvents`, `receiveAck`."""
        return f"{self.action}{self.name[0].upper()}{self.name[1:]}"


CHANNELS: tuple[Channel, ...] = (
    Channel(
        name="events",
        address=f"{_TERMINAL}/events",
        action="send",
        message="EventBatch",
        summary="Send journal records in order, from the first that central does not hold.",
        description="At most 64 events and 128 KiB a message. Repeating is harmless. PUBACK frees the window only; "
        "nothing may be deleted before an `ack` covers it.",
        examples=("batch",),
        content_type=BATCH_CONTENT_TYPE,
    ),
    Channel(
        name="live",
        address=f"{_TERMINAL}/live",
        action="send",
        message="EventBatch",
        summary="Send the newest records ahead of a backlog.",
        description="Optional. The same records with the same keys; they go on `events` as well unless `have` in an "
        "`ack` names them.",
        examples=("batch",),
        content_type=BATCH_CONTENT_TYPE,
    ),
    Channel(
        name="birth",
        address=f"{_TERMINAL}/birth",
        action="send",
        message="Birth",
        summary="Say who connects and how far its journal is: on every connect, before anything else.",
        description="Central answers a registered terminal with an `ack`, also when it holds nothing of the journal.",
        examples=("birth",),
    ),
    Channel(
        name="state",
        address=f"{_TERMINAL}/state",
        action="send",
        message="TerminalState",
        summary="Say online after the birth; offline is the will, and is said before an orderly disconnect.",
        description="Retained. The will carries the `boot_id` and an `at` from just before its own connection: central "
        "ignores a will that is older than the current birth.",
        examples=("state-online", "state-will"),
        retain=True,
    ),
    Channel(
        name="heartbeat",
        address=f"{_TERMINAL}/heartbeat",
        action="send",
        message="Heartbeat",
        summary="Say every 15 s how the terminal is.",
        description="Silence for more than 2 minutes makes the headcount doubtful. While `unacknowledged` is above 0 "
        "central repeats its `ack`. `durable` and `epoch` repeat the last ack believed, as the birth does: a central "
        "that was restored from an older backup learns from them what to ask for again.",
        examples=("heartbeat",),
        qos=0,
    ),
    Channel(
        name="ack",
        address=f"{_TERMINAL}/ack",
        action="receive",
        message="Ack",
        summary="Learn what the database holds.",
        description="`durable` is the highest sequence with none missing below it, `hash` that event's hash, `have` "
        "the ranges held beyond it. Compare `hash` with the journal before believing it. `durable` goes back only when "
        "`epoch` rises: then send again from there.",
        examples=("ack", "ack-with-gap", "ack-nothing-held"),
    ),
    Channel(
        name="command",
        address=f"{_TERMINAL}/command",
        action="receive",
        message="Signed",
        summary="Be told to do something once.",
        description="Check the signature, that `site` and `terminal` name you, and `expires_at`; do each `id` at most "
        "once, answer on `reply`. Carry out nothing that names nobody: it may have been meant for another.",
        examples=("command",),
        signed="Command",
    ),
    Channel(
        name="reply",
        address=f"{_TERMINAL}/reply",
        action="send",
        message="Reply",
        summary="Answer a command with its id.",
        description="",
        examples=("reply",),
    ),
    Channel(
        name="roster",
        address=f"{ROOT}/{{site}}/roster",
        action="receive",
        message="Signed",
        summary="Learn whose card is whose, who is barred, and who is inside.",
        description="Full rosters (`base` absent) are retained; a delta applies only to version `base`. Refuse a "
        "version that is not newer; on a gap subscribe again and take the retained one.",
        examples=("roster-full", "roster-delta"),
        retain=True,
        signed="Roster",
    ),
    Channel(
        name="incident",
        address=f"{ROOT}/{{site}}/incident",
        action="receive",
        message="Incident",
        summary="Learn that an incident is open.",
        description="Retained. An empty payload means that none is; central also says so after a birth. "
        "Keep an open one over a restart.",
        examples=("incident",),
        retain=True,
    ),
    Channel(
        name="centralState",
        address=CENTRAL_STATE,
        action="receive",
        message="CentralState",
        summary="Learn whether anybody takes events in.",
        description="Retained, and central's will. Sending on while it is offline is allowed: the broker may keep it.",
        examples=("central-state",),
        retain=True,
    ),
)
