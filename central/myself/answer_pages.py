"""The pages of those who answer: objections by when they are due, one with its day, and a code for the desk."""

# ruff: noqa: FAST003 - dependencies read {row_id} and {worker_id}

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from fastapi import APIRouter, Depends, Form, Path, Query, Request
from starlette.responses import RedirectResponse, Response

from central.identity.asking import seal_of
from central.identity.guards import CurrentActor
from central.identity.permissions import Permission
from central.identity.policy import Forbidden
from central.kit.db import ReadSession, WriteSession
from central.kit.errors import Conflict, Invalid, NotFound
from central.kit.web import checked_form, flash, page, translate
from central.myself import answering, month, objections, repository, signin, telling
from central.myself.asking import Now
from central.myself.models import WORDS_CHARS_MAX, Objection
from central.myself.rules import ZONE
from central.registry.sessions import confined_reading, confined_writing
from central.registry.worker_endpoints import WorkerToWrite, WorkerWriting

if TYPE_CHECKING:
    from central.kit.errors import AppError

ROWS_A_PAGE = 50
TIME_CHARS_MAX = 5

router = APIRouter(include_in_schema=False)


def _(message: str) -> str:
    return message


STATES_SEEN = {
    "open": _("Waiting for the employer"),
    "upheld": _("Agreed"),
    "refused": _("Refused: the worker may ask the client"),
    "withdrawn": _("Withdrawn by the worker"),
    "insisted": _("Waiting for the client"),
    "dismissed": _("Refused by the client"),
}

RowId = Annotated[int, Path(ge=1, le=2**63 - 1)]
ObjectionReading = Annotated[ReadSession, Depends(confined_reading(Permission.ATTENDANCE_OBJECTION_READ))]
ObjectionWriting = Annotated[WriteSession, Depends(confined_writing(Permission.ATTENDANCE_OBJECTION_READ))]
Clock = Annotated[str, Form(max_length=TIME_CHARS_MAX)]


def objection_to_read(row_id: RowId, session: ObjectionReading) -> Objection:
    """Find an objection within reach, or 404."""
    return _found(session, row_id)


class ToAnswer(NamedTuple):
    """An objection, and the transaction of its answer."""

    row: Objection
    session: WriteSession


def to_answer(row_id: RowId, session: ObjectionWriting) -> ToAnswer:
    """Find an objection within reach, or 404, before anything of the form is looked at."""
    return ToAnswer(_found(session, row_id), session)


ObjectionRead = Annotated[Objection, Depends(objection_to_read)]


def _found(session: ReadSession | WriteSession, row_id: int) -> Objection:
    row = repository.objection(session, row_id)
    if row is None:
        raise NotFound(objections.NOT_YOURS)
    return row


@router.get("/objections")
def objections_page(
    request: Request,
    session: ObjectionReading,
    now: Now,
    ended: Annotated[int, Query(ge=0, le=1)] = 0,
    after: Annotated[int, Query(ge=0, le=2**62)] = 0,
) -> Response:
    """List objections within reach: those that wait, the most urgent first; or those that ended."""
    found = repository.objections(session, waiting=not ended, after=after, rows_max=ROWS_A_PAGE + 1)
    shown = found[:ROWS_A_PAGE]
    following = 0
    if len(found) > ROWS_A_PAGE:
        following = shown[-1].row.id or 0 if ended else after + ROWS_A_PAGE
    return page(
        request,
        "myself/answering/objections.html",
        found=shown,
        following=following,
        ended=ended,
        states=STATES_SEEN,
        now=now,
        due=_due,
    )


@router.get("/objections/{row_id}")
def objection_page(
    request: Request, row: ObjectionRead, session: ObjectionReading, actor: CurrentActor, now: Now
) -> Response:
    """Show an objection beside what is recorded of that day, with the answers that are possible."""
    return _shown(request, session, row, actor, now)


@dataclass(frozen=True, slots=True)
class Typed:
    """An answer as it was typed."""

    first_in: str
    last_out: str
    words: str


def typed(
    first_in: Clock = "", last_out: Clock = "", words: Annotated[str, Form(max_length=WORDS_CHARS_MAX)] = ""
) -> Typed:
    """Read the form."""
    return Typed(first_in, last_out, words)


@router.post("/objections/{row_id}/{event}", dependencies=[Depends(checked_form)])
def answer(
    request: Request,
    event: Literal["uphold", "refuse"],
    found: Annotated[ToAnswer, Depends(to_answer)],
    actor: CurrentActor,
    now: Now,
    form: Annotated[Typed, Depends(typed)],
) -> Response:
    """Answer, or show the form again with what was typed and why it does not do."""
    row_id, agreed = found.row.id or 0, (form.first_in, form.last_out)
    try:
        answering.answer(
            found.session, row=found.row, event=event, words=form.words, agreed=agreed, actor=actor, now=now
        )
    except (Invalid, Conflict) as refusal:
        found.session.rollback()
        return _shown(request, found.session, _found(found.session, row_id), actor, now, form=form, refusal=refusal)
    if request.app.state.settings.sms_url:
        telling.tell_worker(found.session, seal_of(request), row=found.row, now=now)
    done = RedirectResponse(f"/objections/{row_id}", status_code=HTTPStatus.SEE_OTHER)
    flash(request, done, "done", translate(request, "The answer is recorded, and the worker can see it."))
    return done


def _shown(
    request: Request,
    session: ReadSession | WriteSession,
    row: Objection,
    actor: CurrentActor,
    now: datetime,
    *,
    form: Typed | None = None,
    refusal: AppError | None = None,
) -> Response:
    code, name, timezone = repository.site_name(session, row.site_id)
    worker = repository.worker_who_objected(session, row)
    taps = month.taps_of_day(session, worker_id=worker.id or 0, site_id=row.site_id, timezone=timezone, on=row.on_day)
    return page(
        request,
        "myself/answering/objection.html",
        status=refusal.status if refusal is not None else HTTPStatus.OK,
        row=row,
        worker=worker,
        employer=repository.organization_name(session, row.employer_id),
        site=(code, name),
        timezone=timezone,
        taps=taps,
        steps=repository.steps(session, row.id or 0),
        may=answering.may(actor, row),
        typed=form or Typed(row.first_in, row.last_out, ""),
        message=refusal.message if refusal is not None else "",
        states=STATES_SEEN,
        now=now,
        due=_due,
    )


def _due(row: Objection) -> date:
    """Return the last day of an answer's time."""
    return row.due_at.astimezone(ZONE).date() - date.resolution


@router.post("/workers/{worker_id}/sign-in-code", dependencies=[Depends(checked_form)])
def give_code(
    request: Request, found: WorkerToWrite, session: WorkerWriting, actor: CurrentActor, now: Now
) -> Response:
    """Give a worker without a phone a code for their own view. It is shown once, and the trail says who gave it."""
    if actor.user_id is None:
        raise Forbidden("a code is given by somebody who is signed in, from hand to hand")
    code = signin.give_desk_code(
        session,
        worker_id=found.id or 0,
        number=found.worker_no,
        has_phone=bool(found.phone),
        actor=actor.key,
        now=now,
    )
    return page(request, "myself/answering/code.html", worker=found, code=code)
