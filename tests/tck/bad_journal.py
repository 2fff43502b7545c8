"""The journal of another maker's terminal: a file of lines, a cursor beside it."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ZEROS = "0" * 64


class BadJournal:
    """What is on the disk: `records` by number, `cursor` and whatever is given to `keep`. Made anew at every start."""

    def __init__(self, folder: Path, *, site: str, terminal: str, misbehaviour: str) -> None:
        self.folder, self.site, self.terminal, self.misbehaviour = folder, site, terminal, misbehaviour
        self.lock = threading.RLock()
        self.boot_id = str(uuid.uuid4())
        self.journal_id = str(uuid.uuid4())
        self.records: list[bytes] = []
        self.cursor: dict[str, Any] = {"durable": 0, "have": [], "epoch": 0}
        journal = folder / "journal.jsonl"
        if not journal.exists():
            return
        self.records = journal.read_bytes().splitlines()
        self.journal_id = json.loads(self.records[0])["journalid"]
        if self.bad("renumbers"):
            self.records = []
        if not self.bad("forgets_cursor"):
            self.cursor = self.kept("cursor", self.cursor)

    def bad(self, *names: str) -> bool:
        return self.misbehaviour in names

    def keep(self, name: str, value: Any) -> None:
        staging = self.folder / f"{name}.new"
        staging.write_text(json.dumps(value))
        staging.rename(self.folder / f"{name}.json")

    def kept(self, name: str, otherwise: dict[str, Any]) -> dict[str, Any]:
        file = self.folder / f"{name}.json"
        return dict(json.loads(file.read_text())) if file.exists() else otherwise

    def move(self, cursor: dict[str, Any]) -> None:
        self.cursor = cursor
        self.keep("cursor", cursor)

    def append(self, type_: str, data: Any, subject: str = "") -> int:
        with self.lock:
            seq = len(self.records) + 1
            if self.bad("skips_numbers") and seq == 3:
                self.records.append(b"")
                seq = 4
            event = self._event(seq, type_, data)
            if subject:
                event["subject"] = subject
            self.records.append(json.dumps(event).encode())
            if not self.bad("green_before_stored"):
                self._write()
            return seq

    def _write(self) -> None:
        with (self.folder / "journal.jsonl").open("wb") as journal:
            journal.write(b"".join(record + b"\n" for record in self.records))
            journal.flush()
            os.fsync(journal.fileno())

    def _event(self, seq: int, type_: str, data: Any) -> dict[str, Any]:
        boottime = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        step = (
            timedelta(hours=1) if self.bad("clock_lies") or (self.bad("steps_in_silence") and seq % 2) else timedelta(0)
        )
        terminal = "another" if self.bad("false_source") else self.terminal
        at = stamp(step)
        return {
            "specversion": "1.0",
            "type": type_,
            "source": f"urn:ccs:{self.site}:{terminal}",
            "id": f"{self.journal_id}-{seq:020d}",
            "sequence": f"{seq:020d}",
            "time": at[:-1] if self.bad("no_zone") else at,
            "datacontenttype": "application/json",
            "journalid": self.journal_id,
            "bootid": self.boot_id,
            "boottimens": str(boottime - (seq * 2 * 10**9 if self.bad("boottime_falls") else 0)),
            "clockstate": "synced",
            "clockerrms": 50,
            "clockepoch": 1000 - seq if self.bad("clockepoch_falls") else 1,
            "prevhash": ZEROS if self.bad("no_chain") else self.head_hash,
            "data": data,
        }

    @property
    def head_hash(self) -> str:
        return self.hash_at(len(self.records))

    def uncovered(self) -> list[int]:
        covered = {seq for first, last in self.cursor["have"] for seq in range(first, last + 1)}
        if self.bad("resends_have"):
            covered = set()
        everything = range(self.cursor["durable"] + 1, len(self.records) + 1)
        return [seq for seq in everything if seq not in covered and self.records[seq - 1]]

    def hash_at(self, seq: int) -> str:
        return hashlib.sha256(self.records[seq - 1]).hexdigest() if 0 < seq <= len(self.records) else ZEROS

    def unacknowledged(self) -> int:
        held: int = sum(last - first + 1 for first, last in self.cursor["have"])
        return max(0, len(self.records) - int(self.cursor["durable"]) - held)


def stamp(step: timedelta = timedelta(0)) -> str:
    at = datetime.now(UTC) + step  # tidy: wall-clock its own clock
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
