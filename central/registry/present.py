"""Whose people workers are at present: to write on somebody, an employment must hold or be to begin.

Reading has no such end: who employed somebody once sees what was then, and changes nothing of what is now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Date, cast
from sqlmodel import col, func, select

from central.kit.errors import Conflict
from central.kit.sentences import sentence
from central.registry.confinement import BEYOND_REACH, confined_to
from central.registry.models import Employment, Site

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from central.kit.db import ReadSession, WriteSession


class NotPresent(Conflict):
    """The worker is among the asker's people no more."""

    code = "worker_not_present"


def present_among(
    session: ReadSession | WriteSession, workers: Iterable[int], *, now: datetime, beyond_reach: bool = False
) -> set[int]:
    """Return those of some workers whom an employment within reach holds today, by its site's date, or will hold."""
    today = cast(func.timezone(col(Site.timezone), now), Date)
    query = (
        select(Employment.worker_id)
        .join(Site, col(Site.id) == col(Employment.site_id))
        .where(
            col(Employment.worker_id).in_(list(workers)),
            col(Employment.until_on).is_(None) | (col(Employment.until_on) > today),
        )
        .distinct()
    )
    return set(session.exec(query, execution_options=BEYOND_REACH if beyond_reach else {}).all())


def writable_among(session: WriteSession, workers: Iterable[int], *, now: datetime) -> set[int]:
    """Return those of some workers on whom the session may write: all, where its right holds everywhere."""
    reach, asked = confined_to(session), set(workers)
    return asked if reach is None or reach.everywhere else present_among(session, asked, now=now)


def require_present(session: WriteSession, *, worker_id: int, now: datetime) -> None:
    """Pass a worker on whom the session may write, or raise `NotPresent`."""
    if not writable_among(session, [worker_id], now=now):
        raise NotPresent(
            sentence(
                "the worker is on none of your rolls any more, so this is not yours to change: it is for who employs"
                " them today, or for a system operator"
            )
        )


def require_given_back(session: WriteSession, *, worker_id: int, now: datetime) -> None:
    """Pass a worker whose card the session may end: its own people's, and of who left whom nobody employs today."""
    if present_among(session, [worker_id], now=now, beyond_reach=True):
        require_present(session, worker_id=worker_id, now=now)
