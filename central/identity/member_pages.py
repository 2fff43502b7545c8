"""Accounts and their roles, for who may give them: invited, given and taken roles, closed, freed of a lost factor."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from central.identity import account_repository, accounts, invitations, second_factor, sessions
from central.identity.accounts import NAME_CHARS_MAX, Scope
from central.identity.asking import engine_of, letters_of, note_accounts, now_of
from central.identity.guards import actor_cache, permission_guard, shown_lately
from central.identity.permissions import Permission, Role
from central.identity.policy import Actor, require_own_role
from central.identity.signin import EMAIL_CHARS_MAX
from central.kit.db import read_session, write_session
from central.kit.errors import AppError, Conflict, Invalid, NotFound
from central.kit.public import public_url
from central.kit.web import checked_form, flash, page, translate

ROWS_MAX = 100
PLACE_CHARS_MAX = 60
PLACES = ("", "site", "project", "organization")
router = APIRouter(include_in_schema=False)
KeptBy = Annotated[Actor, Depends(permission_guard(Permission.IDENTITY_USER_WRITE))]


async def keeper_again(request: Request, keeper: KeptBy) -> Actor:
    """Give who keeps accounts, once they showed lately who they are: a screen left open makes nobody an operator."""
    return shown_lately(request, keeper)


Keeper = Annotated[Actor, Depends(keeper_again)]


async def keeper_by_right(keeper: Keeper) -> Actor:
    """Give who keeps accounts in a role of their own: one that was lent may do the rest, and gives nothing on."""
    require_own_role(keeper)
    return keeper


Giver = Annotated[Actor, Depends(keeper_by_right)]
Place = Annotated[str, Form(max_length=20)]
PlaceCode = Annotated[str, Form(max_length=PLACE_CHARS_MAX)]
RoleName = Annotated[str, Form(max_length=40)]
Form_ = Depends(checked_form)


@router.get("/accounts")
def accounts_page(request: Request, keeper: Keeper, q: Annotated[str, Query(max_length=100)] = "") -> Response:
    """List accounts and open invitations, and invite somebody."""
    return _accounts(request, keeper, search=q)


@router.post("/accounts", dependencies=[Form_])
def invite(
    *,
    request: Request,
    keeper: Giver,
    email: Annotated[str, Form(max_length=EMAIL_CHARS_MAX)],
    name: Annotated[str, Form(max_length=NAME_CHARS_MAX)],
    role: RoleName,
    place: Place = "",
    code: PlaceCode = "",
    language: Annotated[str, Form(max_length=8)] = "ko",
) -> Response:
    """Invite somebody. Where no mail goes out, the link is shown once, to be handed over."""
    typed = {"email": email, "name": name, "role": role, "place": place, "code": code, "language": language}
    letters = letters_of(request)
    try:
        with write_session(engine_of(request)) as session:
            link = invitations.invite(
                session,
                email=email,
                name=name,
                role=role,
                scope=_scope(place, code),
                language=language,
                base_url=public_url(request),
                letters=letters,
                actor=keeper.key,
                now=now_of(request),
            )
    except (Invalid, Conflict, NotFound) as refusal:
        return _accounts(request, keeper, refusal=refusal, typed=typed)
    if not letters.go_out:
        return page(request, "identity/link_made.html", link=link, email=email)
    return _done(request, "/accounts", translate(request, "The invitation is on its way."))


@router.post("/accounts/invitations/{invitation_id}/withdraw", dependencies=[Form_])
def withdraw(request: Request, invitation_id: int, keeper: Keeper) -> Response:
    """End an invitation before it is accepted."""
    with write_session(engine_of(request)) as session:
        invitations.withdraw(session, invitation_id=invitation_id, actor=keeper.key, now=now_of(request))
    return _done(request, "/accounts", translate(request, "The invitation was withdrawn."))


@router.get("/accounts/{user_id}")
def account_page(request: Request, user_id: int, keeper: Keeper) -> Response:
    """Show one account with its roles."""
    return _account(request, user_id, keeper)


@router.post("/accounts/{user_id}/roles", dependencies=[Form_])
def give_role(
    request: Request,
    user_id: int,
    keeper: Giver,
    role: RoleName,
    place: Place = "",
    code: PlaceCode = "",
) -> Response:
    """Give one more role."""
    try:
        with write_session(engine_of(request)) as session:
            _user(session, user_id)
            accounts.add_membership(
                session,
                user_id=user_id,
                role=role,
                scope=_scope(place, code),
                actor=keeper.key,
                now=now_of(request),
            )
    except (Conflict, Invalid, NotFound) as refusal:
        return _account(request, user_id, keeper, refusal=refusal, typed={"role": role, "place": place, "code": code})
    return _done(request, f"/accounts/{user_id}", translate(request, "The role was given."))


@router.post("/accounts/{user_id}/roles/{membership_id}/end", dependencies=[Form_])
def take_role(request: Request, user_id: int, membership_id: int, keeper: Keeper) -> Response:
    """Take a role away: it counts from that person's next request on."""
    with write_session(engine_of(request)) as session:
        held = account_repository.membership(session, membership_id)
        if held is None or held.user_id != user_id:
            raise NotFound("there is no such role that still holds: open the page again")
        accounts.end_membership(session, membership_id=membership_id, actor=keeper.key, now=now_of(request))
    return _done(request, f"/accounts/{user_id}", translate(request, "The role was taken away."))


