"""Taking sheets in: a site's roll of workers, a project's contracts; and undoing what was taken."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from central.cli.telling import CLI_ACTOR, console, database, told
from central.kit.clock import SystemClock
from central.kit.config import load_settings
from central.kit.db import read_session, write_session
from central.kit.errors import AppError, Invalid
from central.kit.sentences import unpacked

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from central.registry.import_models import Import
    from central.registry.imports import Place

FAULTS_SHOWN_MAX = 50
app = typer.Typer()


class _Refused(AppError):
    """The file was not taken."""


@app.command("import")
@told
def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="A sheet: .xlsx or .csv.")],
    site: Annotated[str, typer.Option(help="Code of the site whose roll it is.")] = "",
    project: Annotated[str, typer.Option(help="Code of the project whose contracts they are.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check every row and take nothing.")] = False,
) -> None:
    """Take a roll of workers, or a project's contracts: all rows or none. See docs/import.md."""
    from central.registry.imports import ask, upload

    with database() as engine:
        place = _place(engine, site=site, project=project)
        now = SystemClock().now()
        with write_session(engine) as session:
            row = upload(session, place=place, file=file.name, content=file.read_bytes(), actor=CLI_ACTOR, now=now)
        checked = _run(engine, row.id or 0, "check")
        if checked.state != "checked" or dry_run:
            with write_session(engine) as session:
                ask(session, row=checked, event="discard", actor=CLI_ACTOR, now=SystemClock().now())
            _refuse_or_report(checked, done="would be taken")
            return
        taken = _run(engine, row.id or 0, "take")
        _refuse_or_report(taken, done="taken")
        console.print(f"it can be undone: ccs-central import-undo {taken.id}")


@app.command("import-undo")
@told
def import_undo(number: Annotated[int, typer.Argument(help="The import's number, as it was told when taken.")]) -> None:
    """Take back what an import made; rows on which something later stands stay, each with its reason."""
    from central.registry.imports import kept_rows

    with database() as engine:
        row = _run(engine, number, "undo")
        with read_session(engine) as session:
            kept = kept_rows(session, row)
    for place, reason in kept[:FAULTS_SHOWN_MAX]:
        console.print(f"row {place} stays: {reason}", highlight=False, markup=False, soft_wrap=True)
    typer.echo(f"{row.found.get('undone', 0)} rows undone, {len(kept)} rows stay")


def _place(engine: Engine, *, site: str, project: str) -> Place:
    from central.registry import places
    from central.registry.imports import Place

    if bool(site) is bool(project):
        raise Invalid("say whose sheet it is: either --site or --project")
    with read_session(engine) as session:
        if site:
            return Place("roll", site_id=places.site_by_code(session, code=site).id)
        return Place("contracts", project_id=places.project(session, code=project).id)


def _run(engine: Engine, import_id: int, event: str) -> Import:
    """Move an import along and wait until that has ended."""
    from central.registry.card_key import load_card_key
    from central.registry.import_runs import Asker, Run
    from central.registry.imports import any_import, ask

    with write_session(engine) as session:
        row = any_import(session, import_id)
        ask(session, row=row, event=event, actor=CLI_ACTOR, now=SystemClock().now())
    with Progress(TextColumn("rows"), BarColumn(), MofNCompleteColumn(), console=console) as bar:
        task = bar.add_task("rows", total=None)
        Run(
            engine,
            import_id,
            asker=Asker(CLI_ACTOR, may_register=True),
            card_key=load_card_key(load_settings().card_key_file),
            clock=SystemClock(),
            progress=lambda done: bar.update(task, completed=done),
        )()
    with read_session(engine) as session:
        return any_import(session, import_id)


def _refuse_or_report(row: Import, *, done: str) -> None:
    found: dict[str, Any] = row.found
    for name in ("faults", "notices"):
        for number, message in found.get(name, [])[:FAULTS_SHOWN_MAX]:
            console.print(f"row {number}: {unpacked(message)}", highlight=False, markup=False, soft_wrap=True)
    if found.get("faulty_rows"):
        raise _Refused(f"{found['faulty_rows']} rows are wrong, so nothing was taken: correct them and import again")
    if found.get("error"):
        raise _Refused(unpacked(found["error"]))
    counts = [f"{found['counts'][name]} {word}" for name, word in _WORDS.items() if name in found["counts"]]
    brought = ", ".join(counts) or "nothing new"
    typer.echo(f"{found['rows']} rows {done}: {brought}; {found['already_there']} rows were already there")


_WORDS = {
    "workers": "new workers",
    "employments": "employments",
    "cards": "cards",
    "papers": "papers",
    "labour_contracts": "labour contracts",
    "contracts": "new contracts",
    "terms": "changed terms",
    "organizations": "new organizations",
    "site_employers": "firms brought to a site",
}
