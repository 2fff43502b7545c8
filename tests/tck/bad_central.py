"""A central of another maker, in memory. Well-behaved as it is; each misbehaviour given to it breaks one promise.

Written from the contract's documents; of the kit it uses the published schemas' validator alone.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from simulators.tck.schema import Schemas

ZEROS = "0" * 64
HAVE_MAX = 1000
STRANGE = {"malformed_event", "id_mismatch", "source_mismatch"}
SCHEMAS = Schemas()


class Journal:
    def __init__(self, terminal: str) -> None:
        self.terminal = terminal
        self.epoch = 1
        self.events: dict[int, bytes] = {}
        self.faults: dict[int, str] = {}
        self.received: dict[int, datetime] = {}
        self.taps: dict[int, dict[str, Any]] = {}
        self.last = 0
        self.head = 0

    def durable(self) -> int:
        while self.last + 1 in self.events:
            self.last += 1
        return self.last

    def have(self) -> list[list[int]]:
        ranges: list[list[int]] = []
        for seq in sorted(seq for seq in self.events if seq > self.durable()):
            if ranges and ranges[-1][1] == seq - 1:
                ranges[-1][1] = seq
            else:
                ranges.append([seq, seq])
        return ranges


class BadCentral:
    """`people`: token to worker id. `port` is the broker's; the API listens on `api_port`."""

    def __init__(self, *, port: int, site: str, people: dict[str, int], misbehaviour: str = "") -> None:
        self.site, self.people, self.misbehaviour = site, people, misbehaviour
        self.terminals = {"gate-01", "gate-02"}
        self.lock = threading.RLock()
        self.journals: dict[str, Journal] = {}
        self.aside: list[dict[str, Any]] = []
        self.repeats: list[tuple[str, int]] = []
        self.status: dict[str, dict[str, Any]] = {}
        self.key = Ed25519PrivateKey.generate()
        self.version = 1
        self.shown_inside: set[int] | None = None
        self.epochs_said = 0
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="other-central", protocol=mqtt.MQTTv5)
        self.client.on_message = self._on_message
        self.client.connect("127.0.0.1", port)
        ready = threading.Event()
        self.client.on_subscribe = lambda *_: ready.set()
        self.client.loop_start()
        kinds = ("events", "live", "birth", "state", "heartbeat")
        self.client.subscribe([(f"ccs/v1/{site}/+/{kind}", 1) for kind in kinds])
        assert ready.wait(20)
        self._say_state(1)
        self._say_roster()
        if self.bad("bad_incident"):
            self.client.publish(f"ccs/v1/{site}/incident", b'{"id":7}', qos=1, retain=True)
        self.web = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.api_port = self.web.server_address[1]
        threading.Thread(target=self.web.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def bad(self, *names: str) -> bool:
        return self.misbehaviour in names

    def close(self) -> None:
        self.web.shutdown()
        self.web.server_close()
        self.client.disconnect()
        self.client.loop_stop()

    def crash(self) -> None:
        if self.bad("forgets_at_crash"):
            with self.lock:
                for journal in self.journals.values():
                    journal.last = 0
                    for seq in [seq for seq in journal.events if seq > 2]:
                        del journal.events[seq]

    # -- taking in

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        _, _, _, terminal, kind = message.topic.split("/")
        with self.lock:
            if terminal not in self.terminals and not self.bad("acks_strangers"):
                self._set_aside("unknown_terminal", message.payload)
                return
            if kind in {"events", "live"}:
                self._batch(terminal, message.payload)
            elif kind == "birth":
                self._birth(terminal, message.payload)
            elif kind == "heartbeat":
                beat = json.loads(message.payload)
                self._journal(beat["journal_id"], terminal).head = beat["head_seq"]
                if beat["unacknowledged"] and not self.bad("never_repeats"):
                    self._ack(terminal, beat["journal_id"])
            elif kind == "state" and message.payload:
                self._state(terminal, json.loads(message.payload))
            if kind in {"events", "live"}:
                self._say_roster()

    def _set_aside(self, reason: str, raw: bytes, journal_id: str | None = None) -> None:
        if not self.bad(f"hides_{reason}"):
            self.aside.insert(0, {"reason": reason, "journal_id": journal_id, "preview": repr(raw[:50])})

    def _journal(self, journal_id: str, terminal: str) -> Journal:
        return self.journals.setdefault(journal_id, Journal(terminal))

    def _birth(self, terminal: str, payload: bytes) -> None:
        if SCHEMAS.complaints("birth", payload):
            self._set_aside("malformed_message", payload)
            return
        birth = json.loads(payload)
        journal = self._journal(birth["journal_id"], terminal)
        journal.head = birth["head_seq"]
        self.status[terminal] = {"online": True, "boot": birth["boot_id"], "journal": birth["journal_id"]}
        if birth["durable"] > journal.durable() and not self.bad("never_rises"):
            journal.epoch = max(journal.epoch, birth["epoch"]) + 1
            self._say_state(journal.epoch)
        self._ack(terminal, birth["journal_id"])

    def _state(self, terminal: str, state: dict[str, Any]) -> None:
        known = self.status.setdefault(terminal, {"online": False, "boot": "", "journal": ""})
        if state["online"] or state["boot_id"] == known["boot"] or self.bad("believes_old_will"):
            known["online"] = state["online"]

    def _batch(self, terminal: str, payload: bytes) -> None:
        try:
            events = json.loads(payload)
            raws = _split(payload.decode())
        except ValueError:
            self._set_aside("malformed_batch", payload)
            return
        if len(raws) > 64:
            self._set_aside("batch_too_long", payload)
            return
        named = set()
        repeated = True
        for event, raw in zip(events, raws, strict=True):
            journal_id = self._event(terminal, event, raw)
            repeated = repeated and journal_id == "repeated"
            named.add(str(event["journalid"]) if journal_id == "repeated" and not repeated else journal_id)
        for journal_id in named - {"", "repeated"}:
            self._ack(terminal, journal_id)

    def _event(self, terminal: str, event: dict[str, Any], raw: bytes) -> str:
        journal_id, seq = str(event["journalid"]), int(event["sequence"])
        journal = self._journal(journal_id, terminal)
        if journal.terminal != terminal and not self.bad("takes_foreign_journals"):
            self._set_aside("foreign_journal", raw, journal_id)
            return ""
        if seq in journal.events:
            self.repeats.append((journal_id, seq))
            if journal.events[seq] != raw:
                self._set_aside("forked", raw, journal_id)
                if self.bad("last_bytes_win"):
                    journal.events[seq] = raw
            return "repeated" if self.bad("silent_on_repetition") else journal_id
        fault = self._fault(terminal, event, raw)
        if fault:
            self._set_aside(fault, raw, journal_id)
            if self.bad("stops_at_malformed"):
                return journal_id
            journal.faults[seq] = fault
        before = journal.events.get(seq - 1)
        broken = before is not None and event.get("prevhash") != hashlib.sha256(before).hexdigest()
        strange = not event["time"].startswith(str(_now().year))
        if (broken and not fault and self.bad("drops_broken_links")) or (strange and self.bad("refuses_strange_times")):
            return journal_id
        if self.bad("tires") and seq > 700:
            return journal_id
        journal.events[seq] = raw
        journal.received[seq] = _now()
        if not fault and event["type"] == "ccs.tap.v1":
            journal.taps[seq] = event
        return journal_id

    def _fault(self, terminal: str, event: dict[str, Any], raw: bytes) -> str:
        if SCHEMAS.complaints("event", raw):
            return "malformed_event"
        if event["source"] != f"urn:ccs:{self.site}:{terminal}" and not self.bad("takes_foreign_sources"):
            return "source_mismatch"
        return "" if event["id"] == f"{event['journalid']}-{event['sequence']}" else "id_mismatch"

    def _ack(self, terminal: str, journal_id: str) -> None:
        journal = self._journal(journal_id, terminal)
        durable, have = journal.durable(), journal.have()
        if self.bad("jumps_gaps"):
            durable, have = max(journal.events, default=0), []
        if self.bad("acks_the_head"):
            durable = max(durable, journal.head)
        if self.bad("hides_ranges"):
            have = []
        digest = hashlib.sha256(journal.events[durable]).hexdigest() if durable in journal.events else ZEROS
        self.epochs_said += 1
        ack = {
            "journal_id": journal_id,
            "durable": durable,
            "hash": ZEROS if self.bad("hashes_nothing") else digest,
            "have": have if self.bad("names_every_range") else have[:HAVE_MAX],
            "epoch": 9 - self.epochs_said if self.bad("falling_epochs") and self.epochs_said < 9 else journal.epoch,
        }
        if self.bad("malformed_acks"):
            ack["note"], ack["epoch"] = "x", float(journal.epoch) + 0.5
        self.client.publish(f"ccs/v1/{self.site}/{terminal}/ack", json.dumps(ack), qos=1)

    # -- who is inside

    def _taps(self) -> list[dict[str, Any]]:
        found = []
        for journal_id, journal in self.journals.items():
            for seq, event in sorted(journal.taps.items()):
                if self.bad("waits_for_the_gap") and seq > journal.durable():
                    continue
                if self.bad("shows_later") and _now() - journal.received[seq] < timedelta(seconds=1):
                    continue
                said = datetime.fromisoformat(event["time"])
                true = event["clockstate"] != "unset" and abs(said - journal.received[seq]) < timedelta(days=300)
                measured = (true or self.bad("calls_all_measured")) and not self.bad("uses_receipt")
                tap = {
                    "journal_id": journal_id,
                    "seq": seq,
                    "terminal": journal.terminal,
                    "at": said if measured else journal.received[seq],
                    "time_basis": "measured" if measured else "received",
                    "token": event["subject"].removeprefix("card:"),
                    **event["data"],
                }
                found += [tap] * (1 + (self.repeats.count((journal_id, seq)) if self.bad("counts_again") else 0))
        return found

    def _inside(self) -> dict[str, int]:
        """Token to the assurance of the entry."""
        taps = self._taps()
        if self.bad("orders_by_clock"):
            taps.sort(key=lambda tap: tap["at"])
        inside: dict[str, int] = {}
        for tap in taps:
            token, assurance = tap["token"], tap["credential"]["assurance"]
            if tap["direction"] == "in":
                inside[token] = assurance
            elif self.bad("never_lets_go"):
                continue
            elif token in inside and (assurance >= inside[token] or self.bad("believes_weak_exits")):
                del inside[token]
        return inside

    # -- what it tells

    def _say_state(self, epoch: int) -> None:
        state = {"online": True, "epoch": epoch, "at": _text(_now())}
        retain = not self.bad("fleeting_state")
        self.client.publish("ccs/v1/central/state", json.dumps(state), qos=1, retain=retain)

    def _say_roster(self) -> None:
        inside = {self.people[token] for token in self._inside() if token in self.people}
        if inside == self.shown_inside:
            return
        self.shown_inside = inside
        self.version += 1
        entries = [{"token": token, "worker": str(number), "name": "x"} for token, number in self.people.items()]
        named = [] if self.bad("roster_without_people") else sorted(inside)
        body = {
            "site": self.site,
            "version": self.version,
            "issued_at": _text(_now()),
            "entries": [] if self.bad("roster_without_cards") else entries,
            "inside": [{"person": f"worker:{one}", "name": "x", "since": _text(_now())} for one in named],
        }
        text = json.dumps(body)
        key = Ed25519PrivateKey.generate() if self.bad("signs_wrongly") else self.key
        signature = base64.b64encode(key.sign(text.encode())).decode()
        payload = json.dumps({"body": text, "key": "other", "sig": signature})
        self.client.publish(f"ccs/v1/{self.site}/roster", payload, qos=1, retain=True)

    def answer(self, path: str) -> Any:
        with self.lock:
            if path.endswith("/headcount"):
                return self._headcount()
            if path.endswith("/people"):
                inside = [self.people[token] for token in self._inside() if token in self.people]
                return {"people": [{"worker_id": one, "standing": "inside"} for one in inside]}
            if path.endswith("/taps"):
                items = [{**tap, "occurred_at": _text(tap["at"]), "at": None} for tap in self._taps()]
                return {"items": items, "next_cursor": None}
            return {"items": self.aside[:100]}

    def _headcount(self) -> dict[str, Any]:
        inside = self._inside()
        unknown = 0 if self.bad("forgets_unknown_cards") else sum(1 for token in inside if token not in self.people)
        terminals = []
        for code, known in self.status.items():
            journal = self.journals.get(known["journal"])
            held = len(journal.events) if journal else 0
            missing = max(0, journal.head - held) if journal and not self.bad("hides_gaps") else 0
            fresh = known["online"] or self.bad("always_fresh")
            status = {"code": code, "freshness": "fresh" if fresh else "stale", "heard_at": _text(_now())}
            terminals.append({**status, "not_received_at_most": missing})
        known = {token for token in inside if token in self.people}
        named = {"names": ["Conformance 1"]} if self.bad("names_people") else {}
        count = {
            "as_of": _text(_now()),
            "inside": len(known),
            "unknown_cards": unknown,
            "at_most": len(known) + unknown,
        }
        return count | {"terminals": terminals} | named

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        central = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = json.dumps(central.answer(urlsplit(self.path).path)).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Be quiet."""

        return Handler


def _split(text: str) -> list[bytes]:
    decoder, at, raws = json.JSONDecoder(), text.index("[") + 1, []
    while text[at] != "]":
        _, end = decoder.raw_decode(text, at)
        raws.append(text[at:end].encode())
        at = end + (text[end] == ",")
    return raws


def _now() -> datetime:
    return datetime.now(UTC)  # tidy: wall-clock its own clock


def _text(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
