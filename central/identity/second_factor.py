"""Second factors of a person: an authenticator app and codes on paper. Passkeys are in `passkeys`."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from central.audit import service as audit
from central.audit.tags import Tag
from central.identity import account_repository, factor_repository, repository, sessions, throttle, tickets, totp
from central.identity.credentials import secret_hash
from central.identity.models import Attempt, Totp
from central.identity.rules import APP_OFFER_LIFE
from central.identity.tickets import LinkOver, TicketKind
from central.kit.db import write_session
from central.kit.errors import AppError, Conflict, NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Engine

    from central.identity.letters import Letters
    from central.identity.models import Passkey
    from central.kit.db import ReadSession, WriteSession
    from central.kit.sealed import Seal

SPARE_CODES = 10
SPARE_CODE_BYTES = 14
"""112 random bits: enough for a plain hash (OWASP ASVS 5.0, 6.5.2)."""
CODE_CHARS_MAX = 40


class WrongCode(AppError):
    """The one-time code is not right, or was used already."""

    status = 401
    code = "wrong_code"


@dataclass(frozen=True, slots=True)
class OfferedApp:
    """An authenticator app that does not count yet: its secret, and the ticket that its first code comes back with."""

    secret: bytes
    ticket: str


@dataclass(frozen=True, slots=True)
class Factors:
    """What somebody has besides a password."""

    app: bool
    passkeys: Sequence[Passkey]
    spare_codes_left: int

    def __bool__(self) -> bool:
        """Whether there is any second factor; codes on paper alone are none."""
        return self.app or bool(self.passkeys)


def factors_of(session: ReadSession | WriteSession, user_id: int) -> Factors:
    """Return somebody's second factors."""
    return Factors(
        factor_repository.totp(session, user_id) is not None,
        factor_repository.passkeys(session, user_id),
        factor_repository.spare_codes_left(session, user_id),
    )


def offer_app(session: WriteSession, seal: Seal, *, user_id: int, session_id: int, now: datetime) -> OfferedApp:
    """Make the secret of a new authenticator app, for this session alone; what was offered before is over.

    It counts once confirmed. Nobody is shown what another session was: a secret that a thief saw would be theirs too.
    """
    _check_none(session, user_id)
    account_repository.withdraw_tickets(session, kind=TicketKind.APP_ADD.value, user_id=user_id, now=now)
    secret = secrets.token_bytes(totp.SECRET_BYTES)
    data = {"secret": seal.close(secret, about=f"totp:{user_id}").hex(), "session": session_id}
    ticket = tickets.issue(session, kind=TicketKind.APP_ADD, life=APP_OFFER_LIFE, now=now, user_id=user_id, data=data)
    return OfferedApp(secret, ticket)


def offered_app(
    session: ReadSession | WriteSession, seal: Seal, *, user_id: int, session_id: int, ticket: str, now: datetime
) -> OfferedApp:
    """Return what was offered to this session and is not over. Raises `LinkOver`."""
    over = "this key is over, or was shown in another session: set the app up again"
    try:
        found = tickets.look(session, kind=TicketKind.APP_ADD, secret=ticket, now=now)
    except LinkOver as error:
        raise LinkOver(over) from error
    if (found.user_id, found.data["session"]) != (user_id, session_id):
        raise LinkOver(over)
    return OfferedApp(seal.open(bytes.fromhex(found.data["secret"]), about=f"totp:{user_id}"), ticket)


def confirm_app(
    session: WriteSession, seal: Seal, *, user_id: int, session_id: int, ticket: str, code: str, now: datetime
) -> None:
    """Let the offered app count, proven by its first code. Raises `WrongCode`, `LinkOver`, `Conflict`."""
    offered = offered_app(session, seal, user_id=user_id, session_id=session_id, ticket=ticket, now=now)
    step = totp.step_of_code(offered.secret, _digits(code), now=now, after=0)
    if step is None:
        raise WrongCode("the code is not right: wait for the next one and check that the phone's clock is right")
    repository.lock_subjects(session, [_subject(user_id)])
    _check_none(session, user_id)
    used = tickets.redeem(session, kind=TicketKind.APP_ADD, secret=ticket, now=now)
    sealed, used.data = bytes.fromhex(used.data["secret"]), {}  # from here on the secret is kept once
    session.add(Totp(user_id=user_id, secret=sealed, made_at=used.created_at, confirmed_at=now, last_step=step))
    session.flush()
    repository.forget_attempts(session, ids=[], subject=_subject(user_id))
    note_added(session, user_id=user_id, what="app", now=now)


def _check_none(session: WriteSession, user_id: int) -> None:
    if factor_repository.totp(session, user_id) is not None:
        raise Conflict("an authenticator app is set up already: remove it first")


def new_spare_codes(session: WriteSession, *, user_id: int, now: datetime) -> list[str]:
    """Make ten codes on paper, each good once; the old ones end. They are shown now and never again."""
    made = [_spare_code() for _ in range(SPARE_CODES)]
    factor_repository.replace_spare_codes(session, user_id=user_id, hashes=[secret_hash(_plain(one)) for one in made])
    who = f"user:{user_id}"
    audit.record(session, actor=who, tag=Tag.SPARE_CODES_CREATE, subject=who, detail={"codes": len(made)}, now=now)
    return made


