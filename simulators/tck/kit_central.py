"""The kit's own central: a set of numbers for each journal, and whatever it is told to say, true or false."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from simulators.tck.contract import CENTRAL_STATE, ROOT, ZEROS, Voice, hash_of, ranges_of, time_text, topic

if TYPE_CHECKING:
    from simulators.tck.broker import Broker
    from simulators.tck.trace import Heard, Key

EPOCH_FIRST = 5
"""Above 0, so that there is a lower one."""
HAVE_MAX = 1000


class KitCentral:
    """Holds what arrives, and acknowledges at once while `answers`."""

    def __init__(self, broker: Broker, voice: Voice) -> None:
        self.broker, self.trace, self.voice = broker, broker.trace, voice
        self.answers = True
        self.epoch = EPOCH_FIRST
        self.journal_id = ""
        """Of the last birth."""
        self.durable_said = 0
        """Of the last true ack."""
        self._held: dict[str, set[int]] = {}
        self._lock = threading.RLock()

    def heard(self, message: Heard, keys: list[Key]) -> None:
        """Hold what came; answer births, batches, and heartbeats that say that something is outstanding."""
        body = message.body if message.kind in {"birth", "heartbeat"} else {}
        named = {key.journal_id for key in keys}
        with self._lock:
            for key in keys:
                self._held.setdefault(key.journal_id, set()).add(key.seq)
            if message.kind == "birth":
                self.journal_id = str(body.get("journal_id", ""))
                named.add(self.journal_id)
                self._meet(body)
            elif body.get("unacknowledged"):
                named.add(str(body.get("journal_id", "")))
            if self.answers:
                for journal_id in named:
                    self.acknowledge(journal_id)

    def _meet(self, birth: dict[str, Any]) -> None:
        """A terminal that believed more than is held here was another central's: our epoch must be the higher."""
        believed, epoch = birth.get("durable", 0), birth.get("epoch", 0)
        if isinstance(believed, int) and isinstance(epoch, int) and believed > self.cursor(self.journal_id)[0]:
            self.epoch = max(self.epoch, epoch + 1)

    def cursor(self, journal_id: str) -> tuple[int, list[list[int]]]:
        """Say what is held of a journal: gap-free up to, and ranges beyond."""
        ranges = ranges_of(self._held.get(journal_id, ()))
        if ranges and ranges[0][0] == 1:
            return ranges[0][1], ranges[1:]
        return 0, ranges

    def acknowledge(self, journal_id: str = "", **change: Any) -> None:  # noqa: ANN401 - fields of an ack
        """Say what is held; `change` overrides fields of the ack."""
        with self._lock:
            name = journal_id or self.journal_id
            durable, have = self.cursor(name)
            if not change:
                self.durable_said = durable
            ack: dict[str, Any] = {
                "journal_id": name,
                "durable": durable,
                "have": have[:HAVE_MAX],
                "epoch": self.epoch,
            } | change
            ack.setdefault("hash", self.hash_at(name, ack["durable"]))
        self.say("ack", json.dumps(ack).encode())

    def hash_at(self, journal_id: str, seq: int) -> str:
        """Hash the event with a number; zeros for 0 and for one that never came."""
        raw = self.trace.events.get(journal_id, {}).get(seq)
        return hash_of(raw) if raw is not None else ZEROS

    def restore(self) -> None:
        """Be a central that was restored from an empty backup: hold nothing, in a new epoch, and say so."""
        with self._lock:
            self._held.clear()
            self.epoch += 1
            self.acknowledge()

    def say(self, kind: str, payload: bytes) -> None:
        """Send to the terminal."""
        self.broker.publish(topic(self.trace.site, self.trace.terminal, kind), payload)

    def say_state(self) -> None:
        """Say that ingest is up, retained."""
        state = {"online": True, "epoch": self.epoch, "at": time_text(datetime.now(UTC))}
        self.broker.publish(CENTRAL_STATE, json.dumps(state).encode(), retain=True)

    @property
    def roster_topic(self) -> str:
        """Name the site's roster topic."""
        return f"{ROOT}/{self.trace.site}/roster"

    def roster(self, version: int, **content: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of a roster
        """Make a roster's body."""
        return {"site": self.trace.site, "version": version, "issued_at": time_text(datetime.now(UTC)), **content}

    def say_roster(self, body: dict[str, Any], *, voice: Voice | None = None) -> None:
        """Sign a roster and send it; a whole one is retained."""
        payload = (voice or self.voice).sign(body)
        self.broker.publish(self.roster_topic, payload, retain="base" not in body and voice is None)

    def say_command(self, command_id: str, *, expires_in: timedelta, voice: Voice | None = None) -> None:
        """Sign a command and send it."""
        expires = time_text(datetime.now(UTC) + expires_in)
        body = {"id": command_id, "name": "doctor", "expires_at": expires, "args": {}}
        self.say("command", (voice or self.voice).sign(body))

    def say_incident(self, payload: bytes) -> None:
        """Send anything on the incident topic, retained."""
        self.broker.publish(f"{ROOT}/{self.trace.site}/incident", payload, retain=True)
