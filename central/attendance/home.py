"""The home of each role: the questions that it answers first, in their order, as data; and how a panel looks. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from central.identity.permissions import Permission, Role

if TYPE_CHECKING:
    from collections.abc import Iterable

    from central.identity.policy import Actor

ROWS_A_PANEL_MAX = 5

PANELS: dict[str, Permission] = {
    "inside": Permission.SITE_HEADCOUNT_READ,
    "own_people": Permission.REGISTRY_WORKER_READ,
    "visitors": Permission.REGISTRY_DAY_PASS_READ,
    "papers": Permission.REGISTRY_WORKER_READ,
    "terminals": Permission.REGISTRY_TERMINAL_READ,
    "ending": Permission.REGISTRY_PROJECT_READ,
    "begun": Permission.REGISTRY_PROJECT_READ,
    "aside": Permission.ATTENDANCE_QUARANTINE_READ,
    "acts": Permission.AUDIT_EVENT_READ,
}
"""Panel to the permission that it is cut to. Who lacks it does not see the panel."""

HOMES: dict[Role, tuple[str, ...]] = {
    Role.SYSTEM_OPERATOR: ("terminals", "aside", "inside", "acts"),
    Role.CLIENT_OFFICIAL: ("inside", "ending", "begun", "terminals"),
    Role.SUPERVISOR: ("inside", "papers", "visitors", "ending"),
    Role.CONTRACTOR: ("inside", "papers", "visitors", "terminals", "ending"),
    Role.SAFETY_OFFICER: ("inside", "visitors", "terminals"),
    Role.SUBCONTRACTOR: ("own_people", "papers", "ending"),
    Role.SUPPLIER: ("own_people", "papers", "ending"),
    Role.ASSOCIATION: ("begun", "ending"),
    Role.AUDITOR: ("acts", "aside", "terminals", "inside"),
    Role.BANK: (),
    Role.WORKER: (),
}
"""The first questions of a role's day, the first one first (DESIGN §5)."""
ANYBODYS = ("inside", "own_people", "papers", "visitors", "terminals", "ending", "begun", "aside", "acts")
"""For whoever asks without a role: a token."""


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a panel."""

    href: str
    title: str
    about: str = ""
    value: str = ""
    flag: bool = False
    """Whether somebody has to look at it."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One question answered: a figure, the rows to look at first, and where the rest is."""

    kind: str
    figure: int
    lines: tuple[Line, ...] = ()
    href: str = ""
    flag: bool = False


def panels_of(actor: Actor) -> list[str]:
    """Return the panels of somebody's roles in order, each once, as far as they may see them.

    Who has several roles sees the first question of each before the second of any.
    """
    mine = [HOMES[role] for role in Role if role.value in actor.roles] if actor.roles else [ANYBODYS]
    longest = max(map(len, mine), default=0)
    in_turn = (home[place] for place in range(longest) for home in mine if place < len(home))
    return [kind for kind in dict.fromkeys(in_turn) if _shown(actor, kind)]


def _shown(actor: Actor, kind: str) -> bool:
    reach = actor.reach(PANELS[kind])
    if kind in {"aside", "acts"}:
        return reach.everywhere
    if kind == "own_people":
        return bool(reach.own)
    if kind == "inside":
        return reach.everywhere or bool(reach.sites)
    return bool(reach)


def first(lines: Iterable[Line]) -> tuple[Line, ...]:
    """Cut lines to what a panel shows."""
    return tuple(lines)[:ROWS_A_PANEL_MAX]
