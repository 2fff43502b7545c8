from __future__ import annotations

from datetime import UTC, date, datetime, time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlmodel import col, delete, select

from central.identity.models import SignIn, User
from central.kit.db import make_engine, read_session, write_session
from central.models import metadata
from central.privacy.erasure import ERASERS
from central.privacy.held import ERASED_NAME
from central.privacy.passing import ENDERS, end_what_is_over
from central.privacy.rules import ERASED, KEPT, NOTHING, by_their_day, lines_of, months_after, rules
from central.registry.record_models import DayPass
from simulators.two_worlds import build_world

ENDED = date(2023, 1, 31)
ALL = {rule.code: 1 for rule in rules()}


def outcomes(today: date, *, asked: bool, ended_on: date | None = ENDED, **longer: int) -> dict[str, str]:
    lines = lines_of(ALL, ended_on=ended_on, today=today, asked=asked, longer=longer)
    return {line.code: line.outcome for line in lines}


def test_on_request_goes_what_no_law_holds_and_the_rest_says_until_when() -> None:
    """Mutant: the installation's own time counts against a worker's request."""
    found = {line.code: line for line in lines_of(ALL, ended_on=ENDED, today=date(2023, 2, 1), asked=True)}
    assert {code for code, line in found.items() if line.outcome == ERASED} == {"phone", "bars", "account"}
    assert found["identity_number"].until == date(2026, 1, 31)
    assert found["person"].until == date(2028, 1, 31)
    assert (found["attendance"].outcome, found["attendance"].until) == (KEPT, None)


def test_unasked_it_stays_as_long_as_the_rule_or_the_installation_says() -> None:
    assert outcomes(date(2026, 1, 30), asked=False)["phone"] == KEPT
    assert outcomes(date(2026, 1, 31), asked=False)["phone"] == ERASED
    assert outcomes(date(2026, 1, 31), asked=False, phone=48)["phone"] == KEPT
    assert outcomes(date(2026, 1, 31), asked=True, phone=48)["phone"] == ERASED


def test_nothing_goes_while_somebody_is_employed_and_nothing_held_is_nothing_erased() -> None:
    assert set(outcomes(date(2090, 1, 1), asked=True, ended_on=None).values()) == {KEPT}
    assert {line.outcome for line in lines_of({}, ended_on=ENDED, today=date(2090, 1, 1), asked=True)} == {NOTHING}


@given(st.dates(date(2000, 1, 1), date(2050, 1, 1)), st.dates(date(2000, 1, 1), date(2060, 1, 1)), st.booleans())
def test_nothing_is_erased_before_its_law_lets_it_go(ended_on: date, today: date, asked: bool) -> None:  # noqa: FBT001 - drawn
    """Mutant: the law's time is not asked."""
    law = {rule.code: rule.law_months for rule in rules()}
    for line in lines_of(ALL, ended_on=ended_on, today=today, asked=asked, longer=dict.fromkeys(ALL, 0)):
        months = law[line.code]
        assert line.outcome == KEPT or (months is not None and months_after(ended_on, months) <= today)


def test_every_rule_that_ends_has_its_eraser_and_names_its_law() -> None:
    ending = {rule.code for rule in rules() if rule.keep_months is not None}
    assert ending == set(ERASERS)
    for rule in rules():
        assert rule.law
        assert rule.confidence
        assert rule.tables
        assert rule.keep_months is None or (rule.law_months is not None and rule.keep_months >= rule.law_months)


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2024, 2, 29), 12, date(2025, 2, 28)),
        (date(2026, 12, 15), 1, date(2027, 1, 15)),
        (date(2026, 5, 5), 0, date(2026, 5, 5)),
    ],
)
def test_months_end_on_the_same_day_or_the_months_last(day: date, months: int, expected: date) -> None:
    assert months_after(day, months) == expected


def test_visitors_and_sign_ins_go_by_their_day_and_who_may_be_inside_keeps_the_name(database_url: str) -> None:
    """Mutant: a pass that nobody saw end loses its name."""
    engine, today = make_engine(database_url, pool_size=1), date(2027, 6, 1)
    now = datetime(2027, 6, 1, tzinfo=UTC)
    visits = ((date(2026, 5, 31), True), (date(2026, 5, 31), False), (date(2026, 6, 1), True))
    with write_session(engine) as session:
        site = build_world(session, "own", now=now).ids["site"]
        session.exec(delete(DayPass))
        for day, left in visits:
            at = datetime.combine(day, time(9), UTC)
            gone = {"entered_at": at, "left_at": at if left else None}
            session.add(
                DayPass(site_id=site, on_day=day, kind="driver", name="Park", plate="1", recorded_by="t", **gone)
            )
        user = User(email="a@b.test", name="a", password_hash="none")
        session.add(user)
        session.flush()
        for number, ends in enumerate((datetime(2025, 5, 31, tzinfo=UTC), now)):
            session.add(SignIn(secret_hash=bytes([number]) * 32, user_id=user.id, expires_at=ends))
    given = {"actor": "system:test", "today": today, "now": now}
    assert end_what_is_over(engine, **given) == {"visitors": 1, "sign_ins": 1}
    assert end_what_is_over(engine, **given) == {"visitors": 0, "sign_ins": 0}
    with read_session(engine) as session:
        kept = session.exec(select(DayPass).order_by(col(DayPass.id))).all()
        assert [(one.name, one.plate) for one in kept] == [(ERASED_NAME, None), ("Park", "1"), ("Park", "1")]
        assert len(session.exec(select(SignIn)).all()) == 1
        tags = session.execute(text("SELECT tag, detail ->> 'rows' FROM audit_event ORDER BY id")).all()
    assert [tuple(one) for one in tags] == [("day_pass:erase", "1"), ("session:erase", "1")]
    engine.dispose()


def test_every_rule_names_tables_that_there_are() -> None:
    named = {table for rule in (*rules(), *by_their_day()) for table in rule.tables}
    assert {rule.code for rule in by_their_day()} == set(ENDERS)
    assert named - metadata.tables.keys() == set()
