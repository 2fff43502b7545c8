"""The journal against a list: whatever order of appends, acks, deletions and restarts, both tell the same."""

from __future__ import annotations

import shutil
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edge_agent.journal.record import MIB, JournalLimits
from edge_agent.journal.store import Journal
from edge_agent.wire.codec import GENESIS_HASH, decode_event, event_hash
from edge_agent.wire.messages import Ack
from simulators.terminal_clock import HandClock

LIMITS = JournalLimits(reserve_bytes=MIB // 16, floor_bytes=MIB // 16, wal_bytes=MIB // 16, wal_bytes_idle_max=4096)


class JournalAgainstAList(RuleBasedStateMachine):
    """`events[i]` are the bytes promised under number i + 1; `first` is the oldest that must still be there."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="ccs-journal-"))
        self.clock = HandClock()
        self.events: list[bytes] = []
        self.held_since: dict[int, datetime] = {}
        self.durable, self.epoch, self.first = 0, 0, 1
        self.journal = self.open()

    def open(self) -> Journal:
        return Journal.open(
            self.folder / "journal.db", site="site-07", terminal="gate-03", clock=self.clock, limits=LIMITS
        )

    def hash_of(self, seq: int) -> str:
        return event_hash(self.events[seq - 1]) if seq else GENESIS_HASH

    @rule(size=st.integers(0, 6000), reserved=st.booleans())
    def append(self, size: int, reserved: bool) -> None:  # noqa: FBT001 - hypothesis draws it
        record = self.journal.append(type_="ccs.test.v1", data={"x": "y" * size}, reserved=reserved)
        self.events.append(record.bytes)
        assert record.seq == len(self.events)
        assert decode_event(record.bytes).prevhash == self.hash_of(record.seq - 1)

    @rule(data=st.data(), raise_epoch=st.booleans())
    def acknowledge(self, data: st.DataObject, raise_epoch: bool) -> None:  # noqa: FBT001 - hypothesis draws it
        # Central never falls behind what this terminal could still send again.
        durable = data.draw(st.integers(self.first - 1, len(self.events)))
        epoch = self.epoch + raise_epoch
        outcome = self.journal.acknowledge(
            Ack(self.journal.journal_id, durable, self.hash_of(durable), [], epoch)
        ).outcome
        if durable < self.durable and not raise_epoch:
            assert outcome == "stale"
        else:
            for seq in range(durable + 1, self.durable + 1):
                del self.held_since[seq]
            for seq in range(self.durable + 1, durable + 1):
                self.held_since[seq] = self.clock.at
            self.durable, self.epoch = durable, epoch

    @rule(days=st.integers(0, 30))
    def pass_time(self, days: int) -> None:
        self.clock.pass_time(timedelta(days=days))

    @rule()
    def prune(self) -> None:
        gone = self.journal.prune(self.clock.read())
        deleted = range(self.first, self.first + gone)
        assert all(self.clock.at - self.held_since[seq] >= timedelta(days=35) for seq in deleted)
        self.first += gone

    @rule()
    def maintain(self) -> None:
        assert self.journal.maintain().trouble == ""

    @rule()
    def restart(self) -> None:
        self.journal.close()
        self.journal = self.open()
        assert self.journal.lost is None

    @precondition(lambda self: self.events)
    @rule(data=st.data())
    def read_somewhere(self, data: st.DataObject) -> None:
        after = data.draw(st.integers(0, len(self.events)))
        records = self.journal.read(after, events_max=7, bytes_max=MIB)
        start = max(after + 1, self.first)
        assert [r.bytes for r in records] == self.events[start - 1 : start + 6]

    @invariant()
    def cursor_and_head_agree(self) -> None:
        assert (self.journal.head.seq, self.journal.head.hash) == (len(self.events), self.hash_of(len(self.events)))
        assert (self.journal.cursor.durable, self.journal.cursor.epoch) == (self.durable, self.epoch)

    def teardown(self) -> None:
        report = self.journal.verify()
        assert (report.ok, report.events) == (True, len(self.events) - self.first + 1)
        self.journal.close()
        shutil.rmtree(self.folder)


JournalAgainstAList.TestCase.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestJournalAgainstAList = pytest.mark.promise("DUR-03")(JournalAgainstAList.TestCase)
TestJournalAgainstAList.__doc__ = (
    "Mutant: `prune` bounded by the head instead of the cursor (the file's own trigger then refuses it)."
)
