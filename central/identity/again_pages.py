"""Showing once more who one is, before changing how one signs in: a session left open is not enough for that."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from central.identity import outside, signin
from central.identity.asking import engine_of, now_of, set_session
from central.identity.guards import ArrivingPerson
from central.identity.pages import NEXT_CHARS_MAX, Next, go_on
from central.identity.password_rules import PASSWORD_CHARS_MAX
from central.identity.passwords import SignInBusy
from central.identity.policy import Actor
from central.identity.rules import Stage, proof_over
from central.identity.second_factor import factors_of
from central.identity.signin import WrongCredentials
from central.identity.throttle import TooManyAttempts
from central.kit.db import read_session
from central.kit.errors import AppError
from central.kit.web import checked_form, local_path, page

router = APIRouter(include_in_schema=False)


@router.get("/sign-in/again")
def again_page(request: Request, person: ArrivingPerson, next: str = "/account") -> Response:  # noqa: A002 - as links send it
    """Ask for the second factor, or for the password of who has none; go on at once when that was just shown."""
    target = next[:NEXT_CHARS_MAX]
    if person.stage is Stage.SHOW_FACTOR or not proof_over(person.proven_at, now=now_of(request)):
        return go_on(person.stage, target)
    if _has_factor(request, person):
        return _to_factor(target)
    return _asking(request, person, target=target)


@router.post("/sign-in/again", dependencies=[Depends(checked_form)])
def show_password(
    request: Request,
    person: ArrivingPerson,
    password: Annotated[str, Form(max_length=PASSWORD_CHARS_MAX)],
    next: Next = "/account",  # noqa: A002 - as the form sends it
) -> Response:
    """Take the password of who has no second factor once more, and go on with a new session secret."""
    if _has_factor(request, person):
        return _to_factor(next)
    try:
        secret = signin.prove_again(
            engine_of(request),
            user_id=person.user_id or 0,
            session_id=person.session_id or 0,
            password=password,
            now=now_of(request),
        )
    except (WrongCredentials, TooManyAttempts, SignInBusy) as refusal:
        return _asking(request, person, target=next, refusal=refusal)
    set_session(request, answer := go_on(Stage.FULL, next), secret)
    return answer


def _has_factor(request: Request, person: Actor) -> bool:
    with read_session(engine_of(request)) as session:
        return bool(factors_of(session, person.user_id or 0))


def _to_factor(target: str) -> Response:
    onward = f"/sign-in/second-factor?next={quote(local_path(target), safe='')}"
    return RedirectResponse(onward, status_code=HTTPStatus.SEE_OTHER)


def _asking(request: Request, person: Actor, *, target: str, refusal: AppError | None = None) -> Response:
    return page(
        request,
        "identity/again.html",
        status=refusal.status if refusal is not None else HTTPStatus.OK,
        next=target,
        message=refusal.message if refusal is not None else "",
        from_outside=person.method.startswith(outside.METHOD),
    )
