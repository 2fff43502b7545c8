"""The registry's JSON API for cards and whose they were. A right on some sites reaches the cards of people there."""

# ruff: noqa: FAST003 - the card's dependency reads {card_id}

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import JSONResponse

from central.identity.guards import CurrentActor
from central.identity.once import WriteOnce
from central.identity.permissions import Permission
from central.identity.policy import Actor, allowed
from central.kit.db import ReadSession, WriteSession
from central.kit.errors import Invalid
from central.kit.paging import ITEMS_A_PAGE, Cursor, Limit, decode_cursor
from central.registry import cards, repository, rules, schemas, workers
from central.registry.card_key import load_card_key
from central.registry.endpoints import Now, RowId, page_of, view_of
from central.registry.models import Card, CardAssignment
from central.registry.sessions import confined_reading, confined_writing

router = APIRouter(prefix="/api/v1", tags=["registry"])

assignment_view = view_of(schemas.AssignmentView)
event_view = view_of(schemas.CardEventView)

_SAME_DAY = "another worker held this card earlier on the same day: compare the day's taps before confirming work days"
CardReading = Annotated[ReadSession, Depends(confined_reading(Permission.REGISTRY_CARD_READ))]
CardWriting = Annotated[WriteSession, Depends(confined_writing(Permission.REGISTRY_CARD_WRITE))]


def card_to_write(card_id: RowId, session: CardWriting) -> Card:
    """Find the card of the path, or 404, before anything of the request's body is looked at."""
    return cards.card(session, card_id=card_id)


CardToWrite = Annotated[Card, Depends(card_to_write)]


@router.get("/cards")
def list_cards(
    session: CardReading,
    now: Now,
    token: Annotated[str | None, Query(max_length=32)] = None,
    limit: Limit = ITEMS_A_PAGE,
    cursor: Cursor = None,
) -> schemas.Page[schemas.CardView]:
    """List the cards that you may see, with their present holders."""
    query = repository.cards_query(token=token)
    rows = repository.list_rows(session, query, after=decode_cursor(cursor), limit=limit)
    held = repository.current_holders(session, cards=[row.id or 0 for row in rows], now=now)
    return page_of(rows, limit=limit, show=lambda row: _card_view(row, held.get(row.id)))


@router.post("/cards", status_code=201, response_model=schemas.CardView)
def create_card(
    body: schemas.CardGiven,
    request: Request,
    session: CardWriting,
    actor: CurrentActor,
    once: WriteOnce,
    now: Now,
) -> JSONResponse:
    """Register a card by token or uid, with its holder when given. The uid is turned into the token and dropped."""
    key = load_card_key(request.app.state.settings.card_key_file) if body.uid is not None else None
    token = rules.token_of(token=body.token, uid=body.uid, card_key=key)
    named = body.model_copy(update={"token": token, "uid": None})
    if body.holder is None and not allowed(actor, Permission.REGISTRY_CARD_WRITE):
        raise Invalid("give the card's holder: your right to register cards holds on some sites only")

    def work() -> schemas.CardView:
        card = cards.register_card(session, token=token, kind=body.kind, actor=actor.key, now=now)
        holder = None
        if body.holder is not None:
            holder = _assign(session, card, body.holder, actor=actor, now=now)
        return _card_view(card, holder)

    return once.write(session, named, work, now=now)


@router.get("/cards/{card_id}")
def get_card(card_id: RowId, session: CardReading, now: Now) -> schemas.CardView:
    """Give one card with its present holder."""
    card = cards.card(session, card_id=card_id)
    return _card_view(card, repository.current_holders(session, cards=[card_id], now=now).get(card_id))


@router.get("/cards/{card_id}/assignments")
def list_assignments(
    card_id: RowId, session: CardReading, limit: Limit = ITEMS_A_PAGE, cursor: Cursor = None
) -> schemas.Page[schemas.AssignmentView]:
    """List whose card it was."""
    cards.card(session, card_id=card_id)
    query = repository.assignments_query(card_id=card_id)
    rows = repository.list_rows(session, query, after=decode_cursor(cursor), limit=limit)
    return page_of(rows, limit=limit, show=assignment_view)


@router.post("/cards/{card_id}/assignments", status_code=201, response_model=schemas.AssignmentView)
def create_assignment(
    card: CardToWrite,
    body: schemas.AssignmentGiven,
    session: CardWriting,
    actor: CurrentActor,
    once: WriteOnce,
    now: Now,
) -> JSONResponse:
    """Give a card to a worker."""

    def work() -> schemas.AssignmentView:
        row = _assign(session, card, body, actor=actor, now=now)
        others = cards.same_day_holders(session, card_id=row.card_id, worker_id=row.worker_id, from_at=row.from_at)
        return assignment_view(row).model_copy(update={"notices": [_SAME_DAY] if others else []})

    return once.write(session, body, work, now=now)


@router.patch("/cards/{card_id}/assignments/{row_id}")
def end_assignment(
    card: CardToWrite,
    row_id: RowId,
    body: schemas.AssignmentEnded,
    session: CardWriting,
    actor: CurrentActor,
    now: Now,
) -> schemas.AssignmentView:
    """End a holding: lost, replaced, returned, blocked or expired."""
    until_at = body.until_at or now
    row = cards.release_card(
        session, card=card, row_id=row_id, until_at=until_at, reason=body.reason, actor=actor.key, now=now
    )
    return assignment_view(row)


def _assign(
    session: WriteSession,
    card: Card,
    given: schemas.AssignmentGiven,
    *,
    actor: Actor,
    now: datetime,
) -> CardAssignment:
    workers.worker(session, worker_id=given.worker_id)
    return cards.assign_card(
        session,
        card=card,
        worker_id=given.worker_id,
        from_at=given.from_at or now,
        until_at=given.until_at,
        actor=actor.key,
        now=now,
    )


def _card_view(card: Card, holder: CardAssignment | None) -> schemas.CardView:
    shown = assignment_view(holder) if holder is not None else None
    return schemas.CardView(id=card.id or 0, token=card.token, kind=card.kind, state=card.state, holder=shown)


@router.get("/cards/{card_id}/events")
def list_card_events(
    card_id: RowId, session: CardReading, limit: Limit = ITEMS_A_PAGE, cursor: Cursor = None
) -> schemas.Page[schemas.CardEventView]:
    """List the steps of a card's life."""
    cards.card(session, card_id=card_id)
    query = repository.card_events_query(card_id=card_id)
    rows = repository.list_rows(session, query, after=decode_cursor(cursor), limit=limit)
    return page_of(rows, limit=limit, show=event_view)


@router.post("/cards/{card_id}/events", status_code=201, response_model=schemas.CardView)
def step_card(
    card: CardToWrite,
    body: schemas.CardStepGiven,
    session: CardWriting,
    actor: CurrentActor,
    once: WriteOnce,
    now: Now,
) -> JSONResponse:
    """Block, unblock, find or replace a card that nobody holds; a holding is ended at its assignment."""

    def work() -> schemas.CardView:
        return _card_view(
            cards.step_card(session, card=card, event=body.event, note=body.note, actor=actor.key, now=now), None
        )

    return once.write(session, body, work, now=now)
