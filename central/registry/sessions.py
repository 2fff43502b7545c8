"""Sessions of requests, already cut to what the asker's permission reaches. Endpoints and pages take these.

Annotations are not postponed here: FastAPI could not find a guard that is a function's own variable.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends

from central.identity.guards import reach_guard
from central.identity.permissions import Permission
from central.identity.policy import Reach
from central.kit.db import Reading, ReadSession, WriteSession, Writing
from central.registry.confinement import confine


def confined_reading(permission: Permission) -> Callable[..., Awaitable[ReadSession]]:
    """Make a dependency that gives a read session showing what `permission` reaches, or refuses with 403."""
    guard = reach_guard(permission)

    async def confined(reach: Annotated[Reach, Depends(guard)], session: Reading) -> ReadSession:
        confine(session, reach)
        return session

    return confined


def confined_writing(permission: Permission) -> Callable[..., Awaitable[WriteSession]]:
    """Make a dependency that gives a write session seeing what `permission` reaches, or refuses with 403."""
    guard = reach_guard(permission)

    async def confined(reach: Annotated[Reach, Depends(guard)], session: Writing) -> WriteSession:
        confine(session, reach)
        return session

    return confined
