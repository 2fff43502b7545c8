"""`ccs-sim fleet` and `ccs-sim load`: a city's morning on this machine, and terminals against somebody's broker."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from simulators.city import GATES_OPEN_S, HOUR_S, MORNING_ENDS_S

if TYPE_CHECKING:
    from simulators.city import City
    from simulators.city_morning import Moment, MorningReport
    from simulators.fleet import FleetReport
    from simulators.fleet_terminal import FleetPlan, Tally

console = Console()
errors = Console(stderr=True)

Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same city and the same morning.")]
_WORDS = {
    "before": "before the outage",
    "outage": "a third of the terminals away",
    "return": "they return, backlog arriving",
    "after": "after the backlog",
}


def _fail(sentence: str) -> typer.Exit:
    errors.print(f"[bold red]✗[/] {escape(sentence)}", highlight=False, soft_wrap=True)
    return typer.Exit(1)


def fleet(
    scale: Annotated[float, typer.Option(help="1 is Seoul: 3,500 sites, 7,000 terminals, 105,000 workers.")] = 1.0,
    speed: Annotated[float, typer.Option(min=1, max=3600, help="Story seconds a second.")] = 40.0,
    backlog: Annotated[int, typer.Option(min=0, help="Taps that each of the long-lost terminals brings.")] = 20_000,
    workers: Annotated[int, typer.Option(min=1, max=8, help="Ingest workers of central.")] = 1,
    seed: Seed = 1,
    output: Annotated[Path | None, typer.Option("--json", help="Write what was seen here as well.")] = None,
) -> None:
    """Play a city's morning here: PostgreSQL, Mosquitto, central and every terminal, an outage and a return."""
    from simulators.city import CityTooSmall, make_city, plan_morning, plan_outage
    from simulators.city_morning import CityPlayer, CityStuck, Morning
    from simulators.city_registry import seed_city
    from simulators.city_stage import Stage
    from simulators.city_watch import Screens
    from simulators.fleet import FleetTooLarge, allow_connections
    from simulators.servers import ServerUnavailable

    try:
        city = make_city(seed=seed, scale=scale)
        allow_connections(city.terminals)
        outage = plan_outage(city)
        taps = plan_morning(city, watched=outage.watched)
        with Stage(workers=workers) as stage, _bar() as bar:
            task = bar.add_task("registering the city", total=MORNING_ENDS_S - GATES_OPEN_S, more="")
            begun_s = time.monotonic()
            registry = seed_city(
                stage.database_url,
                city,
                card_key=stage.keys.card_key_bytes,
                progress=lambda what: bar.update(task, more=what),
            )
            registered_s = time.monotonic() - begun_s
            stage.start_central()
            morning = Morning(city, outage, taps, speed=speed, backlog=backlog)
            player = CityPlayer(morning, registry, stage.broker.url, stage=stage)
            bar.update(task, description="days of the terminals that were away", more="")
            player.fill(lambda done: bar.update(task, more=f"{done:,} taps"))
            bar.update(task, description="connecting", more=f"{city.terminals:,} terminals")
            screens = Screens(stage.web_url, stage.token())
            asyncio.run(player.play(screens, progress=lambda moment: _show(bar, task, moment)))
            figures = report_figures(player.report, city=city, registered_s=registered_s, speed=speed)
            figures["database_mb"] = round(stage.database_mb())
    except (CityTooSmall, CityStuck, FleetTooLarge, ServerUnavailable, OSError) as exc:
        raise _fail(f"the morning cannot be played: {exc or type(exc).__name__}") from exc
    if output is not None:
        output.write_text(json.dumps(figures, indent=2) + "\n")
    show_morning(figures)
    if not figures["whole"]:
        raise typer.Exit(1)


def _bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[more]}"))
    return Progress(*columns, console=console)


def _show(bar: Progress, task: Any, moment: Moment) -> None:  # noqa: ANN401 - rich's own task id
    clock = f"{int(moment.story_s // HOUR_S):02d}:{int(moment.story_s % HOUR_S // 60):02d}"
    more = f"{moment.durable:,} durable of {moment.taps:,} taps"
    if moment.phase == "return":
        more += f", {moment.backlog:,} of the backlog to come"
    bar.update(
        task,
        description=f"{clock}  {_WORDS[moment.phase]}",
        completed=min(moment.story_s, MORNING_ENDS_S) - GATES_OPEN_S,
        more=more,
    )


