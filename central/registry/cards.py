"""Cards and whose they are: registered, given, ended, and moved along their life (`states.CARD`)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from central.audit import service as audit
from central.audit.tags import Tag
from central.kit.errors import Conflict, Invalid, NotFound
from central.kit.sentences import sentence
from central.registry import notices, repository, rules
from central.registry.models import Card, CardAssignment
from central.registry.places import apply_changes
from central.registry.present import require_given_back, require_present
from central.registry.record_models import CardEvent
from central.registry.refusals import NotGivable, flush
from central.registry.states import CARD, CARD_EVENT_OF_REASON, TEMPORARY_CARD_DAYS_MAX

if TYPE_CHECKING:
    from datetime import datetime

    from central.kit.db import ReadSession, WriteSession

ZONE = ZoneInfo("Asia/Seoul")
"""Cards are the country's, so their days are its days."""
_TEMPORARY_MAX = timedelta(days=TEMPORARY_CARD_DAYS_MAX)


def card(session: ReadSession | WriteSession, *, card_id: int) -> Card:
    """Return a card within the session's reach, or raise `NotFound`."""
    row = repository.card_by_id(session, card_id)
    if row is None:
        raise NotFound(sentence("there is no card %(id)s, or not on your sites: check the number", id=card_id))
    return row


def card_to_give(session: WriteSession, *, token: str) -> Card | None:
    """Find the card that is in somebody's hand, within reach or not: nobody's cards are within nobody's reach.

    Who holds one knows its token; a card that another has, or that was lost, is refused when it is given.
    """
    return repository.card_in_hand(session, token)


def register_card(session: WriteSession, *, token: str, kind: str = "card", actor: str, now: datetime) -> Card:
    """Register a card by its token; it is nobody's yet."""
    row = Card(token=token, kind=rules.one_of("kind", kind, rules.CARD_KINDS), state="stock", created_at=now)
    session.add(row)
    flush(session)
    detail = {"token": token, "kind": kind}
    audit.record(session, actor=actor, tag=Tag.CARD_CREATE, subject=f"card:{row.id}", detail=detail, now=now)
    return row


def holding_end(kind: str, from_at: datetime, until_at: datetime | None) -> datetime | None:
    """Return when a holding ends: as given; a temporary card's after 30 days at the latest."""
    rules.period(from_at, until_at)
    if kind != "temporary":
        return until_at
    if until_at is not None and until_at - from_at > _TEMPORARY_MAX:
        raise Invalid(
            sentence(
                "a temporary card is lent for %(days)s days at most: choose an earlier end",
                days=TEMPORARY_CARD_DAYS_MAX,
            )
        )
    return until_at or from_at + _TEMPORARY_MAX


def assign_card(
    session: WriteSession,
    *,
    card: Card,
    worker_id: int,
    from_at: datetime,
    until_at: datetime | None,
    actor: str,
    now: datetime,
) -> CardAssignment:
    """Say whose card it is during a period; taps already received are resolved again. A lost card is refused.

    Raises `NotPresent` for somebody who left: a card opens gates and the worker's own view.
    """
    require_present(session, worker_id=worker_id, now=now)
    ends_at = holding_end(card.kind, from_at, until_at)
    present = ends_at is None or ends_at > now
    if present and card.state not in {"stock", "issued"}:
        raise NotGivable.of(card.state)
    row = CardAssignment(card_id=card.id or 0, worker_id=worker_id, from_at=from_at, until_at=ends_at, given_at=now)
    session.add(row)
    flush(session)
    if present and card.state == "stock":
        _move(session, card, "issue", at=from_at, actor=actor, now=now, note="")
    notices.tell(session, tokens=[card.token], sites=repository.sites_of_worker(session, worker_id=worker_id))
    detail = {"card_id": row.card_id, "worker_id": worker_id, "from": from_at, "until": ends_at}
    others = same_day_holders(session, card_id=row.card_id, worker_id=worker_id, from_at=from_at)
    if others:
        detail["same_day_as"] = others
    audit.record(session, actor=actor, tag=Tag.CARD_ASSIGN, subject=f"card:{card.id}", detail=detail, now=now)
    return row


def same_day_holders(
    session: ReadSession | WriteSession, *, card_id: int, worker_id: int, from_at: datetime
) -> list[int]:
    """Return the other workers who had the card on the day that a holding begins: their taps are to be compared."""
    day = from_at.astimezone(ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
    return repository.holders_between(
        session, card_id=card_id, other_than=worker_id, from_at=day, until_at=day + timedelta(days=1)
    )


def release_card(
    session: WriteSession, *, card: Card, row_id: int, until_at: datetime, reason: str, actor: str, now: datetime
) -> CardAssignment:
    """End a holding: the card stopped being theirs at `until_at`, and goes where the reason leads.

    Raises `NotPresent` for the card of somebody who works for others by now.
    """
    row = session.get(CardAssignment, row_id)
    if row is None or row.card_id != card.id:
        raise NotFound(sentence("the card has no assignment %(id)s: see the card's assignments", id=row_id))
    require_given_back(session, worker_id=row.worker_id, now=now)
    rules.period(row.from_at, until_at)
    event = CARD_EVENT_OF_REASON[rules.one_of("reason", reason, rules.ENDED_REASONS)]
    was_present = row.until_at is None or row.until_at > now
    changed = apply_changes(row, {"until_at": until_at, "ended_reason": reason})
    flush(session)
    if was_present and card.state == "issued":
        _move(session, card, event, at=until_at, actor=actor, now=now, note="")
    notices.tell(session, tokens=[card.token], sites=repository.sites_of_worker(session, worker_id=row.worker_id))
    audit.record(session, actor=actor, tag=Tag.CARD_RELEASE, subject=f"card:{card.id}", detail=changed, now=now)
    return row


def step_card(session: WriteSession, *, card: Card, event: str, note: str, actor: str, now: datetime) -> Card:
    """Move a card that nobody holds along its life: block, unblock, find, replace."""
    if card.state == "issued":
        raise Conflict("somebody holds the card: end the holding with its reason, at its assignment")
    if event == "issue":
        raise Invalid("a card is issued by giving it to a worker: add an assignment")
    before = card.state
    _move(session, card, event, at=now, actor=actor, now=now, note=note)
    detail = {"event": event, "from": before, "to": card.state}
    audit.record(session, actor=actor, tag=Tag.CARD_STEP, subject=f"card:{card.id}", detail=detail, now=now)
    return card


def _move(session: WriteSession, card: Card, event: str, *, at: datetime, actor: str, now: datetime, note: str) -> None:
    step = CARD.step(card.state, event)
    if not repository.move_card(session, card_id=card.id or 0, from_state=card.state, to_state=step.next_state):
        raise Conflict("somebody else changed the card at this moment: look at it again")
    session.add(
        CardEvent(
            card_id=card.id or 0,
            event=event,
            from_state=card.state,
            to_state=step.next_state,
            at=at,
            recorded_at=now,
            recorded_by=actor,
            note=note,
        )
    )
    session.flush()
    session.refresh(card, ["state"])
