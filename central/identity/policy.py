"""The one place that says yes or no. Pure: it takes an actor and answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from central.identity.permissions import EMPLOYERS_ROWS, ROLE_PERMISSIONS, ROLE_REACH, Permission, Role, Via
from central.identity.rules import RoleRow, Stage
from central.kit.errors import AppError, Invalid, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from central.kit.ids import OrganizationId, ProjectId, SiteId

NO_SITE = "there is no such site, or you have no role on it: check the code, or ask for a role"
NO_PROJECT = "there is no such project, or you have no role in it: check the code, or ask for a role"


class Forbidden(AppError):
    """The actor is known and may not do this."""

    status = 403
    code = "forbidden"


@dataclass(frozen=True, slots=True)
class Grant:
    """One permission, on one site or (None) everywhere."""

    permission: Permission
    site_id: SiteId | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """Permissions that hold together in one place: a site, a project, or (both None) everywhere.

    With `employer_id` they reach that employer's rows in the place and nobody else's.
    """

    permissions: frozenset[Permission]
    site_id: SiteId | None = None
    project_id: ProjectId | None = None
    """The project itself, its facts and contracts; its sites have standings of their own."""
    employer_id: OrganizationId | None = None


@dataclass(frozen=True, slots=True)
class Reached:
    """Something that a membership reaches, as the database says it: a site of a project, a project, or everything."""

    role: str
    via: str
    site_id: SiteId | None = None
    project_id: ProjectId | None = None
    organization_id: OrganizationId | None = None


@dataclass(frozen=True, slots=True)
class Reach:
    """The rows that a permission reaches. Repositories take one and show nothing outside of it."""

    everywhere: bool = False
    sites: frozenset[SiteId] = frozenset()
    """Reached wholly."""
    projects: frozenset[ProjectId] = frozenset()
    """Reached wholly."""
    own: frozenset[tuple[SiteId, OrganizationId]] = frozenset()
    """On the site, the employer's rows."""
    own_contracts: frozenset[tuple[ProjectId, OrganizationId]] = frozenset()
    """In the project, the organization's contracts and those below them."""
    worker_id: int | None = None
    """A worker's own rows, and nothing else."""

    def __bool__(self) -> bool:
        """Whether it reaches anything at all."""
        return (
            self.everywhere
            or bool(self.sites or self.projects or self.own or self.own_contracts)
            or self.worker_id is not None
        )

    @property
    def whole_sites(self) -> frozenset[SiteId] | None:
        """The sites reached wholly; None means every site."""
        return None if self.everywhere else self.sites


EVERYTHING = Reach(everywhere=True)
"""What the system itself reaches: commands, imports, jobs."""
NOTHING = Reach()


@dataclass(frozen=True, slots=True)
class Actor:
    """Who is asking: `user:{id}`, `token:{id}` or `worker:{id}`, with everything they hold at this moment."""

    key: str
    name: str
    language: str
    grants: tuple[Grant, ...] = ()
    session_id: int | None = None
    """The signed-in session's row, for a person."""
    standings: tuple[Standing, ...] = ()
    user_id: int | None = None
    """The account, for a person."""
    stage: Stage = Stage.FULL
    seat: RoleRow | None = None
    """The one role acted in, when one was chosen."""
    worker_id: int | None = None
    """The worker, for somebody signed in to their own view: they hold no permission and ask for none."""
    method: str = ""
    """How the worker signed in."""
    roles: frozenset[str] = frozenset()
    """The roles acted in, for a person: what their home shows first. What they may do stands in `standings`."""
    brings_in: bool = False
    """Whether the person may give colleagues a role (`/colleagues`)."""
    proven_at: datetime | None = None
    """When the person last showed who they are, in this session."""
    _held: dict[SiteId | None, frozenset[Permission]] = field(init=False, repr=False, compare=False)
    _projects: dict[ProjectId, frozenset[Permission]] = field(init=False, repr=False, compare=False)
    _known: frozenset[SiteId | None] = field(init=False, repr=False, compare=False)
    _known_projects: frozenset[ProjectId] = field(init=False, repr=False, compare=False)
    _reaches: dict[Permission, Reach] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        held: dict[SiteId | None, frozenset[Permission]] = {}
        projects: dict[ProjectId, frozenset[Permission]] = {}
        known: set[SiteId | None] = set()
        known_projects: set[ProjectId] = set()
        for one in self._all():
            if one.site_id is None and one.project_id is not None:
                known_projects.add(one.project_id)
                if one.employer_id is None:
                    projects[one.project_id] = projects.get(one.project_id, frozenset()) | one.permissions
                continue
            known.add(one.site_id)
            if one.employer_id is None:
                held[one.site_id] = held.get(one.site_id, frozenset()) | one.permissions
        object.__setattr__(self, "_held", held)
        object.__setattr__(self, "_projects", projects)
        object.__setattr__(self, "_known", frozenset(known))
        object.__setattr__(self, "_known_projects", frozenset(known_projects))

    @property
    def lent(self) -> bool:
        """Whether the role acted in was lent by somebody else."""
        return self.seat is not None and self.seat.delegation_id is not None

    def _all(self) -> Iterable[Standing]:
        yield from (Standing(frozenset({grant.permission}), grant.site_id) for grant in self.grants)
        yield from self.standings

    def held_on(self, site_id: SiteId | None) -> frozenset[Permission]:
        """Return what is held on exactly this site, or (None) everywhere; ask `allowed` instead."""
        return self._held.get(site_id, frozenset())

    def held_in(self, project_id: ProjectId) -> frozenset[Permission]:
        """Return what is held in exactly this project; ask `allowed` instead."""
        return self._projects.get(project_id, frozenset())

    def knows(self, site_id: SiteId) -> bool:
        """Whether the actor may know that a site exists: any standing on it, or any everywhere."""
        return site_id in self._known or None in self._known

    def knows_project(self, project_id: ProjectId) -> bool:
        """Whether the actor may know that a project exists: any standing in it, or any everywhere."""
        return project_id in self._known_projects or None in self._known

    def reach(self, permission: Permission) -> Reach:
        """Return the rows that the permission reaches; worked out once an actor."""
        found = self._reaches.get(permission)
        if found is None:
            found = self._reaches[permission] = _reach(self._all(), permission)
        return found


