"""A whole city's registry by COPY: clients, sites, terminals, workers and their cards, in seconds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg

from edge_agent.wire.ids import card_token
from simulators.seeding import identity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from simulators.city import City

EMPLOYED_FOR = timedelta(days=150)
FIRMS_MAX = 300
CLIENTS = 25
"""One for each borough."""
_TRADES = ("general_labourer", "rebar", "form_carpenter", "scaffolder", "concrete", "electrician", "pipefitter")
_FAMILY = "김이박최정강조윤장임한오서신권황"
_GIVEN = ("민수", "영호", "지훈", "성민", "정우", "현수", "동현", "준영", "상철", "미경", "은정", "태식")


@dataclass(frozen=True)
class CityRegistry:
    """What the terminals need of it: the token of each worker's card, by the worker's number in the city."""

    tokens: tuple[str, ...]


def seed_city(
    database_url: str, city: City, *, card_key: bytes, progress: Callable[[str], None] = lambda _what: None
) -> CityRegistry:
    """Register everything in one transaction; raise psycopg errors when the registry is not empty."""
    since = datetime.now(UTC) - EMPLOYED_FOR
    tokens = tuple(card_token(card_key, identity(number)) for number in range(1, city.workers + 1))
    with psycopg.connect(database_url) as connection:
        for table, columns, rows in _tables(city, tokens, since):
            progress(table.removeprefix("registry_").replace("_", " "))
            _copy(connection, table, columns, rows)
        connection.commit()
        connection.autocommit = True
        connection.execute("ANALYZE")
    return CityRegistry(tokens)


def _copy(connection: psycopg.Connection[Any], table: str, columns: str, rows: Iterable[tuple[Any, ...]]) -> None:
    with connection.cursor() as cursor:
        with cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        if columns.startswith("id, "):
            cursor.execute(
                f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}"  # noqa: S608 - our own names
            )


_Table = tuple[str, str, "Iterable[tuple[Any, ...]]"]


def _tables(city: City, tokens: tuple[str, ...], since: datetime) -> list[_Table]:
    """List the tables in the order of their references. A worker's id is the number in the city plus one."""
    firms = min(FIRMS_MAX, len(city.sites))
    sites = list(enumerate(city.sites, 1))
    since_on = since.date()
    return [
        (
            "registry_organization",
            "id, name, kind",
            [(number, f"구청 {number:02d}", "client") for number in range(1, CLIENTS + 1)]
            + [(CLIENTS + number, f"건설 {number:03d}", "prime") for number in range(1, firms + 1)],
        ),
        (
            "registry_project",
            "id, code, name, client_id",
            ((number, site.code, f"공사 {number:04d}", number % CLIENTS + 1) for number, site in sites),
        ),
        (
            "registry_site",
            "id, code, project_id, name, address, timezone",
            ((number, site.code, number, f"현장 {number:04d}", "", "Asia/Seoul") for number, site in sites),
        ),
        (
            "registry_site_employer",
            "site_id, organization_id, tier, from_on",
            ((number, CLIENTS + number % firms + 1, "prime", since_on) for number, _ in sites),
        ),
        (
            "registry_terminal",
            "id, site_id, code, name, zone, readers, in_service",
            (
                (terminal + 1, number, gate, gate, gate, _readers(gate), True)
                for number, site in sites
                for terminal in site.terminals
                for gate in (site.gate(terminal),)
            ),
        ),
        (
            "registry_worker",
            "id, worker_no, name, language, is_test",
            ((number, f"91{number:08d}", _name(number), "ko", False) for number in range(1, city.workers + 1)),
        ),
        (
            "registry_employment",
            "worker_id, site_id, employer_id, trade, from_on",
            (
                (worker + 1, number, CLIENTS + number % firms + 1, _TRADES[worker % len(_TRADES)], since_on)
                for number, site in sites
                for worker in site.workers
            ),
        ),
        ("registry_card", "id, token, kind", ((number, token, "card") for number, token in enumerate(tokens, 1))),
        (
            "registry_card_assignment",
            "card_id, worker_id, from_at",
            ((number, number, since) for number in range(1, city.workers + 1)),
        ),
    ]


def _readers(zone: str) -> str:
    return json.dumps(
        [{"name": "r1", "direction": "in", "zone": zone}, {"name": "r2", "direction": "out", "zone": zone}]
    )


def _name(number: int) -> str:
    return _FAMILY[number % len(_FAMILY)] + _GIVEN[number // len(_FAMILY) % len(_GIVEN)]
