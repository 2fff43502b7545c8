"""FastAPI dependencies: who is asking, then the site or 404, then the permission or 403."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeVar, cast

from fastapi import Depends, Path, Request
from starlette.concurrency import run_in_threadpool

from central.identity.credentials import API_TOKEN_PREFIX, SECRET_CHARS_MAX
from central.identity.permissions import Permission
from central.identity.policy import (
    NO_PROJECT,
    NO_SITE,
    Actor,
    Reach,
    permissions_on,
    require,
    require_partly,
    require_reach,
)
from central.identity.repository import project_id_by_code
from central.identity.rules import Stage, proof_over
from central.kit.db import read_session
from central.kit.errors import AppError, NotFound
from central.kit.ids import ProjectId, SiteId

if TYPE_CHECKING:
    from central.identity.actors import ActorCache

SESSION_COOKIE = "ccs_session"


class SignInRequired(AppError):
    """Nobody known is asking."""

    status = 401
    code = "sign_in_required"


class WorkerSignInRequired(AppError):
    """No worker is asking."""

    status = 401
    code = "worker_sign_in_required"


class SecondFactorNeeded(AppError):
    """The password was right, and that is not enough for this account."""

    status = 401
    code = "second_factor_needed"


class ProofNeeded(AppError):
    """The session is good, and its person showed who they are too long ago for what they are about to do."""

    status = 401
    code = "proof_needed"


class TokenRefused(AppError):
    """The bearer token is unknown, revoked or expired."""

    status = 401
    code = "token_refused"


@dataclass(frozen=True, slots=True)
class SiteRef:
    """A site that the actor may see, with what they may do there."""

    id: SiteId
    code: str
    name: str
    timezone: str
    permissions: frozenset[Permission]


def actor_cache(request: Request) -> ActorCache:
    """Return the process's actor cache."""
    return cast("ActorCache", request.app.state.actors)


async def optional_actor(request: Request) -> Actor | None:
    """Return who is asking, or None when no valid session or token came; a bad bearer token is refused.

    Pages find the answer as `request.state.actor`.
    """
    actor = await _find_actor(request)
    request.state.actor = actor
    return actor


async def _find_actor(request: Request) -> Actor | None:
    cache = actor_cache(request)
    header = request.headers.get("authorization")
    if header is not None:
        return await _token_actor(cache, header)
    secret = request.cookies.get(SESSION_COOKIE)
    if not secret or len(secret) > SECRET_CHARS_MAX:
        return None
    return cache.remembered_actor("session", secret) or await run_in_threadpool(cache.load_session, secret)


async def _token_actor(cache: ActorCache, header: str) -> Actor:
    scheme, _, secret = header.partition(" ")
    secret = secret.strip()
    if scheme.lower() != "bearer" or not secret.startswith(API_TOKEN_PREFIX) or len(secret) > SECRET_CHARS_MAX:
        raise TokenRefused(
            "the Authorization header must be 'Bearer ccs_…': make a token with ccs-central token create"
        )
    actor = cache.remembered_actor("token", secret) or await run_in_threadpool(cache.load_token, secret)
    if actor is None:
        raise TokenRefused(
            "this API token is unknown, revoked or expired: make a new one with ccs-central token create"
        )
    return actor


async def current_actor(request: Request) -> Actor:
    """Return who is asking, or refuse with 401 (which sends a browser to the sign-in page and back)."""
    actor = await optional_actor(request)
    if actor is None:
        raise SignInRequired("sign in, or send 'Authorization: Bearer ccs_…'")
    if actor.stage is not Stage.FULL:
        raise SecondFactorNeeded("your account asks for a second factor: open the sign-in page and show it there")
    return actor


async def signed_in_person(request: Request) -> Actor:
    """Return the person whose session this is, however far their sign-in has come; refuse others with 401."""
    actor = await optional_actor(request)
    if actor is None or actor.user_id is None or actor.session_id is None:
        raise SignInRequired("sign in, or send 'Authorization: Bearer ccs_…'")
    return actor


async def signed_in_worker(request: Request) -> Actor:
    """Return the worker whose own view is asked for; refuse everybody else with 401."""
    actor = await optional_actor(request)
    if actor is None or actor.worker_id is None:
        raise WorkerSignInRequired("sign in with your worker number to see your own days")
    return actor


async def current_person(request: Request) -> Actor:
    """Return the person who is signed in, wholly; refuse machines and others with 401."""
    person = await signed_in_person(request)
    return await current_actor(request) if person.stage is not Stage.FULL else person


