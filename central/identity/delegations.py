"""A role lent to somebody while on leave: dated, audited, not passed on, ending by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from central.audit import service as audit
from central.audit.tags import Tag
from central.identity import account_repository, repository
from central.identity.models import Delegation
from central.identity.rules import REASON_CHARS_MAX, check_delegation, delegation_in_force
from central.identity.signin import normal_email
from central.kit.errors import Conflict, Invalid, NotFound

if TYPE_CHECKING:
    from datetime import datetime

    from central.kit.db import ReadSession, WriteSession


@dataclass(frozen=True, slots=True)
class DelegationView:
    """A lent role, for its owner and for whom it was lent to."""

    id: int
    role: str
    owner: str
    to: str
    mine: bool
    """Whether the reader is the owner."""
    from_at: datetime
    until_at: datetime
    reason: str
    in_force: bool
    over: bool


def lend(
    session: WriteSession,
    *,
    owner_id: int,
    membership_id: int,
    to_email: str,
    from_at: datetime,
    until_at: datetime,
    reason: str,
    now: datetime,
) -> int:
    """Lend one of one's own roles from an instant until another; return the delegation's id.

    Only a role that is one's own can be lent: what was lent is not among them. The other person acts in it after
    choosing it, signed in as themselves. Raises `NotFound`, `Invalid`, `Conflict`.
    """
    held = account_repository.membership(session, membership_id)
    if held is None or held.user_id != owner_id:
        raise NotFound("you have no such role of your own: a role that was lent to you cannot be passed on")
    other = repository.user_by_email(session, normal_email(to_email))
    if other is None or other.id is None or other.disabled_at is not None:
        raise NotFound("nobody has an account with this address: check it, or have them invited first")
    check_delegation(owner_id=owner_id, to_id=other.id, from_at=from_at, until_at=until_at, now=now)
    if not 1 <= len(reason.strip()) <= REASON_CHARS_MAX:
        raise Invalid(f"say why in 1 to {REASON_CHARS_MAX} characters, e.g. leave")
    repository.lock_subjects(session, [f"membership:{membership_id}"])
    if account_repository.lent_at_once(session, membership_id=membership_id, from_at=from_at, until_at=until_at):
        raise Conflict("this role is lent to somebody in these days already: end that first, or choose other days")
    row = Delegation(
        membership_id=membership_id,
        to_user_id=other.id,
        from_at=from_at,
        until_at=until_at,
        reason=reason.strip(),
        made_at=now,
    )
    session.add(row)
    session.flush()
    repository.notify_identity(session)
    detail = {"membership": membership_id, "role": held.role, "to": other.id, "from": from_at, "until": until_at}
    owner = f"user:{owner_id}"
    audit.record(
        session, actor=owner, tag=Tag.DELEGATION_CREATE, subject=f"delegation:{row.id}", detail=detail, now=now
    )
    return row.id or 0


def end(session: WriteSession, *, delegation_id: int, user_id: int, now: datetime) -> None:
    """End a delegation early, by its owner or by whom it was lent to; it counts from their next request on."""
    if not account_repository.end_delegation(session, delegation_id=delegation_id, user_id=user_id, now=now):
        raise NotFound("there is no such delegation of yours that still holds")
    repository.notify_identity(session)
    who, subject = f"user:{user_id}", f"delegation:{delegation_id}"
    audit.record(session, actor=who, tag=Tag.DELEGATION_END, subject=subject, detail={}, now=now)


def delegations_of(session: ReadSession, *, user_id: int, now: datetime) -> list[DelegationView]:
    """Return what somebody lent or was lent, newest first."""
    views = []
    for row, role, owner, to in account_repository.delegations_of(session, user_id=user_id):
        in_force = delegation_in_force(row.from_at, row.until_at, row.ended_at, now=now)
        over = row.ended_at is not None or row.until_at <= now
        mine = row.to_user_id != user_id
        views.append(
            DelegationView(row.id or 0, role, owner, to, mine, row.from_at, row.until_at, row.reason, in_force, over)
        )
    return views
