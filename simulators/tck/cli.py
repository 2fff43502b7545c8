"""`ccs-sim tck`: options in, report out. Only shows things; the work is elsewhere."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from simulators.tck.checks import Report
    from simulators.tck.hands import Hand
    from simulators.tck.keys import KitKeys
    from simulators.tck.subject import Subject
    from simulators.tck.terminal_bench import Deck

tck = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Judge anyone's terminal or central against the wire contract, promise by promise (docs/tck.md).",
)
console = Console()
errors = Console(stderr=True)

EXIT_FAILED, EXIT_UNUSABLE = 1, 2

Only = Annotated[
    list[str] | None, typer.Option("--only", help="A promise or a check, such as DUR-02 or DUR-02.3; again for more.")
]
JsonFile = Annotated[Path | None, typer.Option("--json", help="Write the report as JSON here.")]
JunitFile = Annotated[Path | None, typer.Option("--junit", help="Write the report as JUnit XML here.")]
Strict = Annotated[bool, typer.Option("--strict", help="A check that could not be tested counts as failed.")]
Keys = Annotated[Path, typer.Option(help="Folder with card.key, signing.pem and central-public.pem; made if missing.")]


def _unusable(sentence: str) -> typer.Exit:
    errors.print(f"[bold red]✗[/] {escape(sentence)}", highlight=False, soft_wrap=True)
    return typer.Exit(EXIT_UNUSABLE)


def _finish(report: Report, json_file: Path | None, junit_file: Path | None, *, strict: bool) -> typer.Exit:
    from simulators.tck.report import as_json, as_junit, show

    show(report, console)
    try:
        if json_file is not None:
            json_file.write_text(as_json(report), encoding="utf-8")
        if junit_file is not None:
            junit_file.write_text(as_junit(report), encoding="utf-8")
    except OSError as exc:
        return _unusable(f"the report could not be written: {exc}")
    return typer.Exit(0 if report.acceptable(strict=strict) else EXIT_FAILED)


@tck.command()
def checks(
    markdown: Annotated[bool, typer.Option("--markdown", help="As the tables of docs/tck.md.")] = False,
) -> None:
    """List every check with its number."""
    from simulators.tck.central_checks import CENTRAL_CHECKS
    from simulators.tck.terminal_checks import TERMINAL_CHECKS

    for side, catalogue in (("terminal", TERMINAL_CHECKS), ("central", CENTRAL_CHECKS)):
        if markdown:
            typer.echo(f"| {side} | must hold |\n|---|---|")
        for check in catalogue:
            if markdown:
                typer.echo(f"| {check.number} | {check.says} |")
                continue
            console.print(f"{side:<9} {check.number:<9} {escape(check.says)}", highlight=False, soft_wrap=True)


@tck.command()
def terminal(  # noqa: PLR0913, PLR0917 - one option a wish
    site: Annotated[str, typer.Option(help="The site code that the terminal is configured with.")] = "tck",
    code: Annotated[str, typer.Option("--terminal", help="Its terminal code.")] = "gate-01",
    listen: Annotated[str, typer.Option(help="host:port where the kit's broker listens.")] = "127.0.0.1:1884",
    keys: Keys = Path("tck-keys"),
    reader: Annotated[
        list[str] | None, typer.Option("--reader", help="in=host:port of a socket reader; again for out, muster.")
    ] = None,
    tap_command: Annotated[str, typer.Option(help="Command that holds {card} to the reader for {direction}.")] = "",
    card: Annotated[
        list[str] | None,
        typer.Option("--card", help="Identity (hex) of a card that you will hold by hand; give eight."),
    ] = None,
    run: Annotated[str, typer.Option(help="Command of the terminal: the kit starts, kills and stops it.")] = "",
    start: Annotated[str, typer.Option(help="Shell command that starts the terminal again.")] = "",
    kill: Annotated[str, typer.Option(help="Shell command that ends it as kill -9 does.")] = "",
    stop: Annotated[str, typer.Option(help="Shell command that ends it in order.")] = "",
    by_hand: Annotated[bool, typer.Option("--by-hand", help="Ask the operator to pull the plug.")] = False,
    tls_cert: Annotated[
        Path | None, typer.Option(help="The kit's broker speaks TLS with this certificate (PEM).")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key (PEM).")] = None,
    connect_s: Annotated[float, typer.Option(help="How long the terminal may take to connect.")] = 120.0,
    resend_s: Annotated[float, typer.Option(help="How long it may take to send again.")] = 120.0,
    backlog: Annotated[int, typer.Option(min=1, max=1000, help="Cards held while the broker is gone.")] = 150,
    only: Only = None,
    json_file: JsonFile = None,
    junit_file: JunitFile = None,
    strict: Strict = False,
) -> None:
    """Judge a terminal: the kit is its broker and its central."""
    from simulators.tck.broker import Broker
    from simulators.tck.checks import Ledger, wanted_numbers
    from simulators.tck.contract import Voice
    from simulators.tck.keys import KeysUnusable, load_keys
    from simulators.tck.kit_central import KitCentral
    from simulators.tck.schema import Schemas
    from simulators.tck.terminal_bench import Patience, TerminalBench
    from simulators.tck.terminal_checks import TERMINAL_CHECKS
    from simulators.tck.terminal_kit import examine
    from simulators.tck.trace import Trace

    try:
        numbers = wanted_numbers(TERMINAL_CHECKS, only or [])
        host, port = _address(listen)
        found = load_keys(keys)
        hand, deck = _hand(reader or [], tap_command, card or [])
        subject = _subject(run, start, kill, stop, by_hand=by_hand, log=keys / "terminal.log")
        tls = _tls(tls_cert, tls_key)
    except (ValueError, OSError, KeysUnusable) as exc:
        raise _unusable(str(exc)) from exc
    broker = Broker(Trace(site, code), host, port, tls=tls)
    central = KitCentral(broker, Voice(found.signing))
    broker.listener = central
    bench = TerminalBench(
        broker, central, hand, subject, Ledger(TERMINAL_CHECKS), deck, found.card,
        Patience(connect_s=connect_s, resend_s=resend_s, backlog_taps=backlog), tell=_tell,
    )  # fmt: skip
    try:
        with broker:
            _introduce(broker, found, site, code)
            subject.start()
            report = examine(bench, Schemas(), numbers=numbers)
    except (OSError, RuntimeError) as exc:
        raise _unusable(f"the examination cannot run: {exc}") from exc
    finally:
        if run:
            subject.stop()
    raise _finish(report, json_file, junit_file, strict=strict)


@tck.command()
def central(  # noqa: PLR0913, PLR0917 - one option a wish
    url: Annotated[str, typer.Option(help="The broker of that central, mqtt://host:port or mqtts://.")],
    site: Annotated[str, typer.Option(help="A site that is there for this examination.")] = "tck",
    code: Annotated[str, typer.Option("--terminal", help="A registered terminal of it.")] = "gate-01",
    second: Annotated[str, typer.Option(help="Another one.")] = "gate-02",
    stranger: Annotated[str, typer.Option(help="A code that is not registered.")] = "gate-99",
    api: Annotated[str, typer.Option(help="Address of central's JSON API; without it, people are not judged.")] = "",
    token: Annotated[str, typer.Option(envvar="CCS_API_TOKEN", help="API token for --api.")] = "",
    prepare: Annotated[
        bool, typer.Option("--prepare", help="Register site, terminals, workers and cards over --api first.")
    ] = False,
    cards: Annotated[
        list[str] | None, typer.Option("--card", help="TOKEN=WORKER_ID of a registered card; give twelve.")
    ] = None,
    public_key: Annotated[Path | None, typer.Option(help="Central's public key (PEM, Ed25519).")] = None,
    crash: Annotated[
        str, typer.Option(help="Shell command that kills central and its database and starts them again.")
    ] = "",
    username: Annotated[str, typer.Option(help="For the broker.")] = "",
    password_file: Annotated[Path | None, typer.Option(help="For the broker.")] = None,
    only: Only = None,
    json_file: JsonFile = None,
    junit_file: JunitFile = None,
    strict: Strict = False,
) -> None:
    """Judge a central: the kit plays its terminals over its own broker."""
    from simulators.tck.central_setup import CentralWish, examine_wish
    from simulators.tck.played_terminal import BrokerSilent
    from simulators.tck.subject import CommandSubject

    try:
        wish = CentralWish(
            url=url,
            site=site,
            codes=(code, second, stranger),
            api=api,
            token=token,
            prepare=prepare,
            cards=tuple(cards or ()),
            public_key=public_key,
            crash=CommandSubject("", kill_command=crash).kill if crash else None,
            credentials=(username, password_file.read_text().strip() if password_file else "") if username else None,
            only=tuple(only or ()),
        )
        report = examine_wish(wish, _tell)
    except (ValueError, OSError, RuntimeError, BrokerSilent) as exc:
        raise _unusable(f"the examination cannot run: {exc}") from exc
    raise _finish(report, json_file, junit_file, strict=strict)


def _introduce(broker: object, keys: KitKeys, site: str, code: str) -> None:
    host, port = getattr(broker, "host", ""), getattr(broker, "port", 0)
    console.print(
        f"Waiting for terminal [bold]{site}/{code}[/] at mqtt://{host}:{port}. Configure it with card key"
        f" {keys.folder / 'card.key'} and central's public key {keys.folder / 'central-public.pem'}.",
        highlight=False,
        soft_wrap=True,
    )


def _tell(stage: str) -> None:
    console.print(f"[dim]… {escape(stage)}[/]", highlight=False)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        message = f"{text!r} is not host:port, for example 127.0.0.1:1884"
        raise ValueError(message)
    return host.strip("[]"), int(port)


def _hand(readers: list[str], tap_command: str, cards: list[str]) -> tuple[Hand, Deck]:
    from simulators.tck.hands import CommandHands, OperatorHands, SocketHands
    from simulators.tck.terminal_bench import dealt_deck, made_deck

    if readers:
        addresses = {}
        for one in readers:
            direction, _, address = one.partition("=")
            addresses[direction] = _address(address)
        return SocketHands(addresses), made_deck()
    if tap_command:
        return CommandHands(tap_command), made_deck()
    deck = dealt_deck([bytes.fromhex(one) for one in cards])
    return OperatorHands(lambda question: console.input(f"[bold]{escape(question)}[/] ")), deck


def _subject(run: str, start: str, kill: str, stop: str, *, by_hand: bool, log: Path) -> Subject:
    from simulators.tck.subject import ChildSubject, CommandSubject, OperatorSubject, Untouched

    if run:
        return ChildSubject(run, log)
    if start or kill or stop:
        return CommandSubject(start, kill, stop)
    if by_hand:
        return OperatorSubject(lambda request: console.input(f"[bold]{escape(request)}[/] "))
    return Untouched()


def _tls(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
    except OSError as exc:
        message = f"{certificate} and {key or certificate} are no certificate and key ({exc.strerror or exc})"
        raise ValueError(message) from exc
    return context