def _reach(standings: Iterable[Standing], permission: Permission) -> Reach:
    sites, projects, own, own_contracts = set(), set(), set(), set()
    for one in standings:
        if permission not in one.permissions:
            continue
        if one.site_id is not None:
            if one.employer_id is None:
                sites.add(one.site_id)
            else:
                own.add((one.site_id, one.employer_id))
        elif one.project_id is None:
            return EVERYTHING
        elif one.employer_id is None:
            projects.add(one.project_id)
        else:
            own_contracts.add((one.project_id, one.employer_id))
    return Reach(
        sites=frozenset(sites),
        projects=frozenset(projects),
        own=frozenset(own),
        own_contracts=frozenset(own_contracts),
    )


def standings_of(reached: Iterable[Reached]) -> tuple[Standing, ...]:
    """Turn what memberships reach into what is held there. A role or way of another release gives nothing.

    A role on a site may also look at its project. Through a contract an organization sees its own contracts and those
    below them; through `Via.EMPLOYER` also no other employer's people.
    """
    made: dict[Standing, None] = {}
    for one in reached:
        role = _ROLES.get(one.role)
        if role is None or one.via not in ROLE_REACH[role]:
            continue
        permissions = ROLE_PERMISSIONS[role]
        if one.via == Via.EVERYWHERE:
            found = [Standing(permissions)]
        elif one.via in _OWN_WAYS:
            found = _own(permissions, one)
        else:
            found = _placed(permissions, one)
        made |= dict.fromkeys(found)
    return tuple(made)


def _placed(permissions: frozenset[Permission], one: Reached) -> list[Standing]:
    in_project = _looking(permissions) if one.via == Via.SITE else permissions
    found = [Standing(in_project, project_id=one.project_id)]
    if one.site_id is not None:
        found.append(Standing(permissions, site_id=one.site_id))
    return found


def _own(permissions: frozenset[Permission], one: Reached) -> list[Standing]:
    """A prime has its sites wholly and its own contracts; other employers have their own rows alone."""
    if one.organization_id is None:
        return []
    rows = permissions & EMPLOYERS_ROWS
    places = permissions if one.via == Via.PRIME else permissions - rows
    found = [
        Standing(_looking(permissions - rows), project_id=one.project_id),
        Standing(rows, project_id=one.project_id, employer_id=one.organization_id),
    ]
    if one.site_id is not None:
        found.append(Standing(places, site_id=one.site_id))
        if one.via == Via.EMPLOYER:
            found.append(Standing(rows, site_id=one.site_id, employer_id=one.organization_id))
    return found


def _looking(permissions: frozenset[Permission]) -> frozenset[Permission]:
    return frozenset(permission for permission in permissions if permission.endswith(":read"))


_ROLES = {role.value: role for role in Role}
_OWN_WAYS = {Via.EMPLOYER, Via.PRIME}
_NEEDS_ORGANIZATION = {Via.CLIENT, Via.EMPLOYER, Via.PRIME, Via.SUPERVISION}


