"""The worker's own pages: today, a month, the receipt of a tap, and what they object to."""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import date, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import segno
from fastapi import APIRouter, Depends, Form, Path, Request
from markupsafe import Markup
from starlette.responses import RedirectResponse, Response

from central.attendance.own_taps import own_tap
from central.audit.tags import Tag
from central.identity.asking import engine_of, seal_of
from central.identity.guards import SignedInWorker
from central.identity.looks import Looks
from central.kit.errors import AppError, Invalid, NotFound
from central.kit.public import public_url
from central.kit.sentences import sentence
from central.kit.states import RefusedTransition
from central.kit.web import checked_form, translate
from central.myself import month, objections, receipt_keys, receipts, repository
from central.myself.asking import DOUBTS, STATES, Now, OwnReading, OwnWriting, show, spoken
from central.myself.models import WORDS_CHARS_MAX
from central.myself.rules import ZONE, employer_on, may_object_to

if TYPE_CHECKING:
    from central.attendance.own_taps import OwnTap
    from central.identity.policy import Actor
    from central.kit.db import ReadSession, WriteSession
    from central.myself.models import Objection

SITE_CHARS_MAX = 40
TIME_CHARS_MAX = 5
DAY_CHARS_MAX = 10
_NOT_YOURS = "There is nothing of yours at this address."

RowId = Annotated[int, Path(ge=1, le=2**63 - 1)]
Words = Annotated[str, Form(max_length=WORDS_CHARS_MAX)]
Clock = Annotated[str, Form(max_length=TIME_CHARS_MAX)]


def _look(request: Request, worker: SignedInWorker, now: Now) -> None:
    """Record a look at one's own data: a code from the desk lets others look, and then it tells."""
    looks: Looks = request.app.state.looks
    whose = worker.worker_id or 0
    looks.note(worker, Tag.WORKER_LOOK, f"worker:{whose}/own", now=now, detail={"by": worker.method}, workers=[whose])


router = APIRouter(include_in_schema=False, dependencies=[Depends(spoken)])
Looked = Depends(_look)


@router.get("/me", dependencies=[Looked])
def me(request: Request, worker: SignedInWorker, session: OwnReading, now: Now) -> Response:
    """Show today's taps and this month's days."""
    today = now.astimezone(ZONE).date()
    taps = month.todays_taps(session, worker_id=worker.worker_id or 0, now=now)
    return show(request, "me.html", today=today, taps=taps, **_month(session, worker, f"{today:%Y-%m}", now))


@router.get("/me/months/{asked}", dependencies=[Looked])
def another_month(
    request: Request,
    asked: Annotated[str, Path(max_length=7)],
    worker: SignedInWorker,
    session: OwnReading,
    now: Now,
) -> Response:
    """Show another month's days."""
    return show(request, "month.html", **_month(session, worker, asked, now))


def _month(session: ReadSession, worker: Actor, asked: str, now: datetime) -> dict[str, Any]:
    found = month.month_of(session, worker_id=worker.worker_id or 0, month=asked, now=now)
    this_month = f"{now.astimezone(ZONE):%Y-%m}"
    return {"month": found, "this_month": this_month, "doubts": DOUBTS, "states": STATES, "now": now}


# -- receipts


@router.get("/me/taps/{journal_id}/{seq}", dependencies=[Looked])
def receipt_page(
    request: Request,
    journal_id: UUID,
    seq: Annotated[int, Path(ge=1, le=2**63 - 1)],
    worker: SignedInWorker,
    session: OwnReading,
    now: Now,
) -> Response:
    """Sign and show the receipt of one tap."""
    tap = own_tap(session, worker_id=worker.worker_id or 0, journal_id=journal_id, seq=seq)
    if tap is None:
        raise NotFound(_NOT_YOURS)
    row = repository.worker_of(session, worker.worker_id or 0)
    spell = employer_on(repository.spells(session, worker_id=row.id or 0), site=tap.site, on=_day(tap))
    text = receipt_keys.receipt_of(
        engine_of(request),
        seal_of(request),
        tap=tap,
        number=row.worker_no,
        business_no=repository.business_no(session, spell.employer_id) if spell is not None else "",
        now=now,
    )
    link = f"{public_url(request)}/receipts/{text}"
    return show(
        request,
        "receipt.html",
        said=receipts.read(text).receipt,
        tap_site_name=tap.site_name,
        employer=spell.employer if spell is not None else "",
        qr=_drawn(link),
        picture=segno.make(link, error="m").png_data_uri(scale=6, light="#fff"),
        link=f"/receipts/{text}",
    )


def _day(tap: OwnTap) -> date:
    return tap.occurred_at.astimezone(ZONE).date()


def _drawn(link: str) -> Markup:
    drawn = io.BytesIO()
    segno.make(link, error="m").save(drawn, kind="svg", scale=4, xmldecl=False, svgns=True, title="QR", light="#fff")
    return Markup(drawn.getvalue().decode())  # noqa: S704 - drawn here from base64 and our own address


# -- objections


@router.get("/me/objections", dependencies=[Looked])
def own_objections(request: Request, worker: SignedInWorker, session: OwnReading) -> Response:
    """List what this worker objected to."""
    assert worker.worker_id  # noqa: S101 - the guard's word
    return show(request, "objections.html", rows=repository.own_objections(session), states=STATES)


