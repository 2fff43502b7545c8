"""Queries of imports: what a sheet's rows name, read and written in bulk, and the imports themselves.

A run may be confined to what its asker reaches. What it must know beyond that (whose card, which number) is asked for
in text that says so; what is told to the asker about other people is read within reach.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Date, Text, func, literal, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import col, select

from central.kit.db import psycopg_of
from central.registry.confinement import BEYOND_REACH
from central.registry.import_models import Import, ImportRow
from central.registry.import_states import RUNNING
from central.registry.models import Worker

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date, datetime

    from sqlalchemy import Row as SqlRow

    from central.kit.db import ReadSession, WriteSession

IMPORTS_A_PAGE = 50
RUNS_LOCK = 0x696D7072
"""Key of the advisory lock under which runs are counted."""
ROWS_SHOWN_MAX = 200


def rows_of(session: ReadSession | WriteSession, sql: str, **given: object) -> Sequence[SqlRow[Any]]:
    """Read rows that a run must know of, within reach or not."""
    return session.execute(text(sql), given, execution_options=BEYOND_REACH).all()


def new_ids(session: WriteSession, table: str, count: int) -> list[int]:
    """Take so many ids of a table, so that rows can name each other before they are written."""
    if not count:
        return []
    sql = "SELECT nextval(pg_get_serial_sequence(:table, 'id')) FROM generate_series(1, :count)"
    return [row[0] for row in rows_of(session, sql, table=table, count=count)]


def copy_rows(session: WriteSession, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write many rows of one table at once."""
    session.flush()
    statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
    with psycopg_of(session).cursor() as cursor, cursor.copy(statement.encode()) as copy:
        for row in rows:
            copy.write_row(row)


def workers_born(session: WriteSession, pairs: Sequence[tuple[str, date]]) -> Sequence[tuple[int, str, date]]:
    """Return (id, name, birth_on) of the workers within reach with one of these names and dates of birth."""
    given = (
        func.unnest(literal([name for name, _ in pairs], ARRAY(Text)), literal([day for _, day in pairs], ARRAY(Date)))
        .table_valued("name", "birth_on")
        .render_derived(name="given")
    )
    query = (
        select(Worker)
        .join(given, (given.c.name == Worker.name) & (given.c.birth_on == Worker.birth_on))
        .where(col(Worker.merged_into_id).is_(None))
    )
    rows = session.exec(query).all()
    return [(row.id or 0, row.name, row.birth_on) for row in rows if row.birth_on is not None]


def workers_within(session: WriteSession, ids: Sequence[int]) -> set[int]:
    """Return which of these workers are within reach."""
    return {row_id for row_id in session.exec(select(Worker.id).where(col(Worker.id).in_(ids))).all() if row_id}


def organizations(session: ReadSession | WriteSession) -> dict[int, tuple[str, str | None]]:
    """Return every organization's name and business number: all who may read any may read all."""
    rows = rows_of(session, "SELECT id, name, business_no FROM registry_organization")
    return {row.id: (row.name, row.business_no) for row in rows}


def project_sites(session: ReadSession | WriteSession, *, project_id: int) -> list[tuple[int, str, date | None]]:
    """Return (id, code, closed_on) of a project's sites."""
    query = "SELECT id, code, closed_on FROM registry_site WHERE project_id = :project_id"
    return [(row.id, row.code, row.closed_on) for row in rows_of(session, query, project_id=project_id)]


def firms_at_work(
    session: ReadSession | WriteSession, sites: Sequence[int]
) -> dict[tuple[int, int], Sequence[date | None]]:
    """Return the last days (None: open) of each firm's times on these sites, by site and firm."""
    query = """
SELECT site_id, organization_id, array_agg(until_on) AS ends FROM registry_site_employer
WHERE site_id = ANY(:sites) GROUP BY site_id, organization_id"""
    return {(row.site_id, row.organization_id): row.ends for row in rows_of(session, query, sites=list(sites))}


def imports_of(session: ReadSession, *, kind: str, site_id: int | None, project_id: int | None) -> Sequence[Import]:
    """Return a place's newest imports within reach, without their contents."""
    place = Import.site_id == site_id if site_id is not None else Import.project_id == project_id
    query = select(Import).where(Import.kind == kind, place).order_by(col(Import.id).desc()).limit(IMPORTS_A_PAGE)
    return session.exec(query).all()


