"""How a worker comes in and goes out: number, then a code or the card."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from central.identity.asking import engine_of, origin_of, seal_of, set_session
from central.identity.credentials import SECRET_CHARS_MAX
from central.identity.guards import SESSION_COOKIE, SignedInWorker, actor_cache, optional_actor
from central.identity.policy import Actor
from central.identity.second_factor import WrongCode
from central.identity.sessions import ADDRESS_CHARS_MAX, end_worker_sessions
from central.identity.signin import sign_out
from central.identity.throttle import TooManyAttempts
from central.identity.tickets import LinkOver
from central.kit.db import write_session
from central.kit.errors import AppError, Invalid
from central.kit.i18n import DEFAULT_LANGUAGE, PHONE_LANGUAGES
from central.kit.web import LANGUAGE_COOKIE, checked_form, language_of, remember_language, translate
from central.myself import signin
from central.myself.asking import Now, show, spoken
from central.myself.rules import TYPED_CHARS_MAX
from central.myself.signin import Asked, NotSeenYet

router = APIRouter(include_in_schema=False, dependencies=[Depends(spoken)])

OptionalActor = Annotated[Actor | None, Depends(optional_actor)]
Ticket = Annotated[str, Form(max_length=SECRET_CHARS_MAX)]
Typed = Annotated[str, Form(max_length=TYPED_CHARS_MAX)]


def _(message: str) -> str:
    return message


SAID = {
    "wrong_code": _("The code is not right. Check it, or begin again."),
    "link_over": _("The time for this is over. Begin again."),
    "card_not_seen": _("Your card was not seen that often yet. Wait a moment and press again, or begin again."),
    "too_many_attempts": _("Too many tries. Wait 15 minutes, or ask your site office."),
    "invalid": _("Enter your worker number: letters, digits and hyphens."),
}
"""Refusals by their code, as a phone says them."""


@router.get("/me/sign-in")
def sign_in_page(request: Request, actor: OptionalActor) -> Response:
    """Ask for the worker number, or go on when a worker is signed in."""
    if actor is not None and actor.worker_id is not None:
        return RedirectResponse("/me", status_code=HTTPStatus.SEE_OTHER)
    return _number_form(request)


@router.post("/me/sign-in", dependencies=[Depends(checked_form)])
def ask_code(request: Request, number: Typed, now: Now) -> Response:
    """Send a code, if the number has a telephone; the answer is the same for every number."""
    try:
        begun = signin.ask(
            engine_of(request),
            seal_of(request),
            number=number,
            address=origin_of(request).address[:ADDRESS_CHARS_MAX],
            texts_go_out=_texts_go_out(request),
            now=now,
        )
    except (Invalid, TooManyAttempts) as refusal:
        return _number_form(request, refusal=refusal, number=number)
    return _code_form(request, begun)


@router.post("/me/sign-in/code", dependencies=[Depends(checked_form)])
def show_code(request: Request, ticket: Ticket, code: Typed, now: Now) -> Response:
    """Take a code from a text message or from the desk."""
    try:
        secret = signin.show_code(engine_of(request), secret=ticket, code=code, origin=origin_of(request), now=now)
    except (LinkOver, TooManyAttempts) as refusal:
        return _number_form(request, refusal=refusal)
    except WrongCode as refusal:
        return _again(request, ticket, refusal, now)
    return _signed_in(request, secret)


@router.post("/me/sign-in/card", dependencies=[Depends(checked_form)])
def show_card(request: Request, ticket: Ticket, now: Now) -> Response:
    """Look whether the card was held to a terminal as asked."""
    try:
        secret = signin.show_card(engine_of(request), secret=ticket, origin=origin_of(request), now=now)
    except (LinkOver, TooManyAttempts) as refusal:
        return _number_form(request, refusal=refusal)
    except NotSeenYet as refusal:
        return _again(request, ticket, refusal, now)
    return _signed_in(request, secret)


@router.post("/me/sign-out", dependencies=[Depends(checked_form)])
def end_session(request: Request, actor: OptionalActor, now: Now) -> Response:
    """End this phone's session. Safe to send twice."""
    if actor is not None and actor.worker_id is not None and actor.session_id is not None:
        with write_session(engine_of(request)) as session:
            sign_out(session, actor=actor.key, session_id=actor.session_id, now=now)
    return _gone(request)


@router.post("/me/sign-out/everywhere", dependencies=[Depends(checked_form)])
def end_every_session(request: Request, worker: SignedInWorker, now: Now) -> Response:
    """End every session of this worker: a phone was lost or lent."""
    with write_session(engine_of(request)) as session:
        end_worker_sessions(session, worker_id=worker.worker_id or 0, now=now)
    return _gone(request)


def _signed_in(request: Request, secret: str) -> Response:
    set_session(request, answer := RedirectResponse("/me", status_code=HTTPStatus.SEE_OTHER), secret)
    arrived = actor_cache(request).load_session(secret)
    if not _chose_language(request) and arrived is not None and arrived.language in PHONE_LANGUAGES:
        remember_language(answer, arrived.language)
    return answer


def _chose_language(request: Request) -> bool:
    """Whether the person, or their browser, asked for a language that is there; else their record says one."""
    accepted = request.headers.get("accept-language", "").lower()
    fell_back = language_of(request) == DEFAULT_LANGUAGE and DEFAULT_LANGUAGE not in accepted
    return LANGUAGE_COOKIE in request.cookies or not fell_back


def _gone(request: Request) -> Response:
    actor_cache(request).flush()
    answer = RedirectResponse("/me/sign-in", status_code=HTTPStatus.SEE_OTHER)
    answer.delete_cookie(SESSION_COOKIE, path="/")
    return answer


def _texts_go_out(request: Request) -> bool:
    return bool(request.app.state.settings.sms_url)


def _number_form(request: Request, *, refusal: AppError | None = None, number: str = "") -> Response:
    status = refusal.status if refusal is not None else HTTPStatus.OK
    return show(request, "sign_in.html", status=status, message=_said(request, refusal), number=number)


def _code_form(request: Request, begun: Asked, *, refusal: AppError | None = None) -> Response:
    status = refusal.status if refusal is not None else HTTPStatus.OK
    return show(
        request,
        "code.html",
        status=status,
        asked=begun,
        message=_said(request, refusal),
    )


def _again(request: Request, ticket: str, refusal: AppError, now: Now) -> Response:
    try:
        return _code_form(request, signin.asked(engine_of(request), secret=ticket, now=now), refusal=refusal)
    except LinkOver as over:
        return _number_form(request, refusal=over)


def _said(request: Request, refusal: AppError | None) -> str:
    return "" if refusal is None else translate(request, SAID[refusal.code])
