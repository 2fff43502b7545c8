"""Whose message is stored next, while somebody's month comes in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from central.attendance.intake import Inbox
from central.attendance.lanes import (
    BITE_BYTES_MAX,
    BITE_BYTES_MIN,
    BITE_S,
    CALM_S,
    FRESH_BYTES_MAX,
    RETURN_S,
    TURN_BYTES_MAX,
    Lanes,
)
from central.kit.mqtt_packets import Inbound

LIMITS = {"messages_max": 10_000, "bytes_max": 10_000 * 1024}
PIECE = bytes(45_000)
"""A full batch of a backlog."""
ONE_TAP = bytes(700)


class Mids:
    def __init__(self) -> None:
        self.last = 0

    def __call__(self, sender: str, kind: str, payload: bytes) -> Inbound:
        self.last += 1
        return Inbound(f"ccs/v1/{sender}/{kind}", payload, self.last, 1, 1)


def senders(messages: list[Inbound]) -> list[str]:
    return [message.topic.split("/", 2)[2] for message in messages]


def test_a_fresh_tap_gets_through_at_once_and_then_waits_for_a_bite_at_most() -> None:
    """Mutant: a batch with fresh taps is filled up with backlog (then everybody waits for whole batches)."""
    message, lanes = Mids(), Lanes()
    for number in range(300):
        lanes.put(message(f"away/gate-{number % 10}", "events", PIECE), now_s=0.0)
    lanes.put(message("here/gate-01", "events", ONE_TAP), now_s=0.0)
    assert senders(lanes.take(**LIMITS, now_s=100.0)) == ["here/gate-01/events"]
    lanes.put(message("here/gate-01", "events", ONE_TAP), now_s=0.0)
    bite = lanes.take(**LIMITS, now_s=100.1)
    assert senders(bite)[0] == "here/gate-01/events"
    assert len(bite) > 1
    assert sum(len(one.payload) for one in bite) <= BITE_BYTES_MAX + len(PIECE)
    assert len(lanes.take(**LIMITS, now_s=100.2)) == len(bite) - 1, "nothing fresh just now: another bite"
    rest = len(lanes)
    assert len(lanes.take(**LIMITS, now_s=100.1 + CALM_S + 0.1)) > min(rest, 2 * len(bite)), "calm: batches are filled"


@given(st.lists(st.sampled_from([0.001, 0.05, 0.1, 0.2, 1.0, 30.0]), min_size=2, max_size=25))
def test_a_bite_grows_and_shrinks_with_how_long_the_last_one_took(times: list[float]) -> None:
    """Mutant: bites of one size; then a machine at a fifth of its speed holds fresh taps up five times as long."""
    message, lanes, now_s, before, last_s = Mids(), Lanes(), 0.0, 0, 0.0
    for took_s in times:
        lanes.put(message("here/gate-01", "events", ONE_TAP), now_s=now_s)
        for _ in range(150):
            lanes.put(message("away/gate-01", "events", PIECE), now_s=now_s)
        assert len(lanes.take(**LIMITS, now_s=now_s)) == 1, "fresh, alone"
        lanes.put(message("here/gate-01", "events", ONE_TAP), now_s=now_s)
        size = sum(len(one.payload) for one in lanes.take(**LIMITS, now_s=now_s))
        assert BITE_BYTES_MIN <= size < BITE_BYTES_MAX + len(PIECE)
        if before:
            assert (size > before - len(PIECE)) if last_s <= BITE_S else (size < before + len(PIECE))
            assert size <= before * 1.25 + 2 * len(PIECE)
        before, last_s = size, took_s
        now_s += took_s
    for _ in range(10):
        lanes.put(message("here/gate-01", "events", ONE_TAP), now_s=now_s)
        lanes.take(**LIMITS, now_s=now_s)
        lanes.put(message("here/gate-01", "events", ONE_TAP), now_s=now_s)
        bite = lanes.take(**LIMITS, now_s=now_s)
        now_s += 5 * BITE_S
    assert sum(len(one.payload) for one in bite) < BITE_BYTES_MIN + len(PIECE), "a slow machine takes little"


def test_backlogs_are_taken_terminal_by_terminal_and_nobody_waits_for_ever() -> None:
    message, lanes = Mids(), Lanes()
    turn = TURN_BYTES_MAX // len(PIECE) + 1
    for number in range(4 * turn):
        lanes.put(message(f"away/gate-{number % 2}", "events", PIECE), now_s=0.0)
    order = [senders(lanes.take(messages_max=1, bytes_max=1, now_s=0.0))[0] for _ in range(4 * turn)]
    assert order == [f"away/gate-{number}/events" for number in (0, 1, 0, 1) for _ in range(turn)]


def test_the_newest_records_of_a_terminal_that_comes_back_go_first_but_only_these() -> None:
    message, lanes = Mids(), Lanes()
    lanes.put(message("away/gate-01", "events", PIECE), now_s=0.0)
    lanes.put(message("away/gate-01", "live", PIECE), now_s=0.0)
    lanes.put(message("away/gate-01", "live", PIECE), now_s=0.0)
    lanes.put(message("away/gate-01", "heartbeat", ONE_TAP), now_s=0.0)
    assert senders(lanes.take(**LIMITS, now_s=0.0)) == ["away/gate-01/live", "away/gate-01/heartbeat"]
    assert senders(lanes.take(**LIMITS, now_s=0.0)) == ["away/gate-01/events", "away/gate-01/live"]


def test_the_past_of_a_terminal_that_comes_back_never_passes_for_fresh_and_its_new_taps_do() -> None:
    """Mutant: each piece of newest records goes first once the one before is stored; then half of a month does."""
    message, lanes = Mids(), Lanes()
    lanes.put(message("away/gate-01", "live", PIECE), now_s=0.0)
    assert len(lanes.take(**LIMITS, now_s=0.0)) == 1
    for second in range(1, 60):
        lanes.put(message("away/gate-01", "live", PIECE), now_s=second)
        lanes.put(message("here/gate-01", "events", ONE_TAP), now_s=second)
        lanes.put(message("away/gate-01", "live", ONE_TAP), now_s=second)
        first = senders(lanes.take(**LIMITS, now_s=second))
        assert first[:2] == ["here/gate-01/events", "away/gate-01/live"]
        assert len(first) == 2 + (second % 2 == 0) * 2, "the pieces wait for their bite"
    lanes.put(message("away/gate-01", "live", PIECE), now_s=60 + RETURN_S)
    lanes.put(message("here/gate-02", "events", PIECE), now_s=60 + RETURN_S)
    assert senders(lanes.take(**LIMITS, now_s=60 + RETURN_S))[0] == "away/gate-01/live", "away once more"


def test_an_offline_state_waits_for_the_records_that_came_before_it() -> None:
    message, lanes = Mids(), Lanes()
    lanes.put(message("away/gate-01", "events", PIECE), now_s=0.0)
    lanes.put(message("away/gate-01", "state", ONE_TAP), now_s=0.0)
    lanes.put(message("here/gate-01", "state", ONE_TAP), now_s=0.0)
    assert senders(lanes.take(**LIMITS, now_s=0.0)) == ["here/gate-01/state"]
    assert senders(lanes.take(**LIMITS, now_s=0.0)) == ["away/gate-01/events", "away/gate-01/state"]


KINDS = st.sampled_from(["events", "live", "birth", "state", "heartbeat"])
SIZES = st.sampled_from([1, 700, FRESH_BYTES_MAX, FRESH_BYTES_MAX + 1, 45_000])


@given(st.lists(st.tuples(st.integers(0, 3), KINDS, SIZES), max_size=60), st.integers(1, 20), st.integers(1, 200_000))
def test_everything_comes_out_once_within_the_limits(
    given_messages: list[tuple[int, str, int]], messages_max: int, bytes_max: int
) -> None:
    """Mutant: a terminal's second backlog is forgotten when its first has just been emptied."""
    message, lanes, out = Mids(), Lanes(), []
    for number, (sender, kind, size) in enumerate(given_messages):
        lanes.put(message(f"site/gate-{sender}", kind, bytes(size)), now_s=float(number))
        if number % 7 == 6:
            out += lanes.take(messages_max=messages_max, bytes_max=bytes_max, now_s=float(number))
    while batch := lanes.take(messages_max=messages_max, bytes_max=bytes_max, now_s=1e3):
        assert len(batch) <= messages_max
        assert sum(len(one.payload) for one in batch[:-1]) < bytes_max
        out += batch
    assert sorted(one.mid for one in out) == list(range(1, len(given_messages) + 1))
    assert (len(lanes), lanes.bytes) == (0, 0)


def test_a_full_inbox_drops_a_heartbeat_and_says_so() -> None:
    message, inbox = Mids(), Inbox(messages_max=1)
    assert inbox.put(message("here/gate-01", "events", ONE_TAP))
    assert not inbox.put(message("here/gate-01", "heartbeat", ONE_TAP)._replace(qos=0))
    assert len(inbox.take(**LIMITS, idle_s=0.0)) == 1
