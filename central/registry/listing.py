"""The list of workers as pages and exports show it: filtered, sorted, cut by the server, in as many queries always."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement
from sqlmodel import col, select

from central.kit.lists import ROWS_A_PAGE, Asked, Order, begins, following, paged
from central.registry import record_rules, rules
from central.registry.models import Employment, Organization, Site, Worker
from central.registry.record_models import WorkerPaper

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from central.kit.db import ReadSession

ROWS_EXPORTED_MAX = 20_000
ORDERS = {
    "name": Order(col(Worker.name)),
    "number": Order(col(Worker.worker_no), nullable=True),
    "newest": Order(col(Worker.id)),
}
FILTERS = ("site", "trade", "on")
"""A site's code, a trade's code, and the day as of which they hold; today when it is empty."""
PAPER_STATES = ("over", "ending")
_TROUBLE = {"over", "ending"}


@dataclass(frozen=True, slots=True)
class Row:
    """One worker of the list, as they stand today."""

    worker: Worker
    spells: tuple[str, ...] = ()
    """`employer · trade · site` of each employment that holds today, within reach."""
    papers: tuple[tuple[str, str, date], ...] = ()
    """Kind, `over` or `ending`, and the first day without it, of papers to look at."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of the list."""

    rows: list[Row] = field(default_factory=list)
    following: str = ""
    """What to ask for as `after`; empty at the end."""


def listed(session: ReadSession, asked: Asked, *, on: date, language: str, rows_max: int = ROWS_A_PAGE) -> Listed:
    """Read a page as of a day: the workers, then what holds of them. Three queries, however many rows."""
    found = _workers(session, asked, on=on, rows_max=rows_max)
    shown = found[:rows_max]
    ids = [worker.id or 0 for worker in shown]
    spells = _spells(session, ids, on=on, language=language)
    papers = _papers(session, ids, on=on)
    rows = [
        Row(worker, tuple(spells.get(worker.id or 0, ())), tuple(papers.get(worker.id or 0, ()))) for worker in shown
    ]
    return Listed(rows, following(found, ORDERS[asked.sort], limit=rows_max))


def _workers(session: ReadSession, asked: Asked, *, on: date, rows_max: int) -> Sequence[Worker]:
    query = select(Worker).where(col(Worker.merged_into_id).is_(None))
    if asked.q:
        numbered = select(Worker).where(Worker.worker_no == asked.q, col(Worker.merged_into_id).is_(None))
        found = session.exec(numbered).all() if rules.WORKER_NO.match(asked.q) else []
        if found:
            return found
        query = query.where(begins(col(Worker.name), asked.q))
    if asked.filter("site") or asked.filter("trade"):
        query = query.where(col(Worker.id).in_(_employed(asked, on)))
    return session.exec(paged(query, asked, ORDERS[asked.sort], col(Worker.id), rows=rows_max)).all()


def _employed(asked: Asked, on: date) -> Any:  # noqa: ANN401 - a select of ids
    query = select(Employment.worker_id).where(*_holds(on))
    if asked.filter("site"):
        query = query.join(Site, col(Site.id) == col(Employment.site_id)).where(Site.code == asked.filter("site"))
    return query.where(Employment.trade == rules.trade_code(asked.filter("trade"))) if asked.filter("trade") else query


def _holds(on: date) -> tuple[ColumnElement[bool], ...]:
    return (
        col(Employment.from_on) <= on,
        col(Employment.until_on).is_(None) | (col(Employment.until_on) > on),
    )


def _spells(session: ReadSession, ids: Sequence[int], *, on: date, language: str) -> dict[int, list[str]]:
    rows = session.exec(
        select(Employment, Organization.name, Site.name)
        .join(Organization, col(Organization.id) == col(Employment.employer_id))
        .join(Site, col(Site.id) == col(Employment.site_id))
        .where(col(Employment.worker_id).in_(ids), *_holds(on))
        .order_by(col(Employment.id))
    ).all()
    found: dict[int, list[str]] = {}
    for spell, employer, site in rows:
        found.setdefault(spell.worker_id, []).append(f"{employer} · {trade_word(language, spell.trade)} · {site}")
    return found


def _papers(session: ReadSession, ids: Sequence[int], *, on: date) -> dict[int, list[tuple[str, str, date]]]:
    """Find the papers that are over or end soon; a later one of the same kind takes the earlier one's place."""
    rows = session.exec(
        select(WorkerPaper)
        .where(col(WorkerPaper.worker_id).in_(ids), col(WorkerPaper.withdrawn_at).is_(None))
        .order_by(col(WorkerPaper.from_on), col(WorkerPaper.id))
    ).all()
    newest = {(row.worker_id, row.kind, row.trade): row for row in rows if row.from_on <= on}
    found: dict[int, list[tuple[str, str, date]]] = {}
    for row in newest.values():
        stands = record_rules.validity(row.from_on, row.until_on, on=on)
        if stands in _TROUBLE and row.until_on is not None:
            found.setdefault(row.worker_id, []).append((row.kind, stands, row.until_on))
    return found


def trade_word(language: str, code: str) -> str:
    """Return a trade's name."""
    trade = rules.trades().get(code)
    return code if trade is None else trade.ko if language == "ko" else trade.en
