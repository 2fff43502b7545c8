"""The list of workers as pages and exports show it: filtered, sorted, cut by the server, in as many queries always."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from sqlalchemy import Date, Text, bindparam, cast
from sqlalchemy.dialects.postgresql import array
from sqlmodel import col, select

from central.kit.lists import ROWS_A_PAGE, Asked, Order, begins, columns, following, gathered, paged
from central.registry import record_rules, rules, whose, wording
from central.registry.models import Employment, Organization, Site, Worker
from central.registry.record_models import WorkerPaper

if TYPE_CHECKING:
    from collections.abc import Sequence

    from central.kit.db import ReadSession

ROWS_EXPORTED_MAX = 20_000
ORDERS = {
    "name": Order(col(Worker.name)),
    "number": Order(col(Worker.worker_no), nullable=True),
    "newest": Order(col(Worker.id)),
}
FILTERS = ("site", "trade", "on")
"""A site's code, a trade's code, and the day as of which they hold; today when it is empty."""
_TROUBLE = {"over", "ending"}


@dataclass(frozen=True, slots=True)
class Row:
    """One worker of the list, as they stand on a day."""

    id: int
    name: str
    worker_no: str | None
    is_test: bool
    language: str
    nationality: str | None
    birth_on: date | None
    spells: tuple[str, ...] = ()
    """`employer · trade · site` of each employment that holds, within reach."""
    papers: tuple[str, ...] = ()
    """`kind: expired (first day without it)` of each paper to look at."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of the list."""

    rows: list[Row] = field(default_factory=list)
    following: str = ""
    """What to ask for as `after`; empty at the end."""


def listed(session: ReadSession, asked: Asked, *, on: date, language: str, rows_max: int = ROWS_A_PAGE) -> Listed:
    """Read a page as of a day: the workers with what holds of them. One query, however many rows."""
    found = _workers(session, asked, on=on, rows_max=rows_max)
    shown = found[:rows_max]
    whose.also(session, [row[0] for row in shown])
    rows = [
        Row(*(*facts, _spells(employed, language), _papers(held, on=on, language=language)))
        for *facts, employed, held in shown
    ]
    return Listed(rows, following(found, ORDERS[asked.sort], limit=rows_max))


def _day(column: Any) -> Any:  # noqa: ANN401 - a column
    return cast(column, Text)


_ON = bindparam("on", type_=Date())
_HOLDS = (col(Employment.from_on) <= _ON, col(Employment.until_on).is_(None) | (col(Employment.until_on) > _ON))
_EMPLOYMENTS = gathered(
    select(array((col(Organization.name), col(Employment.trade), col(Site.name))))
    .join_from(Employment, Organization, col(Organization.id) == col(Employment.employer_id))
    .join(Site, col(Site.id) == col(Employment.site_id))
    .where(col(Employment.worker_id) == col(Worker.id), *_HOLDS)
    .order_by(col(Employment.id))
    .correlate(Worker)
)
"""`[employer, trade, site]` of what holds of a worker."""
_PAPERS = gathered(
    select(
        array((col(WorkerPaper.kind), col(WorkerPaper.trade), _day(WorkerPaper.from_on), _day(WorkerPaper.until_on)))
    )
    .where(col(WorkerPaper.worker_id) == col(Worker.id), col(WorkerPaper.withdrawn_at).is_(None))
    .order_by(col(WorkerPaper.from_on), col(WorkerPaper.id))
    .correlate(Worker)
)
"""`[kind, trade, from, until]` of a worker's papers, oldest first."""
_LISTED = columns(
    *(Worker.id, Worker.name, Worker.worker_no, Worker.is_test, Worker.language, Worker.nationality, Worker.birth_on),
    *(_EMPLOYMENTS, _PAPERS),
).where(col(Worker.merged_into_id).is_(None))


def _workers(session: ReadSession, asked: Asked, *, on: date, rows_max: int) -> Sequence[Any]:
    query = _LISTED
    if asked.q:
        numbered = query.where(Worker.worker_no == asked.q)
        found = session.exec(numbered, params={"on": on}).all() if rules.WORKER_NO.match(asked.q) else []
        if found:
            return found
        query = query.where(begins(col(Worker.name), asked.q))
    if asked.filter("site") or asked.filter("trade"):
        query = query.where(col(Worker.id).in_(_employed(asked)))
    query = paged(query, asked, ORDERS[asked.sort], col(Worker.id), rows=rows_max)
    every: Sequence[Any] = session.exec(query, params={"on": on}).all()
    return every


def _employed(asked: Asked) -> Any:  # noqa: ANN401 - a select of ids
    query = select(Employment.worker_id).where(*_HOLDS)
    if asked.filter("site"):
        query = query.join(Site, col(Site.id) == col(Employment.site_id)).where(Site.code == asked.filter("site"))
    return query.where(Employment.trade == rules.trade_code(asked.filter("trade"))) if asked.filter("trade") else query


def _spells(employed: Sequence[Sequence[str]], language: str) -> tuple[str, ...]:
    return tuple(f"{employer} · {trade_word(language, trade)} · {site}" for employer, trade, site in employed)


def _papers(held: Sequence[Sequence[Any]], *, on: date, language: str) -> tuple[str, ...]:
    """Name the papers that are over or end soon; a later one of the same kind takes the earlier one's place."""
    newest = {(kind, trade): (from_on, until_on) for kind, trade, from_on, until_on in held if from_on <= str(on)}
    found = []
    for (kind, _), (from_on, until_on) in newest.items():
        if until_on is None:
            continue
        stands = record_rules.validity(date.fromisoformat(from_on), date.fromisoformat(until_on), on=on)
        if stands in _TROUBLE:
            words = wording.word(language, wording.PAPER_KINDS, kind), wording.word(language, wording.VALIDITY, stands)
            found.append(f"{words[0]}: {words[1]} ({until_on})")
    return tuple(found)


def trade_word(language: str, code: str) -> str:
    """Return a trade's name."""
    trade = rules.trades().get(code)
    return code if trade is None else trade.ko if language == "ko" else trade.en
