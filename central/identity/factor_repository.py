"""Queries on second factors. A code is used up by one compare-and-set, so that two requests cannot both use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmodel import col, delete, func, select, update

from central.identity.models import Passkey, SpareCode, Totp

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from central.kit.db import ReadSession, WriteSession


def totp(session: ReadSession | WriteSession, user_id: int) -> Totp | None:
    """Find somebody's authenticator app."""
    return session.get(Totp, user_id)


def take_step(session: WriteSession, *, user_id: int, step: int) -> bool:
    """Use a code's step up; true for the one caller whose step is newer than every one before."""
    query = update(Totp).where(col(Totp.user_id) == user_id, col(Totp.last_step) < step)
    return session.exec(query.values(last_step=step)).rowcount > 0


def remove_totp(session: WriteSession, *, user_id: int) -> bool:
    """Delete somebody's app; true when there was one."""
    return session.exec(delete(Totp).where(col(Totp.user_id) == user_id)).rowcount > 0


def passkeys(session: ReadSession | WriteSession, user_id: int) -> Sequence[Passkey]:
    """Return somebody's passkeys, oldest first."""
    return session.exec(select(Passkey).where(Passkey.user_id == user_id).order_by(col(Passkey.id))).all()


def passkey_known(session: ReadSession | WriteSession, credential_id: bytes) -> bool:
    """Whether a credential is somebody's already."""
    return session.exec(select(Passkey.id).where(Passkey.credential_id == credential_id)).first() is not None


def use_passkey(session: WriteSession, *, passkey_id: int, sign_count: int, before: int, now: datetime) -> bool:
    """Note a passkey's use; true unless another request used it meanwhile."""
    done = session.exec(
        update(Passkey)
        .where(col(Passkey.id) == passkey_id, col(Passkey.sign_count) == before)
        .values(sign_count=sign_count, used_at=now)
        .returning(col(Passkey.id))
    )
    return done.first() is not None


def remove_passkeys(session: WriteSession, *, user_id: int, passkey_id: int | None = None) -> int:
    """Delete one passkey of somebody, or all; return how many."""
    query = delete(Passkey).where(col(Passkey.user_id) == user_id)
    if passkey_id is not None:
        query = query.where(col(Passkey.id) == passkey_id)
    return session.exec(query).rowcount


def replace_spare_codes(session: WriteSession, *, user_id: int, hashes: Sequence[bytes]) -> None:
    """Forget the old codes on paper and keep new ones."""
    session.exec(delete(SpareCode).where(col(SpareCode.user_id) == user_id))
    session.add_all([SpareCode(user_id=user_id, code_hash=hashed) for hashed in hashes])


def spare_codes_left(session: ReadSession | WriteSession, user_id: int) -> int:
    """Count the codes on paper that were not used."""
    query = select(func.count()).where(SpareCode.user_id == user_id, col(SpareCode.used_at).is_(None))
    return session.exec(query).one()


def use_spare_code(session: WriteSession, *, user_id: int, hashed: bytes, now: datetime) -> bool:
    """Use a code on paper up; true for the one caller that did."""
    done = session.exec(
        update(SpareCode)
        .where(col(SpareCode.user_id) == user_id, col(SpareCode.code_hash) == hashed, col(SpareCode.used_at).is_(None))
        .values(used_at=now)
        .returning(col(SpareCode.id))
    )
    return done.first() is not None


def has_factor(session: ReadSession | WriteSession, user_id: int) -> bool:
    """Whether somebody has a second factor."""
    app = select(Totp.user_id).where(Totp.user_id == user_id)
    key = select(Passkey.id).where(Passkey.user_id == user_id)
    return session.exec(select(app.exists() | key.exists())).one()
