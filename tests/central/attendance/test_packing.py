from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from central.attendance.packing import Bigints, Booleans, Instants, Packed, Smallints, Texts

INT8 = st.integers(-(2**63), 2**63 - 1)
INSTANT = st.integers(-(10**15), 6 * 10**15).map(
    lambda us: (datetime(2000, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)).astimezone(timezone(timedelta(hours=9)))
)
KINDS: list[tuple[Callable[[Any], Packed], str, st.SearchStrategy[Any]]] = [
    (Bigints, "bigint[]", st.none() | INT8),
    (Bigints, "bigint[]", INT8),
    (Smallints, "smallint[]", st.integers(-(2**15), 2**15 - 1)),
    (Booleans, "boolean[]", st.booleans()),
    (Instants, "timestamptz[]", st.none() | INSTANT),
    (Instants, "timestamptz[]", INSTANT),
    (Texts, "text[]", st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)),
]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80, deadline=None)
@given(st.sampled_from(KINDS).flatmap(lambda kind: st.tuples(st.just(kind[:2]), st.lists(kind[2], max_size=8))))
def test_a_packed_array_arrives_as_it_was_given(database_url: str, made: tuple[tuple[Any, str], list[Any]]) -> None:
    (pack, name), values = made
    with psycopg.connect(database_url, options="-c timezone=UTC") as connection:
        row = connection.execute(f"SELECT %s::{name}".encode(), (pack(values),)).fetchone()
    assert row is not None
    assert row[0] == values
