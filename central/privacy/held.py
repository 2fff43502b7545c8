"""Everything that is held of a worker: counted for an erasure, or read out whole for the worker. Plain SQL, in order.

A test holds this list to the database: a new table with a worker's number in it fails until it stands here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from psycopg.rows import dict_row

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

    Connection = psycopg.Connection[Any]


def say(message: str) -> str:
    """Mark a sentence for translation."""
    return message


@dataclass(frozen=True, slots=True)
class Section:
    """One part of what is held: its name, its title, and the query for it by `%(workers)s`."""

    code: str
    title: str
    sql: str
    tables: tuple[str, ...]


SECTIONS = (
    Section(
        "registered",
        say("What is registered"),
        """SELECT worker_no, name, birth_on, nationality, language, phone, phone_changed_at,
                  identity_sealed IS NOT NULL AS identity_number, is_test, merged_into_id, created_at
           FROM registry_worker WHERE id = ANY(%(workers)s) ORDER BY id""",
        ("registry_worker",),
    ),
    Section(
        "employments",
        say("Employments"),
        """SELECT o.name AS employer, s.name AS site, e.trade, e.from_on, e.until_on FROM registry_employment e
           JOIN registry_organization o ON o.id = e.employer_id JOIN registry_site s ON s.id = e.site_id
           WHERE e.worker_id = ANY(%(workers)s) ORDER BY e.from_on, e.id""",
        ("registry_employment",),
    ),
    Section(
        "labour_contracts",
        say("Labour contracts"),
        """SELECT o.name AS employer, s.name AS site, c.kind, c.wage_won, c.wage_per, c.minutes_a_day, c.signed_on,
                  c.from_on, c.until_on FROM registry_labour_contract c
           JOIN registry_organization o ON o.id = c.employer_id JOIN registry_site s ON s.id = c.site_id
           WHERE c.worker_id = ANY(%(workers)s) ORDER BY c.from_on, c.id""",
        ("registry_labour_contract",),
    ),
    Section(
        "papers",
        say("Papers"),
        """SELECT kind, value, trade, number, from_on, until_on, recorded_at, withdrawn_at FROM registry_worker_paper
           WHERE worker_id = ANY(%(workers)s) ORDER BY from_on, id""",
        ("registry_worker_paper",),
    ),
    Section(
        "cards",
        say("Cards"),
        """SELECT c.token AS card, c.kind, a.from_at, a.until_at, a.ended_reason FROM registry_card_assignment a
           JOIN registry_card c ON c.id = a.card_id WHERE a.worker_id = ANY(%(workers)s) ORDER BY a.from_at, a.id""",
        ("registry_card_assignment",),
    ),
    Section(
        "bars",
        say("Bars"),
        """SELECT s.name AS site, b.reason, b.from_at, b.until_at FROM registry_bar b
           LEFT JOIN registry_site s ON s.id = b.site_id
           WHERE b.worker_id = ANY(%(workers)s) ORDER BY b.from_at, b.id""",
        ("registry_bar",),
    ),
    Section(
        "taps",
        say("Taps"),
        """SELECT s.name AS site, t.code AS terminal, e.occurred_at, e.received_at,
                  (ARRAY['in', 'out', 'tap', 'muster'])[e.direction + 1] AS direction, j.journal_id, e.seq,
                  encode(e.hash, 'hex') AS hash
           FROM attendance_event e JOIN attendance_journal j ON j.id = e.journal
           JOIN registry_terminal t ON t.id = e.terminal_id JOIN registry_site s ON s.id = e.site_id
           WHERE e.worker_id = ANY(%(workers)s) AND e.direction IS NOT NULL ORDER BY e.occurred_at, e.journal, e.seq""",
        ("attendance_event",),
    ),
    Section(
        "presence",
        say("Where you stand"),
        """SELECT s.name AS site, (ARRAY['outside', 'inside', 'refused'])[p.state + 1] AS state, p.since_at, p.last_at
           FROM attendance_presence p JOIN registry_site s ON s.id = p.site_id
           WHERE p.worker_id = ANY(%(workers)s) ORDER BY p.last_at""",
        ("attendance_presence",),
    ),
    Section(
        "objections",
        say("Objections"),
        """SELECT s.name AS site, b.on_day, b.words, b.state, b.opened_at, b.due_at FROM myself_objection b
           JOIN registry_site s ON s.id = b.site_id WHERE b.worker_id = ANY(%(workers)s) ORDER BY b.opened_at, b.id""",
        ("myself_objection",),
    ),
    Section(
        "sign_ins",
        say("Sign-ins to your own page"),
        """SELECT created_at, seen_at, ended_at, method, address, agent FROM identity_session
           WHERE worker_id = ANY(%(workers)s) ORDER BY created_at, id""",
        ("identity_session",),
    ),
    Section(
        "erasures",
        say("What was erased"),
        """SELECT at, reason, lines FROM privacy_erasure WHERE worker_id = ANY(%(workers)s) ORDER BY at, id""",
        ("privacy_erasure",),
    ),
    Section(
        "acts",
        say("Who changed or looked at it"),
        """SELECT at, split_part(actor, ':', 1) AS kind, actor, tag, subject FROM audit_event
           WHERE ccs_audit_workers(subject, detail) && %(workers)s::bigint[] ORDER BY at, id""",
        ("audit_event",),
    ),
)
"""Everything, in the order in which a person reads it."""

MERGED = "SELECT id FROM registry_worker WHERE id = %s OR merged_into_id = %s ORDER BY id"
COUNTED = """
SELECT 'phone', count(phone) FROM registry_worker WHERE id = ANY(%(workers)s)
UNION ALL SELECT 'identity_number', count(identity_sealed) FROM registry_worker WHERE id = ANY(%(workers)s)
UNION ALL SELECT 'person', count(*) FROM registry_worker WHERE id = ANY(%(workers)s) AND name <> %(erased)s
UNION ALL SELECT 'papers', count(*) FROM registry_worker_paper
          WHERE worker_id = ANY(%(workers)s) AND number || value <> ''
