"""A central made of a list: hears every terminal on a real broker, answers when told to, and signs rosters.

For tests of a terminal alone. It checks what central would rely on: same key, same bytes; each event's predecessor.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge_agent.transport.ranges import Ranges
from edge_agent.wire.codec import GENESIS_HASH, decode, decode_event, encode, event_hash, sign, split_batch
from edge_agent.wire.messages import Ack, Birth, Event, Heartbeat, Incident, Reply, Roster, TerminalState
from edge_agent.wire.topics import incident_topic, parse_terminal_topic, roster_topic, terminal_topic
from simulators.servers import wait_until

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from msgspec import Struct


@dataclass(frozen=True)
class Heard:
    """One message as it arrived."""

    topic: str
    kind: str
    payload: bytes
    content_type: str
    retained: bool


@dataclass
class Held:
    """What is held of one journal."""

    events: dict[int, bytes] = field(default_factory=dict)
    order: list[int] = field(default_factory=list)
    """Numbers in order of first arrival."""

    def durable(self) -> int:
        """Return the highest number without a gap below."""
        last = 0
        while last + 1 in self.events:
            last += 1
        return last

    def decoded(self) -> list[Event]:
        """Return the events in order of number."""
        return [decode_event(self.events[seq]) for seq in sorted(self.events)]

    def chain_breaks(self) -> list[int]:
        """Return the numbers whose `prevhash` is not the hash of the predecessor that is held."""
        breaks = []
        for seq, payload in sorted(self.events.items()):
            before = GENESIS_HASH if seq == 1 else event_hash(self.events[seq - 1]) if seq - 1 in self.events else None
            if before is not None and decode_event(payload).prevhash != before:
                breaks.append(seq)
        return breaks


class ListeningCentral:
    """Use as a context. With `answers`, every batch and birth is acknowledged at once."""

    def __init__(self, url: str, *, answers: bool = True) -> None:
        self.answers = answers
        self.epoch = 0
        self.heard: list[Heard] = []
        self.journals: dict[str, Held] = {}
        self.forks: list[tuple[str, int]] = []
        self._lock = threading.Lock()
        self._subscribed = threading.Event()
        self._url = urlsplit(url)
        self._client = Client(CallbackAPIVersion.VERSION2, client_id="listening-central", protocol=MQTTv5)
        self._client.reconnect_delay_set(min_delay=1, max_delay=1)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._on_message

    def __enter__(self) -> Self:
        options = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # left untyped by the library
        options.SessionExpiryInterval = 3600  # as central: what the broker takes meanwhile is kept for us
        host, port = self._url.hostname or "", self._url.port or 1883
        self._client.connect(host, port, clean_start=False, properties=options)
        self._client.loop_start()
        wait_until(self._subscribed.is_set, what="the listening central to be subscribed")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def messages(self, kind: str) -> list[Heard]:
        """Return what was heard on one kind of topic, in order."""
        with self._lock:
            return [one for one in self.heard if one.kind == kind]

    def births(self) -> list[Birth]:
        """Return the births heard."""
        return [decode(one.payload, Birth) for one in self.messages("birth")]

    def states(self) -> list[TerminalState]:
        """Return the states heard, wills included."""
        return [decode(one.payload, TerminalState) for one in self.messages("state")]

    def heartbeats(self) -> list[Heartbeat]:
        """Return the heartbeats heard."""
        return [decode(one.payload, Heartbeat) for one in self.messages("heartbeat")]

    def held(self, journal_id: str | None = None) -> Held:
        """Return what is held of a journal; without an id, of the only one."""
        with self._lock:
            if journal_id is None:
                (journal_id,) = list(self.journals) or [""]
            return self.journals.get(journal_id, Held())

    def acknowledge(self, site: str, terminal: str, journal_id: str) -> None:
        """Say what is held of a journal."""
        held = self.held(journal_id)
        durable = held.durable()
        have = Ranges((seq, seq) for seq in held.events if seq > durable).as_list()
        last = event_hash(held.events[durable]) if durable else GENESIS_HASH
        ack = Ack(journal_id=journal_id, durable=durable, hash=last, have=have, epoch=self.epoch)
        self._client.publish(terminal_topic(site, terminal, "ack"), encode(ack), qos=1)

    def say_raw_ack(self, site: str, terminal: str, ack: dict[str, Any]) -> None:
        """Send any acknowledgement, also a false or malformed one."""
        self._client.publish(terminal_topic(site, terminal, "ack"), json.dumps(ack), qos=1)

    def say_roster(self, roster: Roster, key: Path, *, retain: bool = True) -> None:
        """Sign a roster with the private key in `key` (PEM) and send it."""
        payload = sign(roster, key=load_signing_key(key), key_id="central-1")
        self._client.publish(roster_topic(roster.site), payload, qos=1, retain=retain)

    def say_command(self, site: str, terminal: str, command: Struct, key: Path) -> None:
        """Sign a command with the private key in `key` (PEM) and send it."""
        payload = sign(command, key=load_signing_key(key), key_id="central-1")
        self._client.publish(terminal_topic(site, terminal, "command"), payload, qos=1)

    def replies(self) -> list[Reply]:
        """Return the answers to commands."""
        return [decode(one.payload, Reply) for one in self.messages("reply")]

    def say_incident(self, site: str, incident: Incident | None) -> None:
        """Open or close an incident."""
        self._client.publish(incident_topic(site), encode(incident) if incident else b"", qos=1, retain=True)

    def _on_connect(self, client: Client, *_: object) -> None:
        client.subscribe("ccs/v1/+/+/+", qos=1)

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        topic = parse_terminal_topic(message.topic)
        if topic is None or topic.kind in {"ack", "command"}:
            return
        payload = bytes(message.payload)
        content_type = getattr(message.properties, "ContentType", "")
        journals = set()
        with self._lock:
            self.heard.append(Heard(message.topic, topic.kind, payload, content_type, message.retain))
            if topic.kind in {"events", "live"}:
                journals = {self._take(event) for event in split_batch(payload)}
            elif topic.kind == "birth":
                journals = {decode(payload, Birth).journal_id}
        if self.answers:
            for journal_id in journals:
                self.acknowledge(topic.site, topic.terminal, journal_id)

    def _take(self, payload: bytes) -> str:
        event = decode_event(payload)
        held = self.journals.setdefault(event.journalid, Held())
        seq = int(event.sequence)
        if seq not in held.events:
            held.events[seq] = payload
            held.order.append(seq)
        elif held.events[seq] != payload:
            self.forks.append((event.journalid, seq))
        return event.journalid


def load_signing_key(path: Path) -> Ed25519PrivateKey:
    """Read central's private key."""
    key = load_pem_private_key(path.read_bytes(), password=None)
    assert isinstance(key, Ed25519PrivateKey)  # noqa: S101 - `make_keys` writes no other
    return key
