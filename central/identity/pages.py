"""The sign-in page and the way out."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, cast
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from central.identity import outside
from central.identity.asking import engine_of, now_of, origin_of, set_session
from central.identity.guards import SESSION_COOKIE, actor_cache, optional_actor
from central.identity.outside_provider import Providers
from central.identity.password_rules import PASSWORD_CHARS_MAX
from central.identity.passwords import SignInBusy
from central.identity.policy import Actor
from central.identity.rules import Stage
from central.identity.sessions import Started
from central.identity.signin import EMAIL_CHARS_MAX, WrongCredentials, sign_in, sign_out
from central.identity.throttle import TooManyAttempts
from central.kit.db import write_session
from central.kit.errors import AppError
from central.kit.public import public_url
from central.kit.web import LANGUAGE_COOKIE, checked_form, local_path, page, remember_language

NEXT_CHARS_MAX = 2_000
FACTOR_PATHS = {Stage.SHOW_FACTOR: "/sign-in/second-factor", Stage.ENROL_FACTOR: "/account/second-factor"}
"""Where a sign-in goes on that has not come far enough."""

router = APIRouter(include_in_schema=False)

OptionalActor = Annotated[Actor | None, Depends(optional_actor)]
Next = Annotated[str, Form(max_length=NEXT_CHARS_MAX)]


@router.get("/sign-in")
async def sign_in_page(request: Request, actor: OptionalActor, next: str = "/") -> Response:  # noqa: A002 - as browsers send it
    """Show the form, or go on at once when somebody is signed in."""
    target = next[:NEXT_CHARS_MAX]
    if actor is not None:
        return go_on(actor.stage, target)
    return sign_in_form(request, target=target)


@router.post("/sign-in", dependencies=[Depends(checked_form)])
def start_session(
    request: Request,
    email: Annotated[str, Form(max_length=EMAIL_CHARS_MAX)],
    password: Annotated[str, Form(max_length=PASSWORD_CHARS_MAX)],
    next: Next = "/",  # noqa: A002 - as the form sends it
) -> Response:
    """Start a session and go on to where the person wanted, or show the form again with the reason."""
    origin = origin_of(request)
    try:
        started = sign_in(
            engine_of(request),
            email=email,
            password=password,
            address=origin.address,
            agent=origin.agent,
            previous_secret=origin.previous_secret,
            now=now_of(request),
        )
    except (WrongCredentials, TooManyAttempts, SignInBusy) as refusal:
        return sign_in_form(request, target=next, refusal=refusal, email=email)
    return signed_in(request, started, target=next)


@router.post("/sign-out", dependencies=[Depends(checked_form)])
def end_session(request: Request, actor: OptionalActor) -> Response:
    """End the session on the server and in the browser, then at the provider that it began at. Safe to send twice."""
    onward = None
    if actor is not None and actor.session_id is not None:
        with write_session(engine_of(request)) as session:
            sign_out(session, actor=actor.key, session_id=actor.session_id, now=now_of(request))
        if actor.method.startswith(outside.METHOD):
            back, now = f"{public_url(request)}/sign-in", now_of(request)
            onward = outside.way_home(providers_of(request), method=actor.method, back=back, now=now)
    actor_cache(request).flush()
    answer = leave_page(request, onward) if onward else RedirectResponse("/sign-in", status_code=HTTPStatus.SEE_OTHER)
    answer.delete_cookie(SESSION_COOKIE, path="/")
    return answer


def leave_page(request: Request, address: str) -> Response:
    """Leave by a page with a link that goes at once: a form's redirect to another host is what our own CSP refuses."""
    answer = page(request, "identity/leaving.html", address=address)
    answer.headers["Refresh"] = f"0; url={address}"
    return answer


def providers_of(request: Request) -> Providers:
    """Return the providers of single sign-on here."""
    return cast("Providers", request.app.state.providers)


def signed_in(request: Request, started: Started, *, target: str) -> Response:
    """Go on with a session that began: to a second factor when one is asked for, else to where the person wanted."""
    set_session(request, answer := RedirectResponse("/", status_code=HTTPStatus.SEE_OTHER), started.secret)
    arrived = actor_cache(request).load_session(started.secret)
    onward = go_on(arrived.stage if arrived is not None else Stage.FULL, target)
    answer.headers["location"] = onward.headers["location"]
    if LANGUAGE_COOKIE not in request.cookies:
        remember_language(answer, started.language)
    return answer


def go_on(stage: Stage, target: str) -> Response:
    """Send somebody who signed in to the next page of signing in, or on to `target` when there is none."""
    wanted = local_path(target)
    path = FACTOR_PATHS.get(stage)
    onward = wanted if path is None else f"{path}?next={quote(wanted, safe='')}"
    return RedirectResponse(onward, status_code=HTTPStatus.SEE_OTHER)


def sign_in_form(request: Request, *, target: str, refusal: AppError | None = None, email: str = "") -> Response:
    """Show the sign-in form, with the reason why the last try did not do."""
    status = refusal.status if refusal is not None else HTTPStatus.OK
    headers = {}
    if isinstance(refusal, TooManyAttempts):
        headers["Retry-After"] = str(refusal.extensions["retry_after_s"])
    message = refusal.message if refusal is not None else ""
    return page(
        request,
        "identity/sign_in.html",
        status=status,
        headers=headers,
        next=target,
        message=message,
        email=email,
        providers=providers_of(request).offered,
        mail_goes_out=bool(request.app.state.settings.smtp_url),
    )