UNION ALL SELECT 'labour_contracts', count(*) FROM registry_labour_contract WHERE worker_id = ANY(%(workers)s)
UNION ALL SELECT 'bars', count(*) FROM registry_bar WHERE worker_id = ANY(%(workers)s) AND reason <> ''
UNION ALL SELECT 'account', count(*) FROM identity_session WHERE worker_id = ANY(%(workers)s)
UNION ALL SELECT 'attendance', count(*) FROM attendance_event WHERE worker_id = ANY(%(workers)s)
UNION ALL SELECT 'objections', count(*) FROM myself_objection WHERE worker_id = ANY(%(workers)s)
UNION ALL SELECT 'audit', count(*) FROM audit_event WHERE ccs_audit_workers(subject, detail) && %(workers)s::bigint[]
"""
ENDED = """
SELECT CASE WHEN bool_or(until_on IS NULL) THEN NULL ELSE max(until_on) END,
       (SELECT max(created_at)::date FROM registry_worker WHERE id = ANY(%(workers)s)), count(*)
FROM registry_employment WHERE worker_id = ANY(%(workers)s)
"""
ERASED_NAME = "—"
"""What stands where a name was."""


def entries_of(connection: Connection, worker_id: int) -> list[int]:
    """Return the worker's own number and those of every entry that was merged into it."""
    return [row[0] for row in connection.execute(MERGED, (worker_id, worker_id))]


def everything(connection: Connection, workers: Sequence[int]) -> dict[str, list[dict[str, Any]]]:
    """Read all that is held, by section, as plain JSON values."""
    given = {"workers": list(workers)}
    with connection.cursor(row_factory=dict_row) as cursor:
        return {one.code: [_plain(row) for row in cursor.execute(one.sql, given)] for one in SECTIONS}


def counted(connection: Connection, workers: Sequence[int]) -> dict[str, int]:
    """Count what is held by the code of its rule."""
    rows = connection.execute(COUNTED, {"workers": list(workers), "erased": ERASED_NAME})
    return {row[0]: int(row[1]) for row in rows}


def ended_on(connection: Connection, workers: Sequence[int]) -> date | None:
    """Return the first day without any employment; None while one lasts. Who never had one ended when registered."""
    row = connection.execute(ENDED, {"workers": list(workers)}).fetchone()
    if row is None:
        return None
    last: date | None = row[0] if row[2] else row[1]
    return last


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat()
        if isinstance(value, date | datetime)
        else str(value)
        if isinstance(value, UUID)
        else value
        for name, value in row.items()
    }