CurrentActor = Annotated[Actor, Depends(current_actor)]
ArrivingPerson = Annotated[Actor, Depends(signed_in_person)]
"""Of the pages that lead to a second factor: somebody whose session may not be whole yet."""
CurrentPerson = Annotated[Actor, Depends(current_person)]
SignedInWorker = Annotated[Actor, Depends(signed_in_worker)]
"""Of a worker's own view: it asks for no permission and shows nobody else's rows."""


def shown_lately(request: Request, actor: Actor) -> Actor:
    """Pass a machine, and a person who showed lately who they are; refuse another person with 401."""
    if actor.session_id is not None and proof_over(actor.proven_at, now=request.app.state.clock.now()):
        raise ProofNeeded("show again who you are: this changes how people sign in")
    return actor


async def arriving_again(request: Request, person: ArrivingPerson) -> Actor:
    """Return the person of a session, however far it has come, who showed lately who they are; else refuse with 401."""
    return shown_lately(request, person)


async def person_again(request: Request, person: CurrentPerson) -> Actor:
    """Return the person who is signed in, wholly, and showed lately who they are; refuse others with 401."""
    return await arriving_again(request, person)


ArrivingAgain = Annotated[Actor, Depends(arriving_again)]
"""Of what leads to a second factor: a session that was left open changes nothing of it."""
PersonAgain = Annotated[Actor, Depends(person_again)]
"""Of what changes how somebody signs in, or who else may act as them."""
Guard = TypeVar("Guard", bound=Callable[..., Awaitable[object]])
ASKS_FOR = "ccs_asks_for"
"""The attribute of a guard that names its permission, so that the access matrix can be made from the routes."""


def asking_for(permission: Permission, guard: Guard) -> Guard:
    """Note on a guard what it asks for."""
    setattr(guard, ASKS_FOR, permission)
    return guard


def permission_guard(permission: Permission) -> Callable[[Actor], Awaitable[Actor]]:
    """Make a dependency that gives the actor who holds `permission` everywhere, or refuses with 403."""

    async def guard(actor: CurrentActor) -> Actor:
        require(actor, permission)
        return actor

    return asking_for(permission, guard)


def reach_guard(permission: Permission) -> Callable[[Actor], Awaitable[Reach]]:
    """Make a dependency that gives the rows which `permission` reaches, or refuses with 403 when there are none."""

    async def guard(actor: CurrentActor) -> Reach:
        return require_reach(actor, permission)

    return asking_for(permission, guard)


async def site_for(
    request: Request, code: str, permission: Permission, *, actor: Actor, partly: bool = False
) -> SiteRef:
    """Return the site `code`: 404 for one that the actor may not know, then 403 without the permission there.

    `partly`: it is enough when the permission reaches some employer's own rows there.
    """
    cache = actor_cache(request)
    row = cache.remembered_site(code) or await run_in_threadpool(cache.load_site, code)
    if row is None:
        raise NotFound(NO_SITE)
    site_id = SiteId(row.id)
    asked = require_partly if partly else require
    asked(actor, permission, site_id=site_id)
    return SiteRef(site_id, row.code, row.name, row.timezone, permissions_on(actor, site_id))


def site_guard(permission: Permission, *, partly: bool = False) -> Callable[..., Awaitable[SiteRef]]:
    """Make a dependency that gives the site of the path's `{code}`, as `site_for` does."""

    async def guard(request: Request, code: Annotated[str, Path(max_length=40)], actor: CurrentActor) -> SiteRef:
        return await site_for(request, code, permission, actor=actor, partly=partly)

    return asking_for(permission, guard)


@dataclass(frozen=True, slots=True)
class ProjectRef:
    """A project that the actor may see."""

    id: ProjectId
    code: str


def project_guard(permission: Permission, *, partly: bool = False) -> Callable[..., Awaitable[ProjectRef]]:
    """Make a dependency that gives the project of the path's `{code}`: 404 when unknown to the actor, then 403.

    `partly`: it is enough when the permission reaches some organization's own rows in it.
    """

    async def guard(request: Request, code: Annotated[str, Path(max_length=40)], actor: CurrentActor) -> ProjectRef:
        found = await run_in_threadpool(_project_id, request, code)
        if found is None:
            raise NotFound(NO_PROJECT)
        asked = require_partly if partly else require
        asked(actor, permission, project_id=ProjectId(found))
        return ProjectRef(ProjectId(found), code)

    return asking_for(permission, guard)


def _project_id(request: Request, code: str) -> int | None:
    with read_session(request.app.state.engine) as session:
        return project_id_by_code(session, code)
