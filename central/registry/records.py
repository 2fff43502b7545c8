"""What is on record of workers: papers, labour contracts, and the identity number where a filing needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from central.audit import service as audit
from central.audit.tags import Tag
from central.kit.errors import Conflict, NotFound
from central.kit.sentences import sentence
from central.registry import record_rules, rules
from central.registry.present import require_present
from central.registry.record_models import LabourContract, WorkerPaper
from central.registry.refusals import NotOnSite, flush, open_site
from central.registry.repository import employer_on_site, site_closed_on

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    from central.kit.db import WriteSession
    from central.kit.sealed import Seal
    from central.registry.models import Worker


def add_paper(  # noqa: PLR0913 - these are the paper's facts
    session: WriteSession,
    *,
    worker_id: int,
    kind: str,
    value: str,
    trade: str | None,
    number: str,
    from_on: date,
    until_on: date | None,
    actor: str,
    now: datetime,
) -> WorkerPaper:
    """Record a worker's paper with its time; earlier ones stay. Raises `NotPresent` for somebody who left."""
    require_present(session, worker_id=worker_id, now=now)
    rules.period(from_on, until_on)
    text, trade_code = record_rules.paper(kind, value, trade)
    row = WorkerPaper(
        worker_id=worker_id,
        kind=kind,
        value=text,
        trade=trade_code,
        number=number,
        from_on=from_on,
        until_on=until_on,
        recorded_at=now,
        recorded_by=actor,
    )
    session.add(row)
    flush(session)
    detail = {"paper": row.id, "kind": kind, "from": from_on, "until": until_on}
    _note(session, Tag.WORKER_PAPER_CREATE, worker_id, detail, actor=actor, now=now)
    return row


def withdraw_paper(session: WriteSession, *, worker_id: int, row_id: int, actor: str, now: datetime) -> WorkerPaper:
    """Take back a paper that was recorded by mistake; the row stays and says when. Raises `NotPresent`, `NotFound`."""
    require_present(session, worker_id=worker_id, now=now)
    row = session.get(WorkerPaper, row_id)
    if row is None or row.worker_id != worker_id:
        raise NotFound(sentence("the worker has no paper %(id)s: see the worker's papers", id=row_id))
    if row.withdrawn_at is not None:
        raise Conflict("the paper was withdrawn already")
    row.withdrawn_at = now
    flush(session)
    _note(session, Tag.WORKER_PAPER_WITHDRAW, worker_id, {"paper": row_id}, actor=actor, now=now)
    return row


def add_labour_contract(  # noqa: PLR0913 - these are the contract's facts
    session: WriteSession,
    *,
    worker_id: int,
    site_id: int,
    employer_id: int,
    kind: str,
    wage_won: int,
    wage_per: str,
    minutes_a_day: int,
    signed_on: date,
    from_on: date,
    until_on: date | None,
    actor: str,
    now: datetime,
) -> LabourContract:
    """Record the written terms of an employment; two at once with one employer on a site are refused."""
    record_rules.labour(
        kind=kind,
        wage_won=wage_won,
        wage_per=wage_per,
        minutes_a_day=minutes_a_day,
        from_on=from_on,
        until_on=until_on,
    )
    open_site(site_closed_on(session, site_id), from_on)
    if not employer_on_site(session, site_id=site_id, organization_id=employer_id, on=from_on):
        raise NotOnSite.of(employer_id, from_on)
    row = LabourContract(
        worker_id=worker_id,
        site_id=site_id,
        employer_id=employer_id,
        kind=kind,
        wage_won=wage_won,
        wage_per=wage_per,
        minutes_a_day=minutes_a_day,
        signed_on=signed_on,
        from_on=from_on,
        until_on=until_on,
        created_at=now,
    )
    session.add(row)
    flush(session)
    detail = {"labour_contract": row.id, "site_id": site_id, "employer_id": employer_id, "kind": kind, "from": from_on}
    _note(session, Tag.LABOUR_CONTRACT_CREATE, worker_id, detail, actor=actor, now=now)
    return row


def set_identity_number(
    session: WriteSession, *, row: Worker, number: str, seal: Seal, reason: str, actor: str, now: datetime
) -> None:
    """Keep a worker's identity number, sealed, with the filing that needs it as the reason.

    Raises `NotPresent` for somebody who left, `NoDataKey`.
    """
    require_present(session, worker_id=row.id or 0, now=now)
    digits = record_rules.identity_number(number)
    row.identity_sealed = seal.close(digits.encode(), about=_about(row.id or 0))
    row.identity_mark = seal.mark(digits.encode(), kind="identity number")
    flush(session)
    _note(session, Tag.IDENTITY_NUMBER_SET, row.id or 0, {"reason": reason}, actor=actor, now=now)


def identity_number(row: Worker, *, seal: Seal) -> str:
    """Open a worker's identity number; the caller has recorded the look. Raises `NotFound` when none is kept."""
    if row.identity_sealed is None:
        raise NotFound("no identity number is kept of this worker: it is taken only where a filing needs it")
    return seal.open(row.identity_sealed, about=_about(row.id or 0)).decode()


def _about(worker_id: int) -> str:
    return f"identity:{worker_id}"


def _note(
    session: WriteSession, tag: Tag, worker_id: int, detail: Mapping[str, object], *, actor: str, now: datetime
) -> None:
    audit.record(session, actor=actor, tag=tag, subject=f"worker:{worker_id}", detail=detail, now=now)
