"""One's own account: where one is signed in, the role acted in, what is lent to whom, tokens for one's programs."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from http import HTTPStatus
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from central.identity import account_repository, delegations, own_tokens, seats, sessions, signin
from central.identity.accounts import NAME_CHARS_MAX
from central.identity.arrival_pages import Password, check_same
from central.identity.asking import engine_of, letters_of, now_of, set_session
from central.identity.guards import CurrentPerson, PersonAgain, actor_cache
from central.identity.pages import providers_of
from central.identity.password_rules import PASSWORD_CHARS_MIN
from central.identity.passwords import SignInBusy
from central.identity.permissions import Permission
from central.identity.policy import Actor, allowed
from central.identity.rules import REASON_CHARS_MAX, TOKEN_LIFE_MAX
from central.identity.second_factor import factors_of
from central.identity.signin import EMAIL_CHARS_MAX, WrongCredentials
from central.identity.throttle import TooManyAttempts
from central.kit.db import read_session, write_session
from central.kit.errors import AppError, Conflict, Invalid, NotFound
from central.kit.web import checked_form, flash, page, translate

HOME_ZONE = ZoneInfo("Asia/Seoul")
"""Whose days a leave is counted in."""
TOKEN_DAYS = (7, 30, 90, TOKEN_LIFE_MAX.days)
CHOICE_CHARS_MAX = 60
SCOPES_MAX = 100
router = APIRouter(include_in_schema=False)
Form_ = Depends(checked_form)


@router.get("/account")
def account_page(request: Request, person: CurrentPerson) -> Response:
    """Show what belongs to one's account, each with its own page."""
    with read_session(engine_of(request)) as session:
        user = account_repository.user_by_id(session, person.user_id or 0)
        factors = factors_of(session, person.user_id or 0)
        outside = account_repository.outside_of(session, user_id=person.user_id or 0)
    linked = {one.provider for one in outside}
    return page(
        request,
        "identity/account.html",
        user=user,
        factors=factors,
        brings_in=person.brings_in,
        gives_roles=allowed(person, Permission.IDENTITY_USER_WRITE),
        providers=[(one, one.id in linked) for one in providers_of(request).offered],
    )


# -- another password


@router.get("/account/password")
def password_page(request: Request, _: CurrentPerson) -> Response:
    """Ask for the present password and a new one."""
    return _password(request)


@router.post("/account/password", dependencies=[Form_])
def change_password(
    request: Request, person: CurrentPerson, old: Password, password: Password, again: Password
) -> Response:
    """Change the password: this session goes on under another secret, every other one ends."""
    try:
        check_same(password, again)
        secret = signin.change_password(
            engine_of(request),
            user_id=person.user_id or 0,
            session_id=person.session_id or 0,
            old=old,
            new=password,
            letters=letters_of(request),
            now=now_of(request),
        )
    except (Invalid, WrongCredentials, TooManyAttempts, SignInBusy) as refusal:
        return _password(request, refusal=refusal)
    answer = _done(request, "/account", translate(request, "The password was changed."))
    set_session(request, answer, secret)
    return answer


def _password(request: Request, *, refusal: AppError | None = None) -> Response:
    return page(request, "identity/password.html", **_told(refusal), chars_min=PASSWORD_CHARS_MIN, old_too=True)


# -- where I am signed in


@router.get("/account/sessions")
def sessions_page(request: Request, person: CurrentPerson) -> Response:
    """Show every place where one is signed in now."""
    with read_session(engine_of(request)) as session:
        rows = sessions.sessions_of(session, user_id=person.user_id or 0, this=person.session_id, now=now_of(request))
    return page(request, "identity/sessions.html", rows=rows)


@router.post("/account/sessions/others/end", dependencies=[Form_])
def end_others(request: Request, person: PersonAgain) -> Response:
    """End every session of one's own but this one."""
    with write_session(engine_of(request)) as session:
        sessions.end_other_sessions(session, user_id=person.user_id or 0, this=person.session_id, now=now_of(request))
    return _done(request, "/account/sessions", translate(request, "You are signed out everywhere else."))


@router.post("/account/sessions/{session_id}/end", dependencies=[Form_])
def end_one(request: Request, session_id: int, person: PersonAgain) -> Response:
    """End one session of one's own, everywhere."""
    with write_session(engine_of(request)) as session:
        sessions.end_session_of(session, user_id=person.user_id or 0, session_id=session_id, now=now_of(request))
    return _done(request, "/account/sessions", translate(request, "That session has ended."))


# -- the role acted in


@router.get("/account/roles")
def roles_page(request: Request, person: CurrentPerson) -> Response:
    """Show the roles one may act in, and switch with one act."""
    with read_session(engine_of(request)) as session:
        rows = seats.choices(
            session, user_id=person.user_id or 0, session_id=person.session_id or 0, now=now_of(request)
        )
    return page(request, "identity/roles.html", rows=rows, together=not any(row.current for row in rows))


@router.post("/account/roles", dependencies=[Form_])
def switch_role(
    request: Request, person: CurrentPerson, choice: Annotated[str, Form(max_length=CHOICE_CHARS_MAX)] = ""
) -> Response:
    """Act in one role from now on. `choice` is `membership[:delegation[:project]]`, each a number or empty."""
    membership_id, delegation_id, project_id = _numbers(choice)
    with write_session(engine_of(request)) as session:
        seats.switch(
            session,
            user_id=person.user_id or 0,
            session_id=person.session_id or 0,
            membership_id=membership_id,
            delegation_id=delegation_id,
            project_id=project_id,
            now=now_of(request),
        )
    return _done(request, "/", translate(request, "You act in the role that you chose."))


