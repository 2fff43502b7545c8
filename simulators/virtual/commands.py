"""`ccs-sim virtual` and `ccs-sim soak`: one run from its seed, and runs without end."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from simulators.virtual.plan import FAULTS, plan_of

if TYPE_CHECKING:
    from collections import Counter

    from simulators.virtual.run import Result
    from simulators.virtual.soak import Soaked

console = Console()
errors = Console(stderr=True)
FIRST_SOAK_SEED = 1_000_000
"""CI plays the seeds from 1 on; a soak looks elsewhere."""


def virtual(
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same trace, byte for byte.")] = 1,
    trace: Annotated[Path | None, typer.Option(help="Where the trace goes; .sim/seed-N.trace unless said.")] = None,
    without: Annotated[list[str] | None, typer.Option(help="Leave out a kind of fault; may be repeated.")] = None,
    hours: Annotated[float | None, typer.Option(min=0.1, help="Hours with faults, instead of the seed's.")] = None,
    shrunk: Annotated[  # noqa: FBT002 - Typer declares flags as booleans
        bool, typer.Option("--shrink/--whole", help="Of a failure, find a smaller one.")
    ] = True,
) -> None:
    """Play one run of the whole system in virtual time and judge it by the promises."""
    from simulators.virtual.run import play, report, shrink

    plan = plan_of(seed)
    for fault in without or []:
        if fault not in FAULTS:
            errors.print(f"[bold red]✗[/] {fault} is no kind of fault: choose from {', '.join(FAULTS)}")
            raise typer.Exit(2)
        plan = plan.without(fault)
    if hours is not None:
        plan = plan.shorter(hours)
    console.print(plan.describe(), highlight=False, soft_wrap=True)
    result = play(plan)
    target = trace or Path(".sim") / f"seed-{seed}.trace"
    if result.ok:
        _write(target, result)
        console.print(_states(result.sometimes))
        console.print(f"[green]every promise held[/] for {result.promised} taps shown", highlight=False)
        return
    smallest = shrink(result) if shrunk else result
    _write(target, smallest)
    console.print(report(smallest), highlight=False, markup=False, soft_wrap=True)
    raise typer.Exit(1)


def soak(
    processes: Annotated[int, typer.Option(min=1, max=64, help="How many at a time.")] = 2,
    first_seed: Annotated[int, typer.Option(min=0, help="Where to begin.")] = FIRST_SOAK_SEED,
    seeds: Annotated[int | None, typer.Option(min=1, help="Stop after so many; else only when told to.")] = None,
    minutes: Annotated[float | None, typer.Option(min=0.01, help="Stop after so long.")] = None,
    folder: Annotated[Path, typer.Option(help="Where failures and the record go.")] = Path(".soak"),
) -> None:
    """Play run after run until interrupted (Ctrl-C), and write down what was found."""
    from simulators.virtual.run import commit
    from simulators.virtual.soak import Soak

    at = commit()
    soaking = Soak(folder, first_seed=first_seed, processes=processes)
    before = signal.signal(signal.SIGINT, lambda _number, _frame: soaking.stop())
    signal.signal(signal.SIGTERM, lambda _number, _frame: soaking.stop())
    try:
        with Live(_progress(soaking.soaked, at), console=console, refresh_per_second=2) as live:
            soaked = soaking.run(
                seeds_max=seeds,
                seconds_max=minutes * 60 if minutes is not None else None,
                told=lambda so_far: live.update(_progress(so_far, at)),
            )
    finally:
        signal.signal(signal.SIGINT, before)
    console.print(_states(soaked.sometimes))
    console.print(f"recorded in {folder / 'soak.jsonl'}", highlight=False)
    if soaked.failures:
        named = ", ".join(map(str, sorted(soaked.failures)))
        errors.print(
            f"[bold red]✗[/] {len(soaked.failures)} seeds broke a promise: {named}; see {folder}/failure-*.txt"
        )
        raise typer.Exit(1)


def _write(target: Path, result: Result) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(result.trace)
    console.print(f"trace {target}, sha256 {result.digest}", highlight=False, soft_wrap=True)


def _progress(soaked: Soaked, at: str) -> Table:
    table = Table(title=f"soak at {at}, Ctrl-C ends it", show_header=False)
    speed = soaked.terminal_hours / soaked.elapsed_s * 60 if soaked.elapsed_s else 0.0
    table.add_row("seeds", f"{soaked.seeds} from {soaked.first_seed}")
    table.add_row("terminal-hours", f"{soaked.terminal_hours:,.0f}, {speed:,.0f} a minute")
    table.add_row("taps shown", f"{soaked.promised:,}")
    table.add_row("for", f"{soaked.elapsed_s:,.0f} s")
    table.add_row("failures", ", ".join(map(str, soaked.failures)) or "none")
    return table


def _states(sometimes: Counter[str]) -> Table:
    table = Table(title="rare states reached")
    table.add_column("times", justify="right")
    table.add_column("state")
    for state, times in sorted(sometimes.items()):
        table.add_row(f"{times:,}", state)
    return table
