"""Accounts and API tokens: made, listed, revoked, expired."""

from __future__ import annotations

import difflib
import re
from dataclasses import asdict, astuple, dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from central.audit import service as audit
from central.audit.tags import Tag
from central.identity import account_repository, repository, sessions
from central.identity.credentials import new_api_token, secret_hash
from central.identity.models import ApiToken, Membership, User
from central.identity.passwords import passwords
from central.identity.permissions import Permission, Role
from central.identity.policy import check_scope
from central.identity.signin import EMAIL_CHARS_MAX, normal_email
from central.identity.tickets import TicketKind
from central.kit.errors import Conflict, Invalid, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from central.kit.db import ReadSession, WriteSession

NAME_CHARS_MAX = 100
ATTEMPTS_KEPT = timedelta(days=1)
SESSIONS_KEPT = timedelta(days=30)
ANSWERS_KEPT = timedelta(hours=24)
TICKETS_KEPT = timedelta(days=30)
_EMAIL = re.compile(r"^[^@\s]+@[^@\s]+$")


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a role or token holds: everywhere when all are None; at most one is given, by code."""

    site: str | None = None
    project: str | None = None
    organization: str | None = None
    """Business number."""
    organization_id: int | None = None
    """In place of a business number: not every organization has one."""


@dataclass(frozen=True, slots=True)
class TokenView:
    """An API token without its secret."""

    id: int
    name: str
    scopes: tuple[str, ...]
    site: str | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


def create_user(  # noqa: PLR0913 - these are the account's facts
    session: WriteSession,
    *,
    email: str,
    name: str,
    password: str,
    role: str,
    scope: Scope,
    language: str = "ko",
    actor: str,
    now: datetime,
) -> int:
    """Make an account with one role; return its id. Raises `Conflict` when the address has one."""
    address = checked_email(email)
    check_name(name)
    check_role(session, role=role, scope=scope, now=now)
    hashed = passwords().hash(password, about=(address, name))
    user = add_user(session, email=address, name=name, password_hash=hashed, language=language, now=now)
    user_id = user.id or 0
    session.add(_membership(session, user_id=user_id, role=role, scope=scope, now=now))
    session.flush()
    repository.notify_identity(session)
    detail = {"role": role, **asdict(scope)}
    audit.record(session, actor=actor, tag=Tag.USER_CREATE, subject=f"user:{user_id}", detail=detail, now=now)
    return user_id


def add_user(
    session: WriteSession, *, email: str, name: str, password_hash: str | None, language: str, now: datetime
) -> User:
    """Add an account without a role; the address is checked already. Raises `Conflict` when it has one."""
    repository.lock_subjects(session, [f"account:{email}"])
    if repository.user_by_email(session, email) is not None:
        raise Conflict(f"{email} already has an account: choose another address, or give that account a role")
    user = User(email=email, name=name, password_hash=password_hash, language=language, created_at=now)
    session.add(user)
    session.flush()
    return user


def add_membership(session: WriteSession, *, user_id: int, role: str, scope: Scope, actor: str, now: datetime) -> int:
    """Give somebody one more role; it holds from their next request on. Raises `Invalid`, `NotFound`, `Conflict`."""
    check_role(session, role=role, scope=scope, now=now)
    row = _membership(session, user_id=user_id, role=role, scope=scope, now=now)
    repository.lock_subjects(session, [f"roles:{user_id}"])
    if account_repository.holds(session, row):
        raise Conflict("this role is held there already: nothing was changed")
    session.add(row)
    session.flush()
    repository.notify_identity(session)
    detail = {"membership": row.id, "role": role, **asdict(scope)}
    audit.record(session, actor=actor, tag=Tag.MEMBERSHIP_CREATE, subject=f"user:{user_id}", detail=detail, now=now)
    return row.id or 0


def end_membership(session: WriteSession, *, membership_id: int, actor: str, now: datetime) -> None:
    """Take a role away, and with it what was lent of it; both end at the next request. Its row stays as history.

    Invitations that its holder made and that nobody has accepted yet end with it.
    """
    held = account_repository.membership(session, membership_id)
    if held is None or not account_repository.end_membership(session, membership_id=membership_id, now=now):
        raise NotFound("there is no such role that still holds: open the page again")
    account_repository.withdraw_tickets(
        session, kind=TicketKind.INVITATION.value, made_by=f"user:{held.user_id}", now=now
    )
    repository.notify_identity(session)
    subject, detail = f"user:{held.user_id}", {"membership": membership_id, "role": held.role}
    audit.record(session, actor=actor, tag=Tag.MEMBERSHIP_END, subject=subject, detail=detail, now=now)


def checked_email(email: str) -> str:
    """Return an address as accounts are stored under, or raise `Invalid`."""
    address = normal_email(email)
    if not _EMAIL.match(address) or len(address) > EMAIL_CHARS_MAX:
        raise Invalid(f"{email!r} is not an e-mail address: expected name@host, at most {EMAIL_CHARS_MAX} characters")
    return address


def check_role(session: ReadSession | WriteSession, *, role: str, scope: Scope, now: datetime) -> None:
    """Pass when there is such a role and it can be held there. Raises `Invalid`, `NotFound`."""
    if role not in set(Role):
        raise Invalid(f"there is no role {role!r}{_nearest(role, Role)}: roles are {', '.join(Role)}")
    _membership(session, user_id=0, role=role, scope=scope, now=now)


def disable_user(session: WriteSession, *, email: str, actor: str, now: datetime) -> None:
    """Close an account and end its sessions everywhere within seconds; its history stays."""
    user = repository.user_by_email(session, normal_email(email))
    if user is None or user.disabled_at is not None:
        raise NotFound(f"{email} has no account that is open: check the address")
    user.disabled_at = now
    sessions.cut_off(session, user_id=user.id or 0, now=now)
    account_repository.withdraw_tickets(session, kind=TicketKind.INVITATION.value, made_by=f"user:{user.id}", now=now)
    audit.record(session, actor=actor, tag=Tag.USER_DISABLE, subject=f"user:{user.id}", detail={}, now=now)


def _membership(
    session: ReadSession | WriteSession, *, user_id: int, role: str, scope: Scope, now: datetime
) -> Membership:
    if sum(part is not None for part in astuple(scope)) > 1:
        raise Invalid("a role holds on one site, one project or one organization's sites: give one of them")
    check_scope(
        Role(role),
        site=scope.site is not None,
        project=scope.project is not None,
        organization=scope.organization is not None or scope.organization_id is not None,
    )
    made = Membership(user_id=user_id, role=role, granted_at=now, organization_id=scope.organization_id)
    if scope.site is not None:
        made.site_id = _site_id(session, scope.site)
    if scope.project is not None:
        made.project_id = repository.project_id_by_code(session, scope.project)
        if made.project_id is None:
            raise NotFound(f"there is no project {scope.project!r}: create it first, or check the code")
    if scope.organization is not None:
        made.organization_id = repository.organization_id_by_number(session, scope.organization)
        if made.organization_id is None:
            raise NotFound(
                f"there is no organization with the business number {scope.organization!r}: check the digits"
            )
    return made


def create_token(
    session: WriteSession,
    *,
    name: str,
    scopes: Iterable[str],
    site: str | None,
    expires_at: datetime | None,
    actor: str,
    now: datetime,
) -> tuple[int, str]:
    """Make an API token; return its id and its secret, which is shown now and never again."""
    check_name(name)
    granted = expand_scopes(scopes)
    secret = new_api_token()
    site_id = _site_id(session, site) if site is not None else None
    row = ApiToken(
        name=name,
        secret_hash=secret_hash(secret),
        scopes=granted,
        site_id=site_id,
        created_at=now,
        expires_at=expires_at,
    )
    session.add(row)
    session.flush()
    detail = {"name": name, "scopes": granted, "site": site, "expires_at": expires_at}
    audit.record(session, actor=actor, tag=Tag.API_TOKEN_CREATE, subject=f"token:{row.id}", detail=detail, now=now)
    return row.id or 0, secret


def expand_scopes(scopes: Iterable[str]) -> list[str]:
    """Return the permissions that scopes name; `registry:*:read` and the like stand for what matches today."""
    granted: set[str] = set()
    for scope in scopes:
        matching = [permission.value for permission in Permission if fnmatchcase(permission.value, scope)]
        if not matching:
            raise Invalid(
                f"there is no scope {scope!r}{_nearest(scope, Permission)}: scopes are {', '.join(Permission)}"
            )
        granted.update(matching)
    if not granted:
        raise Invalid("a token needs at least one scope, e.g. site:headcount:read")
    return sorted(granted)


def list_tokens(session: ReadSession) -> list[TokenView]:
    """Return every API token, newest first."""
    return [
        TokenView(row.id or 0, row.name, tuple(row.scopes), site, row.created_at, row.expires_at, row.revoked_at)
        for row, site in repository.tokens(session)
    ]


def revoke_token(session: WriteSession, *, token_id: int, actor: str, now: datetime) -> None:
    """Revoke a token everywhere within seconds; raise `NotFound` when there is none that still holds."""
    if not repository.revoke_token(session, token_id=token_id, now=now):
        raise NotFound(f"there is no API token {token_id} that still holds: see ccs-central token list")
    repository.notify_identity(session)
    audit.record(session, actor=actor, tag=Tag.API_TOKEN_REVOKE, subject=f"token:{token_id}", detail={}, now=now)


def expire_tokens(session: WriteSession, *, actor: str, now: datetime) -> int:
    """Close tokens whose time is over (they are refused from that moment anyway) and record it; return how many."""
    expired = repository.expire_tokens(session, now=now)
    if expired:
        repository.notify_identity(session)
        acts = [audit.Act(Tag.API_TOKEN_EXPIRE, f"token:{token_id}", {}) for token_id in sorted(expired)]
        audit.record_many(session, actor=actor, acts=acts, now=now)
    return len(expired)


def prune(session: WriteSession, *, now: datetime) -> int:
    """Delete what identity keeps for a while only: attempts, old sessions, kept answers; return how many rows went."""
    tickets = account_repository.prune_tickets(session, before=now - TICKETS_KEPT)
    return tickets + repository.prune(
        session,
        attempts_before=now - ATTEMPTS_KEPT,
        sessions_before=now - SESSIONS_KEPT,
        writes_before=now - ANSWERS_KEPT,
    )


def _site_id(session: ReadSession | WriteSession, code: str) -> int:
    row = repository.site_by_code(session, code)
    if row is None:
        raise NotFound(f"there is no site {code!r}: create it first, or check the code")
    return row.id


def check_name(name: str) -> None:
    """Pass for a name of people or machines, or raise `Invalid`."""
    if not 1 <= len(name.strip()) <= NAME_CHARS_MAX:
        raise Invalid(f"the name has {len(name)} characters: use 1 to {NAME_CHARS_MAX}")


def _nearest(word: str, words: Iterable[str]) -> str:
    near: Sequence[str] = difflib.get_close_matches(word, [str(each) for each in words], n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
