"""What a worker sees: today's taps, days per employer, nobody else's, and the same as the contractor's API says."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine
from sqlmodel import select

from central.attendance.diary import worker_days
from central.attendance.month import month_of_site
from central.identity.guards import SiteRef
from central.identity.policy import Reach
from central.kit.db import OF_REQUEST, read_session
from central.kit.ids import SiteId
from central.myself.month import month_of
from central.registry.confinement import GUARDED, confine
from central.registry.models import Employment, Worker
from simulators.clocks import HandClock
from simulators.own_site import CODE, OwnSite

SEOUL = ZoneInfo("Asia/Seoul")
HUNG, HUNGS = "26-0001", "01011110001"


def test_today_and_the_month_are_shown_per_employer(
    phone: Callable[..., Any], own_site: OwnSite, hand_clock: HandClock
) -> None:
    for day in (2, 3, 4):
        own_site.day(HUNG, date(2026, 11, day))
    own_site.day("26-0003", date(2026, 11, 5))
    own_site.tap(HUNG, hand_clock.now() - timedelta(hours=4))
    hung = phone()
    hung.sign_in(HUNG, HUNGS)
    page = hung.get("/me").text
    assert "08:00" in page  # today's entry, Seoul
    assert "두레철근" in page
    assert "Days: 4" in page
    assert "가온누리" not in page
    assert "No day is recorded" in hung.get("/me/months/2026-10").text
    assert hung.client.get("/me/months/2026-13").status_code == 422


def test_the_workers_month_is_the_contractors_month(
    own_site: OwnSite, central_engine: Engine, hand_clock: HandClock
) -> None:
    for day in (9, 10, 12):
        own_site.day(HUNG, date(2026, 11, day))
    own_site.tap(HUNG, datetime(2026, 11, 12, 22, 0, tzinfo=UTC))
    worker, now = own_site.ids[HUNG], hand_clock.now()
    with read_session(central_engine) as session:
        session.info[OF_REQUEST] = True
        confine(session, Reach(worker_id=worker))
        own = month_of(session, worker_id=worker, month="2026-11", now=now)
        theirs = worker_days(session, worker_id=worker, month="2026-11", sites=None, now=now)
    assert [(day.on, day.first_in_at, day.last_out_at, day.doubts) for day in own.days] == [
        (day.on, day.first_in_at, day.last_out_at, day.doubts) for day in theirs
    ]
    assert own.totals == [("두레철근", 4)]


def hold(own_site: OwnSite, *taps: tuple[str, str], decision: str = "accepted") -> None:
    """Let Hùng hold the card at these times in Seoul, each with its direction."""
    for local, direction in taps:
        at = datetime.fromisoformat(local).replace(tzinfo=SEOUL).astimezone(UTC)
        own_site.tap(HUNG, at, direction, decision=decision)


def test_worker_and_contractor_count_the_same_days(
    own_site: OwnSite, central_engine: Engine, hand_clock: HandClock
) -> None:
    """Mutants: an exit alone is a day for one of them; the month begins inside a shift."""
    for on, after in (("10-29", "10-30"), ("10-30", "10-31"), ("10-31", "11-01")):
        hold(own_site, (f"2026-{on} 20:00", "tap"), (f"2026-{after} 06:00", "tap"))
    hold(own_site, ("2026-11-03 20:00", "in"), ("2026-11-04 00:05", "out"))
    hold(own_site, ("2026-11-04 00:55", "in"), ("2026-11-04 05:30", "out"))
    hold(own_site, ("2026-11-04 05:30:20", "out"), decision="repeat")
    hold(own_site, ("2026-11-07 08:00", "in"), ("2026-11-08 08:00", "out"))
    hold(own_site, ("2026-11-12 17:00", "out"), ("2026-11-14 07:00", "in"))
    worker, now = own_site.ids[HUNG], hand_clock.now()
    site = SiteRef(SiteId(own_site.ids["site"]), CODE, "", "Asia/Seoul", frozenset())
    with read_session(central_engine) as session:
        for month, worked, doubts in (
            ("2026-10", {29: (), 30: (), 31: ()}, {}),
            ("2026-11", {3: (), 7: ("long_stay",), 14: ("missing_exit",)}, {12: ("missing_entry",)}),
        ):
            own = month_of(session, worker_id=worker, month=month, now=now)
            theirs = month_of_site(session, site, month=month, reach=Reach(everywhere=True), now=now).of([worker])
            assert {day.on.day: day.doubts for row in theirs for day in row.days} == worked | doubts
            assert {day.on.day: day.doubts for day in own.days} == worked | doubts
            assert own.totals == [("두레철근", len(worked))] == [(theirs[0].who.employer, theirs[0].worked)]


@pytest.mark.promise("ACC-01")
def test_a_query_that_forgets_its_filter_shows_a_worker_their_own_rows_alone(
    own_site: OwnSite, central_engine: Engine
) -> None:
    """Mutant: leave the worker's own rules out."""
    worker = own_site.ids[HUNG]
    with read_session(central_engine) as session:
        session.info[OF_REQUEST] = True
        confine(session, Reach(worker_id=worker))
        assert list(session.exec(select(Worker.id)).all()) == [worker]
        assert {row.worker_id for row in session.exec(select(Employment)).all()} == {worker}
        for model in GUARDED:
            rows = session.exec(select(model)).all()
            assert {getattr(row, "worker_id", worker) for row in rows} <= {worker}, model
