"""The one place that says yes or no. Pure: it takes an actor and answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from central.identity.permissions import Permission
from central.kit.errors import AppError, NotFound

if TYPE_CHECKING:
    from central.kit.ids import SiteId


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
class Actor:
    """Who is asking: `user:{id}` or `token:{id}`, with everything they hold at this moment."""

    key: str
    name: str
    language: str
    grants: tuple[Grant, ...]
    session_id: int | None = None
    """The signed-in session's row, for a person."""
    _held: dict[SiteId | None, frozenset[Permission]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        held: dict[SiteId | None, set[Permission]] = {}
        for grant in self.grants:
            held.setdefault(grant.site_id, set()).add(grant.permission)
        object.__setattr__(self, "_held", {site_id: frozenset(them) for site_id, them in held.items()})

    def held_on(self, site_id: SiteId | None) -> frozenset[Permission]:
        """Return what is held on exactly this site, or (None) everywhere; ask `allowed` instead."""
        return self._held.get(site_id, frozenset())

    def knows(self, site_id: SiteId) -> bool:
        """Whether the actor may know that a site exists: any grant on it, or any grant everywhere."""
        return site_id in self._held or None in self._held


def allowed(actor: Actor, permission: Permission, *, site_id: SiteId | None = None) -> bool:
    """Whether `actor` holds `permission` on the site, or everywhere when no site is named."""
    return permission in actor.held_on(None) or (site_id is not None and permission in actor.held_on(site_id))


def require(actor: Actor, permission: Permission, *, site_id: SiteId | None = None) -> None:
    """Pass, or raise `NotFound` for a site that the actor may not know of, else `Forbidden`."""
    if allowed(actor, permission, site_id=site_id):
        return
    if site_id is not None and not actor.knows(site_id):
        raise NotFound("there is no such site, or you have no role on it: check the code, or ask for a role")
    raise _refusal(permission)


def allowed_sites(actor: Actor, permission: Permission) -> frozenset[SiteId] | None:
    """Return the sites on which `actor` holds `permission`; None means every site. For filtering lists."""
    if permission in actor.held_on(None):
        return None
    return frozenset(
        grant.site_id for grant in actor.grants if grant.permission is permission and grant.site_id is not None
    )


def require_somewhere(actor: Actor, permission: Permission) -> frozenset[SiteId] | None:
    """Pass when the permission is held on any site; return those sites (None: every site), else raise `Forbidden`."""
    sites = allowed_sites(actor, permission)
    if sites is not None and not sites:
        raise _refusal(permission)
    return sites


def permissions_on(actor: Actor, site_id: SiteId) -> frozenset[Permission]:
    """Return everything `actor` may do on a site."""
    return actor.held_on(None) | actor.held_on(site_id)


def _refusal(permission: Permission) -> Forbidden:
    return Forbidden(
        f"this needs the permission {permission.value}, which you do not hold here: ask a system operator for a role",
        permission=permission.value,
    )