@router.post("/accounts/{user_id}/end-sessions", dependencies=[Form_])
def end_sessions(request: Request, user_id: int, keeper: Keeper) -> Response:
    """Sign somebody out everywhere, e.g. after a phone was stolen; they can sign in again."""
    with write_session(engine_of(request)) as session:
        sessions.end_sessions_for(session, user_id=_user(session, user_id).id, actor=keeper.key, now=now_of(request))
    return _done(request, f"/accounts/{user_id}", translate(request, "Signed out everywhere."))


@router.post("/accounts/{user_id}/close", dependencies=[Form_])
def close(request: Request, user_id: int, keeper: Keeper) -> Response:
    """Close an account: signed out everywhere, not let in again. Nobody closes their own."""
    if keeper.user_id == user_id:
        raise Conflict("you cannot close your own account: ask another system operator")
    with write_session(engine_of(request)) as session:
        email = _user(session, user_id).email
        accounts.disable_user(session, email=email, actor=keeper.key, now=now_of(request))
    return _done(request, f"/accounts/{user_id}", translate(request, "The account is closed."))


@router.post("/accounts/{user_id}/reset-factors", dependencies=[Form_])
def reset_factors(request: Request, user_id: int, keeper: Keeper) -> Response:
    """Take a lost second factor away; the person sets up a new one when signing in next."""
    if keeper.user_id == user_id:
        raise Conflict("you cannot reset your own second factor: ask another system operator")
    with write_session(engine_of(request)) as session:
        second_factor.reset_factors(
            session,
            email=_user(session, user_id).email,
            actor=keeper.key,
            letters=letters_of(request),
            now=now_of(request),
        )
    return _done(request, f"/accounts/{user_id}", translate(request, "The second factor was taken away."))


def _user(session: Any, user_id: int) -> Any:  # noqa: ANN401 - either kind of session, and the account's row
    user = account_repository.user_by_id(session, user_id)
    if user is None:
        raise NotFound("there is no such account: open the list again")
    return user


def _scope(place: str, code: str) -> Scope:
    if place not in PLACES:
        raise Invalid("a role holds on a site, in a project, for an organization, or everywhere: choose one")
    named = code.strip()
    if bool(place) != bool(named):
        raise Invalid("say where the role holds and give its code or business number, or leave both empty")
    return {
        "": Scope(),
        "site": Scope(site=named),
        "project": Scope(project=named),
        "organization": Scope(organization=named.replace("-", "")),
    }[place]


def _accounts(
    request: Request,
    keeper: Actor,
    *,
    search: str = "",
    refusal: AppError | None = None,
    typed: dict[str, str] | None = None,
) -> Response:
    with read_session(engine_of(request)) as session:
        rows = account_repository.users(session, like=search, rows_max=ROWS_MAX + 1)
        waiting = invitations.open_invitations(session, now=now_of(request))
    rows, more = rows[:ROWS_MAX], len(rows) > ROWS_MAX
    note_accounts(request, keeper, [row.id or 0 for row in rows])
    return page(
        request,
        "identity/accounts.html",
        **_told(refusal),
        rows=rows,
        more=more,
        waiting=waiting,
        search=search,
        roles=list(Role),
        keeper=keeper,
        typed=typed or {},
    )


def _account(
    request: Request,
    user_id: int,
    keeper: Actor,
    *,
    refusal: AppError | None = None,
    typed: dict[str, str] | None = None,
) -> Response:
    with read_session(engine_of(request)) as session:
        user = _user(session, user_id)
        held = account_repository.roles_of(session, user_id=user_id, now=now_of(request))
        factors = second_factor.factors_of(session, user_id)
    note_accounts(request, keeper, [user_id])
    return page(
        request,
        "identity/account_of.html",
        **_told(refusal),
        user=user,
        held=[row for row in held if row.delegation_id is None],
        lent=[row for row in held if row.delegation_id is not None],
        factors=factors,
        roles=list(Role),
        keeper=keeper,
        typed=typed or {},
    )


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