def report_figures(report: MorningReport, *, city: City, registered_s: float, speed: float) -> dict[str, Any]:
    """Reduce a morning to the figures of its table."""
    from simulators.city_morning import PHASES

    steady = [one for one in report.tally.samples if one.group == "steady"]
    phases = {}
    for name in PHASES:
        if name not in report.starts_s:
            continue
        first, last = report.bounds(name)
        moments = [one for one in report.moments if first <= one.at_s <= last]
        phases[name] = {
            "seconds": round(last - first, 1),
            "stored_per_s": round(report.stored_per_s(name)),
            "screen_taps": sum(first <= one.at_s < last for one in report.screens),
            "screen_p50_ms": round(report.percentile_ms(report.screens, name, 50)),
            "screen_p99_ms": round(report.percentile_ms(report.screens, name, 99)),
            "ack_p50_ms": round(report.percentile_ms(steady, name, 50)),
            "ack_p99_ms": round(report.percentile_ms(steady, name, 99)),
            "outstanding_most": max((one.taps + city.terminals - one.durable for one in moments), default=0),
            "processors": {part: round(share, 3) for part, share in report.processor_share(name).items()},
            "memory_mb": {
                part: round(max(one.memory_mb.get(part, 0.0) for one in moments))
                for part in (moments[-1].memory_mb if moments else ())
            },
        }
    tally = report.tally
    return {
        "sites": len(city.sites),
        "terminals": city.terminals,
        "workers": city.workers,
        "speed": speed,
        "registered_s": round(registered_s, 1),
        "connect_s": round(report.connect_s, 1),
        "taps": tally.taps,
        "backlog": report.backlog,
        "durable": tally.durable,
        "sent_again": tally.resent,
        "bad_acks": tally.bad_acks,
        "unacknowledged": report.unacknowledged,
        "unseen": report.unseen,
        "complaints": tally.complaints,
        "phases": phases,
        "whole": not (tally.bad_acks or report.unacknowledged or report.unseen),
    }


def show_morning(figures: dict[str, Any]) -> None:
    """Print the table. A part that never came (the backlog was still arriving at 10:00) has no column."""
    title = f"{figures['sites']:,} sites, {figures['terminals']:,} terminals, {figures['workers']:,} workers"
    table = Table(title=title)
    table.add_column("")
    phases = {name: phase for name, phase in figures["phases"].items() if phase["seconds"]}
    for name in phases:
        table.add_column(_WORDS[name], justify="right")

    def row(label: str, cell: str) -> None:
        table.add_row(label, *(cell.format(**phase) for phase in phases.values()))

    row("seconds", "{seconds:,.0f}")
    row("events stored a second", "{stored_per_s:,}")
    row("tap → screen, p50 / p99", "{screen_p50_ms:,} / {screen_p99_ms:,} ms")
    row("  of so many taps", "{screen_taps:,}")
    row("tap → durable ack, p50 / p99", "{ack_p50_ms:,} / {ack_p99_ms:,} ms")
    row("not acknowledged at most", "{outstanding_most:,}")
    for part in next(iter(phases.values()))["processors"]:
        table.add_row(
            f"{part}, of one processor",
            *(f"{phase['processors'].get(part, 0.0) * 100:,.0f} %" for phase in phases.values()),
        )
    for part in next(iter(phases.values()))["memory_mb"]:
        row(f"{part}, MB at most", "{memory_mb[" + part + "]:,}")
    console.print(table)
    console.print(
        f"registered in {figures['registered_s']} s, connected in {figures['connect_s']} s; {figures['taps']:,} taps"
        f" ({figures['backlog']:,} of them a backlog), {figures['durable']:,} events durable, {figures['sent_again']:,}"
        f" sent again, {figures['unacknowledged']:,} not acknowledged, {figures['unseen']:,} never on the screen,"
        f" {figures['bad_acks']:,} acks that do not fit; database {figures['database_mb']:,} MB",
        highlight=False,
    )
    for sentence in figures["complaints"]:
        console.print(f"[yellow]•[/] {escape(sentence)}", highlight=False)


