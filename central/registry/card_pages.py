"""Pages of cards: the list, one card's life, giving one to a worker, and what may happen to it next."""

# ruff: noqa: FAST003 - the dependencies read {card_id} and {worker_id}

from __future__ import annotations

from datetime import date, datetime, time
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from central.identity.guards import CurrentActor
from central.identity.permissions import Permission
from central.identity.saved_views import views_of
from central.kit.db import ReadSession
from central.kit.errors import Invalid, NotFound
from central.kit.forms import Filled, Form, FormSent, Input, Posted, Second, say, show, submit
from central.kit.lists import Asked, asked_for
from central.kit.web import language_of, page, translate
from central.registry import cards, inputs, lists, repository, rules, typed, wording, workers
from central.registry.card_endpoints import CardReading, CardToWrite, CardWriting
from central.registry.card_key import load_card_key
from central.registry.cards import ZONE
from central.registry.endpoints import Now, RowId
from central.registry.models import Card, Worker
from central.registry.sessions import confined_reading
from central.registry.states import CARD, CARD_EVENT_OF_REASON
from central.registry.worker_pages import form_about, page_of_worker

STEPS_SHOWN_MAX = 100
FOR_GOOD = frozenset({"replace", "replaced"})
"""After these no step leads back."""
router = APIRouter(include_in_schema=False)
AskedList = Annotated[Asked, Depends(asked_for("/cards", sorts=tuple(lists.CARD_ORDERS), filters=lists.CARD_FILTERS))]
CardChanging = Annotated[ReadSession, Depends(confined_reading(Permission.REGISTRY_CARD_WRITE))]


@router.get("/cards")
def cards_page(request: Request, session: CardReading, actor: CurrentActor, asked: AskedList, now: Now) -> Response:
    """List the cards of people within reach, with who holds them now as far as the asker may know."""
    names = bool(actor.reach(Permission.REGISTRY_WORKER_READ))
    held, following = lists.cards(session, asked, now=now, names=names)
    language = language_of(request)
    return page(
        request,
        "registry/cards.html",
        asked=asked,
        saved=views_of(session, actor, asked.path),
        rows=held,
        following=following,
        names=names,
        states=wording.words_of(language, wording.CARD_STATES),
        kinds=wording.words_of(language, wording.CARD_KINDS),
    )


@router.get("/cards/{card_id}")
def card_page(request: Request, card_id: RowId, session: CardReading, actor: CurrentActor, now: Now) -> Response:
    """Show a card's life and whose it was, as far as the asker may know."""
    card = cards.card(session, card_id=card_id)
    names = bool(actor.reach(Permission.REGISTRY_WORKER_READ))
    return page(
        request,
        "registry/card.html",
        card=card,
        holders=lists.holders(session, card_id=card_id) if names else [],
        steps=repository.list_rows(
            session, repository.card_events_query(card_id=card_id), after=0, limit=STEPS_SHOWN_MAX
        ),
        holding=repository.current_holders(session, cards=[card_id], now=now).get(card_id),
        names=names,
        words=wording,
        may_change=bool(actor.reach(Permission.REGISTRY_CARD_WRITE)),
        may_step=bool(CARD.events(card.state)),
    )


# -- giving one to a worker


def worker_to_give(worker_id: RowId, session: CardWriting) -> Worker:
    """Find the worker within reach, or 404."""
    return workers.worker(session, worker_id=worker_id)


WorkerToGive = Annotated[Worker, Depends(worker_to_give)]


@router.get("/workers/{worker_id}/cards/new")
def new_card(request: Request, row: WorkerToGive) -> Response:
    """Ask for the card that a worker gets."""
    return show(request, _give_form(request, row), Filled({"kind": "card"}))


