"""The simulator finds what it is there to find: each promise broken on purpose is noticed within a few seeds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from central.attendance import admission, answering, presence
from central.attendance.admission import Cursor as HeldCursor
from edge_agent.journal import cursor as edge_cursor
from edge_agent.journal import database as journal_database
from edge_agent.journal import handles, marks, store
from edge_agent.transport.uplink import Uplink
from edge_agent.wire.messages import Ack
from simulators.virtual import database
from simulators.virtual.plan import Plan
from simulators.virtual.run import Result, play, shrink
from simulators.virtual.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from central.attendance.admission import Admission, Held
    from central.attendance.arrival import Arrival
    from central.attendance.presence import CountedTap, State

SEEDS_MAX = 8


def found(patch: pytest.MonkeyPatch, breakage: Callable[[pytest.MonkeyPatch], None], *faults: str) -> Result:
    """Plant a breakage and play seed after seed until a run fails."""
    breakage(patch)
    for seed in range(1, SEEDS_MAX + 1):
        plan = Plan(seed, 2, 2.0, 40, heartbeat_s=60, workers=2, faults=frozenset(faults), intensity=6)
        result = play(plan)
        if not result.ok:
            print(f"found with seed {seed}: {result.violation}")
            return result
    pytest.fail(f"nothing was noticed in {SEEDS_MAX} seeds with {', '.join(faults) or 'no fault'}")


def cursor_moves_back(patch: pytest.MonkeyPatch) -> None:
    """A late acknowledgement of the same epoch is believed."""
    real = edge_cursor.advance

    def advance(cursor: edge_cursor.Cursor, ack: Ack, **known: Any) -> edge_cursor.Acknowledged:
        return real(replace(cursor, durable=min(cursor.durable, ack.durable)), ack, **known)

    patch.setattr(store, "advance", advance)


def ack_before_commit(patch: pytest.MonkeyPatch) -> None:
    """The acknowledgement leaves at once, the commit comes after it: who dies in between has lied."""
    real = Worker._take

    def take(self: Worker, life: int) -> None:
        kept = self._central.database.tables.copied()
        real(self, life)
        if self._held and self._chance.random() < 0.05:
            self._central.database.tables = kept

    patch.setattr(Worker, "_take", take)


def dedup_by_time_window(patch: pytest.MonkeyPatch) -> None:
    """Only the newest numbers are remembered."""
    real = HeldCursor.holds
    patch.setattr(HeldCursor, "holds", lambda self, seq: real(self, seq) and seq >= self.durable)


def chain_unchecked(patch: pytest.MonkeyPatch) -> None:
    """Central stores whatever comes under the next number, whoever wrote the one before."""
    patch.setattr(admission, "_check_chain", lambda *_: None)
    patch.setattr(
        admission,
        "follows_on",
        lambda cursor, arrivals: (
            not cursor.ahead
            and [one.seq for one in arrivals] == [*range(cursor.durable + 1, cursor.durable + 1 + len(arrivals))]
        ),
    )


def last_bytes_win(patch: pytest.MonkeyPatch) -> None:
    """Other bytes under a held number are taken for the same event."""
    real = admission.admit

    def admit(cursor: HeldCursor, arrivals: list[Arrival], known: Mapping[int, Held]) -> Admission:
        result = real(cursor, arrivals, known)
        result.quarantine = [one for one in result.quarantine if one[1] != "forked"]
        result.anomalies = [one for one in result.anomalies if one[0] != "forked"]
        return result

    patch.setattr(database, "admit", admit)


def puback_counts_as_held(patch: pytest.MonkeyPatch) -> None:
    """What the broker took is taken to be central's."""
    real = Uplink.puback

    def puback(self: Uplink, handle: int, now: float, *, refused: str | None = None) -> list[Any]:
        sent = self._in_flight.get(handle)
        if sent is not None and sent.first == self._source.durable + 1:
            journal = self._source._journal  # type: ignore[attr-defined]
            last = journal.read(sent.last - 1, events_max=1, bytes_max=1 << 20)[0]
            self._source.acknowledge(Ack(self._source.journal_id, sent.last, last.hash, [], journal.cursor.epoch))
        return real(self, handle, now, refused=refused)

    patch.setattr(Uplink, "puback", puback)


def presence_by_arrival(patch: pytest.MonkeyPatch) -> None:
    """Taps are stepped in the order in which they came."""

    def stepped(state: State | None, taps: list[CountedTap]) -> State | None:
        for tap in taps:
            state = presence.step(state, tap, tap.occurred_at)
        return state

    patch.setattr(database, "stepped", stepped)


def synchronous_normal(patch: pytest.MonkeyPatch) -> None:
    """The log is not synced at each commit."""
    patch.setitem(journal_database.PRAGMAS, "synchronous", "NORMAL")
    patch.setitem(journal_database.REQUIRED, "synchronous", 1)


def nothing_is_sent_again(patch: pytest.MonkeyPatch) -> None:
    """What the broker took is never sent again, however long central is silent."""

    def tick(self: Uplink, now: float) -> list[Any]:
        for sent in self._awaiting:
            sent.due_at = now + 1e9
        return []

    patch.setattr(Uplink, "tick", tick)


def no_keep_window(patch: pytest.MonkeyPatch) -> None:
    """Whatever is acknowledged may be deleted at once."""
    patch.setattr(marks, "has_passed", lambda *_: True)
    patch.setattr(handles.Handles, "mark", lambda _self, _now, *, durable: durable)


def epoch_never_rises(patch: pytest.MonkeyPatch) -> None:
    """Central does not notice that it was put back."""
    patch.setattr(answering, "hear", lambda *_args, **_known: 0)


@pytest.mark.parametrize(
    ("breakage", "faults", "says"),
    [
        (cursor_moves_back, ("loss",), "the cursor went from"),
        (ack_before_commit, (), "the epoch rose"),
        (dedup_by_time_window, ("broker", "loss", "worker"), "would be stored twice"),
        (chain_unchecked, ("twin", "image", "broker", "database"), "the chain is broken"),
        (last_bytes_win, ("twin", "image"), "neither stored nor set aside"),
        (puback_counts_as_held, ("broker", "database", "worker"), ""),
        (presence_by_arrival, ("loss", "broker", "clock"), "presence of"),
        (synchronous_normal, ("power_cut",), "was shown"),
        (nothing_is_sent_again, ("broker", "database", "worker"), "not acknowledged"),
        (no_keep_window, ("restore",), "was deleted"),
        (epoch_never_rises, ("restore",), ""),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_planted_breakage_is_found(
    breakage: Callable[[pytest.MonkeyPatch], None],
    faults: tuple[str, ...],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert says in found(monkeypatch, breakage, *faults).violation


def test_a_failure_is_shrunk_to_the_faults_that_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = found(monkeypatch, synchronous_normal, "power_cut", "clock", "loss")
    smallest = shrink(failed)
    assert smallest.kind == failed.kind
    assert smallest.plan.faults == {"power_cut"}
    assert smallest.plan.hours < failed.plan.hours