def show_code(engine: Engine, seal: Seal, *, user_id: int, session_id: int, code: str, now: datetime) -> str:
    """Check a one-time code and return the session's new secret. Raises `WrongCode` or `TooManyAttempts`.

    The attempt is counted before the code is looked at, in a transaction of its own, so that guesses sent in parallel
    are counted too. A code is good once, for whichever session came first.
    """
    attempt = count_attempt(engine, user_id=user_id, now=now)
    with write_session(engine) as session:
        used = _use_code(session, seal, user_id=user_id, code=code, now=now)
        who = f"user:{user_id}"
        if not used:
            audit.record(session, actor=who, tag=Tag.FACTOR_REFUSE, subject=who, detail={}, now=now)
        else:
            repository.forget_attempts(session, ids=[attempt], subject=_subject(user_id))
            audit.record(session, actor=who, tag=Tag.FACTOR_SHOW, subject=who, detail={"factor": used}, now=now)
            return sessions.renew(session, session_id=session_id, now=now)
    raise WrongCode("the code is not right or was used already: wait for the next one")


def count_attempt(engine: Engine, *, user_id: int, now: datetime) -> int:
    """Count a try at a second factor before it is looked at; return its row. Raises `TooManyAttempts`."""
    subject = _subject(user_id)
    with write_session(engine) as session:
        repository.lock_subjects(session, [subject])
        failures = repository.failures_since(session, subjects=[subject], since=now - throttle.WINDOW)
        throttle.check_limits({subject: throttle.CODE_FAILURES_MAX}, failures)
        attempt = Attempt(subject=subject, at=now)
        session.add(attempt)
        session.flush()
        return attempt.id or 0


def remove_app(session: WriteSession, *, user_id: int, letters: Letters, now: datetime) -> None:
    """Take the authenticator app away, with the codes on paper when it was the last factor."""
    if not factor_repository.remove_totp(session, user_id=user_id):
        raise NotFound("there is no authenticator app to remove")
    after_removal(session, user_id=user_id, what="app", actor=f"user:{user_id}", letters=letters, now=now)


def reset_factors(session: WriteSession, *, email: str, actor: str, letters: Letters, now: datetime) -> None:
    """Take every second factor of somebody away and end their sessions: for who lost phone, key and paper."""
    user = repository.user_by_email(session, email.strip().lower())
    if user is None or user.id is None:
        raise NotFound(f"{email} has no account: check the address")
    factor_repository.remove_totp(session, user_id=user.id)
    factor_repository.remove_passkeys(session, user_id=user.id)
    sessions.cut_off(session, user_id=user.id, now=now)
    after_removal(session, user_id=user.id, what="all", actor=actor, letters=letters, now=now)


def after_removal(
    session: WriteSession, *, user_id: int, what: str, actor: str, letters: Letters, now: datetime
) -> None:
    """Record that a factor went, tell its owner, and forget the codes on paper when none is left."""
    if not factor_repository.has_factor(session, user_id):
        factor_repository.replace_spare_codes(session, user_id=user_id, hashes=[])
    repository.notify_identity(session)
    detail = {"factor": what}
    audit.record(session, actor=actor, tag=Tag.FACTOR_REMOVE, subject=f"user:{user_id}", detail=detail, now=now)
    user = account_repository.user_by_id(session, user_id)
    if user is not None:
        letters.warn(session, email=user.email, language=user.language, what="factor_removed", now=now)


def warn_added(session: WriteSession, *, user_id: int, letters: Letters, now: datetime) -> None:
    """Tell somebody that their account got a second factor."""
    user = account_repository.user_by_id(session, user_id)
    if user is not None:
        letters.warn(session, email=user.email, language=user.language, what="factor_added", now=now)


def note_added(session: WriteSession, *, user_id: int, what: str, now: datetime) -> None:
    """Record that somebody has one more second factor."""
    repository.notify_identity(session)
    who = f"user:{user_id}"
    audit.record(session, actor=who, tag=Tag.FACTOR_ADD, subject=who, detail={"factor": what}, now=now)


def _use_code(session: WriteSession, seal: Seal, *, user_id: int, code: str, now: datetime) -> str:
    """Use a code up; return which factor it was of, or nothing."""
    digits = _digits(code)
    app = factor_repository.totp(session, user_id)
    if len(digits) == totp.DIGITS and app is not None:
        secret = seal.open(app.secret, about=f"totp:{user_id}")
        step = totp.step_of_code(secret, digits, now=now, after=app.last_step)
        return "app" if step is not None and factor_repository.take_step(session, user_id=user_id, step=step) else ""
    hashed = secret_hash(_plain(code))
    return "paper" if factor_repository.use_spare_code(session, user_id=user_id, hashed=hashed, now=now) else ""


def _subject(user_id: int) -> str:
    return f"code:{user_id}"


def _digits(code: str) -> str:
    return "".join(mark for mark in code[:CODE_CHARS_MAX] if mark.isascii() and mark.isdigit())


def _spare_code() -> str:
    """Seven groups of four hexadecimal marks."""
    text = secrets.token_hex(SPARE_CODE_BYTES)
    return "-".join(text[start : start + 4] for start in range(0, len(text), 4))


def _plain(code: str) -> str:
    return code[:CODE_CHARS_MAX].replace("-", "").replace(" ", "").lower()
