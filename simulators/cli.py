"""`ccs-sim`: the site day, the fleet, a card held by hand, and the demo. Only shows things; the work is elsewhere."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from simulators.site_day import DAY_ENDS_S, GATES_OPEN_S, HOUR_S, PresenceFold, clock_text, plan_day
from simulators.tck.cli import tck
from simulators.virtual.commands import soak, virtual

if TYPE_CHECKING:
    from simulators.fleet import FleetReport
    from simulators.fleet_terminal import FleetPlan, Tally

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Simulators that speak the real protocols, and the demo built of them.",
)
app.add_typer(tck, name="tck")
app.command()(virtual)
app.command()(soak)
console = Console()
errors = Console(stderr=True)

Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same people and the same day.")]
Workers = Annotated[int, typer.Option(min=12, max=5000, help="How many workers the site has.")]


def _fail(sentence: str) -> typer.Exit:
    errors.print(f"[bold red]✗[/] {escape(sentence)}", highlight=False, soft_wrap=True)
    return typer.Exit(1)


@app.command()
def day(
    seed: Seed = 1,
    workers: Workers = 200,
    number: Annotated[int, typer.Option("--day", min=1, help="Which day of the site.")] = 1,
    taps: Annotated[bool, typer.Option("--taps", help="List every tap.")] = False,
) -> None:
    """Generate a site day and print what is true at each hour."""
    from simulators.people import make_roll

    roll = make_roll(seed=seed, workers=workers)
    planned = plan_day(roll, day=number)
    if taps:
        for tap in planned.taps:
            who = f"{tap.person.name} ({tap.person.number})" if tap.person else "nobody's card"
            console.print(
                f"{clock_text(tap.at_s)}  {tap.reader}  {tap.decision:<12} {who}  {tap.note}", highlight=False
            )
    table = Table(title=f"seed {seed}, day {number}: {len(planned.taps)} taps of {workers} workers")
    for heading in (
        "time",
        "taps",
        "inside",
        "of these doubted",
        "unknown cards",
        "refused",
        "at most",
        "really inside",
    ):
        table.add_column(heading, justify="right")
    at_s = GATES_OPEN_S
    while at_s <= DAY_ENDS_S:
        answer = planned.replay(PresenceFold(), until_s=at_s).answer()
        so_far = sum(1 for tap in planned.taps if tap.at_s <= at_s)
        row = (so_far, len(answer.inside), len(answer.doubted), answer.unknown_cards, len(answer.refused))
        table.add_row(clock_text(at_s), *map(str, row), str(answer.at_most), str(len(answer.really_inside)))
        at_s += HOUR_S / 2
    console.print(table)


@app.command()
def card(
    uid: Annotated[str, typer.Argument(help="The card's identity in hex, e.g. 04a2b3c4d5e680.")],
    reader: Annotated[str, typer.Option(help="host:port of a terminal's socket reader.")] = "127.0.0.1:7401",
    method: Annotated[str, typer.Option(help="How the card proved itself.")] = "id_only",
    assurance: Annotated[int, typer.Option(min=0, max=3, help="3 mutual authentication … 0 identifier only.")] = 0,
) -> None:
    """Hold a card to a terminal's socket reader and print the answer."""
    from simulators.socket_card import SocketHand

    host, _, port = reader.rpartition(":")
    try:
        identity = bytes.fromhex(uid)
        number = int(port)
    except ValueError as exc:
        raise _fail(f"{exc}: give the card as hex and the reader as host:port") from exc
    try:
        with SocketHand(number, host=host or "127.0.0.1") as hand:
            shown = hand.hold(identity, method=method, assurance=assurance)
    except OSError as exc:
        raise _fail(f"the reader at {reader} does not answer ({exc}): is the terminal running?") from exc
    if shown.error:
        raise _fail(shown.error)
    colour = {"green": "green", "amber": "yellow", "red": "red"}.get(shown.shown, "white")
    console.print(
        f"[bold {colour}]{shown.shown}[/]  {shown.decision}  {shown.text}  record {shown.seq}", highlight=False
    )
    if not shown.seq:
        raise typer.Exit(1)


@app.command()
def fleet(  # noqa: PLR0913, PLR0917 - one option a wish
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
    """Be thousands of terminals over real MQTT, and check every acknowledgement."""
    from simulators.fleet import FleetTooLarge, run_fleet
    from simulators.fleet_terminal import FleetPlan
    from simulators.mqtt5 import ProtocolError

    tokens = tuple(f"{number:032x}" for number in range(1, cards + 1))
    plan = FleetPlan(
        url=url,
        site=site,
        tokens=tokens,
        terminals=terminals,
        prefix=prefix,
        taps=taps,
        rate_per_s=rate,
        backlog=backlog,
        seed=seed,
    )
    if central:
        _register_fleet(plan, central, token)
    with Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[more]}"), console=console
    ) as bar:
        task = bar.add_task("connecting", total=terminals, more="")

        def show(tally: Tally) -> None:
            more = f"{tally.connected} connected, {tally.taps} taps, {tally.durable} durable"
            bar.update(task, description="fleet", total=taps + terminals, completed=tally.durable, more=more)

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


@app.command()
def demo(  # noqa: PLR0917 - one option a wish
    speed: Annotated[float, typer.Option(help="Story seconds a second: 60 plays a day in about 13 minutes.")] = 60.0,
    workers: Annotated[int | None, typer.Option(min=12, max=2000, help="How many workers; 200 at first.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Which people and days; 1 at first.")] = None,
    data: Annotated[Path, typer.Option(help="The data folder.")] = Path(".demo"),
    fresh: Annotated[bool, typer.Option("--fresh/--keep", help="Start over, or go on with what is there.")] = False,
    port_base: Annotated[int | None, typer.Option(help="Use the seven ports from here on.")] = None,
    web_port: Annotated[int | None, typer.Option(help="Central's port.")] = None,
    play: Annotated[bool, typer.Option("--play/--no-play", help="Play the day, or leave the gates to you.")] = True,
) -> None:
    """Play a site day here: database, broker, central, three terminals; Ctrl-C stops all."""
    from simulators.demo import DemoOptions
    from simulators.demo_show import run_demo

    options = DemoOptions(
        data=data,
        speed=speed,
        workers=workers,
        seed=seed,
        port_base=port_base,
        web_port=web_port,
        fresh=fresh,
        play=play,
    )
    raise typer.Exit(run_demo(options, console, errors))


if __name__ == "__main__":
    app()
