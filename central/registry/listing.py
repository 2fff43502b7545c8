"""The list of workers as pages and exports show it: filtered, sorted, cut by the server, in as many queries always."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from sqlalchemy import ColumnElement, tuple_
from sqlmodel import col, select

from central.kit.errors import Invalid
from central.registry import record_rules, rules
from central.registry.models import Employment, Organization, Site, Worker
from central.registry.record_models import WorkerPaper

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from central.kit.db import ReadSession

ROWS_A_PAGE = 50
ROWS_EXPORTED_MAX = 20_000
SORTS = ("name", "number", "newest")
PAPER_STATES = ("over", "ending")
_TROUBLE = {"over", "ending"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asked the list for; everything empty shows everybody within reach."""

    q: str = ""
    """The beginning of a name, or a whole worker number."""
    site: str = ""
    """A site's code: who is on its roll today."""
    trade: str = ""
    sort: str = "name"
    down: bool = False
    after: str = ""
    """The last row of the page before, as `following` named it."""

    @property
    def filtered(self) -> bool:
        """Whether not everybody is asked for."""
        return bool(self.q or self.site or self.trade)

    def query(self, **changed: object) -> str:
        """Write the address's query, with changes; a page of another order begins anew."""
        facts = {
            "q": self.q,
            "site": self.site,
            "trade": self.trade,
            "sort": self.sort,
            "down": int(self.down),
        } | changed
        return urlencode({name: value for name, value in facts.items() if value not in {"", 0}})


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


def listed(session: ReadSession, asked: Asked, *, today: date, language: str, rows_max: int = ROWS_A_PAGE) -> Listed:
    """Read a page: the workers, then what holds of them today. Three queries, however many rows."""
    found = _workers(session, asked, today=today, rows_max=rows_max)
    shown = found[:rows_max]
    ids = [worker.id or 0 for worker in shown]
    spells = _spells(session, ids, today=today, language=language)
    papers = _papers(session, ids, today=today)
    rows = [
        Row(worker, tuple(spells.get(worker.id or 0, ())), tuple(papers.get(worker.id or 0, ()))) for worker in shown
    ]
    return Listed(rows, _cursor(shown[-1], asked) if len(found) > rows_max else "")


def _workers(session: ReadSession, asked: Asked, *, today: date, rows_max: int) -> Sequence[Worker]:
    rules.one_of("order", asked.sort, SORTS)
    query = select(Worker).where(col(Worker.merged_into_id).is_(None))
    if asked.q:
        text = asked.q.replace("\0", "").strip()
        query = query.where(col(Worker.name).startswith(text, autoescape=True) | (col(Worker.worker_no) == text))
    if asked.site or asked.trade:
        query = query.where(col(Worker.id).in_(_employed(asked, today)))
    if asked.after:
        query = query.where(_beyond(asked, *_place(asked.after)))
    by = [col(Worker.id)] if asked.sort == "newest" else [_value(asked.sort), col(Worker.id)]
    order = [one.desc() if asked.down else one.asc() for one in by]
    return session.exec(query.order_by(*order).limit(rows_max + 1)).all()


def _value(sort: str) -> Any:  # noqa: ANN401 - a column
    return col(Worker.name) if sort == "name" else col(Worker.worker_no)


def _beyond(asked: Asked, value: str, row_id: int) -> ColumnElement[bool]:
    """Say which rows come after the last one of the page before, in the order of the index.

    Nobody shares a number; who has none comes last, going up, and first, going down.
    """
    if asked.sort == "newest":
        return col(Worker.id) < row_id if asked.down else col(Worker.id) > row_id
    if asked.sort == "name":
        place, last = tuple_(col(Worker.name), col(Worker.id)), tuple_(value, row_id)
        return place < last if asked.down else place > last
    number = col(Worker.worker_no)
    if value:
        return number < value if asked.down else (number > value) | number.is_(None)
    without = number.is_(None) & (col(Worker.id) < row_id if asked.down else col(Worker.id) > row_id)
    return without | number.is_not(None) if asked.down else without


def _employed(asked: Asked, today: date) -> Any:  # noqa: ANN401 - a select of ids
    query = select(Employment.worker_id).where(*_holds(today))
    if asked.site:
        query = query.join(Site, col(Site.id) == col(Employment.site_id)).where(Site.code == asked.site)
    return query.where(Employment.trade == rules.trade_code(asked.trade)) if asked.trade else query


def _holds(today: date) -> tuple[ColumnElement[bool], ...]:
    return (
        col(Employment.from_on) <= today,
        col(Employment.until_on).is_(None) | (col(Employment.until_on) > today),
    )


def _spells(session: ReadSession, ids: Sequence[int], *, today: date, language: str) -> dict[int, list[str]]:
    rows = session.exec(
        select(Employment, Organization.name, Site.name)
        .join(Organization, col(Organization.id) == col(Employment.employer_id))
        .join(Site, col(Site.id) == col(Employment.site_id))
        .where(col(Employment.worker_id).in_(ids), *_holds(today))
        .order_by(col(Employment.id))
    ).all()
    found: dict[int, list[str]] = {}
    for spell, employer, site in rows:
        found.setdefault(spell.worker_id, []).append(f"{employer} · {trade_word(language, spell.trade)} · {site}")
    return found


def _papers(session: ReadSession, ids: Sequence[int], *, today: date) -> dict[int, list[tuple[str, str, date]]]:
    """Find the papers that are over or end soon; a later one of the same kind takes the earlier one's place."""
    rows = session.exec(
        select(WorkerPaper)
        .where(col(WorkerPaper.worker_id).in_(ids), col(WorkerPaper.withdrawn_at).is_(None))
        .order_by(col(WorkerPaper.from_on), col(WorkerPaper.id))
    ).all()
    newest = {(row.worker_id, row.kind, row.trade): row for row in rows if row.from_on <= today}
    found: dict[int, list[tuple[str, str, date]]] = {}
    for row in newest.values():
        stands = record_rules.validity(row.from_on, row.until_on, on=today)
        if stands in _TROUBLE and row.until_on is not None:
            found.setdefault(row.worker_id, []).append((row.kind, stands, row.until_on))
    return found


def trade_word(language: str, code: str) -> str:
    """Return a trade's name."""
    trade = rules.trades().get(code)
    return code if trade is None else trade.ko if language == "ko" else trade.en


def _cursor(worker: Worker, asked: Asked) -> str:
    value = {"name": worker.name, "number": worker.worker_no or "", "newest": ""}[asked.sort]
    return base64.urlsafe_b64encode(json.dumps([value, worker.id]).encode()).decode().rstrip("=")


def _place(cursor: str) -> tuple[str, int]:
    try:
        value, row_id = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, TypeError):
        raise Invalid("this page of the list is not one that was offered: open the list again") from None
    if not isinstance(value, str) or not isinstance(row_id, int) or not 0 < row_id < 2**63 or "\0" in value:
        raise Invalid("this page of the list is not one that was offered: open the list again")
    return value, row_id
