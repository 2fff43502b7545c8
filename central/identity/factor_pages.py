"""The pages of a second factor: shown when signing in, set up and taken away at one's account."""

from __future__ import annotations

import io
from http import HTTPStatus
from typing import Annotated, Any

import segno
from fastapi import APIRouter, Depends, Form, Request
from markupsafe import Markup
from starlette.responses import JSONResponse, RedirectResponse, Response

from central.identity import passkeys, second_factor, sessions, totp
from central.identity.accounts import NAME_CHARS_MAX
from central.identity.asking import engine_of, here_of, letters_of, now_of, seal_of, set_session
from central.identity.credentials import SECRET_CHARS_MAX
from central.identity.guards import ArrivingAgain, ArrivingPerson, PersonAgain, actor_cache
from central.identity.pages import NEXT_CHARS_MAX, Next, go_on
from central.identity.policy import Actor
from central.identity.rules import Stage, proof_over
from central.identity.second_factor import CODE_CHARS_MAX, Factors, OfferedApp, WrongCode, factors_of
from central.identity.throttle import TooManyAttempts
from central.identity.tickets import LinkOver
from central.kit.db import read_session, write_session
from central.kit.errors import AppError, Conflict, Invalid
from central.kit.web import checked_form, flash, local_path, page, translate

ISSUER = "Clean construction"
router = APIRouter(include_in_schema=False)
Ticket = Annotated[str, Form(max_length=SECRET_CHARS_MAX)]
Credential = Annotated[str, Form(max_length=passkeys.CREDENTIAL_CHARS_MAX)]


# -- showing one, when signing in


@router.get("/sign-in/second-factor")
def show_page(request: Request, person: ArrivingPerson, next: str = "/") -> Response:  # noqa: A002 - as links send it
    """Ask for a code or a passkey, or go on when that is not what is missing."""
    if not _is_asked(request, person):
        return go_on(person.stage, next[:NEXT_CHARS_MAX])
    return _asking(request, person, target=next[:NEXT_CHARS_MAX])


@router.post("/sign-in/second-factor", dependencies=[Depends(checked_form)])
def show_code(
    request: Request,
    person: ArrivingPerson,
    code: Annotated[str, Form(max_length=CODE_CHARS_MAX)],
    next: Next = "/",  # noqa: A002 - as the form sends it
) -> Response:
    """Take a one-time code, and go on with a new session secret."""
    if not _is_asked(request, person):
        return go_on(person.stage, next)
    try:
        secret = second_factor.show_code(
            engine_of(request), seal_of(request), **_whose(person), code=code, now=now_of(request)
        )
    except (WrongCode, TooManyAttempts) as refusal:
        return _asking(request, person, target=next, refusal=refusal)
    set_session(request, answer := go_on(Stage.FULL, next), secret)
    return answer


@router.post("/sign-in/second-factor/challenge", dependencies=[Depends(checked_form)])
def show_challenge(request: Request, person: ArrivingPerson) -> Response:
    """Give the browser a challenge for a passkey of this account."""
    with write_session(engine_of(request)) as session:
        made = passkeys.showing_options(
            session, user_id=person.user_id or 0, host=here_of(request).host, now=now_of(request)
        )
    return JSONResponse(made)


@router.post("/sign-in/second-factor/passkey", dependencies=[Depends(checked_form)])
def show_passkey(
    request: Request,
    person: ArrivingPerson,
    ticket: Ticket,
    credential: Credential,
    next: Next = "/",  # noqa: A002 - as the form sends it
) -> Response:
    """Take a passkey's answer, and go on with a new session secret."""
    if not _is_asked(request, person):
        return go_on(person.stage, next)
    try:
        secret = passkeys.show(
            engine_of(request),
            **_whose(person),
            secret=ticket,
            credential=credential,
            here=here_of(request),
            now=now_of(request),
        )
    except (WrongCode, TooManyAttempts, LinkOver, Invalid) as refusal:
        return _asking(request, person, target=next, refusal=refusal)
    set_session(request, answer := go_on(Stage.FULL, next), secret)
    return answer


# -- setting one up


