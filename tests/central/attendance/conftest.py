"""Central's ingest on a fresh database with one seeded site."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from central.attendance.ingest import Ingest
from central.attendance.intake import connect
from simulators.ingest_bench import CARD_KEY, GATE, IngestBench
from simulators.seeding import seed_site

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def bench(database_url: str) -> Iterator[IngestBench]:
    seeded = seed_site(database_url, card_key=CARD_KEY, terminals={GATE: ("in", "out"), "gate-02": ("in", "out")})
    with connect(database_url) as connection:
        yield IngestBench(database_url, seeded, connection, Ingest(connection))
