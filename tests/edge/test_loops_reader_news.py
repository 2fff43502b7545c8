"""A loose cable is told, and does not fill the journal."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.loops.reader_news import CALM_S, CHANGES_EACH_MAX, WINDOW_S, News, ReaderNews

LOOK_S = 2.0


def flap(gaps_s: list[float]) -> tuple[list[tuple[float, News]], list[tuple[float, str]]]:
    """A reader that changes after each gap, with a look every two seconds; then calm."""
    news, now, looked_at = ReaderNews(), 0.0, 0.0
    told: list[tuple[float, News]] = []
    changes: list[tuple[float, str]] = []
    for number, gap_s in enumerate([*gaps_s, CALM_S + 2 * LOOK_S]):
        until = now + gap_s
        while looked_at + LOOK_S <= until:
            looked_at += LOOK_S
            told += [(looked_at, one) for one in news.due(looked_at)]
        now = until
        if number < len(gaps_s):
            state = "found" if number % 2 else "lost"
            changes.append((now, state))
            found = news.changed("r1", state, f"change {number}", now)  # type: ignore[arg-type]
            told += [(now, found)] if found is not None else []
    return told, changes


@given(st.lists(st.floats(0.01, 300.0), min_size=1, max_size=60))
def test_every_change_is_told_or_counted_and_the_last_one_is_told_once_it_is_calm(gaps_s: list[float]) -> None:
    """Mutant: the count of those left out is not kept."""
    told, changes = flap(gaps_s)
    # Each event stands for itself or, when it is a summary, only for those it counts.
    singles = [one for _, one in told if not one.left_out]
    assert len(singles) + sum(one.left_out for _, one in told) == len(changes)
    assert (told[-1][1].state, told[-1][1].detail) == (changes[-1][1], f"change {len(changes) - 1}")


@given(st.lists(st.floats(0.01, 120.0), min_size=50, max_size=300))
def test_however_often_it_changes_few_events_are_written(gaps_s: list[float]) -> None:
    told, changes = flap(gaps_s)
    windows = changes[-1][0] / WINDOW_S + 1
    assert len(told) <= windows * (CHANGES_EACH_MAX + WINDOW_S / CALM_S + 1)


def test_a_cable_that_makes_and_breaks_ten_times_a_second_for_an_hour_writes_a_dozen_events() -> None:
    told, changes = flap([0.1] * 36_000)
    assert len(changes) == 36_000
    assert len(told) <= CHANGES_EACH_MAX + 3600 / WINDOW_S + 1


def test_readers_that_fail_now_and_then_are_told_each_time() -> None:
    told, changes = flap([WINDOW_S / CHANGES_EACH_MAX] * 30)
    assert [(at, one.state, one.left_out) for at, one in told] == [(at, state, 0) for at, state in changes]


def test_one_readers_trouble_hides_no_other() -> None:
    news = ReaderNews()
    for number in range(50):
        news.changed("r1", "lost" if number % 2 else "found", "", float(number))
    assert news.changed("r2", "lost", "unplugged", 51.0) == News("r2", "lost", "unplugged")
