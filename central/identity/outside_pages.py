"""The way to a single-sign-on provider and back."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import RedirectResponse, Response

from central.identity import invitations, outside
from central.identity.asking import engine_of, letters_of, now_of, origin_of
from central.identity.credentials import SECRET_CHARS_MAX
from central.identity.guards import PersonAgain
from central.identity.outside import Arrived, Leaving
from central.identity.outside_provider import OutsideRefused, OutsideUnavailable
from central.identity.pages import NEXT_CHARS_MAX, leave_page, providers_of, sign_in_form, signed_in
from central.identity.policy import Actor
from central.identity.tickets import LinkOver
from central.kit.db import read_session, write_session
from central.kit.errors import Conflict
from central.kit.public import public_url
from central.kit.web import checked_form, flash, local_path, translate

BINDING_COOKIE = "ccs_outside"
CODE_CHARS_MAX = 2_000
router = APIRouter(include_in_schema=False)
ProviderId = Annotated[str, Path(max_length=40)]


@router.get("/sign-in/with/{provider_id}")
def leave_to_sign_in(request: Request, provider_id: ProviderId, next: str = "/") -> Response:  # noqa: A002 - as links send it
    """Send the browser to the provider."""
    return _leave(request, provider_id, target=local_path(next[:NEXT_CHARS_MAX]))


@router.post("/invitation/{secret}/with/{provider_id}", dependencies=[Depends(checked_form)])
def leave_to_accept(
    request: Request, secret: Annotated[str, Path(max_length=SECRET_CHARS_MAX)], provider_id: ProviderId
) -> Response:
    """Send the browser to the provider, to accept an invitation without a password of one's own."""
    with read_session(engine_of(request)) as session:
        found = invitations.invited(session, secret=secret, now=now_of(request))
    if found.user_id is not None:
        raise Conflict("you have an account already: sign in with it, and take the role on")
    return _leave(request, provider_id, target="/", invitation_id=found.id)


@router.post("/account/outside/{provider_id}", dependencies=[Depends(checked_form)])
def leave_to_link(request: Request, provider_id: ProviderId, person: PersonAgain) -> Response:
    """Send the browser to the provider, to connect the account of who is signed in."""
    return _leave(request, provider_id, target="/account", link_for=person)


@router.post("/account/outside/{provider_id}/unlink", dependencies=[Depends(checked_form)])
def unlink(request: Request, provider_id: ProviderId, person: PersonAgain) -> Response:
    """Disconnect the account of who is signed in."""
    with write_session(engine_of(request)) as session:
        outside.unlink(
            session,
            user_id=person.user_id or 0,
            provider_id=provider_id,
            letters=letters_of(request),
            now=now_of(request),
        )
    return RedirectResponse("/account", status_code=HTTPStatus.SEE_OTHER)


@router.get("/sign-in/back/{provider_id}")
def come_back(
    request: Request,
    provider_id: ProviderId,
    state: Annotated[str, Query(max_length=SECRET_CHARS_MAX)] = "",
    code: Annotated[str, Query(max_length=CODE_CHARS_MAX)] = "",
    iss: Annotated[str, Query(max_length=CODE_CHARS_MAX)] = "",
) -> Response:
    """Take what the provider sent the browser back with, once."""
    try:
        arrived = _arrive(request, provider_id, state=state, code=code, iss=iss)
    except (OutsideRefused, OutsideUnavailable, LinkOver) as refusal:
        return sign_in_form(request, target="/", refusal=refusal)
    if arrived.started is not None:
        answer = signed_in(request, arrived.started, target=arrived.target)
    else:
        answer = RedirectResponse(local_path(arrived.target), status_code=HTTPStatus.SEE_OTHER)
        flash(request, answer, "done", translate(request, "Your account is connected."))
    answer.delete_cookie(BINDING_COOKIE, path="/sign-in/back")
    return answer


def _arrive(request: Request, provider_id: str, *, state: str, code: str, iss: str) -> Arrived:
    providers = providers_of(request)
    if not code or (iss and iss != providers.get(provider_id).issuer):
        raise OutsideRefused("the sign-in service refused: try again, or sign in with your password")
    return outside.arrive(
        engine_of(request),
        providers,
        provider_id=provider_id,
        back=_back(request, provider_id),
        state=state,
        code=code,
        binding=request.cookies.get(BINDING_COOKIE, "")[:SECRET_CHARS_MAX],
        origin=origin_of(request),
        letters=letters_of(request),
        now=now_of(request),
    )


def _leave(
    request: Request, provider_id: str, *, target: str, link_for: Actor | None = None, invitation_id: int | None = None
) -> Response:
    leaving = outside.leave(
        engine_of(request),
        providers_of(request),
        provider_id=provider_id,
        back=_back(request, provider_id),
        target=target,
        address=origin_of(request).address,
        now=now_of(request),
        link_for=link_for,
        invitation_id=invitation_id,
    )
    return _go(request, leaving)


def _go(request: Request, leaving: Leaving) -> Response:
    answer = leave_page(request, leaving.address)
    secure = request.app.state.settings.secure_cookies
    answer.set_cookie(
        BINDING_COOKIE,
        leaving.binding,
        max_age=int(outside.WAY_LIFE.total_seconds()),
        httponly=True,
        secure=secure,
        samesite="lax",
        path="/sign-in/back",
    )
    return answer


def _back(request: Request, provider_id: str) -> str:
    return f"{public_url(request)}/sign-in/back/{provider_id}"