@router.get("/account/second-factor")
def factors_page(request: Request, person: ArrivingAgain, next: str = "/account") -> Response:  # noqa: A002 - as links send it
    """Show somebody's second factors and how to add one. Open before one is there, and once it was shown."""
    if person.stage is Stage.SHOW_FACTOR:
        return go_on(person.stage, "/account/second-factor")
    return _factors(request, person, target=next[:NEXT_CHARS_MAX])


@router.post("/account/second-factor/app", dependencies=[Depends(checked_form)])
def offer_app(request: Request, person: ArrivingAgain, next: Next = "/account") -> Response:  # noqa: A002 - as the form sends it
    """Offer an authenticator app: a QR code and the same by hand."""
    _may_set_up(person)
    with write_session(engine_of(request)) as session:
        offered = second_factor.offer_app(session, seal_of(request), **_whose(person), now=now_of(request))
    return _app_form(request, person, offered, target=next)


@router.post("/account/second-factor/app/confirm", dependencies=[Depends(checked_form)])
def confirm_app(
    request: Request,
    person: ArrivingAgain,
    ticket: Ticket,
    code: Annotated[str, Form(max_length=CODE_CHARS_MAX)],
    next: Next = "/account",  # noqa: A002 - as the form sends it
) -> Response:
    """Let the app count once its first code is right; then show the codes on paper, once."""
    _may_set_up(person)
    now, user_id, seal = now_of(request), person.user_id or 0, seal_of(request)
    offer = {**_whose(person), "ticket": ticket}
    second_factor.count_attempt(engine_of(request), user_id=user_id, now=now)
    try:
        with write_session(engine_of(request)) as session:
            second_factor.confirm_app(session, seal, **offer, code=code, now=now)
            second_factor.warn_added(session, user_id=user_id, letters=letters_of(request), now=now)
            return _proven(request, session, person, target=next)
    except WrongCode as refusal:
        with read_session(engine_of(request)) as session:
            offered = second_factor.offered_app(session, seal, **offer, now=now)
        return _app_form(request, person, offered, target=next, refusal=refusal)
    except (LinkOver, Conflict) as refusal:
        return _factors(request, person, target=next, refusal=refusal)


@router.post("/account/second-factor/challenge", dependencies=[Depends(checked_form)])
def add_challenge(request: Request, person: ArrivingAgain) -> Response:
    """Give the browser a challenge for a new passkey."""
    _may_set_up(person)
    with write_session(engine_of(request)) as session:
        made = passkeys.adding_options(
            session, user_id=person.user_id or 0, host=here_of(request).host, now=now_of(request)
        )
    return JSONResponse(made)


@router.post("/account/second-factor/passkey", dependencies=[Depends(checked_form)])
def add_passkey(
    request: Request,
    person: ArrivingAgain,
    ticket: Ticket,
    credential: Credential,
    name: Annotated[str, Form(max_length=NAME_CHARS_MAX)],
    next: Next = "/account",  # noqa: A002 - as the form sends it
) -> Response:
    """Keep a new passkey; the first factor brings the codes on paper with it."""
    _may_set_up(person)
    try:
        with write_session(engine_of(request)) as session:
            passkeys.add(
                session,
                user_id=person.user_id or 0,
                secret=ticket,
                credential=credential,
                name=name,
                here=here_of(request),
                letters=letters_of(request),
                now=now_of(request),
            )
            return _proven(request, session, person, target=next)
    except (WrongCode, LinkOver, Conflict, Invalid) as refusal:
        return _factors(request, person, target=next, refusal=refusal)


@router.post("/account/second-factor/codes", dependencies=[Depends(checked_form)])
def new_codes(request: Request, person: PersonAgain) -> Response:
    """Make new codes on paper; the old ones end."""
    with write_session(engine_of(request)) as session:
        codes = second_factor.new_spare_codes(session, user_id=person.user_id or 0, now=now_of(request))
    return page(request, "identity/spare_codes.html", codes=codes, next="/account/second-factor")


@router.post("/account/second-factor/app/remove", dependencies=[Depends(checked_form)])
def remove_app(request: Request, person: PersonAgain) -> Response:
    """Take the authenticator app away."""
    with write_session(engine_of(request)) as session:
        second_factor.remove_app(session, user_id=person.user_id or 0, letters=letters_of(request), now=now_of(request))
    return _removed(request)


