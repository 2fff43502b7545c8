"""Which of a person's roles a session acts in: all of their own together, one of them, or one that was lent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from central.audit import service as audit
from central.audit.tags import Tag
from central.identity import account_repository, repository
from central.identity.permissions import Role
from central.identity.policy import Standing
from central.kit.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime

    from central.identity.rules import RoleRow
    from central.kit.db import ReadSession, WriteSession
    from central.kit.ids import SiteId


@dataclass(frozen=True, slots=True)
class Seat:
    """What a session acts in now."""

    membership_ids: tuple[int, ...]
    role: RoleRow | None = None
    """The one role, when one was chosen."""
    project_id: int | None = None
    """A client official's project mode."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One line of the page on which roles are switched."""

    role: RoleRow
    current: bool
    projects: tuple[tuple[int, str], ...] = ()
    """For a client official: the body's projects, of which one can be worked in alone."""
    project_id: int | None = None


def seat_of(
    roles: Sequence[RoleRow], *, membership_id: int | None, delegation_id: int | None, project_id: int | None = None
) -> Seat:
    """Return what is acted in. A chosen role that was taken away, or whose lending ended, falls back to one's own."""
    for role in roles:
        if role.membership_id == membership_id and role.delegation_id == delegation_id:
            mode = project_id if role.role == Role.CLIENT_OFFICIAL.value else None
            return Seat((role.membership_id,), role, mode)
    return Seat(tuple(role.membership_id for role in roles if role.delegation_id is None))


def actor_key(user_id: int, seat: RoleRow | None) -> str:
    """Name who acts, as the audit trail keeps it: `user:5`, or `user:5/delegation:7` in a role that was lent."""
    lent = seat.delegation_id if seat is not None else None
    return f"user:{user_id}" if lent is None else f"user:{user_id}/delegation:{lent}"


def cut(standings: Iterable[Standing], *, scopes: Collection[str], site_id: SiteId | None) -> tuple[Standing, ...]:
    """Return what a token has of its owner's standings: its scopes only, and only on its site when it has one."""
    left: dict[Standing, None] = {}
    for one in standings:
        permissions = frozenset(permission for permission in one.permissions if permission.value in scopes)
        everywhere = one.site_id is None and one.project_id is None
        if site_id is None or one.site_id == site_id:
            left[Standing(permissions, one.site_id, one.project_id, one.employer_id)] = None
        elif everywhere:
            left[Standing(permissions, site_id, None, one.employer_id)] = None
    return tuple(one for one in left if one.permissions)


def choices(session: ReadSession, *, user_id: int, session_id: int, now: datetime) -> list[Choice]:
    """Return the roles somebody may act in, with the one acted in marked."""
    row = account_repository.session_by_id(session, session_id)
    roles = account_repository.roles_of(session, user_id=user_id, now=now)
    seat = seat_of(roles, membership_id=row.membership_id, delegation_id=row.delegation_id, project_id=row.project_id)
    return [
        Choice(role, seat.role == role, _projects(session, role), seat.project_id if seat.role == role else None)
        for role in roles
    ]


def _projects(session: ReadSession | WriteSession, role: RoleRow) -> tuple[tuple[int, str], ...]:
    if role.role != Role.CLIENT_OFFICIAL.value or role.organization_id is None:
        return ()
    return tuple(account_repository.projects_of_client(session, organization_id=role.organization_id))


def switch(
    session: WriteSession,
    *,
    user_id: int,
    session_id: int,
    membership_id: int | None,
    delegation_id: int | None,
    project_id: int | None,
    now: datetime,
) -> None:
    """Act in one role from the next request on, or (None) in all of one's own. Raises `NotFound` for another's."""
    if membership_id is not None:
        roles = account_repository.roles_of(session, user_id=user_id, now=now)
        seat = seat_of(roles, membership_id=membership_id, delegation_id=delegation_id, project_id=project_id)
        if seat.role is None:
            raise NotFound("you have no such role now: open the page again")
        reachable = {number for number, _ in _projects(session, seat.role)}
        if project_id is not None and project_id not in reachable:
            raise NotFound("there is no such project of this organization: open the page again")
    account_repository.set_seat(
        session,
        session_id=session_id,
        membership_id=membership_id,
        delegation_id=delegation_id if membership_id is not None else None,
        project_id=project_id if membership_id is not None else None,
    )
    repository.notify_identity(session)
    who = f"user:{user_id}"
    detail = {"membership": membership_id, "delegation": delegation_id, "project": project_id}
    audit.record(session, actor=who, tag=Tag.SESSION_SWITCH, subject=who, detail=detail, now=now)
