"""Who brings colleagues in: through one's own organization, into the roles that one's own role may give there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from central.identity import account_repository, accounts, invitations
from central.identity.accounts import Scope
from central.identity.permissions import ROLE_BRINGS_IN, Role
from central.identity.policy import Forbidden
from central.kit.errors import Conflict, NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from central.identity.invitations import InvitationView
    from central.identity.letters import Letters
    from central.identity.policy import Actor
    from central.identity.rules import RoleRow
    from central.kit.db import ReadSession, WriteSession

ROWS_MAX = 500


@dataclass(frozen=True, slots=True)
class Opening:
    """A role that somebody may give through an organization of theirs."""

    organization_id: int
    organization: str
    role: Role

    @property
    def key(self) -> str:
        """Return what a form says to mean this one."""
        return f"{self.organization_id}:{self.role.value}"


@dataclass(frozen=True, slots=True)
class Colleague:
    """Somebody's role through an organization, as those see it who bring people in there."""

    membership_id: int
    user_id: int
    name: str
    email: str
    role: str
    organization_id: int
    may_end: bool


def openings_of(roles: Sequence[RoleRow], *, seat: RoleRow | None) -> list[Opening]:
    """Return what may be given by who holds these roles and acts in `seat` (None: all of their own). Pure.

    A role that was lent brings nobody in: what it gave would stay after the leave.
    """
    acting = [role for role in roles if role.delegation_id is None and seat in {None, role}]
    found = {
        Opening(role.organization_id, role.place, given)
        for role in acting
        if role.organization_id is not None and role.role in set(Role)
        for given in ROLE_BRINGS_IN.get(Role(role.role), frozenset())
    }
    return sorted(found, key=lambda one: (one.organization, one.organization_id, one.role))


def openings(session: ReadSession | WriteSession, *, person: Actor, now: datetime) -> list[Opening]:
    """Return what somebody may give now. Raises `Forbidden` when it is nothing."""
    roles = account_repository.roles_of(session, user_id=person.user_id or 0, now=now)
    found = openings_of(roles, seat=person.seat)
    if not found:
        raise Forbidden("you bring nobody in: your role here is not one of your own through an organization")
    return found


def colleagues_of(session: ReadSession, *, person: Actor, found: Sequence[Opening]) -> list[Colleague]:
    """Return everybody with a role through these organizations, by name."""
    may_give = {(one.organization_id, one.role.value) for one in found}
    rows = account_repository.colleagues(
        session, organization_ids=sorted({one.organization_id for one in found}), rows_max=ROWS_MAX
    )
    return [
        Colleague(
            held.id or 0,
            user.id or 0,
            user.name,
            user.email,
            held.role,
            held.organization_id or 0,
            may_end=user.id != person.user_id and (held.organization_id, held.role) in may_give,
        )
        for user, held in rows
    ]


def waiting(session: ReadSession | WriteSession, *, found: Sequence[Opening], now: datetime) -> list[InvitationView]:
    """Return the invitations to these organizations that can still be accepted, newest first."""
    mine = {one.organization_id for one in found}
    return [one for one in invitations.open_invitations(session, now=now) if one.organization_id in mine]


def bring_in(  # noqa: PLR0913 - these are the invitation's facts
    session: WriteSession,
    *,
    person: Actor,
    opening: str,
    email: str,
    name: str,
    language: str,
    base_url: str,
    letters: Letters,
    now: datetime,
) -> str:
    """Invite somebody to a role through one's organization; return the link. Raises as `invitations.invite`."""
    chosen = {one.key: one for one in openings(session, person=person, now=now)}.get(opening)
    if chosen is None:
        raise NotFound("this is no role that you may give: open the page again and choose one")
    return invitations.invite(
        session,
        email=email,
        name=name,
        role=chosen.role.value,
        scope=Scope(organization_id=chosen.organization_id),
        language=language,
        base_url=base_url,
        letters=letters,
        actor=person.key,
        now=now,
    )


def withdraw(session: WriteSession, *, person: Actor, invitation_id: int, now: datetime) -> None:
    """End an invitation to one's organization, whoever made it, before it is accepted."""
    mine = {one.id for one in waiting(session, found=openings(session, person=person, now=now), now=now)}
    if invitation_id not in mine:
        raise NotFound("there is no such open invitation: it was accepted, withdrawn, or is over")
    invitations.withdraw(session, invitation_id=invitation_id, actor=person.key, now=now)


def take_away(session: WriteSession, *, person: Actor, membership_id: int, now: datetime) -> None:
    """Take a role from a colleague that one may give, whoever gave it; it counts from their next request on."""
    may_give = {(one.organization_id, one.role.value) for one in openings(session, person=person, now=now)}
    held = account_repository.membership(session, membership_id)
    if held is None or (held.organization_id, held.role) not in may_give:
        raise NotFound("there is no such role that still holds: open the page again")
    if held.user_id == person.user_id:
        raise Conflict("you cannot take your own role away: ask a colleague or a system operator")
    accounts.end_membership(session, membership_id=membership_id, actor=person.key, now=now)
