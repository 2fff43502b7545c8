"""Midnight takes nobody out of a count, and every page says the same number (INC-01)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from central.attendance import home_repository, records, roster
from central.attendance.headcount import only
from central.identity.policy import EVERYTHING, Reach
from central.kit.db import make_engine, read_session
from central.kit.ids import OrganizationId, SiteId
from simulators.ingest_bench import GATE, SITE, IngestBench
from simulators.journal import JournalMaker

SEOUL = ZoneInfo("Asia/Seoul")
CAME = timedelta(hours=26)
"""Ago: on an earlier day, whatever time it is."""


def listed(bench: IngestBench, reach: Reach) -> int:
    """Return who is inside by the list of sites."""
    engine = make_engine(bench.url, pool_size=1)
    with read_session(engine) as session:
        rows, _ = records.site_list(session, reach=reach, now=datetime.now(UTC))
    engine.dispose()
    return rows[0].inside


@pytest.mark.promise("INC-01")
def test_whose_employment_ends_at_midnight_stays_their_firms_until_they_leave(bench: IngestBench) -> None:
    """Mutant: ask whose people they are on the day of the question."""
    now = datetime.now(UTC)
    site_id = bench.seeded.site_id
    employer = bench.one("SELECT DISTINCT employer_id FROM registry_employment")
    bench.connection.execute("UPDATE registry_employment SET until_on = %s", (now.astimezone(SEOUL).date(),))
    journal = JournalMaker(SITE, GATE, at=now - CAME)
    journal.tap(bench.token(0), "in")
    bench.take((journal.topic, journal.batch()))

    def own() -> tuple[int, int, list[tuple[int, int, int]], int, int]:
        rows = home_repository.own_people(bench.connection, own=[(site_id, employer)], now=now)
        reach = Reach(own=frozenset({(SiteId(site_id), OrganizationId(employer))}))
        knows = roster.content_of(bench.connection, site_id=site_id, timezone="Asia/Seoul", now=now)["entries"]
        counted = [only(bench.headcount(**at), {employer}).inside for at in ({}, {"true_at": datetime.now(UTC)})]
        return counted[0], counted[1], [row[2:] for row in rows], listed(bench, reach), len(knows)

    assert own() == (1, 1, [(0, 1, 0)], 1, 1)
    found = bench.headcount()
    assert (found.people[0].employer, found.people[0].trade) == ("Hanbit Construction", "rebar")
    journal.at = now - timedelta(hours=1)
    journal.tap(bench.token(0), "out")
    bench.take((journal.topic, journal.batch()))
    assert own() == (0, 0, [], 0, 0)


def test_who_changed_firms_at_midnight_counts_for_the_one_they_came_in_for(bench: IngestBench) -> None:
    now = datetime.now(UTC)
    today = now.astimezone(SEOUL).date()
    other = bench.one("INSERT INTO registry_organization (name, kind) VALUES ('Dure', 'sub') RETURNING id")
    bench.connection.execute("UPDATE registry_employment SET until_on = %s", (today,))
    bench.connection.execute(
        "INSERT INTO registry_employment (worker_id, site_id, employer_id, trade, from_on)"
        " SELECT worker_id, site_id, %s, 'scaffolder', %s FROM registry_employment",
        (other, today),
    )
    journal = JournalMaker(SITE, GATE, at=now - CAME)
    journal.tap(bench.token(0), "in")
    bench.take((journal.topic, journal.batch()))
    assert [(one.employer, one.trade) for one in bench.headcount().people] == [("Hanbit Construction", "rebar")]


def test_who_came_in_before_they_were_on_the_roll_counts_for_todays_firm(bench: IngestBench) -> None:
    now = datetime.now(UTC)
    bench.connection.execute("UPDATE registry_employment SET from_on = %s", (now.astimezone(SEOUL).date(),))
    journal = JournalMaker(SITE, GATE, at=now - CAME)
    journal.tap(bench.token(0), "in")
    bench.take((journal.topic, journal.batch()))
    assert [one.employer for one in bench.headcount().people] == ["Hanbit Construction"]


@pytest.mark.promise("INC-01")
def test_a_visitor_of_yesterday_who_has_not_left_is_in_every_number(bench: IngestBench) -> None:
    """Mutant: count the passes of the day."""
    now = datetime.now(UTC)
    let_in(bench, at=now - CAME, left_at=None)
    let_in(bench, at=now - CAME, left_at=now - timedelta(hours=25))
    journal = JournalMaker(SITE, GATE, at=now - timedelta(hours=1))
    journal.tap(bench.token(0), "in")
    bench.take((journal.topic, journal.batch()))
    found = bench.headcount()
    assert (found.inside, found.visitors) == (2, 1)
    assert [row[2] for row in home_repository.visitors(bench.connection, sites=None)] == [1]
    assert [row[2:] for row in home_repository.inside(bench.connection, sites=[bench.seeded.site_id])] == [(2, 0)]
    assert listed(bench, EVERYTHING) == 2
    assert listed(bench, Reach(sites=frozenset({SiteId(bench.seeded.site_id)}))) == 2


def let_in(bench: IngestBench, *, at: datetime, left_at: datetime | None) -> None:
    """Write a day pass."""
    on: date = at.astimezone(SEOUL).date()
    bench.connection.execute(
        "INSERT INTO registry_day_pass (site_id, on_day, kind, name, company, host, entered_at, left_at, recorded_by)"
        " VALUES (%s, %s, 'visitor', 'Guest', '', '', %s, %s, 'system:test')",
        (bench.seeded.site_id, on, at, left_at),
    )
