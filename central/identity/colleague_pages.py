"""Colleagues: who else acts for one's organization, invited and sent away by those whose role may."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from central.identity import colleagues
from central.identity.accounts import NAME_CHARS_MAX
from central.identity.asking import engine_of, letters_of, note_accounts, now_of
from central.identity.colleagues import Opening
from central.identity.guards import CurrentPerson, actor_cache, reach_guard
from central.identity.permissions import Permission
from central.identity.policy import Actor
from central.identity.signin import EMAIL_CHARS_MAX
from central.kit.db import read_session, write_session
from central.kit.errors import AppError, Conflict, Invalid, NotFound
from central.kit.public import public_url
from central.kit.web import checked_form, flash, page, translate

OPENING_CHARS_MAX = 60
router = APIRouter(include_in_schema=False)
MayBringIn = Depends(reach_guard(Permission.IDENTITY_COLLEAGUE_WRITE))
Form_ = Depends(checked_form)


def openings(request: Request, person: CurrentPerson) -> list[Opening]:
    """Give what the person may give now, or refuse with 403."""
    with read_session(engine_of(request)) as session:
        return colleagues.openings(session, person=person, now=now_of(request))


Openings = Annotated[list[Opening], Depends(openings)]


@router.get("/colleagues", dependencies=[MayBringIn])
def colleagues_page(request: Request, person: CurrentPerson, found: Openings) -> Response:
    """Show who acts for one's organizations, and the invitations that wait."""
    return _page(request, person, found)


@router.post("/colleagues", dependencies=[MayBringIn, Form_])
def invite(
    *,
    request: Request,
    person: CurrentPerson,
    found: Openings,
    email: Annotated[str, Form(max_length=EMAIL_CHARS_MAX)],
    name: Annotated[str, Form(max_length=NAME_CHARS_MAX)],
    opening: Annotated[str, Form(max_length=OPENING_CHARS_MAX)],
    language: Annotated[str, Form(max_length=8)] = "ko",
) -> Response:
    """Invite a colleague. Where no mail goes out, the link is shown once, to be handed over."""
    typed = {"email": email, "name": name, "opening": opening, "language": language}
    letters = letters_of(request)
    try:
        with write_session(engine_of(request)) as session:
            link = colleagues.bring_in(
                session, person=person, **typed, base_url=public_url(request), letters=letters, now=now_of(request)
            )
    except (Invalid, Conflict, NotFound) as refusal:
        return _page(request, person, found, refusal=refusal, typed=typed)
    if not letters.go_out:
        return page(request, "identity/link_made.html", link=link, email=email, back="/colleagues")
    return _done(request, translate(request, "The invitation is on its way."))


@router.post("/colleagues/invitations/{invitation_id}/withdraw", dependencies=[MayBringIn, Form_])
def withdraw(request: Request, person: CurrentPerson, _: Openings, invitation_id: int) -> Response:
    """End an invitation to one's organization before it is accepted."""
    with write_session(engine_of(request)) as session:
        colleagues.withdraw(session, person=person, invitation_id=invitation_id, now=now_of(request))
    return _done(request, translate(request, "The invitation was withdrawn."))


@router.post("/colleagues/roles/{membership_id}/end", dependencies=[MayBringIn, Form_])
def take_away(request: Request, person: CurrentPerson, _: Openings, membership_id: int) -> Response:
    """Take a colleague's role away: it counts from their next request on."""
    with write_session(engine_of(request)) as session:
        colleagues.take_away(session, person=person, membership_id=membership_id, now=now_of(request))
    return _done(request, translate(request, "The role was taken away."))


def _page(
    request: Request,
    person: Actor,
    found: list[Opening],
    *,
    refusal: AppError | None = None,
    typed: dict[str, str] | None = None,
) -> Response:
    with read_session(engine_of(request)) as session:
        rows = colleagues.colleagues_of(session, person=person, found=found)
        waiting = colleagues.waiting(session, found=found, now=now_of(request))
    note_accounts(request, person, [row.user_id for row in rows])
    return page(
        request,
        "identity/colleagues.html",
        status=refusal.status if refusal is not None else HTTPStatus.OK,
        message=refusal.message if refusal is not None else "",
        rows=rows,
        waiting=waiting,
        openings=found,
        organizations={one.organization_id: one.organization for one in found},
        typed=typed or {},
    )


def _done(request: Request, message: str) -> Response:
    actor_cache(request).flush()
    answer = RedirectResponse("/colleagues", status_code=HTTPStatus.SEE_OTHER)
    flash(request, answer, "done", message)
    return answer
