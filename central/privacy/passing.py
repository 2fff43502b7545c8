"""What is held of people who are no workers goes by its own day: visitors by their visit, accounts by their sign-in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlmodel import select

from central.audit import service as audit
from central.audit.tags import Tag
from central.kit.db import psycopg_of, read_session, write_session
from central.privacy import held
from central.privacy.models import KeptLonger
from central.privacy.rules import Rule, by_their_day, months_before

if TYPE_CHECKING:
    from datetime import date, datetime

    from sqlalchemy import Engine

    from central.kit.db import WriteSession

ROWS_A_TURN = 5_000
"""A transaction's; years of them may wait when a rule is new."""

ENDERS: dict[str, tuple[Tag, str]] = {
    "visitors": (
        Tag.DAY_PASS_ERASE,
        """UPDATE registry_day_pass SET name = %(erased)s, company = '', phone = NULL, plate = NULL, host = ''
           WHERE id IN (SELECT id FROM registry_day_pass WHERE on_day < %(before)s AND left_at IS NOT NULL
                          AND name <> %(erased)s ORDER BY id LIMIT %(rows)s)
           RETURNING id""",
    ),
    "sign_ins": (
        Tag.SESSION_ERASE,
        """DELETE FROM identity_session WHERE id IN (
             SELECT id FROM identity_session WHERE user_id IS NOT NULL AND expires_at < %(before)s
             ORDER BY id LIMIT %(rows)s)
           RETURNING id""",
    ),
}
"""How each kind ends, by its rule's code, and what the trail calls it. Who was never seen leaving keeps the name: they
may be inside."""


def end_what_is_over(engine: Engine, *, actor: str, today: date, now: datetime) -> dict[str, int]:
    """Erase what its rule keeps no longer; return how many rows of each kind."""
    with read_session(engine) as session:
        longer = {row.code: row.keep_months for row in session.exec(select(KeptLonger)).all()}
    return {rule.code: _end(engine, rule, longer, actor=actor, today=today, now=now) for rule in by_their_day()}


def _end(engine: Engine, rule: Rule, longer: dict[str, int], *, actor: str, today: date, now: datetime) -> int:
    months = max(longer.get(rule.code, 0), rule.keep_months or 0)
    given = {"before": months_before(today, months), "erased": held.ERASED_NAME, "rows": ROWS_A_TURN}
    ended = 0
    while True:
        with write_session(engine) as session:
            rows = _turn(session, rule, given, actor=actor, now=now)
        ended += rows
        if rows < ROWS_A_TURN:
            return ended


def _turn(session: WriteSession, rule: Rule, given: dict[str, Any], *, actor: str, now: datetime) -> int:
    tag, sql = ENDERS[rule.code]
    rows = len(psycopg_of(session).execute(sql.encode(), given).fetchall())
    if rows:
        detail = {"rows": rows, "before": given["before"]}
        audit.record(session, actor=actor, tag=tag, subject=f"rule:{rule.code}", detail=detail, now=now)
    return rows
