"""What stands on the rows that an import made, read from the catalogue: no other slice's table is known by its name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from psycopg import sql

from central.kit.db import psycopg_of
from central.registry.import_repository import rows_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from central.kit.db import ReadSession, WriteSession

XID_MODULUS = 2**32
"""Rows carry the low half of their transaction's number."""

_NAMING = """
SELECT DISTINCT c.relname, a.attname
FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_constraint f
  ON f.conrelid = c.oid AND f.contype = 'f' AND f.confrelid = CAST(:table AS regclass) AND a.attnum = ANY(f.conkey)
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND (f.oid IS NOT NULL OR a.attname = :column)
ORDER BY 1, 2
"""
_WITH_COLUMNS = """
SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND a.attname = ANY(:columns)
GROUP BY c.relname HAVING count(*) = cardinality(CAST(:columns AS text[]))
ORDER BY 1
"""
_TAP = ("worker_id", "site_id", "token", "occurred_at")
"""The columns by which a table of taps is known."""


def made_rows(session: ReadSession | WriteSession, import_id: int) -> list[tuple[int, dict[str, Any]]]:
    """Return (number, made) of an import's rows that were not undone."""
    query = "SELECT number, made FROM registry_import_row WHERE import_id = :id AND undone_at IS NULL ORDER BY number"
    return [(row.number, row.made) for row in rows_of(session, query, id=import_id)]


def columns_naming(session: ReadSession | WriteSession, table: str) -> list[tuple[str, str]]:
    """Return (table, column) of everything in the database that names a table's rows.

    By a key, or (where another slice keeps none) by the column's name: `worker_id` for `registry_worker`.
    """
    column = table.removeprefix("registry_") + "_id"
    return [(row.relname, row.attname) for row in rows_of(session, _NAMING, table=table, column=column)]


def with_later_terms(session: ReadSession | WriteSession, contracts: Sequence[int]) -> list[int]:
    """Return those of the contracts that have more than their first terms."""
    query = sql.SQL(
        "SELECT contract_id FROM registry_contract_version WHERE contract_id = ANY(%s)"
        " GROUP BY contract_id HAVING count(*) > 1"
    )
    return _column(session, query, [list(contracts)])


def named(
    session: ReadSession | WriteSession, table: str, column: str, workers: Sequence[int], *, but: Sequence[int]
) -> list[int]:
    """Return those of the workers whom a table names, leaving its rows `but` aside."""
    if not workers:
        return []
    query = sql.SQL("SELECT DISTINCT {column} FROM {table} WHERE {column} = ANY(%s)").format(
        column=sql.Identifier(column), table=sql.Identifier(table)
    )
    given: list[object] = [list(workers)]
    if but:
        query += sql.SQL(" AND NOT id = ANY(%s)")
        given.append(list(but))
    return _column(session, query, given)


def written_since(session: ReadSession | WriteSession, table: str, ids: Sequence[int], *, taken_in: int) -> list[int]:
    """Return those of the rows that another transaction wrote to after the import's own."""
    query = sql.SQL("SELECT id FROM {} WHERE id = ANY(%s) AND xmin::text::bigint <> %s").format(sql.Identifier(table))
    return _column(session, query, [list(ids), taken_in % XID_MODULUS]) if ids else []


def employing(session: ReadSession | WriteSession, entries: Sequence[int]) -> list[int]:
    """Return those of the employers' entries on a site whose firm has, or had, people on its roll."""
    query = """
SELECT DISTINCT s.id FROM registry_site_employer s
JOIN registry_employment e ON e.site_id = s.site_id AND e.employer_id = s.organization_id WHERE s.id = ANY(:ids)"""
    return [row[0] for row in rows_of(session, query, ids=list(entries))]


def tapped_cards(session: ReadSession | WriteSession, assignments: Sequence[int]) -> list[int]:
    """Return those of the holdings whose card was tapped by its holder."""
    query = sql.SQL("""
SELECT DISTINCT a.id FROM registry_card_assignment a JOIN registry_card c ON c.id = a.card_id
JOIN {} t ON t.token = decode(c.token, 'hex') AND t.worker_id = a.worker_id WHERE a.id = ANY(%s)""")
    return _tapped(session, query, assignments)


def tapped_employments(session: ReadSession | WriteSession, employments: Sequence[int]) -> list[int]:
    """Return those of the employments during which the worker tapped on the site."""
    query = sql.SQL("""
SELECT DISTINCT e.id FROM registry_employment e JOIN registry_site s ON s.id = e.site_id
JOIN {} t ON t.worker_id = e.worker_id AND t.site_id = e.site_id
  AND daterange(e.from_on, e.until_on) @> (t.occurred_at AT TIME ZONE s.timezone)::date WHERE e.id = ANY(%s)""")
    return _tapped(session, query, employments)


def _tapped(session: ReadSession | WriteSession, query: sql.SQL, ids: Sequence[int]) -> list[int]:
    if not ids:
        return []
    tables = [row[0] for row in rows_of(session, _WITH_COLUMNS, columns=list(_TAP))]
    return [one for table in tables for one in _column(session, query.format(sql.Identifier(table)), [list(ids)])]


def tokens_of(session: WriteSession, assignments: Sequence[int]) -> list[str]:
    """Return the tokens of the cards of these holdings."""
    query = """
SELECT DISTINCT c.token FROM registry_card_assignment a JOIN registry_card c ON c.id = a.card_id
WHERE a.id = ANY(:ids)"""
    return [row[0] for row in rows_of(session, query, ids=list(assignments))]


def cards_back(session: WriteSession, assignments: Sequence[int], *, actor: str, now: datetime) -> None:
    """Note that the cards of these holdings are nobody's again."""
    query = """
WITH moved AS (
    UPDATE registry_card c SET state = 'stock' FROM registry_card_assignment a
    WHERE a.id = ANY(:ids) AND c.id = a.card_id AND c.state = 'issued' RETURNING c.id
)
INSERT INTO registry_card_event (card_id, event, from_state, to_state, at, recorded_at, recorded_by, note)
SELECT id, 'return', 'issued', 'stock', :now, :now, :actor, 'import undone' FROM moved RETURNING 1"""
    rows_of(session, query, ids=list(assignments), now=now, actor=actor)


def delete(session: WriteSession, table: str, ids: Sequence[int]) -> None:
    """Delete rows that an import made."""
    query = sql.SQL("DELETE FROM {} WHERE id = ANY(%s)").format(sql.Identifier(table))
    with psycopg_of(session).cursor() as cursor:
        cursor.execute(query, [list(ids)])


def note_rows(
    session: WriteSession, import_id: int, *, going: Sequence[int], kept: Mapping[int, object], now: datetime
) -> None:
    """Write down at each row of an import that it was undone, or why it stays."""
    query = """
UPDATE registry_import_row SET undone_at = :now, kept_because = NULL
WHERE import_id = :id AND number = ANY(:numbers) RETURNING 1"""
    rows_of(session, query, id=import_id, now=now, numbers=list(going))
    query = """
UPDATE registry_import_row r SET kept_because = k.value FROM jsonb_each(CAST(:kept AS jsonb)) k
WHERE r.import_id = :id AND r.number = CAST(k.key AS integer) RETURNING 1"""
    rows_of(session, query, id=import_id, kept=json.dumps(dict(kept)))


def _column(session: ReadSession | WriteSession, query: sql.SQL | sql.Composed, given: Sequence[object]) -> list[int]:
    with psycopg_of(session).cursor() as cursor:
        return [row[0] for row in cursor.execute(query, given).fetchall()]
