"""Workers, their employers and trades, and bars: registered, amended, ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from central.audit import service as audit
from central.audit.tags import Tag
from central.kit.errors import Conflict, Invalid, NotFound
from central.kit.sentences import sentence
from central.registry import notices, present, repository, rules, telephones
from central.registry.merge_repository import held_beyond_reach, tokens_of
from central.registry.models import Bar, Employment, Worker
from central.registry.places import apply_changes, organization
from central.registry.refusals import NotOnSite, flush, open_site

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    from central.kit.db import ReadSession, WriteSession
    from central.kit.sms import Texts

_WHO = {"name", "worker_no", "birth_on", "nationality"}
_SHARED = _WHO | {"phone"}
"""Others rely on it who employ or employed the worker too; the telephone opens the worker's own view of them all."""
_PERSONAL = {"name", "phone", "worker_no", "birth_on", "nationality"}


class SharedWorker(Conflict):
    """The worker is others' too."""

    code = "shared_worker"


class NobodyOfThatName(NotFound):
    """Nobody has this number and this name together."""


def register_worker(  # noqa: PLR0913 - these are the person's facts
    session: WriteSession,
    *,
    name: str,
    worker_no: str | None = None,
    language: str = "ko",
    phone: str | None = None,
    birth_on: date | None = None,
    nationality: str | None = None,
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
        birth_on=rules.birth_date(birth_on, now=now) if birth_on else None,
        nationality=rules.country(nationality) if nationality else None,
        is_test=is_test,
        created_at=now,
    )
    session.add(row)
    flush(session)
    detail = {"is_test": is_test, "language": language}
    audit.record(session, actor=actor, tag=Tag.WORKER_CREATE, subject=f"worker:{row.id}", detail=detail, now=now)
    return row


def amend_worker(
    session: WriteSession, *, row: Worker, changes: Mapping[str, Any], texts: Texts, actor: str, now: datetime
) -> Worker:
    """Change a worker's facts; the audit row says which, not what personal values.

    Who reaches some of the worker's employers only may fill in what is missing, and neither change who the person is
    nor the telephone. Raises `NotPresent` for somebody who left, `SharedWorker`, `Invalid`.
    """
    present.require_present(session, worker_id=row.id or 0, now=now)
    new, phone_before = dict(changes), row.phone
    _check_shared(session, row, new)
    if new.get("worker_no") is not None:
        rules.worker_number(new["worker_no"])
    if new.get("phone") is not None:
        rules.phone_number(new["phone"])
    if new.get("birth_on") is not None:
        rules.birth_date(new["birth_on"], now=now)
    if new.get("nationality") is not None:
        new["nationality"] = rules.country(new["nationality"])
    changed = apply_changes(row, new, nullable={"worker_no", "phone", "birth_on", "nationality"})
    flush(session)
    telephones.note_change(session, worker=row, before=phone_before, texts=texts, actor=actor, now=now)
    tokens = tokens_of(session, worker_id=row.id or 0) if "is_test" in changed else []
    notices.tell(session, tokens=tokens, sites=repository.sites_of_worker(session, worker_id=row.id or 0))
    detail = {name: (True if name in _PERSONAL else pair) for name, pair in changed.items()}
    audit.record(session, actor=actor, tag=Tag.WORKER_AMEND, subject=f"worker:{row.id}", detail=detail, now=now)
    return row


def _check_shared(session: WriteSession, row: Worker, new: Mapping[str, Any]) -> None:
    """Pass changes that the asker may make alone, or raise `SharedWorker`."""
    taken = [name for name in sorted(_SHARED & set(new)) if getattr(row, name) not in {None, new[name]}]
    if not taken or not held_beyond_reach(session, worker_id=row.id or 0):
        return
    if _WHO.isdisjoint(taken):
        raise SharedWorker(
            "the worker also works or worked where you may not see, so the telephone cannot be changed from here: ask"
            " who reaches all of the worker's employments, or a system operator",
            field="phone",
        )
    raise SharedWorker(
        "the worker also works where you may not see, so what says who it is cannot be changed from here:"
        " ask a system operator, with the card or the passport",
        field=min(_WHO.intersection(taken)),
    )


def same_person_notices(session: ReadSession | WriteSession, row: Worker) -> list[str]:
    """Say who else within reach has this name and date of birth; nothing when no date is known."""
    if row.birth_on is None:
        return []
    return [
        f"worker {other} has the same name and date of birth: if it is one person, merge the two"
        for other in repository.same_name_and_birth(session, row)
    ]


def worker(session: ReadSession | WriteSession, *, worker_id: int) -> Worker:
    """Return a worker within the session's reach, or raise `NotFound`."""
    row = repository.worker_by_id(session, worker_id)
    if row is None:
        raise NotFound(
            sentence("there is no worker %(id)s, or not on your sites: check the number", id=worker_id),
            field="other_id",
        )
    return row


def worker_to_employ(
    session: WriteSession, *, worker_id: int | None, worker_no: str | None, name: str | None
) -> Worker:
    """Find whom to employ: by id within reach, or anybody by the association's number together with the exact name.

    Who knows only one of the two learns nothing: both mistakes get the same answer.
    """
    if (worker_id is None) == (worker_no is None):
        raise Invalid("name the worker either by worker_id, or by worker_no and name")
    if worker_id is not None:
        return worker(session, worker_id=worker_id)
    row = repository.worker_by_number(session, rules.worker_number(worker_no or ""))
    if row is None or name is None or row.name != name.strip() or row.merged_into_id is not None:
        raise NobodyOfThatName(
            "no worker has this number and this name: compare both with the card, or register the worker",
            field="worker_no",
        )
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
    open_site(repository.site_closed_on(session, site_id), from_on)
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
        raise NotFound(sentence("the site has no employment %(id)s: see the site's roll", id=row_id))
    rules.period(row.from_on, until_on)
    changed = apply_changes(row, {"until_on": until_on}, nullable={"until_on"})
    flush(session)
    notices.tell(session, sites=[site_id])
    audit.record(
        session, actor=actor, tag=Tag.EMPLOYMENT_AMEND, subject=f"employment:{row_id}", detail=changed, now=now
    )
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