def import_in(
    session: ReadSession | WriteSession, *, import_id: int, site_id: int | None, project_id: int | None
) -> Import | None:
    """Find an import of a place within reach."""
    place = Import.site_id == site_id if site_id is not None else Import.project_id == project_id
    return session.exec(select(Import).where(Import.id == import_id, place)).one_or_none()


def taken_before(session: ReadSession | WriteSession, row: Import) -> Import | None:
    """Find an earlier import of this very content in the same place that was taken and not undone."""
    query = select(Import).where(
        Import.digest == row.digest,
        Import.kind == row.kind,
        Import.site_id == row.site_id if row.site_id is not None else Import.project_id == row.project_id,
        Import.state == "taken",
        Import.id != row.id,
    )
    return session.exec(query.order_by(col(Import.id).desc()).limit(1)).first()


def move(session: WriteSession, import_id: int, *, from_state: str, to_state: str, changes: Mapping[str, Any]) -> bool:
    """Set an import's state if it is still what the decision was made on; true when this caller did it."""
    table = Import.__table__  # type: ignore[attr-defined]  # SQLModel types its tables no further
    step = table.update().where(table.c.id == import_id, table.c.state == from_state).values(state=to_state, **changes)
    return bool(session.execute(step.returning(table.c.id), execution_options=BEYOND_REACH).all())


def tell_progress(session: WriteSession, import_id: int, *, done: int, total: int | None, until: datetime) -> None:
    """Write down how far a run is, and that it was heard of."""
    query = """
UPDATE registry_import SET rows_done = :done, rows_total = coalesce(:total, rows_total), run_until = :until
WHERE id = :id AND run_until IS NOT NULL RETURNING 1"""
    rows_of(session, query, id=import_id, done=done, total=total, until=until)


_RUNS = """
SELECT count(*) AS runs, count(*) FILTER (WHERE :actor =
         CASE state WHEN 'checking' THEN uploaded_by WHEN 'taking' THEN taken_by ELSE undone_by END) AS of_actor
FROM registry_import WHERE state = ANY(:running) AND run_until >= :now
"""


def runs(session: WriteSession, *, actor: str, now: datetime) -> tuple[int, int]:
    """Count the imports that wait or run, all and this person's; nobody else counts before the commit."""
    rows_of(session, "SELECT pg_advisory_xact_lock(:key)", key=RUNS_LOCK)
    row = rows_of(session, _RUNS, actor=actor, running=sorted(RUNNING), now=now)[0]
    return row.runs, row.of_actor


def say_heard_of(session: WriteSession, ids: Sequence[int], *, until: datetime) -> None:
    """Write down of runs that wait or go on that they are not lost until then."""
    query = "UPDATE registry_import SET run_until = :until WHERE id = ANY(:ids) AND run_until IS NOT NULL RETURNING 1"
    rows_of(session, query, ids=list(ids), until=until)


def transaction(session: WriteSession) -> int:
    """Return the number of the transaction, as rows carry it."""
    return int(rows_of(session, "SELECT pg_current_xact_id()::text::bigint")[0][0])


def expired(session: WriteSession, *, before: datetime) -> Sequence[tuple[int, str]]:
    """Return (id, state) of imports that were given before then and wait for somebody."""
    query = select(Import.id, Import.state).where(
        col(Import.state).in_(("uploaded", "checked", "refused")), col(Import.uploaded_at) < before
    )
    return [(row[0] or 0, row[1]) for row in session.exec(query, execution_options=BEYOND_REACH).all()]


def kept(session: ReadSession | WriteSession, import_id: int) -> Sequence[ImportRow]:
    """Return the rows of an import that undoing left, by number."""
    query = select(ImportRow).where(
        ImportRow.import_id == import_id, col(ImportRow.undone_at).is_(None), col(ImportRow.kept_because).is_not(None)
    )
    return session.exec(query.order_by(col(ImportRow.number)).limit(ROWS_SHOWN_MAX)).all()
