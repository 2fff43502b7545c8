"""A terminal of another maker, in threads. Well-behaved as it is; each misbehaviour given to it breaks one promise.

Written from `docs/write-your-own-terminal.md`, sharing no code with ours or with the kit. `kill` forgets everything but
its files, as kill -9 does.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import socket
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

sys.path.insert(0, str(Path(__file__).parent))  # test folders are no packages
from bad_journal import BadJournal, stamp
from card_sockets import CardSockets

HEARTBEAT_S, RESEND_S, WINDOW, BATCH = 0.15, 0.6, 4, 64
COLOURS = {"accepted": "green", "unknown_card": "amber", "barred": "red"}


class BadTerminal:
    """One gate. `readers`: direction to port, 0 at first. `start`, `kill` and `stop` as the kit calls them."""

    can_kill = can_stop = True

    def __init__(
        self, *, port: int, readers: dict[str, int], keys: Path, folder: Path, misbehaviour: str = "", site: str = "tck"
    ) -> None:
        self.site, self.code, self.port, self.readers, self.folder = site, "gate-01", port, readers, folder
        self.misbehaviour = misbehaviour
        self.topic = f"ccs/v1/{site}/{self.code}"
        self.card_key = bytes.fromhex((keys / "card.key").read_text())
        self.public_key = load_pem_public_key((keys / "central-public.pem").read_bytes())

    def bad(self, *names: str) -> bool:
        return self.misbehaviour in names

    # -- life and death

    def start(self) -> None:
        self.alive, self.saying_goodbye = threading.Event(), False
        self.alive.set()
        self.journal = BadJournal(self.folder, site=self.site, terminal=self.code, misbehaviour=self.misbehaviour)
        self.lock = self.journal.lock
        self.roster: dict[str, Any] = {"version": 0, "entries": {}}
        if not self.bad("forgets_roster"):
            self.roster = self.journal.kept("roster", self.roster)
        self.recent: dict[tuple[str, str], tuple[float, str]] = {}
        self.sent_at: dict[int, float] = {}
        self.flying: dict[int, list[int]] = {}
        self.out: list[tuple[str, bytes, dict[str, Any]]] = []
        self.announced = self.lived = self.went_live = False
        self.incident = self.forked = False
        self.connection: mqtt.Client | None = None
        self.journal.append("ccs.boot.v1", {"versions": {"other": "1"}, "config_hash": ""})
        self.sockets = CardSockets(self.readers, self._card)
        self.readers = self.sockets.ports
        self.talking = threading.Thread(target=self._talk, daemon=True)
        self.talking.start()

    def kill(self) -> None:
        self.alive.clear()
        self.sockets.close()
        self.talking.join(10)

    def stop(self) -> None:
        self.saying_goodbye = True
        self.kill()

    # -- cards

    def _card(self, direction: str, card: dict[str, Any]) -> dict[str, Any]:
        with self.lock:
            if "unreadable" in card and not self.bad("records_unreadable"):
                return {"error": "unreadable: nothing was recorded"}
            if self.bad("needs_broker") and not self.announced:
                return {"shown": "red", "decision": "not_recorded", "seq": 0}
            if self.bad("stops_in_incident") and self.incident:
                return {"error": "an incident is open"}
            return self._tap(direction, bytes.fromhex(card.get("card", "00")), card)

    def _tap(self, direction: str, identity: bytes, card: dict[str, Any]) -> dict[str, Any]:
        token = hmac.new(self.card_key, identity, hashlib.sha256).hexdigest()[:32]
        if self.bad("raw_identity"):
            token = identity.hex().rjust(32, "0")
        entry = self.roster["entries"].get(token)
        decision = "unknown_card" if entry is None else "barred" if entry.get("barred") else "accepted"
        shown = COLOURS[decision]
        at, before = self.recent.get((token, direction), (0.0, ""))
        if decision != "barred" and before == decision and time.monotonic() - at < 60:
            decision = "repeat"
            if self.bad("drops_repeats"):
                return {"shown": shown, "decision": "repeat", "seq": 0}
        else:
            self.recent[token, direction] = (time.monotonic(), decision)
        credential = {"method": card.get("method", "id_only"), "assurance": card.get("assurance", 0)}
        if self.bad("brags"):
            credential = {"method": "desfire_ev2", "assurance": 3}
        data = {
            "direction": "in" if self.bad("guesses_direction") else direction,
            "reader": direction,
            "zone": "",
            "credential": credential,
            "decision": decision,
            "shown": "green" if self.bad("records_green") else shown,
            "rosterver": self.roster["version"],
        }
        kind = "ccs.muster.v1" if direction == "muster" and not self.bad("muster_as_tap") else "ccs.tap.v1"
        seq = self.journal.append(kind, data, f"card:{token}")
        return {"shown": shown, "decision": decision, "journal_id": self.journal.journal_id, "seq": seq, "text": ""}

    # -- the broker

    def _talk(self) -> None:
        while self.alive.is_set():
            client = self.connection = self._client()
            with contextlib.suppress(OSError, ValueError):
                client.connect("127.0.0.1", self.port, keepalive=30)
                while self.alive.is_set() and client.loop(timeout=0.02) == mqtt.MQTT_ERR_SUCCESS:
                    self._turn(client)
                if self.saying_goodbye and self.announced and not self.bad("no_farewell"):
                    self._farewell(client)
            self.announced = False
            if connection := client.socket():
                connection.close()
            if self.alive.is_set():
                threading.Event().wait(0.1)

    def _client(self) -> mqtt.Client:
        version = mqtt.MQTTv311 if self.bad("old_protocol") else mqtt.MQTTv5
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"other-{self.code}", protocol=version)
        client.max_inflight_messages_set(0)
        if not self.bad("no_will"):
            retain = not self.bad("fleeting_will")
            client.will_set(f"{self.topic}/state", self._state(online=False), qos=1, retain=retain)
        client.on_connect = self._on_connect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        return client

    def _on_connect(self, client: mqtt.Client, *_: Any) -> None:
        with self.lock:
            topics = [f"{self.topic}/ack", f"{self.topic}/command", f"ccs/v1/{self.site}/roster"]
            topics += [f"ccs/v1/{self.site}/incident", "ccs/v1/central/state"]
            if self.bad("listens_to_all"):
                topics.append("ccs/v1/#")
            client.subscribe([(topic, 1) for topic in topics])
            self.flying.clear()
            self.sent_at.clear()
            self.announced, self.lived, self.beat_at, self.went_live = True, False, 0.0, False
            if not self.bad("late_birth"):
                self._announce(client)

    def _announce(self, client: mqtt.Client) -> None:
        client.publish(f"{self.topic}/birth", self._birth(), qos=1)
        client.publish(f"{self.topic}/state", self._state(online=True), qos=1, retain=not self.bad("fleeting_state"))

    def _farewell(self, client: mqtt.Client) -> None:
        info = client.publish(f"{self.topic}/state", self._state(online=False), qos=1, retain=True)
        deadline = time.monotonic() + 5
        while not info.is_published() and time.monotonic() < deadline:
            client.loop(timeout=0.05)
        client.disconnect()
        client.loop(timeout=0.05)

    def _turn(self, client: mqtt.Client) -> None:
        with self.lock:
            if not self.announced:
                return
            now = time.monotonic()
            if now - self.beat_at >= HEARTBEAT_S and not self.bad("no_heartbeat"):
                self.beat_at = now
                client.publish(
                    f"{self.topic}/heartbeat", self._heartbeat(), qos=1 if self.bad("heavy_heartbeat") else 0
                )
            for topic, payload, options in self.out:
                client.publish(topic, payload, **options)
            self.out.clear()
            self._pump(client, now)
            if self.bad("late_birth") and not self.lived:
                self.lived = True
                self._announce(client)

    def _pump(self, client: mqtt.Client, now: float) -> None:
        """Send what is due: new records, and those that nobody has acknowledged for a while."""
        if self.forked:
            return
        flying = {seq for seqs in self.flying.values() for seq in seqs}
        due = []
        for seq in self.journal.uncovered():
            sent = self.sent_at.get(seq)
            late = sent is not None and now - sent > RESEND_S and not self.bad("never_resends")
            if seq not in flying and (sent is None or late):
                due.append(seq)
        size = 100 if self.bad("long_batches") else BATCH
        if len(due) > BATCH and not self.went_live:
            self.went_live = True
            self._send(client, due[-BATCH:], "live", now)
            del due[-BATCH:]
        if self.bad("backwards"):
            due.reverse()
        window = 1000 if self.bad("ignores_window") else WINDOW
        while due and len(self.flying) < window:
            batch, due = due[:size], due[size:]
            if self.bad("ignores_window") and len(batch) > 1:
                batch, due = batch[:1], batch[1:] + due
            self._send(client, batch, "events", now)

    def _send(self, client: mqtt.Client, seqs: list[int], lane: str, now: float) -> None:
        records = [self.journal.records[seq - 1] for seq in seqs]
        again = any(seq in self.sent_at for seq in seqs)
        if (self.bad("reserialises") and again) or (self.bad("other_bytes_live") and lane == "live"):
            records = [json.dumps(json.loads(record), indent=1).encode() for record in records]
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ContentType = "text/plain" if self.bad("no_content_type") else "application/cloudevents-batch+json"
        payload = b"[" + b",".join(records) + b"]"
        qos = 0 if self.bad("careless") else 1
        info = client.publish(f"{self.topic}/{lane}", payload, qos=qos, properties=properties)
        if self.bad("shouts_elsewhere"):
            client.publish(f"ccs/v1/{self.site}/gate-02/{lane}", payload, qos=1, properties=properties)
        if qos:
            self.flying[info.mid] = seqs
        for seq in seqs:
            self.sent_at[seq] = now

    def _on_publish(self, _client: mqtt.Client, _data: Any, mid: int, *_: Any) -> None:
        with self.lock:
            seqs = self.flying.pop(mid, [])
            if self.bad("puback_is_ack") and seqs:
                cursor = self.journal.cursor
                self.journal.move(cursor | {"durable": max(cursor["durable"], *seqs)})

    # -- what it says of itself

    def _birth(self) -> bytes:
        head = self.journal.head_hash
        birth = {
            "journal_id": self.journal.journal_id,
            "head_seq": len(self.journal.records),
            "head_hash": hashlib.sha256(b"wrong").hexdigest() if self.bad("wrong_head") else head,
            "boot_id": self.journal.boot_id,
            "at": stamp(),
            "boottime_ns": time.clock_gettime_ns(time.CLOCK_BOOTTIME),
            "clock_state": "synced",
            "clock_error_ms": 50,
            "versions": {"other": "1"},
            "config_hash": "",
            "roster_version": self.roster["version"],
            "durable": self.journal.cursor["durable"],
            "epoch": self.journal.cursor["epoch"],
        }
        return json.dumps(birth).encode()

    def _state(self, *, online: bool) -> bytes:
        return json.dumps({"online": online, "boot_id": self.journal.boot_id, "at": stamp()}).encode()

    def _heartbeat(self) -> bytes:
        beat = {
            "journal_id": self.journal.journal_id,
            "boot_id": self.journal.boot_id,
            "at": stamp(),
            "boottime_ns": time.clock_gettime_ns(time.CLOCK_BOOTTIME),
            "head_seq": len(self.journal.records),
            "unacknowledged": self.journal.unacknowledged(),
            "free_bytes": 10**9,
            "clock_state": "synced",
            "clock_error_ms": 50,
            "roster_version": self.roster["version"],
            "readers": dict.fromkeys(self.readers, 0.1),
        }
        return json.dumps(beat).encode()

    # -- what it is told

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        last = message.topic.rpartition("/")[2]
        with self.lock:
            try:
                value: Any = json.loads(message.payload) if message.payload else None
                if last == "ack":
                    self._on_ack(value)
                elif last == "roster":
                    self._on_roster(value)
                elif last == "command":
                    self._on_command(value)
                elif last == "incident":
                    self.incident = value is not None and value["kind"] in {"live", "drill", "test"}
            except (ValueError, KeyError, TypeError, AttributeError, InvalidSignature):
                if self.bad("dies_of_nonsense") and self.connection and (connection := self.connection.socket()):
                    connection.shutdown(socket.SHUT_RDWR)  # type: ignore[attr-defined]

    def _on_ack(self, ack: dict[str, Any]) -> None:
        cursor = self.journal.cursor
        durable, have, epoch = int(ack["durable"]), list(ack["have"]), int(ack["epoch"])
        if ack["journal_id"] != self.journal.journal_id and not self.bad("believes_any_journal"):
            return
        own = self.journal.hash_at(durable)
        self.forked = ack["hash"] != own and not self.bad("believes_any_hash", "goes_on_forked")
        if ack["hash"] != own and not self.bad("believes_any_hash"):
            return
        if epoch < cursor["epoch"] and not self.bad("believes_old_epoch"):
            return
        if epoch <= cursor["epoch"] and durable < cursor["durable"] and not self.bad("falls_back"):
            return
        if self.bad("never_goes_back", "puback_is_ack") and durable < cursor["durable"]:
            return
        if self.bad("never_acknowledged"):
            return
        if epoch > cursor["epoch"]:
            self.sent_at.clear()
        self.journal.move({"durable": durable, "have": have, "epoch": epoch})

    def _open(self, signed: dict[str, str], *, anybody: bool) -> dict[str, Any]:
        if not anybody:
            self.public_key.verify(base64.b64decode(signed["sig"]), signed["body"].encode())  # type: ignore[call-arg,union-attr]
        return dict(json.loads(signed["body"]))

    def _on_roster(self, signed: dict[str, str]) -> None:
        body = self._open(signed, anybody=self.bad("trusts_any_roster"))
        if body["version"] < self.roster["version"] and not self.bad("takes_old_roster"):
            return
        if self.bad("deaf_to_rosters") or (self.bad("no_deltas") and "base" in body):
            return
        entries = {entry["token"]: entry for entry in body.get("entries", [])}
        if "base" in body:
            if body["base"] != self.roster["version"] and not self.bad("takes_any_delta"):
                assert self.connection is not None
                self.connection.subscribe(f"ccs/v1/{self.site}/roster", 1)
                return
            entries = self.roster["entries"] | entries
            for token in body.get("removed", []):
                entries.pop(token, None)
        self.roster = {"version": body["version"], "entries": entries}
        self.journal.keep("roster", self.roster)

    def _on_command(self, signed: dict[str, str]) -> None:
        body = self._open(signed, anybody=self.bad("obeys_anybody"))
        if self.bad("never_replies"):
            return
        late = datetime.fromisoformat(body["expires_at"]) <= datetime.now(UTC)  # tidy: wall-clock its own clock
        reply = {"id": body["id"], "ok": False, "detail": "expired" if late else "not supported"}
        if self.bad("obeys_late"):
            reply = {"id": body["id"], "ok": True, "detail": ""}
        self.out.append((f"{self.topic}/reply", json.dumps(reply).encode(), {"qos": 1}))
