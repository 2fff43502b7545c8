"""The pages of who has no session yet: an invitation, a forgotten password. Opening them changes nothing."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Path, Request
from starlette.responses import RedirectResponse, Response

from central.identity import invitations, recovery
from central.identity.asking import engine_of, letters_of, now_of, origin_of
from central.identity.credentials import SECRET_CHARS_MAX
from central.identity.guards import CurrentPerson, actor_cache
from central.identity.invitations import Invited
from central.identity.pages import OptionalActor, providers_of, signed_in
from central.identity.password_rules import PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN
from central.identity.passwords import SignInBusy
from central.identity.signin import EMAIL_CHARS_MAX
from central.identity.throttle import TooManyAttempts
from central.kit.db import read_session, write_session
from central.kit.errors import AppError, Invalid
from central.kit.public import public_url
from central.kit.web import checked_form, flash, page, translate

router = APIRouter(include_in_schema=False)
Secret = Annotated[str, Path(max_length=SECRET_CHARS_MAX)]
Password = Annotated[str, Form(max_length=PASSWORD_CHARS_MAX)]


@router.get("/invitation/{secret}")
def invitation_page(request: Request, secret: Secret, actor: OptionalActor) -> Response:
    """Show whom an invitation is for, and how it is accepted. Opening the page does not use it up."""
    with read_session(engine_of(request)) as session:
        found = invitations.invited(session, secret=secret, now=now_of(request))
    if found.user_id is None:
        return _invitation(request, found, secret)
    return page(request, "identity/offer.html", offered=found, secret=secret, person=actor)


@router.post("/invitation/{secret}/role", dependencies=[Depends(checked_form)])
def take_role_on(request: Request, secret: Secret, person: CurrentPerson) -> Response:
    """Take on the role that an invitation offers to the account that is signed in."""
    with write_session(engine_of(request)) as session:
        invitations.take_on(session, secret=secret, user_id=person.user_id or 0, now=now_of(request))
    actor_cache(request).flush()
    answer = RedirectResponse("/account/roles", status_code=HTTPStatus.SEE_OTHER)
    flash(request, answer, "done", translate(request, "The role is yours from now on."))
    return answer


@router.post("/invitation/{secret}", dependencies=[Depends(checked_form)])
def accept_invitation(request: Request, secret: Secret, password: Password, again: Password) -> Response:
    """Make the account and sign it in, on to a second factor where its role needs one."""
    now = now_of(request)
    with read_session(engine_of(request)) as session:
        found = invitations.invited(session, secret=secret, now=now)
    try:
        check_same(password, again)
        started = invitations.accept(
            engine_of(request), secret=secret, password=password, origin=origin_of(request), now=now
        )
    except (Invalid, SignInBusy) as refusal:
        return _invitation(request, found, secret, refusal=refusal)
    return signed_in(request, started, target="/")


@router.get("/recovery")
def recovery_page(request: Request) -> Response:
    """Ask for the address of the account whose password was forgotten."""
    return _recovery(request)


@router.post("/recovery", dependencies=[Depends(checked_form)])
def request_recovery(request: Request, email: Annotated[str, Form(max_length=EMAIL_CHARS_MAX)]) -> Response:
    """Send a link when there is such an account; say the same in any case."""
    try:
        recovery.request_recovery(
            engine_of(request),
            email=email,
            address=origin_of(request).address,
            base_url=public_url(request),
            letters=letters_of(request),
            now=now_of(request),
        )
    except TooManyAttempts as refusal:
        return _recovery(request, refusal=refusal)
    return page(request, "identity/recovery_sent.html")


@router.get("/recovery/{secret}")
def new_password_page(request: Request, secret: Secret) -> Response:
    """Ask for the new password. Opening the page does not use the link up."""
    recovery.check_link(engine_of(request), secret=secret, now=now_of(request))
    return _new_password(request)


@router.post("/recovery/{secret}", dependencies=[Depends(checked_form)])
def set_password(request: Request, secret: Secret, password: Password, again: Password) -> Response:
    """Set the password and go to the sign-in page: the link opens no session, and the second factor stays asked for."""
    try:
        check_same(password, again)
        recovery.set_password(
            engine_of(request), secret=secret, password=password, letters=letters_of(request), now=now_of(request)
        )
    except (Invalid, SignInBusy) as refusal:
        return _new_password(request, refusal=refusal)
    answer = RedirectResponse("/sign-in", status_code=HTTPStatus.SEE_OTHER)
    flash(request, answer, "done", translate(request, "The password was changed. Sign in with it."))
    return answer


def check_same(password: str, again: str) -> None:
    """Pass when a new password was typed twice alike, or raise `Invalid`."""
    if password != again:
        raise Invalid("the two passwords differ: type the same one twice")


def _invitation(request: Request, found: Invited, secret: str, *, refusal: AppError | None = None) -> Response:
    offered = providers_of(request).offered
    return page(request, "identity/invitation.html", invited=found, secret=secret, providers=offered, **_told(refusal))


def _recovery(request: Request, *, refusal: AppError | None = None) -> Response:
    mail_goes_out = letters_of(request).go_out
    return page(request, "identity/recovery.html", mail_goes_out=mail_goes_out, **_told(refusal))


def _new_password(request: Request, *, refusal: AppError | None = None) -> Response:
    return page(request, "identity/new_password.html", **_told(refusal))


def _told(refusal: AppError | None) -> dict[str, Any]:
    return {
        "status": refusal.status if refusal is not None else HTTPStatus.OK,
        "message": refusal.message if refusal is not None else "",
        "chars_min": PASSWORD_CHARS_MIN,
        "old_too": False,
    }
