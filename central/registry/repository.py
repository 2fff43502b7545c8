"""Queries of the registry: lists by cursor, and who or what something was at an instant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import text
from sqlmodel import col, select

from central.registry.models import Card, CardAssignment, Site, Terminal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from sqlalchemy import Row

    from central.kit.db import ReadSession, WriteSession

_PEOPLE = text("""
SELECT w.id, w.name, w.language, w.is_test, coalesce(o.name, '') AS employer, coalesce(e.trade, '') AS trade
FROM registry_worker w
LEFT JOIN registry_employment e
  ON e.worker_id = w.id AND e.site_id = :site_id AND daterange(e.from_on, e.until_on) @> CAST(:on AS date)
LEFT JOIN registry_organization o ON o.id = e.employer_id
WHERE w.id = ANY(:workers)
""")

_GATE = text("""
SELECT c.token, w.id AS worker_id, w.name, w.language,
  (SELECT b.reason FROM registry_bar b
   WHERE b.worker_id = w.id AND (b.site_id IS NULL OR b.site_id = :site_id)
     AND tstzrange(b.from_at, b.until_at) @> CAST(:now AS timestamptz)
   ORDER BY b.id DESC LIMIT 1) AS barred
FROM registry_card_assignment a
JOIN registry_card c ON c.id = a.card_id
JOIN registry_worker w ON w.id = a.worker_id
WHERE tstzrange(a.from_at, a.until_at) @> CAST(:now AS timestamptz)
  AND (w.is_test OR EXISTS (
    SELECT 1 FROM registry_employment e JOIN registry_site s ON s.id = e.site_id
    WHERE e.worker_id = w.id AND e.site_id = :site_id
      AND daterange(e.from_on, e.until_on) @> (CAST(:now AS timestamptz) AT TIME ZONE s.timezone)::date))
ORDER BY c.token
""")


def terminals_with_sites(session: ReadSession | WriteSession) -> Sequence[tuple[Terminal, str]]:
    """Return every terminal with its site's code."""
    return session.exec(select(Terminal, Site.code).join(Site, col(Site.id) == col(Terminal.site_id))).all()


def assignments_of(session: ReadSession | WriteSession, tokens: Sequence[str]) -> Sequence[tuple[Any, ...]]:
    """Return (token, worker_id, from_at, until_at) of every assignment of these cards, oldest first."""
    return session.exec(
        select(Card.token, CardAssignment.worker_id, CardAssignment.from_at, CardAssignment.until_at)
        .join(CardAssignment, col(CardAssignment.card_id) == col(Card.id))
        .where(col(Card.token).in_(tokens))
        .order_by(col(Card.token), col(CardAssignment.from_at))
    ).all()


def people_on(
    session: ReadSession | WriteSession, *, workers: Sequence[int], site_id: int, on: date
) -> Sequence[Row[Any]]:
    """Return (id, name, language, is_test, employer, trade) of workers as they stood on a site's date."""
    return session.execute(_PEOPLE, {"workers": list(workers), "site_id": site_id, "on": on}).all()


def gate_rows(session: ReadSession | WriteSession, *, site_id: int, now: datetime) -> Sequence[Row[Any]]:
    """Return (token, worker_id, name, language, barred) of each card that a site's gates know at `now`."""
    return session.execute(_GATE, {"site_id": site_id, "now": now}).all()


def all_sites(session: ReadSession | WriteSession) -> Sequence[Site]:
    """Return every site, by code."""
    return session.exec(select(Site).order_by(Site.code)).all()
