"""Pages of the registry: workers and one worker's card, projects and one project's contracts."""

# ruff: noqa: FAST003 - the project guard reads {code}

from __future__ import annotations

import csv
import io
from datetime import date, datetime
from typing import Annotated, Literal

import xlsxwriter  # type: ignore[import-untyped]  # ships no types
from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from central.audit.tags import Tag
from central.identity.guards import CurrentActor
from central.identity.looks import Looks
from central.identity.permissions import Permission
from central.identity.policy import allowed
from central.kit.db import ReadSession
from central.kit.errors import Invalid
from central.kit.web import language_of, page, translate
from central.registry import (
    contract_repository,
    contracts,
    listing,
    places,
    record_repository,
    record_rules,
    repository,
    rules,
    whose,
    wording,
    workers,
)
from central.registry.cards import ZONE
from central.registry.contract_endpoints import ChainRead, ContractReading, rows_of
from central.registry.endpoints import Now, ProjectReading, RowId
from central.registry.listing import Asked
from central.registry.worker_endpoints import WorkerReading

TEXT_CHARS_MAX = 100
ROWS_A_CARD_MAX = 100
PROJECTS_A_PAGE = 50

router = APIRouter(include_in_schema=False)

Text = Annotated[str, Query(max_length=TEXT_CHARS_MAX)]
Cursor = Annotated[str, Query(max_length=400)]


def asked_list(
    q: Text = "",
    site: Text = "",
    trade: Text = "",
    sort: Text = "name",
    down: Annotated[int, Query(ge=0, le=1)] = 0,
    after: Cursor = "",
) -> Asked:
    """Read what the list is asked for from the query."""
    return Asked(q=q, site=site, trade=trade, sort=sort, down=bool(down), after=after)


AskedList = Annotated[Asked, Depends(asked_list)]


@router.get("/workers")
def workers_page(request: Request, session: WorkerReading, asked: AskedList, now: Now) -> Response:
    """List the workers within reach, with what holds of them today."""
    today = now.astimezone(ZONE).date()
    found = listing.listed(session, asked, today=today, language=language_of(request))
    return page(
        request,
        "registry/workers.html",
        asked=asked,
        found=found,
        today=today,
        trades=rules.trades().values(),
        words=wording,
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
    found = listing.listed(session, asked, today=now.astimezone(ZONE).date(), language=language, rows_max=rows_max)
    if found.following:
        raise Invalid(
            f"the list has more than {rows_max:,} workers: narrow it by a site or a trade, then take it along"
        )
    looks: Looks = request.app.state.looks
    detail = {"form": form, "workers": len(found.rows), "filter": asked.query()}
    looks.record(actor, Tag.WORKER_EXPORT, "workers", now=now, detail=detail, workers=whose.take(session))
    heads = ("Name", "Worker number", "Language", "Nationality", "Date of birth", "Employed today")
    lines = [[translate(request, head) for head in heads], *(_line(row) for row in found.rows)]
    body, kind = (_csv(lines), "text/csv; charset=utf-8") if form == "csv" else (_xlsx(lines), _XLSX)
    name = f"workers-{now.astimezone(ZONE):%Y%m%d-%H%M}.{form}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(body, media_type=kind, headers=headers)


_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")


def _line(row: listing.Row) -> list[str]:
    one = row.worker
    born = one.birth_on.isoformat() if one.birth_on else ""
    return [one.name, one.worker_no or "", one.language, one.nationality or "", born, "; ".join(row.spells)]


def _csv(lines: list[list[str]]) -> bytes:
    """Write CSV for spreadsheets: a cell that they would run as a formula is text instead."""
    out = io.StringIO(newline="")
    csv.writer(out).writerows([[_tame(cell) for cell in line] for line in lines])
    return out.getvalue().encode("utf-8-sig")


def _tame(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA_SIGNS) else cell


def _xlsx(lines: list[list[str]]) -> bytes:
    out = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(out, options) as book:
        sheet = book.add_worksheet()
        for number, line in enumerate(lines):
            sheet.write_row(number, 0, line)
    return out.getvalue()


@router.get("/workers/{worker_id}")
def worker_page(request: Request, worker_id: RowId, session: WorkerReading, actor: CurrentActor, now: Now) -> Response:
    """Show one worker's card: facts, employments, papers, cards, bars, as far as they are within reach."""
    row = workers.worker(session, worker_id=worker_id)
    language, today = language_of(request), now.astimezone(ZONE).date()
    return page(
        request,
        "registry/worker.html",
        worker=row,
        spells=repository.spells_of(session, worker_id=worker_id, rows_max=ROWS_A_CARD_MAX),
        papers=[
            (one, "withdrawn" if one.withdrawn_at else record_rules.validity(one.from_on, one.until_on, on=today))
            for one in repository.list_rows(
                session, record_repository.papers_query(worker_id=worker_id), after=0, limit=ROWS_A_CARD_MAX
            )
        ],
        held=repository.cards_of(session, worker_id=worker_id, rows_max=ROWS_A_CARD_MAX)
        if actor.reach(Permission.REGISTRY_CARD_READ)
        else [],
        bars=repository.list_rows(session, repository.bars_query(worker_id=worker_id), after=0, limit=ROWS_A_CARD_MAX),
        notices=workers.same_person_notices(session, row),
        trade=lambda code: listing.trade_word(language, code),
        words=wording,
        today=today,
        now=now,
    )


@router.get("/projects")
def projects_page(
    request: Request, session: ProjectReading, actor: CurrentActor, q: Text = "", after: Text = ""
) -> Response:
    """List the projects within reach, by code."""
    found = repository.projects_found(session, search=q.replace("\0", "").strip(), after=after, limit=PROJECTS_A_PAGE)
    shown = found[:PROJECTS_A_PAGE]
    return page(
        request,
        "registry/projects.html",
        projects=shown,
        clients=contract_repository.organization_names(session, [one.client_id for one in shown]),
        following=shown[-1].code if len(found) > PROJECTS_A_PAGE else "",
        q=q,
        words=wording,
        may_register=allowed(actor, Permission.REGISTRY_PROJECT_WRITE),
    )


@router.get("/projects/{code}")
def project_page(request: Request, project: ChainRead, session: ContractReading, now: Now, on: Text = "") -> Response:
    """Show a project's facts and its contracts as they stood on a day."""
    row = places.project(session, code=project.code)
    day = read_day(on, now)
    found = contracts.standing(session, project_id=project.id, on=day)
    lines = [one for branch in found.branches for one in rows_of(branch, found.names)]
    return page(
        request,
        "registry/project.html",
        project=row,
        client=contract_repository.organization_names(session, [row.client_id]).get(row.client_id, ""),
        sites=_sites(session, project.id),
        rows=lines,
        found=found,
        one_contractor={one.id: one.contractor_id for one in lines},
        on=day,
        words=wording,
    )


def _sites(session: ReadSession, project_id: int) -> list[tuple[str, str]]:
    return [(one.code, one.name) for one in repository.sites_of_project(session, project_id=project_id)]


def read_day(text: str, now: datetime) -> date:
    """Read a day of the address, today when it is empty."""
    if not text:
        return now.astimezone(ZONE).date()
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Invalid(f"{text!r} is no date: write it like 2026-11-22") from None
