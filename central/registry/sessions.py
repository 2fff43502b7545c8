"""Sessions of requests, cut to what the asker's permission reaches; whose data they read is in the audit trail.

Annotations are not postponed here: FastAPI could not find a guard that is a function's own variable.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated

from fastapi import Depends, Request

from central.audit.tags import Tag
from central.identity.guards import reach_guard
from central.identity.looks import Looks
from central.identity.permissions import Permission
from central.identity.policy import Reach
from central.kit.db import Reading, ReadSession, WriteSession, Writing, before_answer
from central.registry import whose
from central.registry.confinement import confine

SUBJECT_CHARS_MAX = 120


def confined_reading(permission: Permission) -> Callable[..., Awaitable[ReadSession]]:
    """Make a dependency that gives a read session showing what `permission` reaches, or refuses with 403.

    Workers whose rows it read are written down before the answer goes: who looked, where, at whom.
    """
    guard = reach_guard(permission)

    async def confined(request: Request, reach: Annotated[Reach, Depends(guard)], session: Reading) -> ReadSession:
        confine(session, reach)
        return await watched(request, session)

    return confined


async def watched(request: Request, session: Reading) -> ReadSession:
    """Give a read session whose readings of workers are written down; whoever takes it confines it."""
    whose.watch(session)
    before_answer(session, partial(_write_look, request, session))
    return session


WatchedReading = Annotated[ReadSession, Depends(watched)]


def _write_look(request: Request, session: ReadSession | WriteSession) -> None:
    workers = whose.take(session)
    if workers:
        looks: Looks = request.app.state.looks
        place = request.url.path[:SUBJECT_CHARS_MAX]
        now = request.app.state.clock.now()
        looks.note(request.state.actor, Tag.WORKER_LOOK, place, now=now, detail={}, workers=workers)


def confined_writing(permission: Permission) -> Callable[..., Awaitable[WriteSession]]:
    """Make a dependency that gives a write session seeing what `permission` reaches, or refuses with 403.

    A form to be filled in shows whom it is about: opening it is a look, sending it leaves the act itself.
    """
    guard = reach_guard(permission)

    async def confined(request: Request, reach: Annotated[Reach, Depends(guard)], session: Writing) -> WriteSession:
        confine(session, reach)
        if request.method == "GET":
            whose.watch(session)
            before_answer(session, partial(_write_look, request, session))
        return session

    return confined
