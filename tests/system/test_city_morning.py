"""A hundredth of the city through real broker, database and central: nothing is lost, doubled or hidden."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from central.attendance import keeping
from central.attendance.keeping import PersonKey
from simulators.city import make_city, plan_morning, plan_outage
from simulators.city_morning import CityPlayer, Morning
from simulators.city_registry import seed_city
from simulators.city_stage import Stage
from simulators.city_watch import Screens

SPEED = 1_800.0
BACKLOG = 1_500


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.promise("DUR-02")
def test_a_small_citys_morning_with_an_outage_and_a_return_is_stored_once_and_shown() -> None:
    """Mutant: presence passes over a late tap that changes something (the kept row differs from the folded one)."""
    city = make_city(scale=0.01)
    outage = plan_outage(city, watched=4)
    taps = plan_morning(city, watched=outage.watched)
    with Stage() as stage:
        registry = seed_city(stage.database_url, city, card_key=stage.keys.card_key_bytes)
        stage.start_central()
        morning = Morning(city, outage, taps, speed=SPEED, backlog=BACKLOG)
        player = CityPlayer(morning, registry, stage.broker.url, stage=stage)
        player.fill()
        asyncio.run(player.play(Screens(stage.web_url, stage.token())))
        with psycopg.connect(stage.database_url, autocommit=True) as connection:
            events = connection.execute("SELECT count(*), count(DISTINCT (journal, seq)) FROM attendance_event")
            stored = events.fetchone()
            gaps = connection.execute("SELECT count(*) FROM attendance_journal WHERE ahead <> '{}'").fetchone()
            odd = connection.execute("SELECT kind, count(*) FROM attendance_anomaly GROUP BY 1").fetchall()
            inside = connection.execute("SELECT count(*) FROM attendance_presence WHERE state = 1").fetchone()
            everyone = connection.execute("SELECT site_id, person FROM attendance_presence").fetchall()
            differed = keeping.refold(connection, [PersonKey(*row) for row in everyone])
    report = player.report
    everything = len(taps) + BACKLOG * len(outage.deep) + city.terminals
    assert stored == (everything, everything)
    assert (gaps, odd, differed) == ((0,), [], [])
    assert inside == (city.workers,), "everybody came in, and whoever went on an errand came back"
    assert (report.unacknowledged, report.unseen, report.tally.bad_acks) == (0, 0, 0), report.tally.complaints
    assert list(report.starts_s) == ["before", "outage", "return", "after"]
    assert len(report.screens) == sum(len(site.workers) for site in outage.watched)
