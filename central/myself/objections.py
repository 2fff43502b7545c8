"""Objections to what is recorded of a day: opened by the worker, answered by the employer, decided by the client.

Each step is a row that stays. What an employer agrees to stands beside the taps; no tap is changed (EVD-01).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from psycopg.errors import UniqueViolation
from sqlalchemy.exc import IntegrityError

from central.audit import service as audit
from central.audit.tags import Tag
from central.kit.errors import AppError, Conflict, Invalid, NotFound
from central.kit.sentences import sentence
from central.kit.states import Transition
from central.myself import hands, repository, rules
from central.myself.models import WORDS_CHARS_MAX, Objection, ObjectionEvent
from central.myself.rules import employer_on
from central.myself.states import OBJECTION, OWN

if TYPE_CHECKING:
    from datetime import date, datetime

    from central.identity.policy import Actor
    from central.kit.db import WriteSession

NOT_YOURS = "there is no such objection, or it is not yours to see"
SAME_DAY = sentence("You objected to this day already. Open that objection.")
FROM_THE_DESK = sentence("You signed in with a code of the site office. Sign in by text message or card to do this.")
NEW_WAY_IN = sentence(
    "An office changed your telephone number or gave you a card less than 7 days ago. You can do this after the 7 days."
)
CHANGED = sentence("Somebody answered meanwhile. Open the page again.")


_OPENED: Transition[str, str] = Transition("", "open", "open", OWN, Tag.OBJECTION_OPEN)


class DeskSession(AppError):
    """The session was begun with what the contractor's desk gave or entered, so it takes nothing back."""

    status = 403
    code = "desk_session"


def open_objection(
    session: WriteSession, *, actor: Actor, site: str, on_day: date, words: str, times: tuple[str, str], now: datetime
) -> Objection:
    """Open an objection of the worker who is signed in. `times`: first in and last out as `HH:MM`, or empty.

    Raises `Invalid`, `NotFound` for a site where they never worked, `Conflict` for a second one against one day.
    """
    today = now.astimezone(rules.ZONE).date()
    first_in, last_out = (one.strip() for one in times)
    rules.check_objection(on_day=on_day, words=words.strip(), first_in=first_in, last_out=last_out, today=today)
    place = repository.site_by_code(session, site)
    if place is None:
        raise NotFound(NOT_YOURS)
    row = Objection(
        worker_id=actor.worker_id or 0,
        site_id=place.id or 0,
        employer_id=_answers(session, actor=actor, site_id=place.id or 0, site=site, on_day=on_day),
        on_day=on_day,
        words=_bounded(words),
        first_in=first_in,
        last_out=last_out,
        language=actor.language,
        opened_at=now,
        opened_by=actor.method,
        state="open",
        due_at=rules.due(rules.deadlines(today).answer_days, today=today),
        changed_at=now,
    )
    session.add(row)
    try:
        session.flush()
    except IntegrityError as error:
        if isinstance(error.orig, UniqueViolation):
            raise Conflict(SAME_DAY) from error
        raise
    _record(session, row, _OPENED, Said(), actor=actor, now=now)
    return row


def _answers(session: WriteSession, *, actor: Actor, site_id: int, site: str, on_day: date) -> int:
    """Find who answers: the employer of that day, else the site's prime contractor."""
    spells = repository.spells(session, worker_id=actor.worker_id or 0)
    spell = employer_on(spells, site=site, on=on_day)
    found = spell.employer_id if spell is not None else repository.prime_on(session, site_id=site_id, on=on_day)
    if found is None:
        raise Invalid(sentence("Nobody is on record who could answer for this day. Ask your site office."))
    return found


def step_of_worker(session: WriteSession, *, row: Objection, event: str, actor: Actor, now: datetime) -> None:
    """Withdraw an objection, or insist on a refused one. Raises `RefusedTransition`, `DeskSession`, `Conflict`."""
    if OBJECTION.step(row.state, event).permission != OWN:
        raise NotFound(NOT_YOURS)
    _require_own_hand(session, actor, now=now)
    if event == "insist" and now >= row.due_at:
        raise Conflict(sentence("The time to ask the client is over."))
    take_step(session, row, event, Said(), actor=actor, now=now)


def _require_own_hand(session: WriteSession, actor: Actor, *, now: datetime) -> None:
    """Pass a session that surely is the worker's own, or raise `DeskSession`."""
    if actor.method == hands.DESK:
        raise DeskSession(FROM_THE_DESK)
    if hands.is_new(actor.method, repository.changed_ways_in(session, actor.worker_id or 0, now=now), now=now):
        raise DeskSession(NEW_WAY_IN)


class Said(NamedTuple):
    """What a step says."""

    words: str = ""
    agreed: Mapping[str, str] = MappingProxyType({})


def take_step(
    session: WriteSession,
    row: Objection,
    event: str,
    said: Said,
    *,
    actor: Actor,
    now: datetime,
) -> None:
    """The one door: from the state that was seen to the next, or nothing."""
    step = OBJECTION.step(row.state, event)
    today = now.astimezone(rules.ZONE).date()
    days = rules.days_for(step.next_state, rules.deadlines(today))
    due_at = row.due_at if days is None else rules.due(days, today=today)
    if not repository.move(
        session, objection_id=row.id or 0, from_state=step.state, to_state=step.next_state, due_at=due_at, now=now
    ):
        raise Conflict(CHANGED)
    _record(session, row, step, said, actor=actor, now=now)


def _record(
    session: WriteSession, row: Objection, step: Transition[str, str], said: Said, *, actor: Actor, now: datetime
) -> None:
    session.add(
        ObjectionEvent(
            objection_id=row.id or 0,
            event=step.event,
            from_state=step.state,
            to_state=step.next_state,
            at=now,
            recorded_by=actor.key,
            words=_bounded(said.words),
            agreed=dict(said.agreed),
        )
    )
    detail = {"worker": row.worker_id, "on": row.on_day, "to": step.next_state, "by": actor.method or "account"}
    audit.record(session, actor=actor.key, tag=step.tag, subject=f"objection:{row.id}", detail=detail, now=now)


def _bounded(words: str) -> str:
    return words.replace("\0", "").strip()[:WORDS_CHARS_MAX]
