"""A journal's files as a worn disk gives them back: single bits changed, ends missing. And what may come of it.

A small journal is made once, at rest or as a kill left it; `judge` opens a changed copy and says what happened, or
raises `SilentChange` when a promise was broken without a word.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from edge_agent.journal.files import read_witness
from edge_agent.journal.record import JournalUnusable
from edge_agent.journal.store import Journal
from edge_agent.wire.codec import decode_event, event_hash
from edge_agent.wire.messages import JOURNAL, TAP, Ack
from simulators.journal_day import FILE, TAPPED, TOKEN, open_journal
from simulators.platters import lay_down
from simulators.terminal_clock import HandClock

EVENTS_MAX = 10_000
BYTES_MAX = 2**26

Outcome = Literal["harmless", "healed", "announced", "set_aside", "refused"]
"""What came of a damage: nothing; mended or sent again; rows named as lost; the file replaced; no start."""


class SilentChange(AssertionError):
    """A sentence: what was changed without a word."""


@dataclass(frozen=True)
class Kept:
    """A journal's files, and what was promised in them."""

    files: dict[str, bytes]
    journal_id: str
    events: dict[int, bytes]
    durable: int
    epoch: int
    witnessed: int
    """The newest event that the file beside the journal knows of."""


def made(folder: Path, *, taps: int, durable: int, killed: bool) -> Kept:
    """Make a journal of `taps` taps in `folder`, acknowledged up to `durable`, closed well or killed."""
    lay_down({}, folder)
    journal = open_journal(folder, HandClock())
    events = {}
    for _ in range(taps):
        record = journal.append(type_=TAP, data=TAPPED, token=TOKEN)
        events[record.seq] = record.bytes
        if record.seq == durable:
            journal.acknowledge(Ack(journal.journal_id, durable, record.hash, [], 2))
            journal.maintain()
    journal_id, epoch = journal.journal_id, journal.cursor.epoch
    if killed:
        journal._handles.close()  # noqa: SLF001 - a process dies without asking its journal
        journal._lock.release()  # noqa: SLF001 - as above
    else:
        journal.close()
    files = {file.name: file.read_bytes() for file in folder.iterdir() if not file.name.endswith("-shm")}
    witness = read_witness(folder / f"{FILE}.witness")
    return Kept(files, journal_id, events, durable, epoch, witness.head_seq if witness is not None else 0)


def judge(folder: Path, kept: Kept, changed: dict[str, bytes], *, unseen: bool = False) -> Outcome:
    """Open the journal with some files changed; raise `SilentChange`, or say what came of it.

    `unseen`: what nobody but a log that was cut short knew of may be missing without a word.
    """
    lay_down(kept.files | changed, folder)
    try:
        journal = open_journal(folder, HandClock())
    except JournalUnusable as exc:
        if len(str(exc)) < len("a sentence"):
            raise SilentChange(f"refused without a sentence: {exc!r}") from exc
        return "refused"
    try:
        if journal.lost is not None:
            outcome = _replaced(folder, kept, journal)
        else:
            outcome = _continued(kept, journal, last=kept.witnessed if unseen else max(kept.events))
        _goes_on(journal)
    finally:
        journal.close()
    return outcome


def _replaced(folder: Path, kept: Kept, journal: Journal) -> Outcome:
    lost = journal.lost
    if lost is None or journal.journal_id == kept.journal_id:
        raise SilentChange(f"the journal was replaced under its own id: {lost}")
    told = [data for data in _announcements(journal) if data["first"] == lost.first]
    if not told:
        raise SilentChange(f"the replaced journal is announced nowhere: {lost}")
    last = max(kept.events)
    if lost.journal_id not in {kept.journal_id, ""} or lost.first > kept.durable + 1 or lost.last < last:
        raise SilentChange(f"events {kept.durable + 1} to {last} are in danger, but {lost} was announced")
    if lost.file and not (folder / lost.file).exists():
        raise SilentChange(f"{lost.file} is not there any more")
    return "set_aside"


def _continued(kept: Kept, journal: Journal, *, last: int) -> Outcome:
    held = {record.seq: record.bytes for record in journal.read(0, events_max=EVENTS_MAX, bytes_max=BYTES_MAX)}
    announced = _announcements(journal)
    missing = {seq for seq in kept.events if seq <= last and held.get(seq) != kept.events[seq]}
    told = {seq for data in announced for seq in range(data["first"], data["last"] + 1)}
    if journal.journal_id != kept.journal_id:
        raise SilentChange(f"the journal calls itself {journal.journal_id}")
    if not missing <= told or missing & set(held):
        raise SilentChange(f"events {sorted(missing)} changed, announced are {sorted(told)}")
    if any(decode_event(payload).id != f"{kept.journal_id}-{seq:020d}" for seq, payload in held.items()):
        raise SilentChange("an event stands under another number")
    if (journal.cursor.epoch, journal.cursor.durable) > (kept.epoch, kept.durable):
        raise SilentChange(f"the cursor stands at {journal.cursor}")
    if max(held) < last and last not in told:
        raise SilentChange(f"the journal ends at {max(held)}")
    if journal.cursor.durable != kept.durable or journal.cursor.epoch != kept.epoch:
        return "healed"
    return "announced" if missing else "harmless"


def _goes_on(journal: Journal) -> None:
    before = journal.head
    record = journal.append(type_=TAP, data=TAPPED, token=TOKEN)
    if record.seq != before.seq + 1 or decode_event(record.bytes).prevhash != before.hash:
        raise SilentChange(f"event {record.seq} does not follow event {before.seq}")
    newest = journal.read(record.seq - 1, events_max=1, bytes_max=BYTES_MAX)
    if not newest or event_hash(newest[0].bytes) != record.hash:
        raise SilentChange(f"event {record.seq} is not what was stored")


def _announcements(journal: Journal) -> list[dict[str, int]]:
    found = [decode_event(record.bytes) for record in journal.read(0, events_max=EVENTS_MAX, bytes_max=BYTES_MAX)]
    told = [msgspec.json.decode(event.data) for event in found if event.type == JOURNAL]
    return [data for data in told if data["what"] == "recovered"]
