"""Passkeys (WebAuthn): made and shown against a one-time challenge, bound to this host. The library's only door."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from webauthn import (
    base64url_to_bytes,
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from central.audit import service as audit
from central.audit.tags import Tag
from central.identity import (
    account_repository,
    accounts,
    factor_repository,
    repository,
    second_factor,
    sessions,
    tickets,
)
from central.identity.models import Passkey
from central.identity.rules import CHALLENGE_LIFE, PASSKEYS_A_PERSON_MAX
from central.identity.second_factor import WrongCode, count_attempt
from central.identity.tickets import TicketKind
from central.kit.db import write_session
from central.kit.errors import Conflict, Invalid, NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Engine

    from central.identity.letters import Letters
    from central.kit.db import WriteSession

CREDENTIAL_CHARS_MAX = 20_000
RELYING_PARTY = "Site attendance"


@dataclass(frozen=True, slots=True)
class Here:
    """What passkeys are bound to: the host's name, and the origin `https://host[:port]`."""

    host: str
    origin: str


def adding_options(session: WriteSession, *, user_id: int, host: str, now: datetime) -> dict[str, Any]:
    """Begin to add a passkey: what `navigator.credentials.create` takes, and a secret to send back with it."""
    user = account_repository.user_by_id(session, user_id)
    if user is None:
        raise NotFound("there is no such account")
    there = factor_repository.passkeys(session, user_id)
    if len(there) >= PASSKEYS_A_PERSON_MAX:
        raise Conflict(f"you have {len(there)} passkeys: remove one first")
    options = generate_registration_options(
        rp_id=host,
        rp_name=RELYING_PARTY,
        user_id=f"user:{user_id}".encode(),
        user_name=user.email,
        user_display_name=user.name,
        exclude_credentials=_named(there),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED, user_verification=UserVerificationRequirement.PREFERRED
        ),
    )
    return _challenged(
        session, TicketKind.PASSKEY_ADD, user_id=user_id, options=json.loads(options_to_json(options)), now=now
    )


def add(
    session: WriteSession,
    *,
    user_id: int,
    secret: str,
    credential: str,
    name: str,
    here: Here,
    letters: Letters,
    now: datetime,
) -> None:
    """Keep a new passkey. Raises `LinkOver`, `WrongCode`, `Conflict`, `Invalid`."""
    accounts.check_name(name)
    challenge = _challenge(session, TicketKind.PASSKEY_ADD, user_id=user_id, secret=secret, now=now)
    try:
        made = verify_registration_response(
            credential=_read(credential),
            expected_challenge=challenge,
            expected_rp_id=here.host,
            expected_origin=here.origin,
        )
    except (WebAuthnException, ValueError) as error:
        raise WrongCode("the passkey could not be checked: try again, or use another device") from error
    if factor_repository.passkey_known(session, made.credential_id):
        raise Conflict("this passkey belongs to an account already: use another one")
    session.add(
        Passkey(
            user_id=user_id,
            credential_id=made.credential_id,
            public_key=made.credential_public_key,
            sign_count=made.sign_count,
            name=name.strip(),
            made_at=now,
        )
    )
    session.flush()
    second_factor.note_added(session, user_id=user_id, what="passkey", now=now)
    second_factor.warn_added(session, user_id=user_id, letters=letters, now=now)


def showing_options(session: WriteSession, *, user_id: int, host: str, now: datetime) -> dict[str, Any]:
    """Begin to show a passkey: what `navigator.credentials.get` takes, and a secret to send back with it."""
    there = factor_repository.passkeys(session, user_id)
    if not there:
        raise NotFound("there is no passkey at this account: use a one-time code")
    options = generate_authentication_options(
        rp_id=host, allow_credentials=_named(there), user_verification=UserVerificationRequirement.PREFERRED
    )
    return _challenged(
        session, TicketKind.PASSKEY_SHOW, user_id=user_id, options=json.loads(options_to_json(options)), now=now
    )


def show(
    engine: Engine,
    *,
    user_id: int,
    session_id: int,
    secret: str,
    credential: str,
    here: Here,
    now: datetime,
) -> str:
    """Check a passkey's answer and return the session's new secret. Raises `WrongCode`, `LinkOver`, `TooManyAttempts`.

    A challenge is used up by its first answer, right or wrong; a counter that stands still or goes back is refused.
    """
    attempt = count_attempt(engine, user_id=user_id, now=now)
    with write_session(engine) as session:
        challenge = _challenge(session, TicketKind.PASSKEY_SHOW, user_id=user_id, secret=secret, now=now)
        used = _verify(session, user_id, challenge, _read(credential), here=here, now=now)
        who = f"user:{user_id}"
        if not used:
            audit.record(session, actor=who, tag=Tag.FACTOR_REFUSE, subject=who, detail={}, now=now)
        else:
            repository.forget_attempts(session, ids=[attempt], subject=f"code:{user_id}")
            audit.record(session, actor=who, tag=Tag.FACTOR_SHOW, subject=who, detail={"factor": "passkey"}, now=now)
            return sessions.renew(session, session_id=session_id, now=now)
    raise WrongCode("the passkey could not be checked: try again, or use another device")


def _verify(
    session: WriteSession,
    user_id: int,
    challenge: bytes,
    credential: dict[str, Any],
    *,
    here: Here,
    now: datetime,
) -> bool:
    try:
        named = base64url_to_bytes(str(credential.get("id", "")))
    except ValueError:
        return False
    key = next((one for one in factor_repository.passkeys(session, user_id) if one.credential_id == named), None)
    if key is None or key.id is None:
        return False
    try:
        shown = verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=here.host,
            expected_origin=here.origin,
            credential_public_key=key.public_key,
            credential_current_sign_count=key.sign_count,
        )
    except (WebAuthnException, ValueError):
        return False
    return factor_repository.use_passkey(
        session, passkey_id=key.id, sign_count=shown.new_sign_count, before=key.sign_count, now=now
    )


def remove(session: WriteSession, *, user_id: int, passkey_id: int, letters: Letters, now: datetime) -> None:
    """Take one passkey away."""
    if not factor_repository.remove_passkeys(session, user_id=user_id, passkey_id=passkey_id):
        raise NotFound("there is no such passkey of yours")
    second_factor.after_removal(
        session, user_id=user_id, what="passkey", actor=f"user:{user_id}", letters=letters, now=now
    )


def _named(there: Sequence[Passkey]) -> list[PublicKeyCredentialDescriptor]:
    return [PublicKeyCredentialDescriptor(id=one.credential_id) for one in there]


def _challenged(
    session: WriteSession, kind: TicketKind, *, user_id: int, options: dict[str, Any], now: datetime
) -> dict[str, Any]:
    data = {"challenge": options["challenge"]}
    secret = tickets.issue(session, kind=kind, life=CHALLENGE_LIFE, now=now, user_id=user_id, data=data)
    return {"options": options, "ticket": secret}


def _challenge(session: WriteSession, kind: TicketKind, *, user_id: int, secret: str, now: datetime) -> bytes:
    """Use the challenge up; it is this person's, or it is over."""
    found = tickets.redeem(session, kind=kind, secret=secret, now=now)
    if found.user_id != user_id:
        raise tickets.LinkOver("this link was used already or its time is over: ask for a new one")
    return base64url_to_bytes(found.data["challenge"])


def _read(credential: str) -> dict[str, Any]:
    if len(credential) > CREDENTIAL_CHARS_MAX:
        raise Invalid("the passkey's answer is too long: try again")
    try:
        found = json.loads(credential)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Invalid("the passkey's answer cannot be read: try again with JavaScript switched on")
    return found