@router.get("/me/objections/new", dependencies=[Looked])
def object_page(
    request: Request, worker: SignedInWorker, session: OwnReading, now: Now, site: str = "", on: str = ""
) -> Response:
    """Ask what is wrong about a day."""
    today = now.astimezone(ZONE).date()
    begun = Typed(site[:SITE_CHARS_MAX], on[:DAY_CHARS_MAX] or today.isoformat())
    return _object_form(request, session, worker, begun, now)


@dataclass(frozen=True, slots=True)
class Typed:
    """An objection as it was typed."""

    site: str
    on: str
    first_in: str = ""
    last_out: str = ""
    words: str = ""


def typed(
    site: Annotated[str, Form(max_length=SITE_CHARS_MAX)] = "",
    on: Annotated[str, Form(max_length=DAY_CHARS_MAX)] = "",
    first_in: Clock = "",
    last_out: Clock = "",
    words: Words = "",
) -> Typed:
    """Read the form."""
    return Typed(site, on, first_in, last_out, words)


@router.post("/me/objections", dependencies=[Depends(checked_form)])
def open_objection(
    request: Request,
    worker: SignedInWorker,
    session: OwnWriting,
    now: Now,
    form: Annotated[Typed, Depends(typed)],
) -> Response:
    """Send an objection to the employer, or show the form again with what was typed."""
    try:
        row = objections.open_objection(
            session,
            actor=worker,
            site=form.site,
            on_day=_read_day(form.on),
            words=form.words,
            times=(form.first_in, form.last_out),
            now=now,
        )
    except AppError as refusal:
        session.rollback()
        return _object_form(request, session, worker, form, now, refusal=refusal)
    return RedirectResponse(f"/me/objections/{row.id}", status_code=HTTPStatus.SEE_OTHER)


@router.get("/me/objections/{row_id}", dependencies=[Looked])
def objection_page(request: Request, row_id: RowId, worker: SignedInWorker, session: OwnReading, now: Now) -> Response:
    """Show one objection and what was answered."""
    assert worker.worker_id  # noqa: S101 - the guard's word
    return _objection(request, session, _own(session, row_id), now)


@router.post("/me/objections/{row_id}/withdraw", dependencies=[Depends(checked_form)])
def withdraw(request: Request, row_id: RowId, worker: SignedInWorker, session: OwnWriting, now: Now) -> Response:
    """Take an objection back."""
    return _stepped(request, session, row_id, "withdraw", worker, now)


@router.post("/me/objections/{row_id}/insist", dependencies=[Depends(checked_form)])
def insist(request: Request, row_id: RowId, worker: SignedInWorker, session: OwnWriting, now: Now) -> Response:
    """Have the client decide."""
    return _stepped(request, session, row_id, "insist", worker, now)


def _stepped(
    request: Request, session: WriteSession, row_id: int, event: str, worker: Actor, now: datetime
) -> Response:
    row = _own(session, row_id)
    try:
        objections.step_of_worker(session, row=row, event=event, actor=worker, now=now)
    except AppError as refusal:
        session.rollback()
        return _objection(request, session, _own(session, row_id), now, refusal=refusal)
    return RedirectResponse(f"/me/objections/{row_id}", status_code=HTTPStatus.SEE_OTHER)


def _own(session: ReadSession | WriteSession, row_id: int) -> Objection:
    row = repository.objection(session, row_id)
    if row is None:
        raise NotFound(_NOT_YOURS)
    return row


def _objection(
    request: Request,
    session: ReadSession | WriteSession,
    row: Objection,
    now: datetime,
    *,
    refusal: AppError | None = None,
) -> Response:
    return show(
        request,
        "objection.html",
        status=refusal.status if refusal is not None else HTTPStatus.OK,
        row=row,
        steps=repository.steps(session, row.id or 0),
        site_name=repository.site_name(session, row.site_id)[1],
        employer=repository.organization_name(session, row.employer_id),
        due_on=row.due_at.astimezone(ZONE).date() - date.resolution,
        message=_said(request, refusal),
        states=STATES,
        now=now,
    )


def _object_form(
    request: Request,
    session: ReadSession | WriteSession,
    worker: Actor,
    form: Typed,
    now: datetime,
    *,
    refusal: AppError | None = None,
) -> Response:
    today = now.astimezone(ZONE).date()
    on = _typed_day(form.on)
    on = on if on is not None and may_object_to(on, today=today) else today
    places = month.places_near(session, worker_id=worker.worker_id or 0, on=on, asked=form.site)
    return show(
        request,
        "object.html",
        status=refusal.status if refusal is not None else HTTPStatus.OK,
        typed=form,
        places=places,
        message=_said(request, refusal),
    )


def _said(request: Request, refusal: AppError | None) -> str:
    """Say why not; of a step that is not possible any more, that somebody was quicker."""
    if refusal is None:
        return ""
    return translate(request, objections.CHANGED if isinstance(refusal, RefusedTransition) else refusal.message)


def _read_day(text: str) -> date:
    found = _typed_day(text)
    if found is None:
        raise Invalid(sentence("Choose a day."))
    return found


def _typed_day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
