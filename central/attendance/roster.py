"""What a site's gates know: cards and who is inside, versioned and signed; a full one retained, deltas in between.

Any worker may publish: an advisory lock a site makes one of them do it, and the stored content says what is news.
Versions rise with the clock, so a database restored from a backup never publishes one that terminals have seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from psycopg.types.json import Jsonb

from central.attendance import repository
from central.attendance.headcount import INSIDE
from central.attendance.wording import trade
from edge_agent.wire.codec import sign
from edge_agent.wire.messages import Inside, Roster, RosterEntry
from edge_agent.wire.topics import roster_topic

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    Connection = psycopg.Connection[Any]

ROSTER_LOCK = 0x63637302
"""First key of the advisory lock; the second is the site's id."""
PAUSE_MIN = timedelta(seconds=1)
FULL_AFTER = timedelta(seconds=60)
"""A changed roster is retained in full at least this often, for terminals that come later."""
REPEAT_MIN = timedelta(seconds=5)
LAG_MAX = timedelta(seconds=20)
"""A terminal that says an older version this long after a publication is given a full one."""

GATES_SPEAK = "ko"
"""A gate's list is one for everybody; rescuers read it."""
VISITOR = "방문 visitor"
Content = dict[str, dict[str, list[Any]]]
"""`{"entries": {token: [worker, name, lang, barred]}, "inside": {person: [name, since, employer, trade, zone]}}`"""


@dataclass(frozen=True, slots=True)
class Signer:
    """The key under which rosters are signed, and its name."""

    key: Ed25519PrivateKey
    key_id: str


_ENTRIES = """
SELECT DISTINCT ON (c.token) c.token, w.id::text, w.name, w.language,
  (SELECT b.reason FROM registry_bar b WHERE b.worker_id = w.id AND (b.site_id IS NULL OR b.site_id = %(site)s)
     AND b.from_at <= %(now)s AND (b.until_at IS NULL OR %(now)s < b.until_at) ORDER BY b.from_at LIMIT 1)
FROM (
  SELECT e.worker_id FROM registry_employment e
  WHERE e.site_id = %(site)s AND daterange(e.from_on, e.until_on) @> (%(now)s AT TIME ZONE %(zone)s)::date
  UNION -- who came in when they were employed is let out, too
  SELECT p.worker_id FROM attendance_presence p
  JOIN registry_employment e ON e.worker_id = p.worker_id AND e.site_id = p.site_id
       AND daterange(e.from_on, e.until_on) @> (p.since_at AT TIME ZONE %(zone)s)::date
  WHERE p.site_id = %(site)s AND p.state = 1
) here
JOIN registry_worker w ON w.id = here.worker_id
JOIN registry_card_assignment a ON a.worker_id = w.id AND a.from_at <= %(now)s
     AND (a.until_at IS NULL OR %(now)s < a.until_at)
JOIN registry_card c ON c.id = a.card_id
ORDER BY c.token
"""
_LAGGING = """
SELECT EXISTS (SELECT 1 FROM attendance_terminal_status s JOIN registry_terminal t ON t.id = s.terminal_id
WHERE t.site_id = %s AND s.online AND s.heard_at > %s AND s.roster_version < %s AND s.boot_id <> '')
"""


def content_of(connection: Connection, *, site_id: int, timezone: str, now: datetime) -> Content:
    """Read what the gates of a site should know now."""
    given = {"site": site_id, "zone": timezone, "now": now}
    entries = {row[0]: list(row[1:]) for row in connection.execute(_ENTRIES, given)}
    inside = {
        row.person: [row.name, row.since_at.isoformat(), row.employer, trade(GATES_SPEAK, row.trade), row.last_zone]
        for row in repository.present(connection, site_id=site_id, timezone=timezone, at=now)
        if row.state == INSIDE and not row.is_test
    }
    inside |= {
        f"pass:{one.pass_id}": [one.name, one.entered_at.isoformat(), one.company, VISITOR, ""]
        for one in repository.visits(connection, site_id=site_id, at=now)
    }
    return {"entries": entries, "inside": inside}


def full(site: str, content: Content, *, version: int, now: datetime) -> Roster:
    """Make the whole roster."""
    return Roster(
        site=site,
        version=version,
        issued_at=now,
        entries=[_entry(token, row) for token, row in sorted(content["entries"].items())],
        inside=[_inside(person, row) for person, row in sorted(content["inside"].items())],
    )


def delta(site: str, old: Content, new: Content, *, base: int, version: int, now: datetime) -> Roster:
    """Make what turns `old` into `new`; applies only on top of version `base`."""
    entries, inside = new["entries"], new["inside"]
    return Roster(
        site=site,
        version=version,
        issued_at=now,
        base=base,
        entries=[_entry(token, row) for token, row in sorted(entries.items()) if old["entries"].get(token) != row],
        removed=sorted(old["entries"].keys() - entries.keys()),
        inside=[_inside(person, row) for person, row in sorted(inside.items()) if old["inside"].get(person) != row],
        inside_removed=sorted(old["inside"].keys() - inside.keys()),
    )


