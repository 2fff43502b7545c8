"""How long events are kept."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from central.attendance import retention
from central.cli.telling import CLI_ACTOR, console, database, told
from central.kit.clock import SystemClock
from central.kit.db import read_session, write_session
from central.kit.errors import Invalid

app = typer.Typer(name="retention", no_args_is_help=True, help="How many months of events are kept.")


@app.command("show")
@told
def retention_show() -> None:
    """Show the rule, the months that are kept, and the next that it lets go of."""
    with database() as engine, read_session(engine) as session:
        keep_months, months = retention.plan(session, now=SystemClock().now())
    for month, goes in months:
        Console().print(month.partition, "goes at the next run" if goes else "is kept", highlight=False)
    console.print("every month is kept" if keep_months is None else f"{keep_months} whole months are kept")


@app.command("keep")
@told
def retention_keep(
    months: Annotated[int | None, typer.Option(help="Whole months before the present one; 12 or more.")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Keep every month, as a new installation does.")] = False,
) -> None:
    """Set how many months of events are kept. What is let go of is dropped: back the month's table up before."""
    if (months is None) is not everything:
        raise Invalid("say either --months N or --all")
    with database() as engine, write_session(engine) as session:
        retention.set_rule(session, keep_months=months, actor=CLI_ACTOR, now=SystemClock().now())
    retention_show()
