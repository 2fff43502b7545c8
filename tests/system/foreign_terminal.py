"""Somebody else's terminal: written from `docs/write-your-own-terminal.md` and the AsyncAPI document alone.

It shares no code with ours. Its journal is a file of lines, fsynced before a tap answers green.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import threading
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

EVENTS_A_BATCH = 64
BATCH_BYTES = 131_072
ZEROS = "0" * 64


class ForeignTerminal:
    """One gate of another maker. `journal` is its file; a second instance on the same file goes on where it stopped."""

    def __init__(self, *, site: str, code: str, port: int, card_key: bytes, journal: Path) -> None:
        self.site, self.code, self.card_key = site, code, card_key
        self.topic = f"ccs/v1/{site}/{code}"
        self.boot_id = str(uuid.uuid4())
        self.file = journal
        self.records: list[bytes] = []
        self.journal_id = str(uuid.uuid4())
        if journal.exists():
            self.records = journal.read_bytes().splitlines()
            self.journal_id = json.loads(self.records[0])["journalid"]
        self.durable, self.have, self.epoch = 0, [], 0  # type: ignore[var-annotated]
        self.acks: list[dict[str, Any]] = []
        self.alarm = ""
        self.roster: dict[str, Any] | None = None
        self.signed_roster: dict[str, str] = {}
        self.central_online = False
        self._news = threading.Condition()
        self._port = port
        self._client = self._new_client()

    # -- taps

    @property
    def head_hash(self) -> str:
        return hashlib.sha256(self.records[-1]).hexdigest() if self.records else ZEROS

    def tap(self, identity: bytes, direction: str, *, decision: str = "accepted", **data: Any) -> int:
        token = hmac.new(self.card_key, identity, hashlib.sha256).hexdigest()[:32]
        shown = {"accepted": "green", "repeat": "green", "unknown_card": "amber"}.get(decision, "red")
        body = {
            "direction": direction,
            "reader": "front",
            "zone": "east",
            "credential": {"method": "desfire_ev2", "assurance": 3, "keyver": 1},
            "decision": decision,
            "shown": shown,
            "rosterver": self.roster["version"] if self.roster else 0,
        }
        return self.append("ccs.tap.v1", body | data, subject=f"card:{token}")

    def append(self, type_: str, data: Any, **attributes: Any) -> int:
        seq = len(self.records) + 1
        event = {
            "specversion": "1.0",
            "type": type_,
            "source": f"urn:ccs:{self.site}:{self.code}",
            "id": f"{self.journal_id}-{seq:020d}",
            "sequence": f"{seq:020d}",
            "time": _now(),
            "datacontenttype": "application/json",
            "journalid": self.journal_id,
            "bootid": self.boot_id,
            "boottimens": str(time.clock_gettime_ns(time.CLOCK_BOOTTIME)),
            "clockstate": "synced",
            "clockerrms": 20,
            "clockepoch": 1,
            "prevhash": self.head_hash,
            "data": data,
            "makersmark": "foreign",
        }
        # Another order and other spaces than our own terminal's: the bytes are the record, whoever made them.
        raw = json.dumps(event | attributes, sort_keys=True).encode()
        with self.file.open("ab") as journal:
            journal.write(raw + b"\n")
            journal.flush()
            os.fsync(journal.fileno())
        self.records.append(raw)
        return seq

    # -- the broker

    def _new_client(self) -> mqtt.Client:
        client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id=f"foreign-{self.site}-{self.code}", protocol=mqtt.MQTTv5
        )
        client.on_message = self._on_message
        return client

    def connect(self) -> None:
        subscribed = threading.Event()
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.will_set(f"{self.topic}/state", self._state(online=False), qos=1, retain=True)
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        topics = [f"{self.topic}/ack", f"{self.topic}/command"]
        topics += [f"ccs/v1/{self.site}/roster", f"ccs/v1/{self.site}/incident", "ccs/v1/central/state"]
        self._client.subscribe([(topic, mqtt.SubscribeOptions(qos=1)) for topic in topics])
        if not subscribed.wait(20):
            raise TimeoutError("the broker does not answer the subscription")
        self._publish("birth", self.birth())
        self._publish("state", self._state(online=True), retain=True)

    def birth(self) -> bytes:
        birth = {
            "journal_id": self.journal_id,
            "head_seq": len(self.records),
            "head_hash": self.head_hash,
            "boot_id": self.boot_id,
            "at": _now(),
            "boottime_ns": time.clock_gettime_ns(time.CLOCK_BOOTTIME),
            "clock_state": "synced",
            "clock_error_ms": 20,
            "versions": {"foreign": "3.1"},
            "config_hash": "",
            "durable": self.durable,
            "epoch": self.epoch,
        }
        return json.dumps(birth).encode()

    def heartbeat(self) -> bytes:
        beat = {
            "journal_id": self.journal_id,
            "boot_id": self.boot_id,
            "at": _now(),
            "boottime_ns": time.clock_gettime_ns(time.CLOCK_BOOTTIME),
            "head_seq": len(self.records),
            "unacknowledged": len(self.uncovered()),
            "free_bytes": 10**9,
            "clock_state": "synced",
            "clock_error_ms": 20,
            "roster_version": self.roster["version"] if self.roster else 0,
            "readers": {"front": 0.1},
        }
        return json.dumps(beat).encode()

    def beat(self) -> None:
        self._client.publish(f"{self.topic}/heartbeat", self.heartbeat(), qos=0)

    def uncovered(self) -> list[int]:
        covered = {seq for first, last in self.have for seq in range(first, last + 1)}
        return [seq for seq in range(self.durable + 1, len(self.records) + 1) if seq not in covered]

    def send(self) -> None:
        """Send, in order and in batches, what no ack covers."""
        batch: list[bytes] = []
        for seq in self.uncovered():
            raw = self.records[seq - 1]
            if len(batch) == EVENTS_A_BATCH or sum(map(len, batch)) + len(batch) + len(raw) + 2 > BATCH_BYTES:
                self.send_batch(batch)
                batch = []
            batch.append(raw)
        if batch:
            self.send_batch(batch)

    def send_batch(self, events: list[bytes], *, lane: str = "events") -> None:
        properties = Properties(PacketTypes.PUBLISH)
        properties.ContentType = "application/cloudevents-batch+json"
        self._publish(lane, b"[" + b",".join(events) + b"]", properties=properties)

    def _publish(self, kind: str, payload: bytes, **options: Any) -> None:
        self._client.publish(f"{self.topic}/{kind}", payload, qos=1, **options).wait_for_publish(20)

    def _state(self, *, online: bool) -> bytes:
        return json.dumps({"online": online, "boot_id": self.boot_id, "at": _now()}).encode()

    def disconnect(self, *, orderly: bool = True) -> None:
        if orderly:
            self._publish("state", self._state(online=False), retain=True)
            self._client.disconnect()
        elif connection := self._client.socket():
            connection.close()
        self._client.loop_stop()
        self._client = self._new_client()

    # -- what it is told

    def _on_message(self, _client: mqtt.Client, _userdata: Any, message: mqtt.MQTTMessage) -> None:
        with self._news:
            if message.topic == f"{self.topic}/ack":
                self._on_ack(json.loads(message.payload))
            elif message.topic.endswith("/roster"):
                self._on_roster(json.loads(message.payload))
            elif message.topic == "ccs/v1/central/state":
                self.central_online = json.loads(message.payload)["online"]
            self._news.notify_all()

    def _on_ack(self, ack: dict[str, Any]) -> None:
        if ack["journal_id"] != self.journal_id:
            return
        self.acks.append(ack)
        durable = ack["durable"]
        own = hashlib.sha256(self.records[durable - 1]).hexdigest() if 0 < durable <= len(self.records) else ZEROS
        if durable > len(self.records) or ack["hash"] != own:
            self.alarm = f"central holds another event {durable} than this journal"
            return
        if ack["epoch"] < self.epoch or (ack["epoch"] == self.epoch and durable < self.durable):
            return
        self.durable, self.have, self.epoch = durable, ack["have"], ack["epoch"]

    def _on_roster(self, signed: dict[str, str]) -> None:
        """Take whole rosters and deltas. Whoever runs the terminal checks `signed_roster` under central's key."""
        body = json.loads(signed["body"])
        if self.roster is None or "base" not in body:
            if "base" in body or (self.roster and body["version"] < self.roster["version"]):
                return
            self.roster = body | {"entries": body.get("entries", []), "inside": body.get("inside", [])}
        elif body["base"] == self.roster["version"]:
            gone, left = set(body.get("removed", [])), set(body.get("inside_removed", []))
            entries = {entry["token"]: entry for entry in self.roster["entries"] + body.get("entries", [])}
            inside = {one["person"]: one for one in self.roster["inside"] + body.get("inside", [])}
            self.roster = body | {
                "entries": [entry for token, entry in entries.items() if token not in gone],
                "inside": [one for person, one in inside.items() if person not in left],
            }
        self.signed_roster = signed

    def until(self, condition: Any, *, what: str, timeout_s: float = 30) -> None:
        with self._news:
            if not self._news.wait_for(condition, timeout_s):
                raise TimeoutError(f"gave up waiting for {what}; alarm: {self.alarm!r}, last ack: {self.acks[-1:]}")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")  # tidy: wall-clock its own clock
