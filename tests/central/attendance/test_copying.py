from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_mock import MockerFixture

from central.attendance.copying import COPY_EVENTS, EVENT_COLUMNS, copy_parts
from central.attendance.months import make_month, month_of

INT8 = st.integers(-(2**63), 2**63 - 1)
INT2 = st.integers(-(2**15), 2**15 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
INSTANT = st.integers(-(10**15), 6 * 10**15).map(
    lambda us: datetime(2000, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)
)
COLUMNS = {
    "journal": INT8,
    "seq": INT8,
    "received_at": INSTANT,
    "occurred_at": INSTANT.map(lambda at: at.astimezone(timezone(timedelta(hours=9)))),
    "site_id": INT8,
    "terminal_id": INT8,
    "worker_id": st.none() | INT8,
    "time_basis": INT2,
    "direction": st.none() | INT2,
    "decision": st.none() | INT2,
    "assurance": st.none() | INT2,
    "time_error_ms": st.none() | st.integers(-(2**31), 2**31 - 1),
    "type": TEXT,
    "reader": st.none() | TEXT,
    "zone": st.none() | TEXT,
    "token": st.none() | st.binary(max_size=16),
    "hash": st.binary(max_size=32),
    "bytes": st.binary(max_size=700),
}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.lists(st.tuples(*COLUMNS.values()), max_size=6, unique_by=lambda row: row[:2]))
def test_every_row_comes_back_from_the_database_as_it_was_given(
    database_url: str, mocker: MockerFixture, rows: list[tuple[Any, ...]]
) -> None:
    mocker.patch("central.attendance.copying.ROWS_A_PART", 2)
    assert tuple(COLUMNS) == EVENT_COLUMNS
    with psycopg.connect(database_url, options="-c timezone=UTC") as connection, connection.cursor() as cursor:
        for row in rows:
            make_month(connection, month_of(row[2]))
        with cursor.copy(COPY_EVENTS) as copy:
            for part in copy_parts(rows):
                copy.write(part)
        found = cursor.execute(f"SELECT {', '.join(EVENT_COLUMNS)} FROM attendance_event").fetchall()
        connection.rollback()
    assert sorted(found, key=lambda row: row[:2]) == sorted(rows, key=lambda row: row[:2])
