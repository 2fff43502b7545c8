"""Pages of imports, for a site's roll and a project's contracts: check a file, take it, watch it, undo it.

Annotations are not postponed here: FastAPI could not find a dependency that is a function's own variable.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.responses import RedirectResponse, Response

from central.identity.guards import CurrentActor, ProjectRef, SiteRef, project_guard, site_guard
from central.identity.permissions import Permission
from central.identity.policy import Actor, allowed, allowed_sites
from central.kit import tables
from central.kit.db import ReadSession, WriteSession
from central.kit.errors import Invalid
from central.kit.sentences import sentence, unpacked
from central.kit.web import checked_form, language_of, page
from central.registry import (
    contract_intake,
    import_repository,
    import_wording,
    imports,
    sheet,
    undoing,
    wording,
)
from central.registry.card_key import load_card_key
from central.registry.columns import FORMS
from central.registry.endpoints import Now, RowId
from central.registry.import_models import Import
from central.registry.import_runs import Asker, Run
from central.registry.import_states import RUNNING, UNDOABLE
from central.registry.imports import Place
from central.registry.sessions import confined_reading, confined_writing
from central.registry.undoing import Undone

router = APIRouter(include_in_schema=False)
Event = Literal["check", "take", "undo", "discard"]


def _one_organization(mine: set[int]) -> int:
    if len(mine) != 1:
        raise Invalid(
            sentence("you write here for several organizations: choose one of your roles first, under your account")
        )
    return mine.pop()


async def _roll_of(
    site: Annotated[SiteRef, Depends(site_guard(Permission.REGISTRY_WORKER_WRITE, partly=True))], actor: CurrentActor
) -> Place:
    """Find the site whose roll it is, and whose rows the asker may write there."""
    if allowed(actor, Permission.REGISTRY_WORKER_WRITE, site_id=site.id):
        return Place("roll", site_id=site.id, code=site.code)
    mine = {int(one) for place, one in actor.reach(Permission.REGISTRY_WORKER_WRITE).own if place == site.id}
    return Place("roll", site_id=site.id, organization_id=_one_organization(mine), code=site.code)


async def _contracts_of(
    project: Annotated[ProjectRef, Depends(project_guard(Permission.REGISTRY_CONTRACT_WRITE, partly=True))],
    actor: CurrentActor,
) -> Place:
    """Find the project whose contracts they are, and below whose contracts the asker may write."""
    if allowed(actor, Permission.REGISTRY_CONTRACT_WRITE, project_id=project.id):
        return Place("contracts", project_id=project.id, code=project.code)
    reach = actor.reach(Permission.REGISTRY_CONTRACT_WRITE).own_contracts
    mine = {int(one) for place, one in reach if place == project.id}
    return Place("contracts", project_id=project.id, organization_id=_one_organization(mine), code=project.code)


def _runs(request: Request, row: Import, actor: Actor, permission: Permission) -> BackgroundTask:
    """Let the work wait for its turn when the answer is sent, confined to what the asker reaches."""
    state = request.app.state
    run = Run(
        state.engine,
        row.id or 0,
        asker=Asker(
            actor.key,
            actor.reach(permission),
            may_register=allowed(actor, Permission.REGISTRY_ORGANIZATION_WRITE),
            sites=allowed_sites(actor, Permission.REGISTRY_SITE_WRITE),
        ),
        card_key=load_card_key(state.settings.card_key_file),
        clock=state.clock,
    )
    return BackgroundTask(state.imports.add, run)


def _look(session: ReadSession, row: Import) -> Undone:
    return undoing.look(session, row=row) if row.kind == "roll" else contract_intake.look(session, row=row)


def _told(row: Import, name: str) -> list[tuple[int, str]]:
    return [(number, unpacked(message)) for number, message in row.found.get(name, [])]


def _add_files(base: str, place_of: Callable[..., Awaitable[Place]], permission: Permission) -> None:
    """Add the routes of what was given at one place, and of giving another file."""
    here = Annotated[Place, Depends(place_of)]
    reading = Annotated[ReadSession, Depends(confined_reading(permission))]
    writing = Annotated[WriteSession, Depends(confined_writing(permission))]
    checked = Annotated[None, Depends(checked_form)]

    @router.get(f"{base}/imports")
    def list_imports(request: Request, place: here, session: reading) -> Response:
        """List what was given here, and take another file."""
        rows = import_repository.imports_of(
            session, kind=place.kind, site_id=place.site_id, project_id=place.project_id
        )
        form = FORMS[place.kind]
        return page(
            request, "registry/imports.html", place=place, rows=rows, form=form, words=wording, said=import_wording
        )

    @router.get(f"{base}/imports/empty.{{form}}")
    def empty_sheet(request: Request, place: here, form: Literal["csv", "xlsx"]) -> Response:
        """Hand out an empty sheet with the headings in the asker's language."""
        headings = FORMS[place.kind].headings(language_of(request))
        return tables.answer([headings], name=place.kind, form=form)

    @router.post(f"{base}/imports")
    async def upload(
        request: Request, place: here, _: checked, actor: CurrentActor, session: writing, now: Now
    ) -> Response:
        """Keep a file, and begin its dry run."""
        async with request.form() as form:
            given = form.get("file")
            if not isinstance(given, UploadFile) or not given.filename:
                raise Invalid(sentence("choose a file with a table in it"))
            content = await given.read(sheet.FILE_BYTES_MAX + 1)
        name = given.filename.rpartition("/")[2].rpartition("\\")[2]

        def keep() -> Import:
            row = imports.upload(session, place=place, file=name, content=content, actor=actor.key, now=now)
            imports.check_room(session, actor=actor.key, now=now)
            imports.ask(session, row=row, event="check", actor=actor.key, now=now)
            return row

        row = await run_in_threadpool(keep)
        begun = _runs(request, row, actor, permission)
        return RedirectResponse(f"{place.path}/imports/{row.id}", status_code=303, background=begun)


