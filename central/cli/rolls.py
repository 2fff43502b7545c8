"""Taking rolls of workers in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from central.cli.telling import CLI_ACTOR, console, database, told
from central.kit.clock import SystemClock
from central.kit.config import load_settings
from central.kit.db import write_session

if TYPE_CHECKING:
    from central.registry.intake import Taken

FAULTS_SHOWN_MAX = 50
app = typer.Typer()


@app.command("import")
@told
def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="A roll: .xlsx or .csv.")],
    site: Annotated[str, typer.Option(help="Code of the site whose roll it is.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check every row and take nothing.")] = False,
) -> None:
    """Take a roll of workers with employer, trade and card into a site: all rows or none. See docs/import.md."""
    from central.registry.card_key import load_card_key
    from central.registry.intake import NothingTaken, take_roll
    from central.registry.sheet import read_sheet

    card_key = load_card_key(load_settings().card_key_file)
    rows = read_sheet(file)
    columns = (TextColumn("rows"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with database() as engine, write_session(engine) as session, Progress(*columns, console=console) as bar:
            task = bar.add_task("rows", total=len(rows))
            taken = take_roll(
                session,
                rows,
                site_code=site,
                file=file.name,
                card_key=card_key,
                actor=CLI_ACTOR,
                now=SystemClock().now(),
                dry_run=dry_run,
                progress=lambda done: bar.update(task, completed=done),
            )
    except NothingTaken as refusal:
        for fault in refusal.taken.faults[:FAULTS_SHOWN_MAX]:
            console.print(f"row {fault.row}: {fault.message}", highlight=False, markup=False, soft_wrap=True)
        if refusal.taken.faults:
            raise
        _report(refusal.taken, done="would be taken")
        return
    _report(taken, done="taken")


def _report(taken: Taken, *, done: str) -> None:
    typer.echo(
        f"{taken.rows} rows {done}: {taken.workers} new workers, {taken.employments} employments, {taken.cards} cards;"
        f" {taken.already_there} rows were already there"
    )
