"""A terminal's day as its journal lives it, from boot to a second start, on a disk that may fail at any operation.

`live_through` plays it; what was promised on the way, and when, stands in `Diary`. `examine` opens what is found
afterwards on a good disk and says which promise is broken, if one is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import msgspec

from edge_agent.journal.record import JournalFailed, JournalFull, JournalLimits, JournalUnusable
from edge_agent.journal.store import Journal
from edge_agent.wire.codec import GENESIS_HASH, decode_event, event_hash
from edge_agent.wire.messages import BOOT, JOURNAL, MUSTER, ROSTER_APPLIED, TAP, Ack, Credential, TapData
from simulators.recorded_disk import RecordedDisk
from simulators.terminal_clock import HandClock

KIB = 1024
MIB = 1024 * KIB
FILE = "journal.db"
LIMITS = JournalLimits(
    reserve_bytes=16 * KIB,
    floor_bytes=16 * KIB,
    wal_bytes=32 * KIB,
    wal_bytes_idle_max=8 * KIB,
    wal_bytes_hard_max=48 * KIB,
)
TAPPED = TapData("in", "r1", "gate-03", Credential("id_only", 0), "accepted", "green")
TOKEN = "9f" * 16
ROTTEN = 27
"""The event whose bytes change on the disk while the terminal is off."""
EVENTS_MAX = 10_000

CursorState = tuple[int, int]
"""(epoch, durable)"""


class BrokenPromise(AssertionError):
    """A sentence: what was promised and what was found."""


@dataclass
class Diary:
    """What was promised, each with the number of disk operations done by then (`at`)."""

    promised: list[tuple[int, int, bytes]] = field(default_factory=list)
    """(at, seq, bytes) of every event that `append` returned for."""
    asked: list[tuple[int, CursorState]] = field(default_factory=lambda: [(0, (0, 0))])
    """(at, cursor) before each acknowledgement was handed over."""
    confirmed: list[tuple[int, CursorState]] = field(default_factory=lambda: [(0, (0, 0))])
    """(at, cursor) after each acknowledgement that was taken."""
    deletable: list[tuple[int, int]] = field(default_factory=list)
    """(at, seq) before each pruning: how far it may delete."""
    rotten: list[tuple[int, int]] = field(default_factory=list)
    """(at, seq) of events whose bytes the disk changes from then on."""
    refusals: list[str] = field(default_factory=list)
    """What the journal refused, in its own words."""

    def promises(self, at: int) -> int:
        """Count what stands here up to `at`: two moments with the same count promised the same."""
        noted = [when for when, _, _ in self.promised]
        noted += [when for when, _ in (*self.asked, *self.confirmed)]
        noted += [when for when, _ in (*self.deletable, *self.rotten)]
        return sum(when <= at for when in noted)


def live_through(disk: RecordedDisk, diary: Diary) -> None:
    """Play the day on a mounted disk; go on after every refusal, as an agent does. It ends without a farewell."""
    day = _Day(disk, diary)
    try:
        day.play()
    finally:
        day.die()


class _Day:
    def __init__(self, disk: RecordedDisk, diary: Diary) -> None:
        self._disk = disk
        self._diary = diary
        self._clock = HandClock()
        self._journal: Journal | None = None

    def play(self) -> None:
        steps: list[Callable[[], None]] = [
            self._boot,
            *[self._tap] * 5,
            self._roster,
            self._acknowledge(4),
            self._maintain,
            *[self._tap] * 14,  # nobody keeps house: the log is folded back by a tap
            self._acknowledge(10, have=[(13, 15)]),
            self._maintain,
            self._fill_disk,
            *[self._tap] * 2,
            *[self._muster] * 4,
            self._maintain,
            self._relieve_disk,
            self._maintain,
            *[self._tap] * 3,
            self._close,
            self._rot,
            self._boot,
            self._tap,
            self._acknowledge(ROTTEN - 1, have=[(ROTTEN + 1, ROTTEN + 2)]),
            self._prune,
            self._pass_forty_days,
            *[self._tap] * 2,
            self._prune,
            self._maintain,
            self._acknowledge(ROTTEN - 4, epoch=1),
            self._tap,
            self._maintain,
            self._close,
            self._boot,
            *[self._tap] * 3,
        ]
        for step in steps:
            try:
                self._open()
                step()
            except (JournalFailed, JournalFull, JournalUnusable) as exc:
                self._diary.refusals.append(str(exc))

    def die(self) -> None:
        """Let go of the files as a killed process does: nothing is written any more."""
        journal, self._journal = self._journal, None
        if journal is not None:
            journal._handles.close()  # noqa: SLF001 - a process dies without asking its journal
            journal._lock.release()  # noqa: SLF001 - as above

    def _open(self) -> None:
        if self._journal is None:
            self._journal = open_journal(self._disk.folder, self._clock, vfs=self._disk.name)
            if self._journal.lost is not None:
                raise BrokenPromise(f"a good file was set aside: {self._journal.lost}")

    @property
    def _opened(self) -> Journal:
        assert self._journal is not None  # noqa: S101 - `_open` comes before every step
        return self._journal

    def _store(self, type_: str, data: msgspec.Struct | dict[str, object], *, reserved: bool = False) -> None:
        self._clock.pass_time(timedelta(seconds=20))
        record = self._opened.append(type_=type_, data=data, token=TOKEN, reserved=reserved)
        self._diary.promised.append((len(self._disk.log), record.seq, record.bytes))

    def _boot(self) -> None:
        self._clock.boottime_ns = 1_000_000_000
        self._store(BOOT, {"versions": {"agent": "1.0.0"}, "config_hash": "0" * 64})

    def _tap(self) -> None:
        self._store(TAP, TAPPED)

    def _muster(self) -> None:
        self._store(MUSTER, TAPPED, reserved=True)

    def _roster(self) -> None:
        self._store(ROSTER_APPLIED, {"version": 17, "people": 200})

    def _acknowledge(
        self, upto: int, *, epoch: int = 0, have: list[tuple[int, int]] | None = None
    ) -> Callable[[], None]:
        def step() -> None:
            promised = {seq: payload for _, seq, payload in self._diary.promised if seq <= upto}
            durable = max(promised, default=0)
            digest = event_hash(promised[durable]) if durable else GENESIS_HASH
            journal, state = self._opened, (epoch, durable)
            held = [(low, high) for low, high in have or [] if high <= journal.head.seq]
            self._diary.asked.append((len(self._disk.log), state))
            if journal.acknowledge(Ack(journal.journal_id, durable, digest, held, epoch)).outcome != "stale":
                self._diary.confirmed.append((len(self._disk.log), state))

        return step

    def _maintain(self) -> None:
        trouble = self._opened.maintain().trouble
        if trouble:
            self._diary.refusals.append(trouble)

    def _prune(self) -> None:
        self._diary.deletable.append((len(self._disk.log), self._opened.cursor.durable))
        self._opened.prune(self._clock.read())

    def _fill_disk(self) -> None:
        self._disk.capacity_bytes = self._disk.used_bytes()

    def _relieve_disk(self) -> None:
        self._disk.capacity_bytes = None

    def _pass_forty_days(self) -> None:
        self._clock.pass_time(timedelta(days=40))

    def _close(self) -> None:
        journal, self._journal = self._opened, None
        journal.close()

    def _rot(self) -> None:
        payload = next((found for _, seq, found in self._diary.promised if seq == ROTTEN), None)
        if self._journal is not None:
            self._close()
        changed = payload.replace(b'"in"', b'"io"') if payload is not None else b""
        if payload is not None and payload in (self._disk.folder / FILE).read_bytes():
            self._diary.rotten.append((len(self._disk.log), ROTTEN))
            self._disk.rot(FILE, payload, changed)


def open_journal(folder: Path, clock: HandClock, *, vfs: str | None = None) -> Journal:
    """Open this terminal's journal in `folder`."""
    return Journal.open(folder / FILE, site="site-07", terminal="gate-03", clock=clock, limits=LIMITS, vfs=vfs)