def _add_imports(base: str, place_of: Callable[..., Awaitable[Place]], permission: Permission) -> None:
    """Add the routes of one import."""
    here = Annotated[Place, Depends(place_of)]
    reading = Annotated[ReadSession, Depends(confined_reading(permission))]
    writing = Annotated[WriteSession, Depends(confined_writing(permission))]
    checked = Annotated[None, Depends(checked_form)]

    @router.get(f"{base}/imports/{{import_id}}")
    def show_import(
        request: Request,
        place: here,
        import_id: RowId,
        session: reading,
        now: Now,
        undo: Annotated[int, Query(ge=0, le=1)] = 0,
    ) -> Response:
        """Show one import: how far it is, what was found, what can be done next."""
        row = imports.find(session, place, import_id)
        lost = row.state in RUNNING and row.run_until is not None and row.run_until < now
        return page(
            request,
            "registry/import.html",
            place=place,
            row=row,
            lost=lost,
            running=row.state in RUNNING and not lost,
            same=import_repository.taken_before(session, row) if row.state in {"checked", "refused"} else None,
            before_undo=_look(session, row) if undo and row.state in UNDOABLE else None,
            kept=imports.kept_rows(session, row) if row.state == "partly_undone" else [],
            faults=_told(row, "faults"),
            notices=_told(row, "notices"),
            unpacked=unpacked,
            said=import_wording,
            words=wording,
        )

    @router.get(f"{base}/imports/{{import_id}}/progress")
    def show_progress(request: Request, place: here, import_id: RowId, session: reading, now: Now) -> Response:
        """Show how far an import is; the page is loaded anew when it has ended."""
        row = imports.find(session, place, import_id)
        ended = row.state not in RUNNING or (row.run_until is not None and row.run_until < now)
        headers = {"HX-Refresh": "true"} if ended else {}
        return page(request, "registry/_import_progress.html", headers=headers, place=place, row=row)

    @router.post(f"{base}/imports/{{import_id}}/{{event}}")
    def move_import(  # noqa: PLR0917 - FastAPI gives them by name
        request: Request,
        place: here,
        import_id: RowId,
        event: Event,
        _: checked,
        actor: CurrentActor,
        session: writing,
        now: Now,
    ) -> Response:
        """Check again, take, undo or throw away."""
        row = imports.find(session, place, import_id)
        if event != "discard":
            imports.check_room(session, actor=actor.key, now=now)
        imports.ask(session, row=row, event=event, actor=actor.key, now=now)
        begun = _runs(request, row, actor, permission) if event != "discard" else None
        return RedirectResponse(f"{place.path}/imports/{row.id}", status_code=303, background=begun)


for add in (_add_files, _add_imports):
    add("/sites/{code}", _roll_of, Permission.REGISTRY_WORKER_WRITE)
    add("/projects/{code}", _contracts_of, Permission.REGISTRY_CONTRACT_WRITE)
