"""Pages of workers: the list, as files too, and one worker's card as of a day."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from central.audit.tags import Tag
from central.identity.guards import CurrentActor
from central.identity.looks import Looks
from central.identity.permissions import Permission
from central.identity.policy import Actor
from central.identity.saved_views import views_of
from central.kit import tables
from central.kit.db import ReadSession
from central.kit.errors import Invalid
from central.kit.lists import Asked, asked_for
from central.kit.sentences import sentence
from central.kit.web import language_of, page, translate
from central.registry import (
    inputs,
    listing,
    record_repository,
    record_rules,
    repository,
    whose,
    wording,
    workers,
)
from central.registry.cards import ZONE
from central.registry.endpoints import Now, RowId
from central.registry.present import present_among
from central.registry.project_pages import DayText, read_day
from central.registry.worker_endpoints import WorkerReading

ROWS_A_CARD_MAX = 100
router = APIRouter(include_in_schema=False)
AskedList = Annotated[Asked, Depends(asked_for("/workers", sorts=tuple(listing.ORDERS), filters=listing.FILTERS))]


@router.get("/workers")
def workers_page(request: Request, session: WorkerReading, actor: CurrentActor, asked: AskedList, now: Now) -> Response:
    """List the workers within reach, with what holds of them on a day."""
    language, on = language_of(request), read_day(asked.filter("on"), now)
    found = listing.listed(session, asked, on=on, language=language)
    return page(
        request,
        "registry/workers.html",
        asked=asked,
        saved=views_of(session, actor, asked.path),
        found=found,
        on=on,
        trades=dict(inputs.trades(language)),
        may_register=bool(actor.reach(Permission.REGISTRY_WORKER_WRITE)),
    )


@router.get("/workers.{form}")
def export_workers(
    request: Request,
    form: Literal["csv", "xlsx"],
    session: WorkerReading,
    actor: CurrentActor,
    asked: AskedList,
    now: Now,
) -> Response:
    """Hand the list out as a file; each one is in the audit trail before it is sent."""
    language = language_of(request)
    rows_max = listing.ROWS_EXPORTED_MAX
    found = listing.listed(session, asked, on=read_day(asked.filter("on"), now), language=language, rows_max=rows_max)
    if found.following:
        raise Invalid(
            sentence(
                "the list has more than %(number)s workers: narrow it by a site or a trade, then take it along",
                number=f"{rows_max:,}",
            )
        )
    looks: Looks = request.app.state.looks
    detail = {"form": form, "workers": len(found.rows), "filter": asked.query()}
    looks.record(actor, Tag.WORKER_EXPORT, "workers", now=now, detail=detail, workers=whose.take(session))
    heads = ("Name", "Worker number", "Language", "Nationality", "Date of birth", "Employed today")
    lines = [[translate(request, head) for head in heads], *(_line(row) for row in found.rows)]
    return tables.answer(lines, form=form, name=f"workers-{now.astimezone(ZONE):%Y%m%d-%H%M}")


def _line(row: listing.Row) -> list[str]:
    born = row.birth_on.isoformat() if row.birth_on else ""
    return [row.name, row.worker_no or "", row.language, row.nationality or "", born, "; ".join(row.spells)]


@router.get("/workers/{worker_id}")
def worker_page(
    request: Request, worker_id: RowId, session: WorkerReading, actor: CurrentActor, now: Now, on: DayText = ""
) -> Response:
    """Show one worker's card as of a day: facts, employments, papers, cards, bars, as far as they are within reach."""
    row = workers.worker(session, worker_id=worker_id)
    language, day = language_of(request), read_day(on, now)

    def every(query: Any) -> Any:  # noqa: ANN401 - rows of any table
        return repository.list_rows(session, query, after=0, limit=ROWS_A_CARD_MAX)

    papers = every(record_repository.papers_query(worker_id=worker_id))
    return page(
        request,
        "registry/worker.html",
        worker=row,
        spells=repository.spells_of(session, worker_id=worker_id, rows_max=ROWS_A_CARD_MAX),
        labour=record_repository.labour_contracts_named(session, worker_id=worker_id, rows_max=ROWS_A_CARD_MAX),
        papers=[
            (one, "withdrawn" if one.withdrawn_at else record_rules.validity(one.from_on, one.until_on, on=day))
            for one in papers
        ],
        held=repository.cards_of(session, worker_id=worker_id, rows_max=ROWS_A_CARD_MAX)
        if actor.reach(Permission.REGISTRY_CARD_READ)
        else [],
        bars=every(repository.bars_query(worker_id=worker_id)),
        same=repository.same_name_and_birth(session, row) if row.birth_on else [],
        standing=lambda one: record_rules.validity(one.from_on, one.until_on, on=day),
        trade=lambda code: listing.trade_word(language, code),
        words=wording,
        on=day,
        now=now,
        may=_may(actor) | {"change": _may_change(session, actor, worker_id, now)},
    )


def _may_change(session: ReadSession, actor: Actor, worker_id: int, now: datetime) -> bool:
    """Whether the worker's facts, papers, cards and codes are the asker's to change: not of who left."""
    reach = actor.reach(Permission.REGISTRY_WORKER_WRITE)
    return reach.everywhere or (bool(reach) and bool(present_among(session, [worker_id], now=now)))


def _may(actor: Actor) -> dict[str, bool]:
    return {
        "write": bool(actor.reach(Permission.REGISTRY_WORKER_WRITE)),
        "bar": bool(actor.reach(Permission.REGISTRY_WORKER_WRITE).whole_sites is None)
        or bool(actor.reach(Permission.REGISTRY_WORKER_WRITE).sites),
        "card": bool(actor.reach(Permission.REGISTRY_CARD_WRITE)),
        "merge": bool(actor.reach(Permission.REGISTRY_WORKER_MERGE)),
    }
