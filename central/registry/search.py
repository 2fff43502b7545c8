"""One search over what is registered, cut to what the asker's permissions reach, kind by kind.

Each kind takes one query along an index, or none where its permission reaches nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlmodel import col, select

from central.identity.permissions import Permission
from central.kit.lists import begins, clean
from central.registry.confinement import confine
from central.registry.models import Card, Organization, Project, Site, Terminal, Worker
from central.registry.words import found_by, words_in

if TYPE_CHECKING:
    from collections.abc import Iterable

    from central.identity.policy import Actor
    from central.kit.db import ReadSession

HITS_A_KIND_MAX = 6
TOKEN_CHARS_MIN = 4
"""Fewer digits of a card's number are not looked for: they would fit thousands."""
_TOKEN = re.compile(rf"[0-9a-f]{{{TOKEN_CHARS_MIN},32}}")
_DIGITS = re.compile(r"[0-9-]{3,12}")


@dataclass(frozen=True, slots=True)
class Hit:
    """One thing found: where it is shown, what it is called, and what tells it from others of its name."""

    href: str
    title: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """The things of one kind, and whether there are more than are shown."""

    kind: str
    hits: tuple[Hit, ...]
    more: bool


Find = Callable[["ReadSession", str, list[str]], "Iterable[Hit]"]


def search(session: ReadSession, actor: Actor, question: str) -> list[Group]:
    """Find what the question's words begin. The session is a request's: each kind is cut to its own reach."""
    text, groups = clean(question), []
    words = words_in(text)
    if not words:
        return []
    for kind, (permission, find) in KINDS.items():
        reach = actor.reach(permission)
        if not reach:
            continue
        confine(session, reach)
        hits = tuple(find(session, text, words))
        if hits:
            groups.append(Group(kind, hits[:HITS_A_KIND_MAX], len(hits) > HITS_A_KIND_MAX))
    return groups


def _projects(session: ReadSession, _: str, words: list[str]) -> Iterable[Hit]:
    query = select(Project).where(found_by(Project, words)).order_by(col(Project.name), col(Project.id))
    for one in session.exec(query.limit(HITS_A_KIND_MAX + 1)).all():
        yield Hit(f"/projects/{one.code}", one.name, one.code)


def _sites(session: ReadSession, _: str, words: list[str]) -> Iterable[Hit]:
    query = select(Site).where(found_by(Site, words)).order_by(col(Site.name), col(Site.id))
    for one in session.exec(query.limit(HITS_A_KIND_MAX + 1)).all():
        yield Hit(f"/sites/{one.code}", one.name, one.code)


def _workers(session: ReadSession, text: str, words: list[str]) -> Iterable[Hit]:
    sought = found_by(Worker, words) | (col(Worker.worker_no) == text)
    query = select(Worker).where(sought, col(Worker.merged_into_id).is_(None))
    for one in session.exec(query.order_by(col(Worker.name), col(Worker.id)).limit(HITS_A_KIND_MAX + 1)).all():
        yield Hit(f"/workers/{one.id}", one.name, one.worker_no or (one.birth_on.isoformat() if one.birth_on else ""))


def _cards(session: ReadSession, text: str, _: list[str]) -> Iterable[Hit]:
    if not _TOKEN.fullmatch(text.lower()):
        return
    query = select(Card).where(begins(col(Card.token), text.lower())).order_by(col(Card.token))
    for one in session.exec(query.limit(HITS_A_KIND_MAX + 1)).all():
        yield Hit(f"/cards/{one.id}", one.token, one.state)


def _terminals(session: ReadSession, _: str, words: list[str]) -> Iterable[Hit]:
    query = (
        select(Terminal, Site.code, Site.name)
        .join(Site, col(Site.id) == col(Terminal.site_id))
        .where(found_by(Terminal, words), Terminal.state != "removed")
        .order_by(col(Site.code), col(Terminal.code))
    )
    for one, site, name in session.exec(query.limit(HITS_A_KIND_MAX + 1)).all():
        yield Hit(f"/sites/{site}/terminals/{one.code}", one.name or one.code, f"{name} · {one.code}")


def _organizations(session: ReadSession, text: str, words: list[str]) -> Iterable[Hit]:
    sought = found_by(Organization, words)
    if _DIGITS.fullmatch(text):
        sought |= col(Organization.business_no).startswith(text.replace("-", ""))
    query = select(Organization).where(sought).order_by(col(Organization.name), col(Organization.id))
    for one in session.exec(query.limit(HITS_A_KIND_MAX + 1)).all():
        yield Hit(f"/organizations/{one.id}", one.name, one.business_no or "")


KINDS: dict[str, tuple[Permission, Find]] = {
    "sites": (Permission.SITE_HEADCOUNT_READ, _sites),
    "projects": (Permission.REGISTRY_PROJECT_READ, _projects),
    "workers": (Permission.REGISTRY_WORKER_READ, _workers),
    "organizations": (Permission.REGISTRY_ORGANIZATION_READ, _organizations),
    "terminals": (Permission.REGISTRY_TERMINAL_READ, _terminals),
    "cards": (Permission.REGISTRY_CARD_READ, _cards),
}
"""Kind to the permission that its page asks for, and how it is found."""
