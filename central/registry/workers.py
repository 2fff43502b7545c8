"""Workers, their employers and trades, their cards, and bars: registered, amended, ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from central.audit import service as audit
from central.audit.tags import Tag
from central.kit.errors import NotFound
from central.registry import notices, repository, rules
from central.registry.models import Bar, Card, CardAssignment, Employment, Worker
from central.registry.places import apply_changes, organization
from central.registry.refusals import NotOnSite, flush

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    from central.kit.db import ReadSession, WriteSession
    from central.kit.ids import SiteId

_PERSONAL = {"name", "phone", "worker_no"}


def register_worker(
    session: WriteSession,
    *,
    name: str,
    worker_no: str | None = None,
    language: str = "ko",
    phone: str | None = None,
    is_test: bool = False,
    actor: str,
    now: datetime,
) -> Worker:
    """Register a person. The audit row names the worker's id, never the name."""
    row = Worker(
        name=name,
        worker_no=rules.worker_number(worker_no) if worker_no else None,
        language=language,
        phone=rules.phone_number(phone) if phone else None,
        is_test=is_test,
        created_at=now,
    )
    session.add(row)
    flush(session)
    detail = {"is_test": is_test, "language": language}
    audit.record(session, actor=actor, tag=Tag.WORKER_CREATE, subject=f"worker:{row.id}", detail=detail, now=now)
    return row


def amend_worker(
    session: WriteSession, *, row: Worker, changes: Mapping[str, Any], actor: str, now: datetime
) -> Worker:
    """Change name, worker number, language or telephone; the audit row says which, not what personal values."""
    new = dict(changes)
    if new.get("worker_no") is not None:
        rules.worker_number(new["worker_no"])
    if new.get("phone") is not None:
        rules.phone_number(new["phone"])
    changed = apply_changes(row, new, nullable={"worker_no", "phone"})
    flush(session)
    notices.tell(session, sites=repository.sites_of_worker(session, worker_id=row.id or 0))
    detail = {name: (True if name in _PERSONAL else pair) for name, pair in changed.items()}
    audit.record(session, actor=actor, tag=Tag.WORKER_AMEND, subject=f"worker:{row.id}", detail=detail, now=now)
    return row


def worker(session: ReadSession | WriteSession, *, worker_id: int, sites: frozenset[SiteId] | None = None) -> Worker:
    """Return a worker who was ever employed on one of `sites` (None: anybody), or raise `NotFound`."""
    row = repository.worker_visible(session, worker_id=worker_id, sites=sites)
    if row is None:
        raise NotFound(f"there is no worker {worker_id}, or not on your sites: check the number")
    return row


def employ(  # noqa: PLR0913 - these are the entry's facts
    session: WriteSession,
    *,
    worker_id: int,
    site_id: int,
    employer_id: int,
    trade: str,
    from_on: date,
    until_on: date | None,
    actor: str,
    now: datetime,
) -> Employment:
    """Put a worker on a site's roll with employer and trade; the employer must work there when it begins."""
    organization(session, organization_id=employer_id)
    rules.period(from_on, until_on)
    if not repository.employer_on_site(session, site_id=site_id, organization_id=employer_id, on=from_on):
        raise NotOnSite.of(employer_id, from_on)
    row = Employment(
        worker_id=worker_id,
        site_id=site_id,
        employer_id=employer_id,
        trade=rules.trade_code(trade),
        from_on=from_on,
        until_on=until_on,
    )
    session.add(row)
    flush(session)
    notices.tell(session, sites=[site_id])
    detail = {
        "worker_id": worker_id,
        "site_id": site_id,
        "employer_id": employer_id,
        "trade": row.trade,
        "from": from_on,
        "until": until_on,
    }
    audit.record(
        session, actor=actor, tag=Tag.EMPLOYMENT_CREATE, subject=f"employment:{row.id}", detail=detail, now=now
    )
    return row


def end_employment(
    session: WriteSession, *, site_id: int, row_id: int, until_on: date | None, actor: str, now: datetime
) -> Employment:
    """Set the first day on which a worker is no longer employed there; None opens the period again."""
    row = session.get(Employment, row_id)
    if row is None or row.site_id != site_id:
        raise NotFound(f"the site has no employment {row_id}: see the site's roll")
    rules.period(row.from_on, until_on)
    changed = apply_changes(row, {"until_on": until_on}, nullable={"until_on"})
    flush(session)
    notices.tell(session, sites=[site_id])
    audit.record(
        session, actor=actor, tag=Tag.EMPLOYMENT_AMEND, subject=f"employment:{row_id}", detail=changed, now=now
    )
    return row