def _numbers(choice: str) -> tuple[int | None, int | None, int | None]:
    parts = [*choice.split(":"), "", "", ""][:3]
    if any(part and not (part.isascii() and part.isdigit()) for part in parts):
        raise Invalid("this is no role: open the page again and choose one")
    first, second, third = (int(part) if part else None for part in parts)
    return first, second, third


# -- roles lent while on leave


@router.get("/account/delegations")
def delegations_page(request: Request, person: PersonAgain) -> Response:
    """Show what one lent and was lent, and lend a role."""
    return _delegations(request, person)


@router.post("/account/delegations", dependencies=[Form_])
def lend_role(
    *,
    request: Request,
    person: PersonAgain,
    membership_id: Annotated[int, Form()],
    to_email: Annotated[str, Form(max_length=EMAIL_CHARS_MAX)],
    from_on: Annotated[date, Form()],
    until_on: Annotated[date, Form()],
    reason: Annotated[str, Form(max_length=REASON_CHARS_MAX)],
) -> Response:
    """Lend a role from the first day to the last, both included."""
    typed = {"membership_id": membership_id, "to_email": to_email, "from_on": from_on, "until_on": until_on}
    try:
        with write_session(engine_of(request)) as session:
            delegations.lend(
                session,
                owner_id=person.user_id or 0,
                membership_id=membership_id,
                to_email=to_email,
                from_at=_midnight(from_on),
                until_at=_midnight(until_on + timedelta(days=1)),
                reason=reason,
                now=now_of(request),
            )
    except (Invalid, NotFound, Conflict) as refusal:
        return _delegations(request, person, refusal=refusal, typed=typed | {"reason": reason})
    return _done(request, "/account/delegations", translate(request, "The role is lent."))


@router.post("/account/delegations/{delegation_id}/end", dependencies=[Form_])
def end_delegation(request: Request, delegation_id: int, person: CurrentPerson) -> Response:
    """End a delegation early: one's own, or one that one was lent."""
    with write_session(engine_of(request)) as session:
        delegations.end(session, delegation_id=delegation_id, user_id=person.user_id or 0, now=now_of(request))
    return _done(request, "/account/delegations", translate(request, "The delegation has ended."))


def _delegations(
    request: Request, person: Actor, *, refusal: AppError | None = None, typed: dict[str, Any] | None = None
) -> Response:
    now, user_id = now_of(request), person.user_id or 0
    with read_session(engine_of(request)) as session:
        rows = delegations.delegations_of(session, user_id=user_id, now=now)
        roles = [row for row in account_repository.roles_of(session, user_id=user_id, now=now) if not row.delegation_id]
    return page(request, "identity/delegations.html", **_told(refusal), rows=rows, roles=roles, typed=typed or {})


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), HOME_ZONE)


# -- tokens for one's own programs


@router.get("/account/tokens")
def tokens_page(request: Request, person: PersonAgain) -> Response:
    """Show one's API tokens, and make one."""
    return _tokens(request, person)


@router.post("/account/tokens", dependencies=[Form_])
def make_token(
    request: Request,
    person: PersonAgain,
    name: Annotated[str, Form(max_length=NAME_CHARS_MAX)],
    days: Annotated[int, Form()],
    scopes: Annotated[list[str], Form(max_length=SCOPES_MAX)] = [],  # noqa: B006 - FastAPI reads it
) -> Response:
    """Make a token and show its secret, once."""
    try:
        with write_session(engine_of(request)) as session:
            secret = own_tokens.make_own_token(
                session,
                owner_id=person.user_id or 0,
                name=name,
                scopes=scopes,
                held=_held(person),
                days=days,
                now=now_of(request),
            )
    except (Invalid, Conflict) as refusal:
        return _tokens(request, person, refusal=refusal, typed={"name": name, "days": days, "scopes": scopes})
    return page(request, "identity/token_made.html", secret=secret, name=name)


@router.post("/account/tokens/{token_id}/revoke", dependencies=[Form_])
def revoke_token(request: Request, token_id: int, person: CurrentPerson) -> Response:
    """Revoke one of one's own tokens."""
    with write_session(engine_of(request)) as session:
        own_tokens.revoke_own_token(session, user_id=person.user_id or 0, token_id=token_id, now=now_of(request))
    return _done(request, "/account/tokens", translate(request, "The token is revoked."))


def _tokens(
    request: Request, person: Actor, *, refusal: AppError | None = None, typed: dict[str, Any] | None = None
) -> Response:
    with read_session(engine_of(request)) as session:
        rows = own_tokens.own_tokens(session, user_id=person.user_id or 0)
    return page(
        request,
        "identity/tokens.html",
        **_told(refusal),
        rows=rows,
        now=now_of(request),
        held=sorted(_held(person)),
        days_offered=TOKEN_DAYS,
        typed=typed or {},
    )


def _held(person: Actor) -> set[str]:
    return {permission.value for one in person.standings for permission in one.permissions}


# -- pieces


def _told(refusal: AppError | None) -> dict[str, Any]:
    return {
        "status": refusal.status if refusal is not None else HTTPStatus.OK,
        "message": refusal.message if refusal is not None else "",
    }


def _done(request: Request, target: str, message: str) -> Response:
    actor_cache(request).flush()
    answer = RedirectResponse(target, status_code=HTTPStatus.SEE_OTHER)
    flash(request, answer, "done", message)
    return answer
