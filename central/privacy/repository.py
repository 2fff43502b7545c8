"""Who is meant by what somebody typed, and what the trail's keys are called: of identity's and the registry's rows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlalchemy import func
from sqlmodel import col, select

from central.identity.models import ApiToken, User
from central.registry.models import Worker

if TYPE_CHECKING:
    from collections.abc import Iterable

    from central.kit.db import ReadSession

ACTORS_MAX = 200
_KEY = re.compile(r"(user|token|worker|system):\S{1,100}")
_ID = re.compile(r"(?:worker:)?([0-9]{1,18})")


def actor_keys(session: ReadSession, text: str) -> list[str]:
    """Find the actors meant by a key (`token:5`), an account's address, or the beginning of a name."""
    if _KEY.fullmatch(text):
        return [text]
    begins = func.lower(col(User.name)).startswith(text.lower(), autoescape=True)
    users = session.exec(select(User.id).where((col(User.email) == text.lower()) | begins).limit(ACTORS_MAX)).all()
    named = func.lower(col(ApiToken.name)).startswith(text.lower(), autoescape=True)
    tokens = session.exec(select(ApiToken.id).where(named).limit(ACTORS_MAX)).all()
    return [*(f"user:{one}" for one in users), *(f"token:{one}" for one in tokens)]


def actor_names(session: ReadSession, keys: Iterable[str]) -> dict[str, str]:
    """Return the names of accounts and tokens by key; others have none."""
    wanted: dict[str, set[int]] = {"user": set(), "token": set()}
    for key in keys:
        kind, _, number = key.partition(":")
        if kind in wanted and number.isdecimal():
            wanted[kind].add(int(number))
    users = session.exec(select(User.id, User.name).where(col(User.id).in_(wanted["user"]))).all()
    tokens = session.exec(select(ApiToken.id, ApiToken.name).where(col(ApiToken.id).in_(wanted["token"]))).all()
    return {f"user:{one}": name for one, name in users} | {f"token:{one}": name for one, name in tokens}


def workers_meant(session: ReadSession, text: str) -> list[int]:
    """Find the worker meant by the association's number or our own, with every entry that was merged into it."""
    number = _ID.fullmatch(text)
    found = session.exec(select(Worker.id).where(Worker.worker_no == text)).first()
    if found is None and number is not None:
        found = int(number[1])
    if found is None:
        return []
    merged = session.exec(select(Worker.id).where(Worker.merged_into_id == found)).all()
    return [found, *(one for one in merged if one is not None)]