def register_card(session: WriteSession, *, token: str, kind: str = "card", actor: str, now: datetime) -> Card:
    """Register a card by its token."""
    row = Card(token=token, kind=rules.one_of("kind", kind, rules.CARD_KINDS), created_at=now)
    session.add(row)
    flush(session)
    detail = {"token": token, "kind": kind}
    audit.record(session, actor=actor, tag=Tag.CARD_CREATE, subject=f"card:{row.id}", detail=detail, now=now)
    return row


def assign_card(
    session: WriteSession,
    *,
    card: Card,
    worker_id: int,
    from_at: datetime,
    until_at: datetime | None,
    actor: str,
    now: datetime,
) -> CardAssignment:
    """Say whose card it is during a period; taps already received are resolved again."""
    rules.period(from_at, until_at)
    row = CardAssignment(card_id=card.id or 0, worker_id=worker_id, from_at=from_at, until_at=until_at)
    session.add(row)
    flush(session)
    notices.tell(session, tokens=[card.token], sites=repository.sites_of_worker(session, worker_id=worker_id))
    detail = {"card_id": row.card_id, "worker_id": worker_id, "from": from_at, "until": until_at}
    audit.record(session, actor=actor, tag=Tag.CARD_ASSIGN, subject=f"card:{card.id}", detail=detail, now=now)
    return row


def release_card(
    session: WriteSession, *, card: Card, row_id: int, until_at: datetime, reason: str, actor: str, now: datetime
) -> CardAssignment:
    """End a holding: the card stopped being theirs at `until_at`."""
    row = session.get(CardAssignment, row_id)
    if row is None or row.card_id != card.id:
        raise NotFound(f"the card has no assignment {row_id}: see the card's assignments")
    rules.period(row.from_at, until_at)
    changes = {"until_at": until_at, "ended_reason": rules.one_of("reason", reason, rules.ENDED_REASONS)}
    changed = apply_changes(row, changes)
    flush(session)
    notices.tell(session, tokens=[card.token], sites=repository.sites_of_worker(session, worker_id=row.worker_id))
    audit.record(session, actor=actor, tag=Tag.CARD_RELEASE, subject=f"card:{card.id}", detail=changed, now=now)
    return row


def card(session: ReadSession | WriteSession, *, card_id: int, sites: frozenset[SiteId] | None = None) -> Card:
    """Return a card ever held by a worker of one of `sites` (None: any card), or raise `NotFound`."""
    row = repository.card_visible(session, card_id=card_id, sites=sites)
    if row is None:
        raise NotFound(f"there is no card {card_id}, or not on your sites: check the number")
    return row


def bar_worker(
    session: WriteSession,
    *,
    worker_id: int,
    site_id: int | None,
    reason: str,
    from_at: datetime,
    until_at: datetime | None,
    actor: str,
    now: datetime,
) -> Bar:
    """Bar a worker from a site, or (None) from every site: the gate shows red, and keeps the tap."""
    rules.period(from_at, until_at)
    row = Bar(worker_id=worker_id, site_id=site_id, reason=reason, from_at=from_at, until_at=until_at)
    session.add(row)
    flush(session)
    _tell_bar(session, row)
    detail = {"worker_id": worker_id, "site_id": site_id, "from": from_at, "until": until_at}
    audit.record(session, actor=actor, tag=Tag.BAR_CREATE, subject=f"bar:{row.id}", detail=detail, now=now)
    return row


def end_bar(session: WriteSession, *, row: Bar, until_at: datetime, actor: str, now: datetime) -> Bar:
    """End a bar."""
    rules.period(row.from_at, until_at)
    changed = apply_changes(row, {"until_at": until_at})
    flush(session)
    _tell_bar(session, row)
    audit.record(session, actor=actor, tag=Tag.BAR_AMEND, subject=f"bar:{row.id}", detail=changed, now=now)
    return row


def _tell_bar(session: WriteSession, row: Bar) -> None:
    sites = [row.site_id] if row.site_id is not None else repository.sites_of_worker(session, worker_id=row.worker_id)
    notices.tell(session, sites=sites)
