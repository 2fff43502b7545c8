"""A terminal as central's examiner plays it: any journal, any bytes, any order, over one MQTT connection."""

from __future__ import annotations

import json
import threading
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from simulators.tck import contract
from simulators.tck.contract import ZEROS, hash_of, join_batch, source, time_text, topic

if TYPE_CHECKING:
    from collections.abc import Callable

    from paho.mqtt.client import MQTTMessage

CONNECT_S_MAX = 20.0
PUBACK_S_MAX = 20.0
CREDENTIALS = {3: "desfire_ev2", 2: "ntag424_sdm", 1: "felica_mac", 0: "id_only"}
SHOWN = {"unknown_card": "amber", "barred": "red", "auth_failed": "red"}


class BrokerSilent(RuntimeError):
    """The broker does not do what it should; the message says what."""


@dataclass
class Journal:
    """A journal made by the kit: events with a true chain, unless a change says otherwise."""

    site: str
    terminal: str
    journal_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    boot_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    records: list[bytes] = field(default_factory=list)

    def head_hash(self) -> str:
        """Hash the last event."""
        return self.hash_at(len(self.records))

    def hash_at(self, seq: int) -> str:
        """Hash an event; zeros for 0."""
        return hash_of(self.records[seq - 1]) if seq else ZEROS

    def tap(
        self,
        token: str,
        direction: str = "in",
        *,
        assurance: int = 3,
        decision: str = "accepted",
        **change: Any,  # noqa: ANN401 - attributes of an event
    ) -> int:
        """Append a tap; return its number."""
        data = {
            "direction": direction,
            "reader": "r1",
            "zone": "tck",
            "credential": {"method": CREDENTIALS[assurance], "assurance": assurance},
            "decision": decision,
            "shown": SHOWN.get(decision, "green"),
            "rosterver": 0,
        }
        return self.append("ccs.tap.v1", data, subject=f"card:{token}", **change)

    def append(self, kind: str, data: Any, **change: Any) -> int:  # noqa: ANN401 - any JSON, attributes of an event
        """Append an event; `change` overrides its attributes."""
        seq = len(self.records) + 1
        self.records.append(self.written(seq, kind, data, **change))
        return seq

    def written(self, seq: int, kind: str, data: Any, **change: Any) -> bytes:  # noqa: ANN401 - any JSON, attributes
        """Serialise an event without keeping it."""
        at: datetime = change.pop("at", None) or datetime.now(UTC)
        event = {
            "specversion": "1.0",
            "type": kind,
            "source": source(self.site, self.terminal),
            "id": f"{self.journal_id}-{seq:020d}",
            "sequence": f"{seq:020d}",
            "time": time_text(at),
            "datacontenttype": "application/json",
            "journalid": self.journal_id,
            "bootid": self.boot_id,
            "boottimens": str(time.monotonic_ns()),
            "clockstate": "synced",
            "clockerrms": 20,
            "clockepoch": 1,
            "prevhash": self.hash_at(seq - 1) if seq <= len(self.records) + 1 else ZEROS,
            "data": data,
        }
        return json.dumps(event | change, ensure_ascii=False).encode()

    def birth(self, **change: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of a birth
        """Make a birth."""
        return {
            "journal_id": self.journal_id,
            "head_seq": len(self.records),
            "head_hash": self.head_hash(),
            "boot_id": self.boot_id,
            "at": time_text(datetime.now(UTC)),
            "boottime_ns": time.monotonic_ns(),
            "clock_state": "synced",
            "clock_error_ms": 20,
            "versions": {"ccs-sim tck": "1"},
            "config_hash": "",
            "durable": 0,
            "epoch": 0,
        } | change

    def heartbeat(self, unacknowledged: int, **change: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of a heartbeat
        """Make a heartbeat."""
        names = ("journal_id", "boot_id", "at", "boottime_ns", "head_seq", "clock_state", "clock_error_ms")
        birth = self.birth()
        said = {name: birth[name] for name in names}
        more = {"unacknowledged": unacknowledged, "free_bytes": 10**9, "roster_version": 0, "readers": {"r1": 0.1}}
        return said | more | change


class PlayedTerminal:
    """One connection to the real broker, in one boot; use as a context. Raises `BrokerSilent` and `OSError`."""

    def __init__(self, url: str, site: str, code: str, *, credentials: tuple[str, str] | None = None) -> None:
        self.site, self.code = site, code
        self.boot_id = str(uuid.uuid4())
        self.changed = threading.Condition()
        self.acks: list[dict[str, Any]] = []
        self.raw_acks: list[bytes] = []
        self.rosters: list[tuple[bool, bytes]] = []
        """Retained, and payload."""
        self.incidents: list[bytes] = []
        self.states: list[tuple[bool, bytes]] = []
        self._subscribed = threading.Event()
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or (8883 if parts.scheme == "mqtts" else 1883)
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=f"tck-{site}-{code}", protocol=MQTTv5)
        self._client.on_message = self._on_message
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        if parts.scheme == "mqtts":
            self._client.tls_set()
        if credentials is not None:
            self._client.username_pw_set(*credentials)

    def __enter__(self) -> Self:
        will = {"online": False, "boot_id": self.boot_id, "at": time_text(datetime.now(UTC))}
        self._client.will_set(topic(self.site, self.code, "state"), json.dumps(will), qos=1, retain=True)
        self._client.connect(self._host, self._port)
        self._client.loop_start()
        topics = [topic(self.site, self.code, kind) for kind in contract.HEARD]
        self._client.subscribe([(name, 1) for name in [*topics, *self.retained_topics]])
        if not self._subscribed.wait(CONNECT_S_MAX):
            self._client.loop_stop()
            raise BrokerSilent(f"the broker at {self._host}:{self._port} does not answer a subscription")
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def wait(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait for a condition on what was heard."""
        with self.changed:
            return self.changed.wait_for(condition, timeout_s)

    @property
    def retained_topics(self) -> list[str]:
        """Name what central retains."""
        return [f"{contract.ROOT}/{self.site}/roster", f"{contract.ROOT}/{self.site}/incident", contract.CENTRAL_STATE]

    def ask_again(self) -> None:
        """Have the broker send once more what it retains: what was heard live says nothing of it (MQTT 5, §3.3.1.3)."""
        self._client.subscribe([(name, 1) for name in self.retained_topics])

    def of(self, journal: Journal) -> list[dict[str, Any]]:
        """Return the acks for a journal, in order."""
        return [ack for ack in self.acks if ack.get("journal_id") == journal.journal_id]

    def send(self, journal: Journal, first: int = 1, last: int | None = None, *, lane: str = "events") -> None:
        """Send a range of a journal, in as many batches as it takes."""
        records = journal.records[first - 1 : last]
        for at in range(0, len(records), contract.EVENTS_A_BATCH_MAX):
            self.say(lane, join_batch(records[at : at + contract.EVENTS_A_BATCH_MAX]))

    def say(self, kind: str, payload: bytes | dict[str, Any], *, qos: int = 1, retain: bool = False) -> None:
        """Publish on one of our topics, and wait for the broker."""
        raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # left untyped by the library
        properties.ContentType = contract.BATCH_TYPE if kind in {"events", "live"} else "application/json"
        info = self._client.publish(
            topic(self.site, self.code, kind), raw, qos=qos, retain=retain, properties=properties
        )
        if qos:
            info.wait_for_publish(PUBACK_S_MAX)
            if not info.is_published():
                raise BrokerSilent(f"the broker does not acknowledge a message on {kind}")

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        payload = bytes(message.payload)
        with self.changed:
            if message.topic == contract.CENTRAL_STATE:
                self.states.append((message.retain, payload))
            elif message.topic.endswith("/ack"):
                self.raw_acks.append(payload)
                try:
                    ack = json.loads(payload)
                except ValueError:
                    ack = None
                if isinstance(ack, dict):
                    self.acks.append(ack)
            elif message.topic.endswith("/roster"):
                self.rosters.append((message.retain, payload))
            elif message.topic.endswith("/incident"):
                self.incidents.append(payload)
            self.changed.notify_all()
