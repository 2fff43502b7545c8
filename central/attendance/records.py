"""Lists that pages and the API page through: taps in the order of evidence, quarantine newest first, sites."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import text

from central.attendance.repository import EMPLOYER_SQL, employment_sql
from central.attendance.timekeeping import BASES
from central.kit.errors import Invalid

if TYPE_CHECKING:
    from sqlalchemy import RowMapping

    from central.identity.policy import Reach
    from central.kit.db import ReadSession
    from central.kit.ids import SiteId

PAGE_ROWS_MAX = 1_000
PREVIEW_BYTES_MAX = 2_000
SITES_A_PAGE = 50
_CURSOR_PARTS = 2

DIRECTIONS = ("in", "out", "tap", "muster")
DECISIONS = ("accepted", "unknown_card", "barred", "auth_failed", "repeat")


class BadCursor(Invalid):
    """The cursor was not made by this server."""

    code = "bad_cursor"


@dataclass(frozen=True, slots=True)
class Tap:
    """One stored tap. `journal_id` and `seq` name it for ever."""

    journal_id: UUID
    seq: int
    terminal: str
    occurred_at: datetime
    time_basis: str
    """measured, reconstructed, claimed or bounded: see docs/time.md."""
    time_error_ms: int | None
    """It happened within so much of `occurred_at`; None: all that is known is that it was received later."""
    received_at: datetime
    direction: str
    decision: str
    assurance: int | None
    reader: str | None
    zone: str | None
    worker_id: int | None
    hash: str
    """SHA-256 of the record's bytes, hex."""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list, and where to go on; `next_cursor` is None at the end."""

    items: list[Tap] | list[QuarantineRow]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class QuarantineRow:
    """What was received and could not be counted."""

    id: int
    reason: str
    detail: str
    topic: str
    journal_id: UUID | None
    seq: int | None
    times: int
    first_seen_at: datetime
    last_seen_at: datetime
    bytes_total: int
    sha256: str
    preview: str
    """The first 2,000 bytes as text; what is no UTF-8 is shown escaped."""


@dataclass(frozen=True, slots=True)
class SiteRow:
    """A site on the list of sites."""

    id: int
    code: str
    name: str
    project: str
    timezone: str
    inside: int
    terminals: int


_TAPS = text(
    """
SELECT j.id, j.journal_id, e.seq, t.code, e.occurred_at, e.time_basis, e.received_at, e.direction, e.decision,
       e.assurance, e.reader, e.zone, e.worker_id, e.hash, e.time_error_ms
FROM attendance_event e
JOIN attendance_journal j ON j.id = e.journal
JOIN registry_terminal t ON t.id = e.terminal_id
WHERE e.journal IN (SELECT own.id FROM attendance_journal own JOIN registry_terminal ot ON ot.id = own.terminal_id
                    WHERE ot.site_id = :site)
  AND (e.journal, e.seq) > (:journal, :seq) AND e.direction IS NOT NULL AND e.site_id = :site
  AND (CAST(:terminal AS text) IS NULL OR t.code = :terminal)
ORDER BY e.journal, e.seq LIMIT :rows
"""
)


def taps(
    session: ReadSession, *, site_id: SiteId, cursor: str | None, rows_max: int, terminal: str | None = None
) -> Page:
    """Read a site's taps, journal by journal in `seq` order: nothing moves between pages, late taps come at the end."""
    journal, seq = _two_numbers(cursor)
    rows_max = min(rows_max, PAGE_ROWS_MAX)
    given = {"site": site_id, "journal": journal, "seq": seq, "terminal": terminal, "rows": rows_max + 1}
    rows = session.execute(_TAPS, given).all()
    found = [
        Tap(
            journal_id=row[1],
            seq=row[2],
            terminal=row[3],
            occurred_at=row[4],
            time_basis=BASES[row[5]],
            time_error_ms=row[14],
            received_at=row[6],
            direction=DIRECTIONS[row[7]],
            decision=DECISIONS[row[8]] if row[8] is not None else "accepted",
            assurance=row[9],
            reader=row[10],
            zone=row[11],
            worker_id=row[12],
            hash=bytes(row[13]).hex(),
        )
        for row in rows[:rows_max]
    ]
    last = rows[rows_max - 1] if len(rows) > rows_max else None
    return Page(found, f"{last[0]}.{last[2]}" if last else None)


def _two_numbers(cursor: str | None) -> tuple[int, int]:
    if cursor is None:
        return 0, 0
    parts = cursor.split(".")
    if len(parts) != _CURSOR_PARTS or not all(part.isdecimal() and len(part) < 19 for part in parts):  # noqa: PLR2004
        raise BadCursor("the cursor cannot be used: pass on next_cursor of the last answer as it is")
    return int(parts[0]), int(parts[1])


