"""Views of lists that people save: a name for a filter and an order. Each sees, opens and removes their own."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sqlalchemy.exc import IntegrityError
from sqlmodel import col, delete, func, select

from central.identity.models import SavedView
from central.kit.errors import Conflict, Invalid, NotFound
from central.kit.sentences import sentence
from central.kit.web import local_path

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from central.identity.policy import Actor
    from central.kit.db import ReadSession, WriteSession

VIEWS_A_LIST_MAX = 20
NAME_CHARS_MAX = 60
QUERY_CHARS_MAX = 1_000


def views_of(session: ReadSession, actor: Actor, path: str) -> Sequence[SavedView]:
    """Return the asker's views of a list, by name; machines have none. One query."""
    if actor.user_id is None:
        return []
    query = select(SavedView).where(SavedView.user_id == actor.user_id, SavedView.path == path)
    return session.exec(query.order_by(col(SavedView.name)).limit(VIEWS_A_LIST_MAX)).all()


def save_view(session: WriteSession, *, user_id: int, address: str, name: str, now: datetime) -> SavedView:
    """Keep a list's address under a name. Raises `Invalid`, and `Conflict` when the name is taken or there are many."""
    place = urlsplit(local_path(address, default=""))
    words = name.strip()
    if not place.path or len(place.path) > NAME_CHARS_MAX or len(place.query) > QUERY_CHARS_MAX or "\0" in address:
        raise Invalid("There is no such list. Open the list again and save it from there.")
    if not words or len(words) > NAME_CHARS_MAX:
        raise Invalid(sentence("Give the view a name of 1 to %(max)s characters.", max=NAME_CHARS_MAX), field="name")
    held = select(func.count()).select_from(SavedView).where(SavedView.user_id == user_id, SavedView.path == place.path)
    if session.exec(held).one() >= VIEWS_A_LIST_MAX:
        raise Conflict(sentence("You have %(max)s views of this list: remove one first.", max=VIEWS_A_LIST_MAX))
    row = SavedView(user_id=user_id, path=place.path, name=words, query=place.query, created_at=now)
    session.add(row)
    try:
        session.flush()
    except IntegrityError:
        raise Conflict(
            sentence("You have a view called “%(name)s” already: choose another name.", name=words)
        ) from None
    return row


def remove_view(session: WriteSession, *, user_id: int, view_id: int) -> str:
    """Remove one of a person's views; return its list's address."""
    row = session.get(SavedView, view_id)
    if row is None or row.user_id != user_id:
        raise NotFound("You have no such view. Open the list again.")
    session.exec(delete(SavedView).where(col(SavedView.id) == view_id))
    return row.path
