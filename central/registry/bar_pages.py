"""Who is barred: the list, barring a worker, ending a bar."""

# ruff: noqa: FAST003, PLR0917 - the worker's dependency reads {worker_id}; dependencies are parameters

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from central.identity.guards import CurrentActor
from central.identity.permissions import Permission
from central.identity.policy import require
from central.identity.saved_views import views_of
from central.kit.db import ReadSession, WriteSession
from central.kit.errors import NotFound
from central.kit.forms import Form, FormSent, Posted, say, show, submit, with_suggestions
from central.kit.ids import SiteId
from central.kit.lists import Asked, asked_for
from central.kit.web import language_of, page, translate
from central.registry import choosing, inputs, lists, typed, wording, workers
from central.registry.card_pages import start_of
from central.registry.endpoints import Now, RowId
from central.registry.models import Bar, Worker
from central.registry.worker_endpoints import WorkerReading, WorkerToWrite, WorkerWriting
from central.registry.worker_pages import WorkerChanging, WorkerToChange, form_about, page_of_worker

router = APIRouter(include_in_schema=False)
AskedList = Annotated[Asked, Depends(asked_for("/bars", sorts=tuple(lists.BAR_ORDERS), filters=lists.BAR_FILTERS))]


@router.get("/bars")
def bars_page(request: Request, session: WorkerReading, actor: CurrentActor, asked: AskedList, now: Now) -> Response:
    """List who is or was barred, within reach."""
    rows, following = lists.bars(session, asked, now=now)
    return page(
        request,
        "registry/bars.html",
        asked=asked,
        saved=views_of(session, actor, asked.path),
        rows=rows,
        following=following,
        states=wording.words_of(language_of(request), wording.BAR_STATES),
        now=now,
    )


@router.get("/workers/{worker_id}/bars/new")
def new_bar(request: Request, row: WorkerToChange, session: WorkerChanging) -> Response:
    """Ask from where a worker is barred, and why."""
    return show(request, with_suggestions(_form(request, row), site=choosing.sites_offered(session)))


@router.post("/workers/{worker_id}/bars/new", dependencies=[FormSent])
def bar_worker(
    request: Request, row: WorkerToWrite, posted: Posted, actor: CurrentActor, session: WorkerWriting, now: Now
) -> Response:
    """Bar a worker from now on."""

    def act(given: typed.BarTyped) -> str:
        site_id = choosing.site_coded(session, given.site, field="site").id if given.site else None
        require(actor, Permission.REGISTRY_WORKER_WRITE, site_id=SiteId(site_id) if site_id else None)
        workers.bar_worker(
            session,
            worker_id=row.id or 0,
            site_id=site_id,
            reason=given.reason,
            from_at=now,
            until_at=start_of(given.until_on) if given.until_on else None,
            actor=actor.key,
            now=now,
        )
        return page_of_worker(row)

    done = say("The worker is barred. Every gate concerned shows red from its next roster on.")
    return submit(request, session, _form(request, row), posted, typed.BarTyped, act, done=done)


def _form(request: Request, row: Worker) -> Form:
    title = translate(request, "Bar: %(name)s", name=row.name)
    return form_about(request, row, title, inputs.bar(), action=translate(request, "Bar them"), danger=True)


@router.get("/workers/{worker_id}/bars/{row_id}/end")
def ask_to_end_bar(request: Request, row: WorkerToChange, row_id: RowId, session: WorkerChanging) -> Response:
    """Ask once more before a bar ends."""
    return show(request, _end_form(request, row, _bar(session, row, row_id)))


@router.post("/workers/{worker_id}/bars/{row_id}/end", dependencies=[FormSent])
def end_bar(
    request: Request,
    row: WorkerToWrite,
    row_id: RowId,
    posted: Posted,
    actor: CurrentActor,
    session: WorkerWriting,
    now: Now,
) -> Response:
    """End a bar now."""
    bar = _bar(session, row, row_id)
    require(actor, Permission.REGISTRY_WORKER_WRITE, site_id=SiteId(bar.site_id) if bar.site_id else None)

    def act(_: typed.Nothing) -> str:
        workers.end_bar(session, row=bar, until_at=now, actor=actor.key, now=now)
        return page_of_worker(row)

    form = _end_form(request, row, bar)
    return submit(request, session, form, posted, typed.Nothing, act, done=say("The bar has ended."))


def _end_form(request: Request, row: Worker, bar: Bar) -> Form:
    title = translate(request, "Let %(name)s in again?", name=row.name)
    notes = [translate(request, "Barred because: %(reason)s", reason=bar.reason)]
    return form_about(request, row, title, (), action=translate(request, "End the bar"), notes=notes)


def _bar(session: ReadSession | WriteSession, row: Worker, row_id: int) -> Bar:
    bar = session.get(Bar, row_id)
    if bar is None or bar.worker_id != row.id:
        raise NotFound("The worker has no such bar. Open the worker's page again.")
    return bar
