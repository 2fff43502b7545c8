"""Use cases of attendance that other slices and the pages call."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from central.attendance import headcount, repository
from central.attendance.headcount import PresenceView
from central.attendance.keeping import person_of
from central.attendance.presence import fold
from central.kit.errors import NotFound

if TYPE_CHECKING:
    import psycopg

    from central.attendance.headcount import Headcount
    from central.attendance.presence import CountedTap
    from central.kit.db import ReadSession, WriteSession
    from central.kit.ids import SiteId

HISTORY_DAYS_MAX = 45
"""How far back a past headcount folds: longer than any terminal may stay offline and keep its records (35 days).

Who came earlier is found by their last tap before that, and folded from all of them."""


BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
"""Before the first tap that any terminal took."""


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
    if true_at is None and known_at is None:
        rows = repository.present(connection, site_id=site_id, timezone=site.timezone, at=now)
        visits = repository.visits(connection, site_id=site_id, at=now)
        return headcount.assemble(site=site.code, as_of=now, rows=rows, terminals=terminals, codes=codes, visits=visits)
    at = true_at or known_at or now
    from_at = at - timedelta(days=HISTORY_DAYS_MAX)
    taps = repository.history(connection, site_id=site_id, from_at=from_at, true_at=at, known_at=known_at)
    stayed = sorted(
        worker_id
        for worker_id in repository.came_before(connection, site_id=site_id, from_at=from_at)
        if (worker_id, b"") not in taps
    )
    if stayed:
        taps |= repository.history(
            connection, site_id=site_id, from_at=BEGINNING, true_at=at, known_at=known_at, workers=stayed
        )
    rows = _present_in(connection, taps, site_id=site_id, timezone=site.timezone, at=at)
    # Who came before that and has not tapped since was inside all the while.
    rows += repository.present(connection, site_id=site_id, timezone=site.timezone, at=at, last_by=from_at)
    # What terminals had said by a past `known_at` is not kept: nobody is certain then.
    reasons: tuple[str, ...] = ()
    if known_at is not None:
        reasons = ("freshness_not_recorded",)
        terminals = tuple(headcount.forgotten(terminal) for terminal in terminals if terminal.in_service)
    return headcount.assemble(
        site=site.code,
        as_of=at,
        rows=rows,
        terminals=terminals,
        codes=codes,
        more_reasons=reasons,
        visits=repository.visits(connection, site_id=site_id, at=at),
    )


def _present_in(
    connection: psycopg.Connection[Any],
    taps: dict[tuple[int | None, bytes], list[CountedTap]],
    *,
    site_id: int,
    timezone: str,
    at: datetime,
) -> list[PresenceView]:
    """Fold each person's taps and name who is not outside."""
    states = {key: state for key, mine in taps.items() if (state := fold(mine)) and state.state != headcount.OUTSIDE}
    since = {worker_id: state.since_at for (worker_id, _), state in states.items() if worker_id is not None}
    names = repository.who(connection, site_id=site_id, timezone=timezone, at=at, since=since)
    rows = []
    for (worker_id, token), state in states.items():
        name, employer, trade, is_test, employer_id = names.get(worker_id or 0, ("", "", "", False, None))
        rows.append(
            PresenceView(
                person=person_of(worker_id, token),
                worker_id=worker_id,
                state=state.state,
                since_at=state.since_at,
                entry_assurance=state.entry_assurance,
                doubts=state.doubts,
                last_at=state.last_at,
                last_terminal_id=state.last_terminal_id,
                last_zone=state.last_zone,
                name=name,
                employer=employer,
                trade=trade,
                is_test=is_test,
                since_doubt=state.since_doubt,
                last_doubt=state.last_doubt,
                employer_id=employer_id,
            )
        )
    return rows
