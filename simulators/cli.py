"""`ccs-sim`: the site day, the fleet, a card held by hand, and the demo. Only shows things; the work is elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from simulators.fleet_cli import fleet, load
from simulators.site_day import DAY_ENDS_S, GATES_OPEN_S, HOUR_S, PresenceFold, clock_text, plan_day
from simulators.tck.cli import tck
from simulators.virtual.commands import soak, virtual

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Simulators that speak the real protocols, and the demo built of them.",
)
app.add_typer(tck, name="tck")
app.command()(virtual)
app.command()(soak)
app.command()(fleet)
app.command()(load)
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
