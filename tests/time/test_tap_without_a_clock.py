"""No tap is refused for lack of a clock: the card is answered, and the record says what its time rests on."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest

from edge_agent.clock import SystemClock
from edge_agent.journal.store import Journal
from edge_agent.loops.board import Board
from edge_agent.loops.gate import Gate
from edge_agent.readers.base import CardSeen, ReaderConfig
from edge_agent.tap.roster import RosterView
from edge_agent.wire.codec import decode_event
from edge_agent.wire.ids import card_token
from edge_agent.wire.messages import Credential, RosterEntry
from simulators.bad_clock import FAR_AHEAD_NS, NEVER_SET_NS, NS_A_SECOND, BadClock

KEY = b"\x11" * 32
NOW_NS = 1_795_348_800 * NS_A_SECOND


class Quiet:
    """A log that nobody reads."""

    def info(self, *_: object, **__: object) -> None:
        pass

    error = warning = debug = info


@pytest.mark.promise("TIM-01")
@pytest.mark.parametrize(
    ("wall_ns", "state"), [(NEVER_SET_NS, "unset"), (FAR_AHEAD_NS, "rtc"), (NOW_NS, "rtc")], ids=["1970", "2099", "rtc"]
)
def test_a_card_is_answered_and_recorded_whatever_the_clock_shows(tmp_path: Path, wall_ns: int, state: str) -> None:
    """Mutant: a terminal without a clock refuses (tim-01-no-clock-no-tap)."""
    kernel = BadClock(true_ns=NOW_NS, random=Random(1))
    kernel.boot(wall_ns=wall_ns)
    clock = SystemClock(kernel=kernel, boot_id=kernel.boot_id)
    journal = Journal.open(tmp_path / "journal.db", site="site-07", terminal="gate-03", clock=clock)
    uids = [bytes([4, number]) * 4 for number in range(3)]
    entries: dict[str, RosterEntry] = {
        card_token(KEY, uid): RosterEntry(token=card_token(KEY, uid), worker="w", name="김") for uid in uids
    }
    log: Any = Quiet()
    gate = Gate(
        journal=journal,
        clock=clock,
        board=Board(RosterView("site-07", version=3, entries=entries), {"in": None}),
        card_key=KEY,
        readers=[ReaderConfig("in", "socket", "", "in", "north")],
        displays=[],
        appended=lambda: None,
        log=log,
    )
    shown = []
    for uid in uids:
        kernel.pass_true(10)
        answer = gate.handle(CardSeen("in", uid, Credential("id_only", 0), authentic=True))
        assert answer is not None
        shown.append(answer.shown)
    records = journal.read(0, events_max=10, bytes_max=2**20)
    journal.close()
    assert shown == ["green"] * 3
    events = [decode_event(record.bytes) for record in records]
    assert [event.clockstate for event in events] == [state] * 3
    ticks = [int(event.boottimens) for event in events]
    assert [round((b - a) / NS_A_SECOND, 1) for a, b in pairwise(ticks)] == [10.0, 10.0]