def examine(folder: Path, diary: Diary, at: int) -> None:
    """Open what lies in `folder` after `at` disk operations, and raise `BrokenPromise` unless every promise held."""
    clock = HandClock()
    clock.pass_time(timedelta(days=50))
    journal = open_journal(folder, clock)
    try:
        if journal.lost is not None:
            raise BrokenPromise(f"a good file was set aside: {journal.lost}")
        _examine_events(journal, diary, at)
        _examine_cursor(journal, diary, at)
        following = journal.append(type_=TAP, data=TAPPED, token=TOKEN)
        if decode_event(following.bytes).prevhash != _hash_before(journal, following.seq):
            raise BrokenPromise(f"event {following.seq} does not follow event {following.seq - 1}")
    finally:
        journal.close()


def _hash_before(journal: Journal, seq: int) -> str:
    rows = [record for record in journal.read(seq - 2, events_max=1, bytes_max=MIB) if record.seq == seq - 1]
    return rows[0].hash if rows else GENESIS_HASH


def _examine_events(journal: Journal, diary: Diary, at: int) -> None:
    held = {record.seq: record.bytes for record in journal.read(0, events_max=EVENTS_MAX, bytes_max=64 * MIB)}
    gone = max((seq for when, seq in diary.deletable if when <= at), default=0)
    rotten = {seq for when, seq in diary.rotten if when <= at}
    for when, seq, payload in diary.promised:
        if when > at or seq in rotten or (seq <= gone and seq not in held):
            continue
        if held.get(seq) != payload:
            found = "missing" if seq not in held else "another"
            raise BrokenPromise(f"event {seq} was promised after {when} operations and is {found} after {at}")
    report = journal.verify()
    damaged = {damage.seq for damage in report.damages}
    if not damaged <= rotten:
        raise BrokenPromise(f"the chain is broken after {at} operations: {report.damages}")
    if not damaged - set(held) <= _announced(held):
        raise BrokenPromise(f"the loss of {sorted(damaged)} is announced nowhere after {at} operations")


def _announced(held: dict[int, bytes]) -> set[int]:
    told: set[int] = set()
    for payload in held.values():
        event = decode_event(payload)
        data = msgspec.json.decode(event.data)
        if event.type == JOURNAL and data["what"] == "recovered":
            told |= set(range(data["first"], data["last"] + 1))
    return told


def _examine_cursor(journal: Journal, diary: Diary, at: int) -> None:
    found = (journal.cursor.epoch, journal.cursor.durable)
    least = [state for when, state in diary.confirmed if when <= at][-1]
    asked = {state for when, state in diary.asked if when <= at}
    if found < least:
        raise BrokenPromise(f"the cursor went back from {least} to {found} after {at} operations")
    if found not in asked or found[1] > journal.head.seq:
        raise BrokenPromise(f"the cursor {found} is ahead of what central acknowledged after {at} operations")
