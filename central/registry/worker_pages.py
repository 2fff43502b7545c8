"""Forms of workers: registering and changing one, employing, papers, labour contracts, and merging two entries."""

# ruff: noqa: FAST003, PLR0917 - the worker's dependency reads {worker_id}, the site guard {code}; dependencies are parameters

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from central.identity.asking import texts_of
from central.identity.guards import CurrentActor
from central.identity.permissions import Permission
from central.identity.policy import Actor, allowed, require, require_rows
from central.kit.db import ReadSession, WriteSession
from central.kit.errors import NotFound
from central.kit.forms import (
    Filled,
    Form,
    FormSent,
    Input,
    Posted,
    say,
    show,
    submit,
    typed_of,
    with_suggestions,
)
from central.kit.ids import OrganizationId, SiteId
from central.kit.web import language_of, translate
from central.registry import choosing, inputs, records, schemas, typed, wording, workers
from central.registry.cards import ZONE
from central.registry.endpoints import Now, RowId, changes
from central.registry.models import Employment, Worker
from central.registry.record_models import WorkerPaper
from central.registry.record_schemas import PaperGiven
from central.registry.sessions import confined_reading
from central.registry.worker_endpoints import OwnGuesses, RollWrite, WorkerToWrite, WorkerWriting

router = APIRouter(include_in_schema=False)
WorkerChanging = Annotated[ReadSession, Depends(confined_reading(Permission.REGISTRY_WORKER_WRITE))]


def worker_to_change(worker_id: RowId, session: WorkerChanging) -> Worker:
    """Find the worker whose form is asked for, or 404."""
    return workers.worker(session, worker_id=worker_id)


WorkerToChange = Annotated[Worker, Depends(worker_to_change)]


def form_about(request: Request, row: Worker, title: str, fields: tuple[Input, ...], **more: Any) -> Form:  # noqa: ANN401 - of a form
    """Make a form about one worker; `title` is an English sentence already translated."""
    crumbs = [("/workers", translate(request, "Workers")), (f"/workers/{row.id}", row.name)]
    return Form(title, fields, more.pop("action", translate(request, "Save")), crumbs, **more)


def page_of_worker(row: Worker) -> str:
    """Return the address of a worker's card."""
    return f"/workers/{row.id}"


# -- a new worker


@router.get("/new/worker")
def new_worker(request: Request, actor: CurrentActor, session: WorkerChanging) -> Response:
    """Ask for a new worker, with an employment where the asker's right holds on some sites only."""
    form = with_suggestions(_new_form(request, actor), **_offered(session))
    return show(request, form, Filled({"language": "ko"}))


@router.post("/new/worker", dependencies=[FormSent])
def register_worker(
    request: Request, posted: Posted, actor: CurrentActor, session: WorkerWriting, guesses: OwnGuesses, now: Now
) -> Response:
    """Register a worker."""

    def act(given: typed.WorkerTyped) -> str:
        if not given.site:
            require(actor, Permission.REGISTRY_WORKER_WRITE)
        facts = given.model_dump(exclude={"site", "employer", "trade", "from_on"})
        with guesses.counted(given.worker_no):
            row = workers.register_worker(session, **facts, actor=actor.key, now=now)
        if given.site:
            terms = typed.EmploymentTyped(
                site=given.site,
                employer=given.employer or "?",
                trade=given.trade or "?",
                from_on=given.from_on or now.astimezone(ZONE).date(),
            )
            _employ(session, actor, row, terms, now=now)
        return page_of_worker(row)

    done = say("The worker is registered. A card comes next.")
    return submit(request, session, _new_form(request, actor), posted, typed.WorkerTyped, act, done=done)


def _new_form(request: Request, actor: Actor) -> Form:
    language = language_of(request)
    needed = not allowed(actor, Permission.REGISTRY_WORKER_WRITE)
    fields = (*inputs.worker(language, blank=False), *inputs.first_employment(language, needed=needed))
    note = translate(
        request, "Somebody who worked elsewhere before is employed by number and name: see the site's page."
    )
    crumbs = [("/workers", translate(request, "Workers"))]
    return Form(translate(request, "Register a worker"), fields, translate(request, "Save"), crumbs, notes=[note])


def _offered(session: ReadSession) -> dict[str, Any]:
    return {"site": choosing.sites_offered(session), "employer": choosing.employers_offered(session)}


# -- a worker's facts


@router.get("/workers/{worker_id}/edit")
def edit_worker(request: Request, row: WorkerToChange) -> Response:
    """Ask for a worker's facts anew."""
    form = _edit_form(request, row)
    return show(request, form, Filled(typed_of(row, form.inputs)))


@router.post("/workers/{worker_id}/edit", dependencies=[FormSent])
def amend_worker(
    request: Request,
    row: WorkerToWrite,
    posted: Posted,
    actor: CurrentActor,
    session: WorkerWriting,
    guesses: OwnGuesses,
    now: Now,
) -> Response:
    """Change a worker's facts."""
    form = _edit_form(request, row)

    def act(given: schemas.WorkerAmended) -> str:
        texts = texts_of(request)
        with guesses.counted(given.worker_no):
            workers.amend_worker(session, row=row, changes=changes(given), texts=texts, actor=actor.key, now=now)
        return page_of_worker(row)

    return submit(request, session, form, posted, schemas.WorkerAmended, act, done=say("The worker was changed."))


