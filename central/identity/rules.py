"""Rules of signing in, pure: when a session is over, who shows a second factor, what a delegation may be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from central.kit.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterable

SESSION_IDLE_MAX = timedelta(hours=2)
SESSION_AGE_MAX = timedelta(hours=12)
WORKER_SESSION_IDLE_MAX = timedelta(days=7)
WORKER_SESSION_AGE_MAX = timedelta(days=30)
"""A worker's own phone shows their own days only, and each sign-in costs a text message."""
PROOF_LIFE = timedelta(minutes=15)
"""How long after signing in, or showing a factor again, somebody may change what signs them in (ASVS 5.0, 7.5.1)."""
INVITATION_LIFE = timedelta(hours=72)
RECOVERY_LIFE = timedelta(hours=1)
CHALLENGE_LIFE = timedelta(minutes=5)
APP_OFFER_LIFE = timedelta(minutes=15)
DELEGATION_MAX = timedelta(days=92)
TOKEN_LIFE_MAX = timedelta(days=366)
TOKENS_A_PERSON_MAX = 20
PASSKEYS_A_PERSON_MAX = 10
REASON_CHARS_MAX = 200

GUARDED_PERMISSIONS = (
    "attendance:objection:*",
    "attendance:quarantine:*",
    "attendance:worker:*",
    "audit:event:*",
    "identity:*:write",
    "payments:*",
    "privacy:worker:*",
    "registry:card:write",
    "registry:day_pass:*",
    "registry:identity_number:*",
    "registry:worker:*",
    "site:people:*",
)
"""Who holds one of these sees personal data, moves money, or lets others do so: a second factor is asked for."""


class Stage(StrEnum):
    """How far a sign-in has come. Before `FULL` a session opens nothing but the pages that lead there."""

    ENROL_FACTOR = "enrol_factor"
    """The person's roles need a second factor and there is none yet."""
    FULL = "full"
    SHOW_FACTOR = "show_factor"
    """The person has a second factor and has not shown it in this session."""


@dataclass(frozen=True, slots=True)
class RoleRow:
    """A role that somebody holds or may act in, with the names of where."""

    membership_id: int
    user_id: int
    role: str
    place: str
    """The site's, project's or organization's name; empty: everywhere."""
    organization_id: int | None
    delegation_id: int | None = None
    lent_by: str = ""
    """Whose role it is, when it is lent."""


def session_over(
    seen_at: datetime, expires_at: datetime, *, now: datetime, idle_max: timedelta = SESSION_IDLE_MAX
) -> bool:
    """Whether a session has been idle too long or has reached its absolute end."""
    return now >= expires_at or now - seen_at >= idle_max


def proof_over(proven_at: datetime | None, *, now: datetime) -> bool:
    """Whether somebody showed who they are too long ago to change what signs them in; None: nobody did."""
    return proven_at is None or now - proven_at >= PROOF_LIFE


def needs_second_factor(permissions: Iterable[str]) -> bool:
    """Whether any of these is worth a second factor."""
    return any(fnmatchcase(held, pattern) for held in permissions for pattern in GUARDED_PERMISSIONS)


def stage_of(permissions: Iterable[str], *, has_factor: bool, shown: bool, required: bool) -> Stage:
    """Say how far a session has come. Who has a second factor shows it, needed or not.

    Asked at every request: a role given or taken while somebody is signed in counts at once.
    """
    if shown:
        return Stage.FULL
    if has_factor:
        return Stage.SHOW_FACTOR
    return Stage.ENROL_FACTOR if required and needs_second_factor(permissions) else Stage.FULL


def check_delegation(*, owner_id: int, to_id: int, from_at: datetime, until_at: datetime, now: datetime) -> None:
    """Pass when a role may be lent so, or raise `Invalid`."""
    if owner_id == to_id:
        raise Invalid("you cannot stand in for yourself: name somebody else")
    if until_at <= from_at:
        raise Invalid("the last day is before the first: check both dates")
    if until_at <= now:
        raise Invalid("these days are over: choose days to come")
    if until_at - from_at > DELEGATION_MAX:
        raise Invalid(f"a delegation lasts {DELEGATION_MAX.days} days at most: ask for a role of their own instead")


def delegation_in_force(from_at: datetime, until_at: datetime, ended_at: datetime | None, *, now: datetime) -> bool:
    """Whether a lent role holds now. It ends by itself."""
    return from_at <= now < until_at and ended_at is None


def token_end(days: int, *, now: datetime) -> datetime:
    """Return when a person's token ends, or raise `Invalid`: each has an end."""
    if not 1 <= days <= TOKEN_LIFE_MAX.days:
        raise Invalid(f"a token of yours holds 1 to {TOKEN_LIFE_MAX.days} days: choose a number between")
    return now + timedelta(days=days)
