"""Answers to objections: by the employer whose day it was, and after a refusal by the client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from central.identity.permissions import Permission
from central.identity.policy import require, require_rows
from central.kit.errors import AppError, Invalid, NotFound
from central.kit.ids import OrganizationId, SiteId
from central.kit.sentences import sentence
from central.myself.objections import NOT_YOURS, Said, take_step
from central.myself.rules import CLOCK
from central.myself.states import OBJECTION, OWN

if TYPE_CHECKING:
    from datetime import datetime

    from central.identity.policy import Actor
    from central.kit.db import WriteSession
    from central.myself.models import Objection


def answer(
    session: WriteSession,
    *,
    row: Objection,
    event: str,
    words: str,
    agreed: tuple[str, str],
    actor: Actor,
    now: datetime,
) -> None:
    """Uphold or refuse an objection, as its employer, or after a refusal as the client.

    Raises `Forbidden` or `NotFound` as the policy says, `Invalid` without a reason or the agreed times.
    """
    transition = OBJECTION.step(row.state, event)
    if transition.permission == OWN:
        raise NotFound(NOT_YOURS)
    _require(actor, transition.permission, row)
    first_in, last_out = (one.strip() for one in agreed)
    if event == "uphold":
        _check_agreed(first_in=first_in, last_out=last_out)
        take_step(session, row, event, Said(words, {"first_in": first_in, "last_out": last_out}), actor=actor, now=now)
        return
    if not words.strip():
        raise Invalid(sentence("Write why: the worker reads it, and the client may have to decide about it."))
    take_step(session, row, event, Said(words), actor=actor, now=now)


def may(actor: Actor, row: Objection) -> list[str]:
    """Return the answers that somebody may give to an objection now."""
    found = []
    for event in sorted(OBJECTION.events(row.state)):
        permission = OBJECTION.step(row.state, event).permission
        if permission == OWN:
            continue
        try:
            _require(actor, permission, row)
        except AppError:
            continue
        found.append(event)
    return found


def _require(actor: Actor, permission: str, row: Objection) -> None:
    asked = Permission(permission)
    site = SiteId(row.site_id)
    if asked is Permission.ATTENDANCE_OBJECTION_DECIDE:
        require(actor, asked, site_id=site)
    else:
        require_rows(actor, asked, site_id=site, employer_id=OrganizationId(row.employer_id))


def _check_agreed(*, first_in: str, last_out: str) -> None:
    """Pass when an employer agrees to something that can be recorded, or raise `Invalid`."""
    if not (first_in or last_out):
        raise Invalid(sentence("Enter the time of the way in, of the way out, or both, as they were."))
    if any(one and CLOCK.fullmatch(one) is None for one in (first_in, last_out)):
        raise Invalid(sentence("Write a time like 07:30."))
