"""Erasing what is held of a worker: what no law holds goes, what one holds stays until its day, and each line says so.

Evidence is never edited: taps and the trail hold numbers, and a number without its name is nobody's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlmodel import col, select

from central.audit import service as audit
from central.audit.tags import Tag
from central.kit.db import psycopg_of, read_session, write_session
from central.kit.errors import Conflict, Invalid, NotFound
from central.privacy import held
from central.privacy.models import Erasure, KeptLonger
from central.privacy.rules import ERASED, KEPT, Line, lines_of, months_before, rules

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    import psycopg
    from sqlalchemy import Engine

    from central.kit.db import ReadSession, WriteSession

    Connection = psycopg.Connection[Any]

WORKERS_A_RUN_MAX = 500
REASON_CHARS_MAX = 300

ERASERS = {
    "phone": "UPDATE registry_worker SET phone = NULL WHERE id = ANY(%(workers)s)",
    "identity_number": "UPDATE registry_worker SET identity_sealed = NULL, identity_mark = NULL"
    " WHERE id = ANY(%(workers)s)",
    "person": "UPDATE registry_worker SET name = %(erased)s, worker_no = NULL, birth_on = NULL, nationality = NULL,"
    " phone = NULL WHERE id = ANY(%(workers)s)",
    "papers": "UPDATE registry_worker_paper SET number = '', value = '' WHERE worker_id = ANY(%(workers)s)",
    "labour_contracts": "DELETE FROM registry_labour_contract WHERE worker_id = ANY(%(workers)s)",
    "bars": "UPDATE registry_bar SET reason = '' WHERE worker_id = ANY(%(workers)s)",
    "account": "DELETE FROM identity_session WHERE worker_id = ANY(%(workers)s)",
}
"""How each kind is erased, by its rule's code."""


class NothingToErase(Conflict):
    """Nothing is held that could go today."""

    code = "nothing_to_erase"


def planned(
    session: ReadSession | WriteSession, *, worker_id: int, today: date, asked: bool
) -> tuple[list[int], list[Line]]:
    """Say what an erasure would do today, line by line, and to which entries. Raises `NotFound`."""
    connection = psycopg_of(session)
    workers = held.entries_of(connection, worker_id)
    if not workers:
        raise NotFound("there is no such worker: check the number")
    longer = {row.code: row.keep_months for row in session.exec(select(KeptLonger)).all()}
    ended = held.ended_on(connection, workers)
    counts = held.counted(connection, workers)
    return workers, lines_of(counts, ended_on=ended, today=today, asked=asked, longer=longer)


def erase(
    session: WriteSession, *, worker_id: int, reason: str, asked: bool, actor: str, today: date, now: datetime
) -> Erasure:
    """Erase what may go today; return what became of every line. Raises `NotFound`, or `NothingToErase`."""
    if not reason.strip():
        raise Invalid("say why: the worker's request with its date, or what else asks for it", field="reason")
    connection = psycopg_of(session)
    connection.execute("SELECT id FROM registry_worker WHERE id = %s FOR UPDATE", (worker_id,))
    workers, lines = planned(session, worker_id=worker_id, today=today, asked=asked)
    going = [line.code for line in lines if line.outcome == ERASED]
    if not going:
        raise NothingToErase(
            "nothing is held of this worker that may go today: the plan says until when each part stays"
        )
    for code in going:
        connection.execute(ERASERS[code], {"workers": workers, "erased": held.ERASED_NAME})
    row = Erasure(worker_id=worker_id, at=now, done_by=actor, reason=reason, lines=[line.plain() for line in lines])
    session.add(row)
    session.flush()
    detail = {
        "erased": going,
        "kept": [line.code for line in lines if line.outcome == KEPT],
        "entries": workers,
        "asked": asked,
    }
    audit.record(session, actor=actor, tag=Tag.WORKER_ERASE, subject=f"worker:{worker_id}", detail=detail, now=now)
    return row


def of_worker(session: ReadSession, *, worker_id: int) -> Sequence[Erasure]:
    """List what was erased of a worker, newest first."""
    query = select(Erasure).where(Erasure.worker_id == worker_id).order_by(col(Erasure.id).desc())
    return session.exec(query).all()


_DUE = """
SELECT w.id FROM registry_worker w
WHERE w.merged_into_id IS NULL AND w.id > %(after)s AND w.name <> %(erased)s
  AND NOT EXISTS (SELECT FROM registry_employment e WHERE e.worker_id = w.id
                  AND (e.until_on IS NULL OR e.until_on > %(before)s))
  AND w.created_at < %(before)s
ORDER BY w.id LIMIT %(rows)s
"""


def erase_what_is_over(engine: Engine, *, actor: str, today: date, now: datetime) -> int:
    """Erase what no rule keeps any longer, worker by worker; return of how many. Each is a transaction of its own."""
    shortest = min(rule.keep_months for rule in rules() if rule.keep_months is not None)
    before = months_before(today, shortest)
    erased, after = 0, 0
    while True:
        with read_session(engine) as session:
            given = {"after": after, "before": before, "rows": WORKERS_A_RUN_MAX, "erased": held.ERASED_NAME}
            due = [row[0] for row in psycopg_of(session).execute(_DUE, given)]
        if not due:
            return erased
        for worker_id in due:
            erased += _erase_one(engine, worker_id, actor=actor, today=today, now=now)
        after = due[-1]


def _erase_one(engine: Engine, worker_id: int, *, actor: str, today: date, now: datetime) -> bool:
    with write_session(engine) as session:
        _, lines = planned(session, worker_id=worker_id, today=today, asked=False)
        if not any(line.outcome == ERASED for line in lines):
            return False
        erase(
            session,
            worker_id=worker_id,
            reason="the time that the rules keep it is over",
            asked=False,
            actor=actor,
            today=today,
            now=now,
        )
        return True
