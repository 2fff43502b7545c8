"""Every pair of link state and event, and the pauses between attempts."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.transport.link import PAUSES_S, SPREAD, STEADY_S, TRANSITIONS, Link, LinkEvent, LinkState, pause_s, step

EXPECTED = {
    ("waiting", "dial"): "connecting",
    ("waiting", "stop"): "stopped",
    ("connecting", "accept"): "up",
    ("connecting", "lose"): "waiting",
    ("connecting", "stop"): "stopped",
    ("up", "lose"): "waiting",
    ("up", "stop"): "stopped",
}


@pytest.mark.parametrize(("state", "event"), list(itertools.product(LinkState, LinkEvent)))
def test_every_pair_leads_where_the_table_says(state: LinkState, event: LinkEvent) -> None:
    after = step(Link(state=state), event, 1.0, key="gate-01").state
    assert after == EXPECTED.get((state.value, event.value), state.value)


def test_the_table_knows_every_pair() -> None:
    assert set(TRANSITIONS) == set(itertools.product(LinkState, LinkEvent))


def test_pauses_grow_while_attempts_fail_and_start_again_after_a_steady_connection() -> None:
    link, now, pauses = Link(), 0.0, []
    for _ in range(9):
        link = step(link, LinkEvent.DIAL, now, key="gate-01")
        link = step(link, LinkEvent.LOSE, now, key="gate-01")
        pauses.append(link.dial_at - now)
        now = link.dial_at
    assert pauses[:7] == sorted(pauses[:7])
    assert pauses[-1] >= PAUSES_S[-1]
    link = step(step(link, LinkEvent.DIAL, now, key="k"), LinkEvent.ACCEPT, now, key="k")
    link = step(link, LinkEvent.LOSE, now + STEADY_S, key="k")
    assert link.failures == 1


def test_a_connection_that_is_cut_at_once_does_not_reset_the_pause() -> None:
    link = Link(failures=5)
    link = step(step(link, LinkEvent.DIAL, 0.0, key="k"), LinkEvent.ACCEPT, 0.0, key="k")
    assert step(link, LinkEvent.LOSE, 1.0, key="k").failures == 6


@given(failures=st.integers(1, 10_000), key=st.text(max_size=20))
def test_a_pause_stays_within_its_limits_and_is_the_terminals_own(failures: int, key: str) -> None:
    pause = pause_s(failures, key=key)
    assert PAUSES_S[0] <= pause <= PAUSES_S[-1] * (1 + SPREAD)
    assert pause == pause_s(failures, key=key)


@pytest.mark.parametrize("failures", [1, 3, 5, 9])
def test_a_nations_terminals_do_not_come_back_together(failures: int) -> None:
    """Mutant: spread by a share of the pause alone; 7,000 gates then greet a restarted broker within 0.25 s."""
    due = Counter(int(pause_s(failures, key=f"ccs-site-{number}-gate-01") * 10) for number in range(7000))
    assert max(due.values()) < 7000 / 30 * 1.5, "in any tenth of a second"
