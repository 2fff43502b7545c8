"""The city and its morning: proportions, determinism, and who is cut off."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from random import Random

import pytest
from typer.testing import CliRunner

from simulators.city import (
    RUSH_ENDS_S,
    RUSH_S,
    CityTooSmall,
    make_city,
    plan_morning,
    plan_outage,
)
from simulators.city_morning import days_before
from simulators.cli import app
from simulators.fleet_journal import MemoryJournal


def test_seoul_has_its_sites_terminals_and_workers_and_few_large_sites_hold_many() -> None:
    city = make_city()
    assert (len(city.sites), city.terminals, city.workers) == (3_500, 7_000, 105_000)
    sizes = [len(site.workers) for site in city.sites]
    assert sum(sizes[:100]) > sum(sizes) / 4, "a thirty-fifth of the sites holds more than a quarter of the workers"
    assert sizes[0] > 500
    assert 2 <= sizes[-1] < 12
    assert all(len(site.terminals) >= 1 for site in city.sites)
    for site in city.sites[::500]:
        assert city.site_of_terminal(site.terminals[-1]) is site


def test_the_same_seed_gives_the_same_morning_and_most_arrive_in_the_rush() -> None:
    city = make_city(scale=0.1)
    outage = plan_outage(city, watched=6)
    taps = plan_morning(city, watched=outage.watched)
    assert taps == plan_morning(make_city(scale=0.1), watched=plan_outage(city, watched=6).watched)
    arrivals = {tap.worker: tap.at_s for tap in reversed(taps) if tap.direction == "in"}
    assert len(arrivals) == city.workers
    share = sum(RUSH_S <= at_s <= RUSH_ENDS_S for at_s in arrivals.values()) / len(arrivals)
    assert share == pytest.approx(0.84, abs=0.03), "85 %, less the few watched sites that arrive evenly"
    ways = Counter(tap.direction for tap in taps)
    assert ways["in"] - ways["out"] == city.workers, "whoever goes on an errand comes back"


def test_a_third_of_the_terminals_is_cut_off_and_no_watched_site_is_touched() -> None:
    city = make_city(scale=0.1)
    outage = plan_outage(city)
    assert len(outage.terminals) == round(city.terminals / 3)
    assert len(outage.deep) == 10
    assert outage.deep < outage.terminals
    assert outage.watched
    assert not outage.terminals.intersection(terminal for site in outage.watched for terminal in site.terminals)


def test_the_days_a_terminal_was_away_end_with_everybody_gone_home() -> None:
    until = datetime(2026, 11, 22, tzinfo=UTC)
    made = list(days_before(range(10, 17), 100, until=until, chance=Random(1)))
    assert len(made) == 100
    assert all(at < until for _, _, at in made)
    last = {worker: direction for worker, direction, _ in sorted(made, key=lambda tap: tap[2])}
    assert last == dict.fromkeys(range(10, 17), "out")


def test_a_city_too_small_to_play_is_refused_with_what_to_ask_for() -> None:
    with pytest.raises(CityTooSmall, match="ask for at least"):
        make_city(scale=0.001)
    answer = CliRunner().invoke(app, ["fleet", "--scale", "0.001"])
    assert answer.exit_code == 1
    assert "leaves 4 sites" in answer.stderr


def test_a_memory_journal_reports_each_event_once_whatever_the_acks_repeat() -> None:
    from edge_agent.wire.codec import event_hash
    from edge_agent.wire.messages import Ack

    covered: list[float] = []
    complaints: list[str] = []
    journal = MemoryJournal("s", "t", complain=complaints.append, covered=covered.append)
    for number in range(9):
        journal.tap(f"{number:032x}", "in")
    events = [record.bytes for record in journal.read(0, events_max=20, bytes_max=10**6)]
    hashes = ["0" * 64, *map(event_hash, events)]

    def ack(durable: int, *have: tuple[int, int]) -> None:
        journal.acknowledge(Ack(journal.journal_id, durable, hashes[durable], list(have), 1))

    ack(0, (8, 10))
    ack(0, (8, 10))
    assert len(covered) == 3
    ack(4, (8, 10))
    ack(10)
    ack(10)
    ack(4, (8, 10))  # another worker's, overtaken
    assert (len(covered), journal.durable, complaints) == (10, 10, [])
    journal.acknowledge(Ack(journal.journal_id, 3, hashes[3], [], 2))
    assert "asked for again" in complaints[0]