def _edit_form(request: Request, row: Worker) -> Form:
    fields = inputs.worker(language_of(request))
    return form_about(request, row, translate(request, "Change: %(name)s", name=row.name), fields)


# -- employments


@router.get("/workers/{worker_id}/employments/new")
def new_employment(request: Request, row: WorkerToChange, session: WorkerChanging) -> Response:
    """Ask for an employment."""
    return show(request, with_suggestions(_employment_form(request, row), **_offered(session)))


@router.post("/workers/{worker_id}/employments/new", dependencies=[FormSent])
def employ(
    request: Request, row: WorkerToWrite, posted: Posted, actor: CurrentActor, session: WorkerWriting, now: Now
) -> Response:
    """Put a worker on a site's roll."""

    def act(given: typed.EmploymentTyped) -> str:
        _employ(session, actor, row, given, now=now)
        return page_of_worker(row)

    form = _employment_form(request, row)
    return submit(request, session, form, posted, typed.EmploymentTyped, act, done=say("The worker is on the roll."))


def _employment_form(request: Request, row: Worker) -> Form:
    title = translate(request, "Employ: %(name)s", name=row.name)
    return form_about(request, row, title, inputs.employment(language_of(request)))


def _employ(session: WriteSession, actor: Actor, row: Worker, given: typed.EmploymentTyped, *, now: datetime) -> None:
    site_id = choosing.site_coded(session, given.site, field="site").id or 0
    _employ_on(session, actor, row, site_id, given, now=now)


def _employ_on(
    session: WriteSession,
    actor: Actor,
    row: Worker,
    site_id: int,
    given: typed.EmploymentTyped | typed.NumberedTyped,
    *,
    now: datetime,
) -> None:
    employer_id = choosing.organization_named(session, given.employer, field="employer").id or 0
    require_rows(
        actor,
        Permission.REGISTRY_WORKER_WRITE,
        site_id=SiteId(site_id),
        employer_id=OrganizationId(employer_id),
    )
    workers.employ(
        session,
        worker_id=row.id or 0,
        site_id=site_id,
        employer_id=employer_id,
        trade=given.trade,
        from_on=given.from_on,
        until_on=given.until_on,
        actor=actor.key,
        now=now,
    )


@router.get("/sites/{code}/employments/new")
def new_numbered(request: Request, site: RollWrite, session: WorkerChanging) -> Response:
    """Ask for somebody who worked elsewhere before: by number and name together."""
    form = _numbered_form(request, site.code, site.name)
    return show(request, with_suggestions(form, employer=choosing.employers_offered(session, site_id=site.id)))


@router.post("/sites/{code}/employments/new", dependencies=[FormSent])
def employ_numbered(
    request: Request,
    site: RollWrite,
    posted: Posted,
    actor: CurrentActor,
    session: WorkerWriting,
    guesses: OwnGuesses,
    now: Now,
) -> Response:
    """Put somebody on the site's roll whose number and name are known."""

    def act(given: typed.NumberedTyped) -> str:
        with guesses.counted(given.worker_no):
            found = workers.worker_to_employ(session, worker_id=None, worker_no=given.worker_no, name=given.name)
        _employ_on(session, actor, found, site.id, given, now=now)
        return page_of_worker(found)

    form = _numbered_form(request, site.code, site.name)
    return submit(request, session, form, posted, typed.NumberedTyped, act, done=say("The worker is on the roll."))


def _numbered_form(request: Request, code: str, name: str) -> Form:
    crumbs = [("/workers", translate(request, "Workers")), (f"/sites/{code}/about", name)]
    title = translate(request, "Employ somebody by number and name")
    return Form(title, inputs.numbered(language_of(request)), translate(request, "Save"), crumbs)


@router.get("/workers/{worker_id}/employments/{row_id}/end")
def ask_to_end_employment(request: Request, row: WorkerToChange, row_id: RowId, session: WorkerChanging) -> Response:
    """Ask for an employment's end."""
    spell = _spell(session, row, row_id)
    held = {"until_on": str(spell.until_on)} if spell.until_on else {}
    return show(request, _end_form(request, row), Filled(held))


@router.post("/workers/{worker_id}/employments/{row_id}/end", dependencies=[FormSent])
def end_employment(
    request: Request,
    row: WorkerToWrite,
    row_id: RowId,
    posted: Posted,
    actor: CurrentActor,
    session: WorkerWriting,
    now: Now,
) -> Response:
    """Set an employment's end, or open it again."""
    spell = _spell(session, row, row_id)

    def act(given: typed.Ended) -> str:
        workers.end_employment(
            session, site_id=spell.site_id, row_id=row_id, until_on=given.until_on, actor=actor.key, now=now
        )
        return page_of_worker(row)

    return submit(request, session, _end_form(request, row), posted, typed.Ended, act, done=say("The end was changed."))


