"""What a site keeps of its own: zones and gates, and the day's visitors and drivers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from central.audit import service as audit
from central.audit.tags import Tag
from central.kit.errors import Conflict, Invalid, NotFound
from central.kit.sentences import sentence
from central.registry import record_rules, rules
from central.registry.models import Zone
from central.registry.places import apply_changes
from central.registry.record_models import DayPass
from central.registry.refusals import flush, open_site
from central.registry.repository import notify, site_closed_on

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from central.kit.db import WriteSession


SCREENS, GATES = "ccs_site", "ccs_inside"
"""The channel that tells who watches a site that its headcount changed."""


def register_zone(
    session: WriteSession, *, site_id: int, code: str, name: str, kind: str, actor: str, now: datetime
) -> Zone:
    """Register a part of a site or a gate, which terminals may then name."""
    row = Zone(
        site_id=site_id,
        code=rules.code("zone", code),
        name=name,
        kind=rules.one_of("kind of zone", kind, record_rules.ZONE_KINDS),
        created_at=now,
    )
    session.add(row)
    flush(session)
    detail = {"site_id": site_id, "code": code, "kind": kind}
    audit.record(session, actor=actor, tag=Tag.ZONE_CREATE, subject=f"zone:{row.id}", detail=detail, now=now)
    return row


def amend_zone(
    session: WriteSession, *, site_id: int, row_id: int, changes: Mapping[str, Any], actor: str, now: datetime
) -> Zone:
    """Change a zone's name, or close it from a day on."""
    row = session.get(Zone, row_id)
    if row is None or row.site_id != site_id:
        raise NotFound(sentence("the site has no zone %(id)s: see the site's list of zones", id=row_id))
    changed = apply_changes(row, changes, nullable={"closed_on"})
    flush(session)
    audit.record(session, actor=actor, tag=Tag.ZONE_AMEND, subject=f"zone:{row_id}", detail=changed, now=now)
    return row


def let_in(  # noqa: PLR0913 - these are the pass's facts
    session: WriteSession,
    *,
    site_id: int,
    timezone: str,
    kind: str,
    name: str,
    company: str,
    phone: str | None,
    plate: str | None,
    host: str,
    entered_at: datetime,
    actor: str,
    now: datetime,
) -> DayPass:
    """Record a visitor or driver who comes in, on the site's own day. The audit row names no name."""
    rules.one_of("kind of pass", kind, record_rules.PASS_KINDS)
    if kind == "driver" and not plate:
        raise Invalid("a driver comes with a vehicle: give its plate", field="plate")
    if entered_at > now:
        raise Invalid(
            sentence("nobody has entered at %(at)s yet: leave the time out for now", at=entered_at.isoformat())
        )
    day = entered_at.astimezone(ZoneInfo(timezone)).date()
    open_site(site_closed_on(session, site_id), day)
    row = DayPass(
        site_id=site_id,
        on_day=day,
        kind=kind,
        name=name,
        company=company,
        phone=rules.phone_number(phone) if phone else None,
        plate=plate,
        host=host,
        entered_at=entered_at,
        recorded_by=actor,
    )
    session.add(row)
    flush(session)
    _tell_who_counts(session, site_id)
    detail = {"site_id": site_id, "kind": kind, "on": row.on_day}
    audit.record(session, actor=actor, tag=Tag.DAY_PASS_CREATE, subject=f"day_pass:{row.id}", detail=detail, now=now)
    return row


def let_out(
    session: WriteSession, *, site_id: int, row_id: int, left_at: datetime, actor: str, now: datetime
) -> DayPass:
    """Record that a visitor or driver left; a pass ends once, and not before they did."""
    row = session.get(DayPass, row_id)
    if row is None or row.site_id != site_id:
        raise NotFound(sentence("the site has no day pass %(id)s: see the site's passes of the day", id=row_id))
    if row.left_at is not None:
        raise Conflict(sentence("they left at %(at)s: a pass ends once", at=row.left_at.isoformat()))
    if left_at > now:
        raise Invalid(sentence("nobody has left at %(at)s yet: leave the time out for now", at=left_at.isoformat()))
    rules.period(row.entered_at, left_at)
    row.left_at = left_at
    flush(session)
    _tell_who_counts(session, site_id)
    audit.record(
        session,
        actor=actor,
        tag=Tag.DAY_PASS_END,
        subject=f"day_pass:{row_id}",
        detail={"left_at": left_at},
        now=now,
    )
    return row


def _tell_who_counts(session: WriteSession, site_id: int) -> None:
    """Screens show another number, and every gate's list another name, at the commit."""
    for channel in (SCREENS, GATES):
        notify(session, channel, str(site_id))
