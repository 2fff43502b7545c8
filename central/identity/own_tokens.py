"""API tokens that people make for themselves: never more than they hold, always with an end, shown once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from central.audit import service as audit
from central.audit.tags import Tag
from central.identity import account_repository, accounts, repository
from central.identity.credentials import new_api_token, secret_hash
from central.identity.models import ApiToken
from central.identity.rules import TOKENS_A_PERSON_MAX, token_end
from central.kit.errors import Conflict, Invalid, NotFound

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from central.kit.db import ReadSession, WriteSession


def make_own_token(
    session: WriteSession,
    *,
    owner_id: int,
    name: str,
    scopes: Iterable[str],
    held: Collection[str],
    days: int,
    now: datetime,
) -> str:
    """Make a token for its owner's own programs; return its secret, which is shown now and never again.

    `held` are the permissions that the owner has now; the token never has more, and less when they lose some.
    """
    accounts.check_name(name)
    granted = accounts.expand_scopes(scopes)
    beyond = [scope for scope in granted if scope not in held]
    if beyond:
        raise Invalid(f"you do not hold {beyond[0]} yourself: leave it out")
    there = account_repository.own_tokens(session, user_id=owner_id)
    good = [row for row in there if row.revoked_at is None and (row.expires_at is None or row.expires_at > now)]
    if len(good) >= TOKENS_A_PERSON_MAX:
        raise Conflict(f"you have {len(good)} tokens that hold: revoke one first")
    secret = new_api_token()
    row = ApiToken(
        name=name.strip(),
        secret_hash=secret_hash(secret),
        scopes=granted,
        owner_id=owner_id,
        created_at=now,
        expires_at=token_end(days, now=now),
    )
    session.add(row)
    session.flush()
    detail = {"name": name.strip(), "scopes": granted, "expires_at": row.expires_at, "owner": owner_id}
    who = f"user:{owner_id}"
    audit.record(session, actor=who, tag=Tag.API_TOKEN_CREATE, subject=f"token:{row.id}", detail=detail, now=now)
    return secret


def own_tokens(session: ReadSession, *, user_id: int) -> list[ApiToken]:
    """Return a person's tokens, newest first."""
    return list(account_repository.own_tokens(session, user_id=user_id))


def revoke_own_token(session: WriteSession, *, user_id: int, token_id: int, now: datetime) -> None:
    """Revoke a token of one's own, everywhere within seconds."""
    if not account_repository.revoke_own_token(session, user_id=user_id, token_id=token_id, now=now):
        raise NotFound("there is no such token of yours that still holds")
    repository.notify_identity(session)
    who = f"user:{user_id}"
    audit.record(session, actor=who, tag=Tag.API_TOKEN_REVOKE, subject=f"token:{token_id}", detail={}, now=now)
