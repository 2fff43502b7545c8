"""Use cases of attendance that other slices and the pages call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from central.attendance import headcount, repository
from central.kit.errors import NotFound

if TYPE_CHECKING:
    from datetime import datetime

    import psycopg

    from central.attendance.headcount import Headcount
    from central.kit.db import ReadSession, WriteSession
    from central.kit.ids import SiteId


def _raw(session: ReadSession | WriteSession) -> psycopg.Connection[Any]:
    """Reach the psycopg connection of a session, inside its transaction."""
    return cast("psycopg.Connection[Any]", session.connection().connection.driver_connection)


def site_headcount(
    session: ReadSession,
    *,
    site_id: SiteId,
    now: datetime,
    true_at: datetime | None = None,
    known_at: datetime | None = None,
) -> Headcount:
    """Answer who is inside a site now, or what was true at `true_at`, or what was known at `known_at`.

    Both may be given. The past is folded again from taps of the last `HISTORY_DAYS_MAX` days before the asked
    instant; now is read from the presence rows. Raises `NotFound` for an unknown site.
    """
    connection = _raw(session)
    site = repository.site_facts(connection, site_id)
    if site is None:
        raise NotFound(f"there is no site with id {site_id}")
    terminals, codes = repository.terminals(connection, site_id=site_id)
    rows = repository.present(connection, site_id=site_id, timezone=site.timezone, at=now)
    return headcount.assemble(site=site.code, as_of=now, rows=rows, terminals=terminals, codes=codes)