def load(  # noqa: PLR0913, PLR0917 - one option a wish
    url: Annotated[str, typer.Option(help="The broker, mqtt://host:port.")] = "mqtt://127.0.0.1:1883",
    site: Annotated[str, typer.Option(help="The site's code.")] = "fleet-site",
    terminals: Annotated[int, typer.Option(min=1, max=10_000, help="How many terminals.")] = 100,
    prefix: Annotated[
        str, typer.Option(help="Terminals are PREFIX-0001 and so on; they must be registered.")
    ] = "fleet",
    taps: Annotated[int, typer.Option(min=0, help="How many taps over all.")] = 10_000,
    rate: Annotated[float, typer.Option(min=0, help="Taps a second over all; 0 is as fast as acknowledged.")] = 0.0,
    backlog: Annotated[int, typer.Option(min=0, help="Taps that each terminal holds before it connects.")] = 0,
    cards: Annotated[int, typer.Option(min=1, help="How many different cards.")] = 1000,
    seed: Seed = 1,
    central: Annotated[str, typer.Option(help="Central's address: register site and terminals there first.")] = "",
    token: Annotated[str, typer.Option(envvar="CCS_API_TOKEN", help="API token for --central.")] = "",
) -> None:
    """Be thousands of terminals of one site over real MQTT, and check every acknowledgement."""
    from simulators.fleet import FleetTooLarge, run_fleet
    from simulators.fleet_terminal import FleetPlan
    from simulators.mqtt5 import ProtocolError

    plan = FleetPlan(
        url=url,
        site=site,
        tokens=tuple(f"{number:032x}" for number in range(1, cards + 1)),
        terminals=terminals,
        prefix=prefix,
        taps=taps,
        rate_per_s=rate,
        backlog=backlog,
        seed=seed,
    )
    if central:
        _register_fleet(plan, central, token)
    with _bar() as bar:
        task = bar.add_task("connecting", total=taps + terminals, more="")

        def show(tally: Tally) -> None:
            more = f"{tally.connected} connected, {tally.taps} taps, {tally.durable} durable"
            bar.update(task, description="fleet", completed=tally.durable, more=more)

        try:
            report = asyncio.run(run_fleet(plan, progress=show))
        except (FleetTooLarge, OSError, ProtocolError, ValueError) as exc:
            raise _fail(f"the fleet cannot run: {exc or type(exc).__name__}") from exc
    _show_fleet(report)
    if report.unacknowledged or report.tally.bad_acks:
        raise typer.Exit(1)


def _register_fleet(plan: FleetPlan, central: str, token: str) -> None:
    from simulators.central_api import ApiRefused, CentralApi
    from simulators.fleet import register_fleet

    try:
        with CentralApi(central, token) as api:
            register_fleet(api, plan)
    except (ApiRefused, ConnectionError, ValueError) as exc:
        raise _fail(str(exc)) from exc


def _show_fleet(report: FleetReport) -> None:
    table = Table(title="fleet", show_header=False)
    tally = report.tally
    rows = (
        ("terminals", f"{report.terminals}, connected in {report.connect_s:.1f} s ({tally.connects} connections)"),
        ("taps", str(tally.taps)),
        ("durable", f"{tally.durable} events acknowledged by central, {report.taps_per_s:,.0f} a second"),
        ("tap to ack", f"p50 {report.latency_ms(50):,.0f} ms, p99 {report.latency_ms(99):,.0f} ms"),
        ("sent again", str(tally.resent)),
        ("acks", f"{tally.acks}, of these {tally.bad_acks} that do not fit the terminal's chain"),
        ("unacknowledged", str(report.unacknowledged)),
    )
    for name, value in rows:
        table.add_row(name, value)
    console.print(table)
    for sentence in tally.complaints:
        console.print(f"[yellow]•[/] {escape(sentence)}", highlight=False)
