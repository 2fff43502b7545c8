"""Cursor paging: a cursor is opaque to clients and says after which id to go on."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Annotated, TypeVar

from fastapi import Query

from central.kit.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Sequence

ITEMS_A_PAGE_MAX = 200
ITEMS_A_PAGE = 50
_PREFIX = "after:"

Row = TypeVar("Row")
Limit = Annotated[int, Query(ge=1, le=ITEMS_A_PAGE_MAX, description="Items a page.")]
Cursor = Annotated[str | None, Query(max_length=60, description="`next_cursor` of the page before.")]


def encode_cursor(last_id: int) -> str:
    """Make the cursor that goes on after `last_id`."""
    return base64.urlsafe_b64encode(f"{_PREFIX}{last_id}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None) -> int:
    """Return the id to go on after; 0 for the first page."""
    if not cursor:
        return 0
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise _not_ours(cursor) from error
    number = text.removeprefix(_PREFIX)
    if not text.startswith(_PREFIX) or not (number.isascii() and number.isdigit()) or int(number) >= 2**63:
        raise _not_ours(cursor)
    return int(number)


def cut(rows: Sequence[Row], *, limit: int) -> tuple[Sequence[Row], bool]:
    """Cut `limit` + 1 rows to a page, and say whether more follow."""
    return rows[:limit], len(rows) > limit


def _not_ours(cursor: str) -> Invalid:
    return Invalid(f"the cursor {cursor!r} is not one that a page gave: start again without it")