def check_scope(role: Role, *, site: bool, project: bool, organization: bool) -> None:
    """Pass when the role can hold in such a place (none of the three: everywhere), or raise `Invalid` saying where."""
    ways = ROLE_REACH[role]
    if site:
        fits, asked = Via.SITE in ways, "a site"
    elif project:
        fits, asked = Via.PROJECT in ways, "a project"
    elif organization:
        fits, asked = bool(ways & _NEEDS_ORGANIZATION), "an organization"
    else:
        fits, asked = Via.EVERYWHERE in ways, "everything"
    if not fits:
        words = {Via.EVERYWHERE: "everything", Via.SITE: "a site", Via.PROJECT: "a project"}
        offered = sorted({words.get(way, "an organization") for way in ways}) or [
            "nothing: it is given by registration"
        ]
        raise Invalid(f"the role {role.value} cannot be held over {asked}: it can over {' or '.join(offered)}")


def allowed(
    actor: Actor, permission: Permission, *, site_id: SiteId | None = None, project_id: ProjectId | None = None
) -> bool:
    """Whether `actor` holds `permission` on the site, in the project, or everywhere when none is named."""
    return (
        permission in actor.held_on(None)
        or (site_id is not None and permission in actor.held_on(site_id))
        or (project_id is not None and permission in actor.held_in(project_id))
    )


def require(
    actor: Actor, permission: Permission, *, site_id: SiteId | None = None, project_id: ProjectId | None = None
) -> None:
    """Pass, or raise `NotFound` for a site or project that the actor may not know of, else `Forbidden`."""
    if allowed(actor, permission, site_id=site_id, project_id=project_id):
        return
    if site_id is not None and not actor.knows(site_id):
        raise NotFound(NO_SITE)
    if project_id is not None and not actor.knows_project(project_id):
        raise NotFound(NO_PROJECT)
    raise _refusal(permission)


def require_own_role(actor: Actor) -> None:
    """Pass unless the actor acts in a role that was lent, or raise `Forbidden`: what it gave would stay after it."""
    if actor.lent:
        raise Forbidden("A role that was lent brings nobody in and gives no role. Act in one of your own.")


def require_rows(actor: Actor, permission: Permission, *, site_id: SiteId, employer_id: OrganizationId) -> None:
    """Pass when the permission reaches this employer's rows on the site, wholly or as its own; else as `require`."""
    if (site_id, employer_id) not in actor.reach(permission).own:
        require(actor, permission, site_id=site_id)


def require_partly(
    actor: Actor, permission: Permission, *, site_id: SiteId | None = None, project_id: ProjectId | None = None
) -> None:
    """Pass when the permission reaches any row there: all of them, or an organization's own; else as `require`."""
    reach = actor.reach(permission)
    on_site = any(own == site_id for own, _ in reach.own)
    in_project = any(own == project_id for own, _ in reach.own_contracts)
    if not (on_site or in_project):
        require(actor, permission, site_id=site_id, project_id=project_id)


def allowed_sites(actor: Actor, permission: Permission) -> frozenset[SiteId] | None:
    """Return the sites on which `actor` holds `permission` wholly; None means every site. For filtering lists."""
    return actor.reach(permission).whole_sites


def own_employers(actor: Actor, permission: Permission, *, site_id: SiteId) -> frozenset[OrganizationId] | None:
    """Return whose rows on a site the permission reaches; None: everybody's."""
    if allowed(actor, permission, site_id=site_id):
        return None
    return frozenset(employer for own, employer in actor.reach(permission).own if own == site_id)


def require_somewhere(actor: Actor, permission: Permission) -> frozenset[SiteId] | None:
    """Pass when the permission is held wholly on any site; return those sites (None: every site), else `Forbidden`."""
    sites = allowed_sites(actor, permission)
    if sites is not None and not sites:
        raise _refusal(permission)
    return sites


def require_reach(actor: Actor, permission: Permission) -> Reach:
    """Pass when the permission reaches anything; return what it reaches, else raise `Forbidden`."""
    reach = actor.reach(permission)
    if not reach:
        raise _refusal(permission)
    return reach


def permissions_on(actor: Actor, site_id: SiteId) -> frozenset[Permission]:
    """Return everything `actor` may do on a site."""
    return actor.held_on(None) | actor.held_on(site_id)


def _refusal(permission: Permission) -> Forbidden:
    return Forbidden(
        f"this needs the permission {permission.value}, which you do not hold here: ask a system operator for a role",
        permission=permission.value,
    )
