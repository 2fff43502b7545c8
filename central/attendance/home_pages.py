"""The home page: what somebody's roles ask first, answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from central.attendance import fleet, fleet_repository, fleet_wording, home_repository, wording
from central.attendance.home import PANELS, ROWS_A_PANEL_MAX, Line, Panel, first, panels_of
from central.identity.guards import CurrentActor
from central.identity.policy import Actor, Reach
from central.kit.db import ReadSession, psycopg_of
from central.kit.web import language_of, page
from central.registry import soon
from central.registry import wording as registry_wording
from central.registry.confinement import confine
from central.registry.sessions import WatchedReading

router = APIRouter(include_in_schema=False)

HERE = ZoneInfo("Asia/Seoul")
"""Whose day it is where no site is meant."""
LATELY = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Asking:
    """What a panel is made from."""

    session: ReadSession
    reach: Reach
    now: datetime
    language: str

    def word(self, table: dict[str, str], code: str) -> str:
        """Say a code in the asker's language."""
        return registry_wording.word(self.language, table, code)


@router.get("/")
def home(request: Request, actor: CurrentActor, session: WatchedReading) -> Response:
    """Answer the first questions of somebody's day, as far as their roles reach."""
    if actor.worker_id is not None:
        return RedirectResponse("/me", status_code=HTTPStatus.SEE_OTHER)
    now, language = request.app.state.clock.now(), language_of(request)
    panels = [_panel(kind, actor, session, now=now, language=language) for kind in panels_of(actor)]
    return page(request, "attendance/home.html", panels=panels, as_of=now, roles=actor.roles)


def _panel(kind: str, actor: Actor, session: ReadSession, *, now: datetime, language: str) -> Panel:
    """Make a panel in the session cut to its own permission."""
    reach = actor.reach(PANELS[kind])
    confine(session, reach)
    return MADE[kind](Asking(session, reach, now, language))


def _inside(asking: Asking) -> Panel:
    rows = home_repository.inside(psycopg_of(asking.session), sites=asking.reach.whole_sites)
    lines = first(
        Line(f"/sites/{code}", name, code, f"{count:,}", flag=unknown > 0) for code, name, count, unknown in rows
    )
    return Panel("inside", sum(row[2] for row in rows), lines, "/sites")


def _own_people(asking: Asking) -> Panel:
    rows = home_repository.own_people(psycopg_of(asking.session), own=asking.reach.own, now=asking.now)
    lines = first(
        Line(f"/sites/{code}", name, code, f"{inside:,} / {employed:,}", flag=seen < employed)
        for code, name, employed, inside, seen in rows
    )
    return Panel("own_people", sum(row[3] for row in rows), lines, "/workers")


def _visitors(asking: Asking) -> Panel:
    rows = home_repository.visitors(psycopg_of(asking.session), sites=asking.reach.whole_sites)
    lines = first(Line(f"/sites/{code}/day-passes", name, code, f"{count:,}") for code, name, count in rows)
    return Panel("visitors", sum(row[2] for row in rows), lines)


def _papers(asking: Asking) -> Panel:
    today = asking.now.astimezone(HERE).date()
    total, rows = soon.papers(asking.session, today=today, rows_max=ROWS_A_PANEL_MAX)
    lines = tuple(
        Line(
            f"/workers/{worker.id}",
            worker.name,
            asking.word(registry_wording.PAPER_KINDS, paper.kind),
            str(paper.until_on),
            flag=paper.until_on is not None and paper.until_on <= today,
        )
        for paper, worker in rows
    )
    return Panel("papers", total, lines, "/workers", flag=total > 0)


def _terminals(asking: Asking) -> Panel:
    rows = fleet_repository.fleet(psycopg_of(asking.session), sites=asking.reach.whole_sites)
    found = fleet.look_over(rows, fleet.FleetAsked(), as_of=asking.now, rows_max=ROWS_A_PANEL_MAX)
    troubled = sum(count for code, count in found.tallies.items() if code not in {fleet.FINE, "waiting"})
    lines = tuple(
        Line(
            f"/sites/{one.row.site}/terminals/{one.row.code}",
            one.row.label,
            one.row.site_name,
            wording.word(asking.language, fleet_wording.TROUBLES, one.worst),
            flag=one.worst != "waiting",
        )
        for one in found.rows
        if one.troubles
    )
    return Panel("terminals", troubled, lines, "/terminals", flag=troubled > 0)


def _projects(kind: str, found: soon.Due) -> Panel:
    lines = tuple(Line(f"/projects/{code}", name, code, str(day)) for code, name, day in found.projects)
    return Panel(kind, found.total, lines, "/projects")


def _ending(asking: Asking) -> Panel:
    today = asking.now.astimezone(HERE).date()
    return _projects("ending", soon.ending(asking.session, today=today, rows_max=ROWS_A_PANEL_MAX))


def _begun(asking: Asking) -> Panel:
    today = asking.now.astimezone(HERE).date()
    return _projects("begun", soon.begun(asking.session, today=today, rows_max=ROWS_A_PANEL_MAX))


def _aside(asking: Asking) -> Panel:
    rows = home_repository.put_aside(psycopg_of(asking.session), since=asking.now - LATELY)
    total = sum(count for _, count in rows)
    lines = first(
        Line(
            f"/quarantine?reason={reason}",
            wording.word(asking.language, wording.QUARANTINE, reason),
            value=f"{count:,}",
            flag=True,
        )
        for reason, count in rows
    )
    return Panel("aside", total, lines, "/quarantine", flag=total > 0)


def _acts(asking: Asking) -> Panel:
    rows = home_repository.acts(psycopg_of(asking.session), since=asking.now - LATELY)
    lines = first(Line(f"/audit?what={tag}", tag, value=f"{count:,}") for tag, count in rows)
    return Panel("acts", sum(count for _, count in rows), lines, "/audit")


MADE: dict[str, Callable[[Asking], Panel]] = {
    "inside": _inside,
    "own_people": _own_people,
    "visitors": _visitors,
    "papers": _papers,
    "terminals": _terminals,
    "ending": _ending,
    "begun": _begun,
    "aside": _aside,
    "acts": _acts,
}
