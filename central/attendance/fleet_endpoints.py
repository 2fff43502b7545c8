"""The JSON API for the steps of a terminal's life."""

# ruff: noqa: FAST003, PLR0917 - the site guard reads {code}; FastAPI's dependencies are parameters

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import JSONResponse

from central.attendance.commissioning import step_terminal
from central.identity.guards import CurrentActor, SiteRef, site_guard
from central.identity.once import WriteOnce
from central.identity.permissions import Permission
from central.kit.db import WriteSession
from central.registry.record_schemas import TerminalStepGiven
from central.registry.schemas import TerminalView
from central.registry.sessions import confined_writing

router = APIRouter(prefix="/api/v1", tags=["registry"])

TerminalWrite = Annotated[SiteRef, Depends(site_guard(Permission.REGISTRY_TERMINAL_WRITE))]
TerminalWriting = Annotated[WriteSession, Depends(confined_writing(Permission.REGISTRY_TERMINAL_WRITE))]
TerminalCode = Annotated[str, Path(max_length=40)]


@router.post("/sites/{code}/terminals/{terminal}/events", status_code=201, response_model=TerminalView)
def step(
    request: Request,
    terminal: TerminalCode,
    site: TerminalWrite,
    body: TerminalStepGiven,
    session: TerminalWriting,
    actor: CurrentActor,
    once: WriteOnce,
) -> JSONResponse:
    """Move a terminal along its life.

    `pass_test` takes a test worker's tap there since it was installed, or a note that says how it was tested.
    """
    now = request.app.state.clock.now()

    def work() -> TerminalView:
        return step_terminal(
            session, site_id=site.id, code=terminal, event=body.event, note=body.note, actor=actor.key, now=now
        )

    return once.write(session, body, work, now=now)