def _entry(token: str, row: list[Any]) -> RosterEntry:
    return RosterEntry(token=token, worker=row[0], name=row[1], lang=row[2], barred=row[3])


def _inside(person: str, row: list[Any]) -> Inside:
    since = datetime.fromisoformat(row[1])
    return Inside(person=person, name=row[0], since=since, employer=row[2], trade=row[3], zone=row[4])


def publish(
    connection: Connection,
    *,
    site_id: int,
    now: datetime,
    signer: Signer,
    send: Callable[[str, bytes, bool], bool],
    repeat: bool = False,
) -> timedelta | None:
    """Publish a site's roster if there is news, or `repeat` it in full; the connection is in autocommit mode.

    `send(topic, payload, retain)` answers whether the broker has it. Returns how long to wait before asking again
    (published too recently, busy elsewhere, or not sent), or None when terminals have what there is.
    """
    row = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", (ROSTER_LOCK, site_id)).fetchone()
    if row is None or not row[0]:
        return PAUSE_MIN
    try:
        return _publish(connection, site_id, now, signer, send, repeat=repeat)
    finally:
        if not connection.closed and not connection.broken:
            connection.execute("SELECT pg_advisory_unlock(%s, %s)", (ROSTER_LOCK, site_id))


def _publish(
    connection: Connection,
    site_id: int,
    now: datetime,
    signer: Signer,
    send: Callable[[str, bytes, bool], bool],
    *,
    repeat: bool,
) -> timedelta | None:
    site = repository.site_facts(connection, site_id)
    if site is None:
        return None
    version, stored, published_at = _last(connection, site_id)
    full_at = datetime.fromisoformat(stored["full_at"]) if "full_at" in stored else None
    age = now - published_at if published_at else None
    if age is not None and timedelta(0) <= age < PAUSE_MIN:
        return PAUSE_MIN - age
    old: Content = {"entries": stored.get("entries", {}), "inside": stored.get("inside", {})}
    new = content_of(connection, site_id=site_id, timezone=site.timezone, now=now)
    quiet = full_at is not None and now - full_at < REPEAT_MIN
    again = (repeat and not quiet) or _someone_lags(connection, site_id, version, published_at)
    if new == old and published_at is not None and not again and not _delta_since(stored, full_at, now):
        return None
    whole = again or full_at is None or now - full_at >= FULL_AFTER
    whole = whole or published_at is None or new["entries"] != old["entries"]
    following = max(version + 1, int(now.timestamp()))
    message = (
        full(site.code, new, version=following, now=now)
        if whole
        else delta(site.code, old, new, base=version, version=following, now=now)
    )
    kept = {**new, "full_at": (now if whole or full_at is None else full_at).isoformat(), "deltas": not whole}
    connection.execute(
        "UPDATE attendance_site_roster SET version = %s, content = %s, published_at = NULL WHERE site_id = %s",
        (following, Jsonb(kept), site_id),
    )
    if not send(roster_topic(site.code), sign(message, key=signer.key, key_id=signer.key_id), whole):
        return REPEAT_MIN
    connection.execute("UPDATE attendance_site_roster SET published_at = %s WHERE site_id = %s", (now, site_id))
    return None


def _delta_since(stored: dict[str, Any], full_at: datetime | None, now: datetime) -> bool:
    """Whether the retained roster is behind the deltas for too long."""
    return bool(stored.get("deltas")) and full_at is not None and now - full_at >= FULL_AFTER


def _last(connection: Connection, site_id: int) -> tuple[int, dict[str, Any], datetime | None]:
    connection.execute(
        "INSERT INTO attendance_site_roster (site_id, version) VALUES (%s, 0) ON CONFLICT DO NOTHING", (site_id,)
    )
    row = connection.execute(
        "SELECT version, content, published_at FROM attendance_site_roster WHERE site_id = %s", (site_id,)
    ).fetchone()
    return (row[0], row[1], row[2]) if row else (0, {}, None)


def _someone_lags(connection: Connection, site_id: int, version: int, published_at: datetime | None) -> bool:
    if published_at is None:
        return False
    row = connection.execute(_LAGGING, (site_id, published_at + LAG_MAX, version)).fetchone()
    return bool(row and row[0])


def sites_of_tokens(connection: Connection, tokens: list[str]) -> list[int]:
    """Find the sites whose rolls hold the holders of these cards."""
    rows = connection.execute(
        "SELECT DISTINCT e.site_id FROM registry_card c JOIN registry_card_assignment a ON a.card_id = c.id"
        " JOIN registry_employment e ON e.worker_id = a.worker_id WHERE c.token = ANY(%s)",
        (tokens,),
    )
    return [row[0] for row in rows]