@router.post("/workers/{worker_id}/cards/new", dependencies=[FormSent])
def give_card(
    request: Request, row: WorkerToGive, posted: Posted, actor: CurrentActor, session: CardWriting, now: Now
) -> Response:
    """Give a worker a card, registering it when it is new. The raw identity is turned into the token and dropped."""

    def act(given: typed.CardTyped) -> str:
        token = _token(request, given.card)
        found = cards.card_to_give(session, token=token)
        if found is None:
            found = cards.register_card(session, token=token, kind=given.kind, actor=actor.key, now=now)
        until_at = start_of(given.until_on) if given.until_on else None
        cards.assign_card(
            session, card=found, worker_id=row.id or 0, from_at=now, until_at=until_at, actor=actor.key, now=now
        )
        return page_of_worker(row)

    form = _give_form(request, row)
    kept = posted | {"card": posted.get("card", "").strip()}
    return submit(request, session, form, kept, typed.CardTyped, act, done=say("The card is theirs from now on."))


def _give_form(request: Request, row: Worker) -> Form:
    title = translate(request, "A card for %(name)s", name=row.name)
    return form_about(request, row, title, inputs.card(language_of(request)))


def _token(request: Request, text: str) -> str:
    """Read what a reader typed: a token, or a raw identity."""
    if rules.TOKEN.match(text.lower()):
        return text.lower()
    key = load_card_key(request.app.state.settings.card_key_file)
    try:
        return rules.token_of(token=None, uid=text, card_key=key)
    except Invalid as refusal:
        raise Invalid(refusal.message, field="card") from refusal


def start_of(day: date) -> datetime:
    """Return a day's first instant in the country's time."""
    return datetime.combine(day, time.min, tzinfo=ZONE)


# -- what happens next


@router.get("/cards/{card_id}/next")
def ask_for_step(request: Request, card: CardToWrite) -> Response:
    """Ask what happened to a card: its holding's end, or a step of its own."""
    return show(request, _step_form(request, card))


@router.post("/cards/{card_id}/next", dependencies=[FormSent])
def step_card(
    request: Request, card: CardToWrite, posted: Posted, actor: CurrentActor, session: CardWriting, now: Now
) -> Response:
    """End a holding with its reason, or move a card that nobody holds; what is for good after a second look."""

    def act(given: typed.Stepped) -> str:
        if card.state == "issued":
            holding = repository.current_holders(session, cards=[card.id or 0], now=now).get(card.id or 0)
            if holding is None:
                raise NotFound("Nobody holds the card at this moment. Open the card's page again.")
            cards.release_card(
                session,
                card=card,
                row_id=holding.id or 0,
                until_at=now,
                reason=rules.one_of("reason", given.event, rules.ENDED_REASONS),
                actor=actor.key,
                now=now,
            )
        else:
            cards.step_card(session, card=card, event=given.event, note=given.note, actor=actor.key, now=now)
        return f"/cards/{card.id}"

    def look(_: typed.Stepped) -> Second:
        lines = [
            translate(request, "Card %(number)s", number=card.token[:8]),
            translate(request, "Another card takes its place; no terminal lets this one in again."),
        ]
        return Second(translate(request, "Replace this card for good?"), lines, translate(request, "Replace it"))

    form = _step_form(request, card)
    second = look if posted.get("event") in FOR_GOOD else None
    return submit(request, session, form, posted, typed.Stepped, act, done=say("It is on record."), look=second)


def _step_form(request: Request, card: Card) -> Form:
    language = language_of(request)
    if card.state == "issued":
        choices = inputs.options(language, wording.ENDED, CARD_EVENT_OF_REASON)
    else:
        events = sorted(CARD.events(card.state) - {"issue"})
        choices = inputs.options(language, wording.CARD_EVENTS, events)
    fields: list[Input] = [Input("event", say("What happened"), "select", needed=True, options=choices)]
    if card.state != "issued":
        fields.append(Input("note", say("Note")))
    crumbs = [("/cards", translate(request, "Cards")), (f"/cards/{card.id}", card.token[:8])]
    return Form(translate(request, "What happened to the card?"), fields, translate(request, "Save"), crumbs)