def _end_form(request: Request, row: Worker) -> Form:
    return form_about(request, row, translate(request, "End of an employment: %(name)s", name=row.name), inputs.UNTIL)


def _spell(session: ReadSession | WriteSession, row: Worker, row_id: int) -> Employment:
    spell = session.get(Employment, row_id)
    if spell is None or spell.worker_id != row.id:
        raise NotFound("The worker has no such employment on your sites. Open the worker's page again.")
    return spell


# -- papers and labour contracts


@router.get("/workers/{worker_id}/papers/new")
def new_paper(request: Request, row: WorkerToChange) -> Response:
    """Ask for a paper."""
    return show(request, _paper_form(request, row))


@router.post("/workers/{worker_id}/papers/new", dependencies=[FormSent])
def add_paper(
    request: Request, row: WorkerToWrite, posted: Posted, actor: CurrentActor, session: WorkerWriting, now: Now
) -> Response:
    """Record a paper."""

    def act(given: PaperGiven) -> str:
        records.add_paper(session, worker_id=row.id or 0, **given.model_dump(), actor=actor.key, now=now)
        return page_of_worker(row)

    return submit(
        request, session, _paper_form(request, row), posted, PaperGiven, act, done=say("The paper is on record.")
    )


def _paper_form(request: Request, row: Worker) -> Form:
    title = translate(request, "A paper of %(name)s", name=row.name)
    return form_about(request, row, title, inputs.paper(language_of(request)))


@router.get("/workers/{worker_id}/papers/{row_id}/withdraw")
def ask_to_withdraw(request: Request, row: WorkerToChange, row_id: RowId, session: WorkerChanging) -> Response:
    """Ask once more before a paper is withdrawn."""
    return show(request, _withdrawal(request, row, _paper(session, row, row_id)))


@router.post("/workers/{worker_id}/papers/{row_id}/withdraw", dependencies=[FormSent])
def withdraw_paper(
    request: Request,
    row: WorkerToWrite,
    row_id: RowId,
    posted: Posted,
    actor: CurrentActor,
    session: WorkerWriting,
    now: Now,
) -> Response:
    """Withdraw a paper that was recorded by mistake."""
    form = _withdrawal(request, row, _paper(session, row, row_id))

    def act(_: typed.Nothing) -> str:
        records.withdraw_paper(session, worker_id=row.id or 0, row_id=row_id, actor=actor.key, now=now)
        return page_of_worker(row)

    done = say("The paper is withdrawn. It stays on record as such.")
    return submit(request, session, form, posted, typed.Nothing, act, done=done)


def _withdrawal(request: Request, row: Worker, paper: WorkerPaper) -> Form:
    kind = wording.word(language_of(request), wording.PAPER_KINDS, paper.kind)
    notes = [
        f"{kind} {paper.value} {paper.number} · {paper.from_on} ~ {paper.until_on or ''}",
        translate(request, "It stays on record as withdrawn. This cannot be undone."),
    ]
    title = translate(request, "Withdraw this paper because it was recorded by mistake?")
    return form_about(request, row, title, (), action=translate(request, "Withdraw it"), notes=notes, danger=True)


def _paper(session: ReadSession | WriteSession, row: Worker, row_id: int) -> WorkerPaper:
    paper = session.get(WorkerPaper, row_id)
    if paper is None or paper.worker_id != row.id:
        raise NotFound("The worker has no such paper. Open the worker's page again.")
    return paper


@router.get("/workers/{worker_id}/labour-contracts/new")
def new_labour_contract(request: Request, row: WorkerToChange, session: WorkerChanging) -> Response:
    """Ask for a labour contract."""
    form = with_suggestions(_labour_form(request, row), **_offered(session))
    return show(request, form, Filled({"minutes_a_day": "480"}))


@router.post("/workers/{worker_id}/labour-contracts/new", dependencies=[FormSent])
def add_labour_contract(
    request: Request, row: WorkerToWrite, posted: Posted, actor: CurrentActor, session: WorkerWriting, now: Now
) -> Response:
    """Record a labour contract."""

    def act(given: typed.LabourTyped) -> str:
        site_id = choosing.site_coded(session, given.site, field="site").id or 0
        employer_id = choosing.organization_named(session, given.employer, field="employer").id or 0
        require_rows(
            actor,
            Permission.REGISTRY_WORKER_WRITE,
            site_id=SiteId(site_id),
            employer_id=OrganizationId(employer_id),
        )
        terms = given.model_dump(exclude={"site", "employer"})
        terms |= {"site_id": site_id, "employer_id": employer_id}
        records.add_labour_contract(session, worker_id=row.id or 0, **terms, actor=actor.key, now=now)
        return page_of_worker(row)

    done = say("The labour contract is on record.")
    return submit(request, session, _labour_form(request, row), posted, typed.LabourTyped, act, done=done)


def _labour_form(request: Request, row: Worker) -> Form:
    title = translate(request, "A labour contract of %(name)s", name=row.name)
    return form_about(request, row, title, inputs.labour(language_of(request)))