@router.post("/account/second-factor/passkey/{passkey_id}/remove", dependencies=[Depends(checked_form)])
def remove_passkey(request: Request, passkey_id: int, person: PersonAgain) -> Response:
    """Take a passkey away."""
    with write_session(engine_of(request)) as session:
        passkeys.remove(
            session,
            user_id=person.user_id or 0,
            passkey_id=passkey_id,
            letters=letters_of(request),
            now=now_of(request),
        )
    return _removed(request)


# -- pieces


def _whose(person: Actor) -> dict[str, Any]:
    return {"user_id": person.user_id or 0, "session_id": person.session_id or 0}


def _is_asked(request: Request, person: Actor) -> bool:
    """Whether a factor is what is missing: to sign in, or to show once more who one is."""
    stale = person.stage is Stage.FULL and proof_over(person.proven_at, now=now_of(request))
    return stale or person.stage is Stage.SHOW_FACTOR


def _may_set_up(person: Actor) -> None:
    """Who has a factor shows it before adding another: a stolen password alone must not add one."""
    if person.stage is Stage.SHOW_FACTOR:
        raise WrongCode("show your second factor first: open the sign-in page")


def _proven(request: Request, session: Any, person: Actor, *, target: str) -> Response:  # noqa: ANN401 - a write session
    """Adding a factor shows it too: the session gets a new secret. The first factor brings ten codes on paper."""
    now, user_id = now_of(request), person.user_id or 0
    secret = sessions.renew(session, session_id=person.session_id or 0, now=now)
    if factors_of(session, user_id).spare_codes_left:
        answer: Response = go_on(Stage.FULL, target)
    else:
        codes = second_factor.new_spare_codes(session, user_id=user_id, now=now)
        answer = page(request, "identity/spare_codes.html", codes=codes, next=local_path(target))
    set_session(request, answer, secret)
    return answer


def _removed(request: Request) -> Response:
    actor_cache(request).flush()
    answer = RedirectResponse("/account/second-factor", status_code=HTTPStatus.SEE_OTHER)
    flash(request, answer, "done", translate(request, "It was removed."))
    return answer


def _factors_of(request: Request, person: Actor) -> Factors:
    with read_session(engine_of(request)) as session:
        return factors_of(session, person.user_id or 0)


def _asking(request: Request, person: Actor, *, target: str, refusal: AppError | None = None) -> Response:
    headers = {}
    if isinstance(refusal, TooManyAttempts):
        headers["Retry-After"] = str(refusal.extensions["retry_after_s"])
    return page(
        request,
        "identity/show_factor.html",
        status=refusal.status if refusal is not None else HTTPStatus.OK,
        headers=headers,
        next=target,
        message=refusal.message if refusal is not None else "",
        factors=_factors_of(request, person),
    )


def _factors(request: Request, person: Actor, *, target: str, refusal: AppError | None = None) -> Response:
    return page(
        request,
        "identity/factors.html",
        status=refusal.status if refusal is not None else HTTPStatus.OK,
        next=target,
        message=refusal.message if refusal is not None else "",
        factors=_factors_of(request, person),
        needed=person.stage is Stage.ENROL_FACTOR,
        app_possible=seal_of(request).ready,
    )


def _app_form(
    request: Request, person: Actor, offered: OfferedApp, *, target: str, refusal: AppError | None = None
) -> Response:
    drawn = io.BytesIO()
    address = totp.address(offered.secret, account=person.name, issuer=ISSUER)
    segno.make(address, error="m").save(drawn, kind="svg", scale=4, xmldecl=False, svgns=True, title="QR", light="#fff")
    written = totp.written(offered.secret)
    return page(
        request,
        "identity/add_app.html",
        status=refusal.status if refusal is not None else HTTPStatus.OK,
        next=target,
        message=refusal.message if refusal is not None else "",
        ticket=offered.ticket,
        drawing=Markup(drawn.getvalue().decode()),  # noqa: S704 - drawn by us, of an address we percent-encoded
        written=" ".join(written[start : start + 4] for start in range(0, len(written), 4)),
    )