_QUARANTINE = text(
    """
SELECT id, reason, detail, topic, journal_id, seq, times, first_seen_at, last_seen_at,
       octet_length(bytes) AS bytes_total, sha256, substring(bytes FROM 1 FOR :preview) AS start
FROM attendance_quarantine
WHERE (CAST(:before AS bigint) IS NULL OR id < :before) AND (CAST(:reason AS text) IS NULL OR reason = :reason)
ORDER BY id DESC LIMIT :rows
"""
)
_QUARANTINE_PLAIN = (
    "id", "reason", "detail", "topic", "journal_id", "seq", "times", "first_seen_at", "last_seen_at", "bytes_total",
)  # fmt: skip


def quarantine(session: ReadSession, *, cursor: str | None, rows_max: int, reason: str | None = None) -> Page:
    """Read what could not be counted, newest first."""
    if cursor is not None and not (cursor.isdecimal() and len(cursor) < 19):  # noqa: PLR2004 - digits of a bigint
        raise BadCursor("the cursor cannot be used: pass on next_cursor of the last answer as it is")
    rows_max = min(rows_max, PAGE_ROWS_MAX)
    before = int(cursor) if cursor else None
    given = {"before": before, "reason": reason, "rows": rows_max + 1, "preview": PREVIEW_BYTES_MAX}
    rows = session.execute(_QUARANTINE, given).mappings().all()
    found = [_quarantined(row) for row in rows[:rows_max]]
    return Page(found, str(found[-1].id) if len(rows) > rows_max else None)


def _quarantined(row: RowMapping) -> QuarantineRow:
    plain = {name: row[name] for name in _QUARANTINE_PLAIN}
    preview = bytes(row["start"]).decode("utf-8", "backslashreplace")
    return QuarantineRow(**plain, sha256=bytes(row["sha256"]).hex(), preview=preview)


def quarantine_reasons(session: ReadSession) -> list[tuple[str, int]]:
    """Count quarantined messages by reason, most first."""
    sql = "SELECT reason, count(*) FROM attendance_quarantine GROUP BY reason ORDER BY 2 DESC, 1"
    return [(row[0], row[1]) for row in session.execute(text(sql))]


_WHOLE = "(CAST(:everywhere AS boolean) OR s.id = ANY(CAST(:ids AS bigint[])))"
_SITES = text(
    f"""
SELECT s.id, s.code, s.name, p.name, s.timezone,
       CASE WHEN {_WHOLE} THEN
         (SELECT count(*) FROM attendance_presence a JOIN registry_worker w ON w.id = a.worker_id AND NOT w.is_test
          WHERE a.site_id = s.id AND a.state = 1)
         + (SELECT count(*) FROM registry_day_pass v WHERE v.site_id = s.id AND v.left_at IS NULL)
       ELSE
         (SELECT count(*) FROM attendance_presence p JOIN registry_worker w ON w.id = p.worker_id AND NOT w.is_test
          {employment_sql(zone="s.timezone", at="CAST(:now AS timestamptz)")}
          JOIN unnest(CAST(:own_sites AS bigint[]), CAST(:own_employers AS bigint[])) o(site_id, employer_id)
            ON o.site_id = s.id AND o.employer_id = {EMPLOYER_SQL}
          WHERE p.site_id = s.id AND p.state = 1)
       END,
       (SELECT count(*) FROM registry_terminal t WHERE t.site_id = s.id AND t.in_service)
FROM registry_site s JOIN registry_project p ON p.id = s.project_id
WHERE ({_WHOLE} OR s.id = ANY(CAST(:own_sites AS bigint[])))
  AND (CAST(:like AS text) IS NULL OR s.name ILIKE :like OR s.code ILIKE :like OR p.name ILIKE :like)
  AND s.code > :after
ORDER BY s.code LIMIT :rows
"""  # noqa: S608 - constants only
)


def site_list(
    session: ReadSession, *, reach: Reach, now: datetime, search: str = "", after: str = ""
) -> tuple[list[SiteRow], str | None]:
    """Read the sites within reach by code, each with who `inside` counts on it: an employer's own where only those are.

    Returns where to go on as well.
    """
    own = sorted(reach.own)
    escaped = search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    given = {
        "everywhere": reach.everywhere,
        "ids": sorted(reach.sites),
        "own_sites": [site_id for site_id, _ in own],
        "own_employers": [employer_id for _, employer_id in own],
        "now": now,
        "like": f"%{escaped}%" if search else None,
        "after": after,
        "rows": SITES_A_PAGE + 1,
    }
    rows = [SiteRow(*row) for row in session.execute(_SITES, given)]
    return rows[:SITES_A_PAGE], rows[SITES_A_PAGE - 1].code if len(rows) > SITES_A_PAGE else None
