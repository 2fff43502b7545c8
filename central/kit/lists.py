"""Long lists of pages: filtered, ordered and cut along an index by the server. What is asked stands in the address."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar
from urllib.parse import urlencode

from fastapi import Request
from sqlalchemy import ColumnElement, func, tuple_, type_coerce
from sqlalchemy.types import NullType
from sqlmodel import select

from central.kit.errors import Invalid

ROWS_A_PAGE = 50
TEXT_CHARS_MAX = 100
CURSOR_CHARS_MAX = 600
LAST = "\U0010ffff"
"""Sorts after every other character in the order of code points."""
Query = TypeVar("Query")
"""A select of one entity or of several columns: its own type comes back."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asked a list for. With nothing but `sort` it shows everything within reach."""

    path: str
    sort: str
    q: str = ""
    """The beginning of a name, or a whole number."""
    down: bool = False
    after: str = ""
    """The last row of the page before, as `following` named it."""
    filters: tuple[tuple[str, str], ...] = ()
    """Name and value of each filter that is set."""

    def filter(self, name: str) -> str:
        """Return a filter's value, empty when it is not set."""
        return dict(self.filters).get(name, "")

    @property
    def filtered(self) -> bool:
        """Whether not everything is asked for."""
        return bool(self.q or self.filters)

    def query(self, **changed: object) -> str:
        """Write the address's query, with changes; another order or filter begins at the first page."""
        facts: dict[str, object] = {"q": self.q, **dict(self.filters), "sort": self.sort, "down": int(self.down)}
        return urlencode({name: value for name, value in (facts | changed).items() if value not in {"", 0}})

    def address(self, **changed: object) -> str:
        """Write the list's address."""
        return f"{self.path}?{self.query(**changed)}"


def asked_for(path: str, *, sorts: Sequence[str], filters: Sequence[str] = ()) -> Callable[[Request], Awaitable[Asked]]:
    """Make the dependency that reads what a list is asked for; the first of `sorts` is the usual order."""

    async def asked(request: Request) -> Asked:
        given = request.query_params
        for name in ("q", "sort", *filters):
            if len(given.get(name, "")) > TEXT_CHARS_MAX:
                raise Invalid("The filter is too long. Use fewer words.")
        sort = given.get("sort") or sorts[0]
        if sort not in sorts or given.get("down", "0") not in {"", "0", "1"}:
            raise Invalid("The list has no such order. Open it again and choose one of its columns.")
        cursor = given.get("after", "")
        if len(cursor) > CURSOR_CHARS_MAX:
            raise _not_offered()
        held = tuple((name, text) for name in filters if (text := clean(given.get(name, ""))))
        return Asked(path, sort, clean(given.get("q", "")), given.get("down") == "1", cursor, held)

    return asked


def clean(text: str) -> str:
    """Take out what no text of the database holds."""
    return text.replace("\0", "").strip()


def begins(column: Any, text: str) -> ColumnElement[bool]:  # noqa: ANN401 - a column
    """Say that a text of collation C begins so: a range of its index, whoever plans it."""
    return (column >= text) & (column < text + LAST)  # type: ignore[no-any-return]  # columns are untyped here


@dataclass(frozen=True, slots=True)
class Order:
    """One order of a list: by a column, with the row's id where the column is not enough."""

    column: Any
    nullable: bool = False
    """Who has no value comes last, going up, and first, going down, as PostgreSQL orders them."""


def columns(*which: Any) -> Any:  # noqa: ANN401 - a select
    """Select columns, not entities: an entity costs as much to load as its row to render.

    Whoever selects columns of people names them with `whose.also`.
    """
    return select(*which)


def gathered(query: Any) -> Any:  # noqa: ANN401 - a select of one text array, and a column
    """Gather what hangs below a row as a list of lists of text within the row: one query, however many rows."""
    return type_coerce(func.array(query.scalar_subquery()), NullType())


def paged(
    query: Query,
    asked: Asked,
    order: Order,
    row_id: Any,  # noqa: ANN401 - a column
    *,
    rows: int = ROWS_A_PAGE,
) -> Query:
    """Cut a query to a page of the order asked for, and one row more that says whether another page follows."""
    cut: Any = query
    by = [row_id] if order.column is row_id else [order.column, row_id]
    if asked.after:
        cut = cut.where(_beyond(order, row_id, *_place(asked.after, order), down=asked.down))
    return cut.order_by(*(one.desc() if asked.down else one.asc() for one in by)).limit(rows + 1)  # type: ignore[no-any-return]  # what came


def _beyond(order: Order, row_id: Any, value: object, last: int, *, down: bool) -> Any:  # noqa: ANN401 - columns
    """Say which rows come after the last one of the page before, in the order of the index."""

    def further(one: Any, than: Any) -> Any:  # noqa: ANN401 - columns
        return one < than if down else one > than

    if order.column is row_id:
        return further(row_id, last)
    if not order.nullable:
        return further(tuple_(order.column, row_id), tuple_(value, last))
    without = order.column.is_(None)
    if value is None:
        rest = without & further(row_id, last)
        return rest | order.column.is_not(None) if down else rest
    held = further(tuple_(order.column, row_id), tuple_(value, last))
    return held if down else held | without


def following(rows: Sequence[Any], order: Order, *, limit: int = ROWS_A_PAGE) -> str:
    """Name the last row shown, for the address of the next page; empty when no other page follows."""
    if len(rows) <= limit:
        return ""
    last = rows[limit - 1]
    value = getattr(last, order.column.key)
    text = value.isoformat() if isinstance(value, date) else value
    return base64.urlsafe_b64encode(json.dumps([text, last.id]).encode()).decode().rstrip("=")


def _place(cursor: str, order: Order) -> tuple[object, int]:
    try:
        value, row_id = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if value is not None and order.column.type.python_type is date:
            value = date.fromisoformat(value)
    except (binascii.Error, ValueError, TypeError):
        raise _not_offered() from None
    fits = isinstance(value, order.column.type.python_type) or (value is None and order.nullable)
    if not fits or isinstance(value, bool) or not isinstance(row_id, int) or not 0 < row_id < 2**63:
        raise _not_offered()
    if (isinstance(value, str) and "\0" in value) or (isinstance(value, int) and not -(2**63) <= value < 2**63):
        raise _not_offered()
    return value, row_id


def _not_offered() -> Invalid:
    return Invalid("This page of the list is not one that was offered. Open the list again.")
