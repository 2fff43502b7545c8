"""The sign-in page and the way out."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from central.identity.credentials import SECRET_CHARS_MAX
from central.identity.guards import SESSION_COOKIE, actor_cache, optional_actor
from central.identity.passwords import PASSWORD_CHARS_MAX, SignInBusy
from central.identity.policy import Actor
from central.identity.signin import EMAIL_CHARS_MAX, Started, WrongCredentials, sign_in, sign_out
from central.identity.throttle import TooManyAttempts
from central.kit.db import write_session
from central.kit.errors import AppError
from central.kit.web import LANGUAGE_COOKIE, checked_form, local_path, page, remember_language

NEXT_CHARS_MAX = 2_000

router = APIRouter(include_in_schema=False)

OptionalActor = Annotated[Actor | None, Depends(optional_actor)]
Next = Annotated[str, Form(max_length=NEXT_CHARS_MAX)]


@router.get("/sign-in")
async def sign_in_page(request: Request, actor: OptionalActor, next: str = "/") -> Response:  # noqa: A002 - as browsers send it
    """Show the form, or go on at once when somebody is signed in."""
    if actor is not None:
        return RedirectResponse(local_path(next[:NEXT_CHARS_MAX]), status_code=HTTPStatus.SEE_OTHER)
    return _form(request, target=next[:NEXT_CHARS_MAX])


@router.post("/sign-in", dependencies=[Depends(checked_form)])
def start_session(
    request: Request,
    email: Annotated[str, Form(max_length=EMAIL_CHARS_MAX)],
    password: Annotated[str, Form(max_length=PASSWORD_CHARS_MAX)],
    next: Next = "/",  # noqa: A002 - as the form sends it
) -> Response:
    """Start a session and go on to where the person wanted, or show the form again with the reason."""
    previous = request.cookies.get(SESSION_COOKIE, "")[:SECRET_CHARS_MAX]
    try:
        started = sign_in(
            request.app.state.engine,
            email=email,
            password=password,
            address=request.client.host if request.client else "unknown",
            previous_secret=previous or None,
            now=request.app.state.clock.now(),
        )
    except (WrongCredentials, TooManyAttempts, SignInBusy) as refusal:
        return _form(request, target=next, refusal=refusal, email=email)
    actor_cache(request).flush()
    answer = RedirectResponse(local_path(next), status_code=HTTPStatus.SEE_OTHER)
    _set_cookie(request, answer, started)
    if LANGUAGE_COOKIE not in request.cookies:
        remember_language(answer, started.language)
    return answer


@router.post("/sign-out", dependencies=[Depends(checked_form)])
def end_session(request: Request, actor: OptionalActor) -> Response:
    """End the session on the server and in the browser. Safe to send twice."""
    if actor is not None and actor.session_id is not None:
        with write_session(request.app.state.engine) as session:
            now = request.app.state.clock.now()
            sign_out(session, actor=actor.key, session_id=actor.session_id, now=now)
    actor_cache(request).flush()
    answer = RedirectResponse("/sign-in", status_code=HTTPStatus.SEE_OTHER)
    answer.delete_cookie(SESSION_COOKIE, path="/")
    return answer


def _form(request: Request, *, target: str, refusal: AppError | None = None, email: str = "") -> Response:
    status = refusal.status if refusal is not None else HTTPStatus.OK
    headers = {}
    if isinstance(refusal, TooManyAttempts):
        headers["Retry-After"] = str(refusal.extensions["retry_after_s"])
    message = refusal.message if refusal is not None else ""
    return page(
        request, "identity/sign_in.html", status=status, headers=headers, next=target, message=message, email=email
    )


def _set_cookie(request: Request, answer: Response, started: Started) -> None:
    secure = request.app.state.settings.secure_cookies
    answer.set_cookie(SESSION_COOKIE, started.secret, httponly=True, secure=secure, samesite="lax", path="/")
