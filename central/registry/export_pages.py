"""Lists handed out as files. Whoever takes people's data along is in the audit trail before it is sent."""

# ruff: noqa: FAST003 - the guards read {code}

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from central.audit.tags import Tag
from central.identity.guards import CurrentActor, SiteRef, site_guard
from central.identity.looks import Looks
from central.identity.permissions import Permission
from central.identity.policy import Actor, Reach
from central.kit import tables
from central.kit.lists import Asked, asked_for
from central.kit.web import language_of, translate
from central.registry import contracts, exports, lists, wording
from central.registry.card_endpoints import CardReading
from central.registry.card_pages import AskedList as AskedCards
from central.registry.cards import ZONE
from central.registry.contract_endpoints import ChainRead, ContractReading
from central.registry.endpoints import Now, ProjectReading
from central.registry.exports import ROWS_EXPORTED_MAX
from central.registry.organization_pages import AskedList as AskedOrganizations
from central.registry.organization_pages import OrganizationReading
from central.registry.project_pages import read_day
from central.registry.wording import say
from central.registry.worker_endpoints import WorkerReading

router = APIRouter(include_in_schema=False)

Form = Literal["csv", "xlsx"]
Day = Annotated[str, Query(max_length=20)]
RollRead = Annotated[SiteRef, Depends(site_guard(Permission.REGISTRY_WORKER_READ, partly=True))]
AskedProjects = Annotated[
    Asked, Depends(asked_for("/projects", sorts=tuple(lists.PROJECT_ORDERS), filters=lists.PROJECT_FILTERS))
]


def _answer(
    request: Request, heads: tuple[str, ...], rows: list[list[str]], *, name: str, form: Form, now: Now
) -> Response:
    lines = [[translate(request, head) for head in heads], *rows]
    return tables.answer(lines, name=f"{name}-{now.astimezone(ZONE):%Y%m%d-%H%M}", form=form)


@router.get("/sites/{code}/roll.{form}")
def export_roll(  # noqa: PLR0917 - FastAPI gives them by name
    request: Request, form: Form, site: RollRead, session: WorkerReading, actor: CurrentActor, now: Now, on: Day = ""
) -> Response:
    """Hand a site's roll of a day out, with the columns that are taken in."""
    day, language = read_day(on, now), language_of(request)
    may_see = _reaches(actor.reach(Permission.REGISTRY_CARD_READ), site)
    lines = exports.roll(session, site_id=site.id, on=day, now=now, cards=may_see, language=language)
    _look(request, actor, f"site:{site.id}", {"form": form, "workers": len(lines) - 1, "on": day}, now=now)
    return tables.answer(lines, name=f"roll-{site.code}-{day:%Y%m%d}", form=form)


def _reaches(reach: Reach, site: SiteRef) -> bool:
    return reach.everywhere or site.id in reach.sites or any(place == site.id for place, _ in reach.own)


def _look(request: Request, actor: Actor, subject: str, detail: dict[str, object], *, now: Now) -> None:
    looks: Looks = request.app.state.looks
    looks.record(actor, Tag.WORKER_EXPORT, subject, now=now, detail=detail)


@router.get("/projects/{code}/contracts.{form}")
def export_contracts(
    request: Request, form: Form, project: ChainRead, session: ContractReading, now: Now, on: Day = ""
) -> Response:
    """Hand a project's contracts of a day out, with the columns that are taken in."""
    day = read_day(on, now)
    found = contracts.standing(session, project_id=project.id, on=day)
    lines = exports.contracts(session, found.branches, language=language_of(request))
    return tables.answer(lines, name=f"contracts-{project.code}-{day:%Y%m%d}", form=form)


@router.get("/organizations.{form}")
def export_organizations(
    request: Request, form: Form, session: OrganizationReading, asked: AskedOrganizations, now: Now
) -> Response:
    """Hand the list of organizations out."""
    found = lists.organizations(session, asked, rows=ROWS_EXPORTED_MAX)
    exports.within_limit(len(found))
    language = language_of(request)
    rows = [
        [one.name, one.business_no or "", wording.word(language, wording.ORGANIZATION_KINDS, one.kind)] for one in found
    ]
    return _answer(
        request, (say("Name"), say("Business number"), say("Kind")), rows, name="organizations", form=form, now=now
    )


@router.get("/projects.{form}")
def export_projects(request: Request, form: Form, session: ProjectReading, asked: AskedProjects, now: Now) -> Response:
    """Hand the list of projects out."""
    found = lists.projects(session, asked, today=now.astimezone(ZONE).date(), rows=ROWS_EXPORTED_MAX)
    exports.within_limit(len(found))
    language = language_of(request)
    rows = [
        [
            *(one.code, one.name, one.client, wording.word(language, wording.CLASSIFICATIONS, one.classification)),
            *(wording.borough(language, one.borough), str(one.budget_won or "")),
            *(str(day or "") for day in (one.bid_notice_on, one.begins_on, one.ends_on, one.completed_on)),
        ]
        for one in found
    ]
    heads = (
        *(say("Code"), say("Name"), say("Client"), say("Kind of work"), say("Borough"), say("Budget in won")),
        *(say("First bid notice"), say("From"), say("Last day"), say("Completed")),
    )
    return _answer(request, heads, rows, name="projects", form=form, now=now)


@router.get("/cards.{form}")
def export_cards(
    request: Request, form: Form, session: CardReading, actor: CurrentActor, asked: AskedCards, now: Now
) -> Response:
    """Hand the list of cards out, with their holders as far as the asker may know them."""
    names = bool(actor.reach(Permission.REGISTRY_WORKER_READ))
    held, following = lists.cards(session, asked, now=now, names=names, rows=ROWS_EXPORTED_MAX)
    exports.within_limit(len(held) + bool(following))
    if names:
        _look(request, actor, "cards", {"form": form, "cards": len(held), "filter": asked.query()}, now=now)
    language = language_of(request)
    rows = [
        [
            one.token,
            wording.word(language, wording.CARD_STATES, one.state),
            wording.word(language, wording.CARD_KINDS, one.kind),
            one.holder or "",
            one.holder_no or "",
            f"{one.from_at.astimezone(ZONE):%Y-%m-%d %H:%M}" if one.from_at else "",
        ]
        for one in held
    ]
    heads = (
        *(say("Card"), say("State"), say("Kind of card")),
        *(say("Holder"), say("Worker number"), say("Since")),
    )
    return _answer(request, heads, rows, name="cards", form=form, now=now)
