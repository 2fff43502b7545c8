"""What is held of a worker, for the worker: to read, to take along as JSON, to have erased with an answer a line."""

from __future__ import annotations

import json
from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, Form, Path, Request
from starlette.responses import RedirectResponse, Response

from central.audit.tags import Tag
from central.identity.guards import CurrentActor, permission_guard
from central.identity.looks import Looks
from central.identity.permissions import Permission
from central.kit.db import ReadSession, WriteSession, psycopg_of
from central.kit.errors import AppError, NotFound
from central.kit.web import checked_form, flash, language_of, page, translate
from central.privacy import erasure, held
from central.privacy.rules import ERASED, rules
from central.registry import whose
from central.registry.cards import ZONE
from central.registry.sessions import confined_reading, confined_writing

ROWS_SHOWN_MAX = 200

router = APIRouter(include_in_schema=False)

RowId = Annotated[int, Path(ge=1, le=2**63 - 1)]
HeldReading = Annotated[ReadSession, Depends(confined_reading(Permission.PRIVACY_WORKER_READ))]
Everywhere = Depends(permission_guard(Permission.PRIVACY_WORKER_READ))
PlanReading = Annotated[ReadSession, Depends(confined_reading(Permission.PRIVACY_WORKER_ERASE))]
Erasing = Annotated[WriteSession, Depends(confined_writing(Permission.PRIVACY_WORKER_ERASE))]
MayErase = Depends(permission_guard(Permission.PRIVACY_WORKER_ERASE))


def _held(session: ReadSession, worker_id: int) -> tuple[list[int], dict[str, list[dict[str, Any]]]]:
    connection = psycopg_of(session)
    workers = held.entries_of(connection, worker_id)
    if not workers:
        raise NotFound("there is no such worker: check the number")
    whose.also(session, workers)
    return workers, held.everything(connection, workers)


@router.get("/workers/{worker_id}/data", dependencies=[Everywhere])
def data_page(request: Request, worker_id: RowId, session: HeldReading) -> Response:
    """Show everything that is held of a worker."""
    _, found = _held(session, worker_id)
    return page(
        request,
        "privacy/data.html",
        worker_id=worker_id,
        sections=held.SECTIONS,
        found=found,
        rows_max=ROWS_SHOWN_MAX,
        now=request.app.state.clock.now(),
    )


@router.get("/workers/{worker_id}/data.json", dependencies=[Everywhere])
def data_file(request: Request, worker_id: RowId, session: HeldReading, actor: CurrentActor) -> Response:
    """Hand everything out as JSON; it is in the audit trail before it is sent."""
    workers, found = _held(session, worker_id)
    now = request.app.state.clock.now()
    looks: Looks = request.app.state.looks
    subject, detail = f"worker:{worker_id}", {"rows": {code: len(rows) for code, rows in found.items()}}
    looks.record(actor, Tag.WORKER_DATA_EXPORT, subject, now=now, detail=detail, workers=whose.take(session))
    body = {"worker_id": worker_id, "entries": workers, "as_of": now.isoformat(), "held": found}
    headers = {
        "Content-Disposition": f'attachment; filename="worker-{worker_id}-{now:%Y%m%d}.json"',
        "Cache-Control": "no-store",
    }
    return Response(json.dumps(body, ensure_ascii=False, indent=1), media_type="application/json", headers=headers)


@router.get("/workers/{worker_id}/erasure", dependencies=[MayErase])
def erasure_page(request: Request, worker_id: RowId, session: PlanReading) -> Response:
    """Show what an erasure would do today, line by line, before anything is done."""
    return _plan(request, worker_id, session)


def _plan(
    request: Request, worker_id: int, session: ReadSession | WriteSession, *, refusal: str = "", reason: str = ""
) -> Response:
    today = request.app.state.clock.now().astimezone(ZONE).date()
    _, lines = erasure.planned(session, worker_id=worker_id, today=today, asked=True)
    done = erasure.of_worker(cast("ReadSession", session), worker_id=worker_id)
    return page(
        request,
        "privacy/erasure.html",
        status=422 if refusal else 200,
        worker_id=worker_id,
        lines=[line.plain() for line in lines],
        goes=any(line.outcome == ERASED for line in lines),
        rules={rule.code: rule for rule in rules()},
        done=done,
        today=today,
        refusal=refusal,
        reason=reason,
        name=lambda rule: rule.ko if language_of(request) == "ko" else rule.en,
    )


@router.post("/workers/{worker_id}/erasure", dependencies=[MayErase, Depends(checked_form)])
def erase(
    request: Request,
    worker_id: RowId,
    session: Erasing,
    actor: CurrentActor,
    reason: Annotated[str, Form(max_length=erasure.REASON_CHARS_MAX)] = "",
) -> Response:
    """Erase what may go today, and show what became of every line."""
    now = request.app.state.clock.now()
    try:
        erasure.erase(
            session,
            worker_id=worker_id,
            reason=reason,
            asked=True,
            actor=actor.key,
            today=now.astimezone(ZONE).date(),
            now=now,
        )
    except NotFound:
        raise
    except AppError as refused:
        return _plan(request, worker_id, session, refusal=translate(request, refused.message), reason=reason)
    answer = RedirectResponse(f"/workers/{worker_id}/erasure", status_code=303)
    flash(request, answer, "done", translate(request, "What may go today is erased. Each line below says what stays."))
    return answer
