"""`ccs-edge`: run a terminal, examine it, look into its journal. Every failure is a sentence and an exit code."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from edge_agent.config import EXIT_CONFIG, EXIT_FAILED

if TYPE_CHECKING:
    from edge_agent.config import Config
    from edge_agent.health.probe import Check
    from edge_agent.journal.view import JournalView

DEFAULT_CONFIG = Path("/etc/ccs/terminal.toml")
REASON_CHARS_MAX = 200

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="A card terminal.")
journal_app = typer.Typer(no_args_is_help=True, help="Look into a terminal's journal, and set it aside.")
app.add_typer(journal_app, name="journal")

ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="The terminal's TOML file.")]


@app.command()
def run(
    config: ConfigOption = DEFAULT_CONFIG,
    text: Annotated[bool, typer.Option("--text", help="Show each tap as a line on standard output.")] = False,
) -> None:
    """Run the terminal until SIGTERM or Ctrl-C."""
    # The same process from here on, but without this command line's libraries: they take nine of its 60 MB.
    command = [sys.executable, "-P", "-m", "edge_agent.terminal", str(config), *(["--text"] if text else [])]
    os.execv(sys.executable, command)  # noqa: S606 - our own module; -P keeps what lies in the current folder out


@app.command()
def doctor(
    config: ConfigOption = DEFAULT_CONFIG,
    user: Annotated[
        str | None, typer.Option(help="As whom root looks; whoever the agent runs as unless named.")
    ] = None,
) -> None:
    """Examine disk, journal, clock, keys, readers and broker; exit code 1 when something must be done.

    Root looks as the user whom the agent runs as, for that user may read and write less than root.
    """
    loaded = _load(config)
    from edge_agent.doctor import examine
    from edge_agent.health.account import AccountUnusable, stand_in

    try:
        account = stand_in(loaded.data_dir, named=user)
    except AccountUnusable as exc:
        _fail(str(exc), EXIT_FAILED)
    if account is not None:
        typer.echo(f"the agent runs as {account.name}", err=True)
    checks = examine(_load(config), account)  # loaded again: that user may not be allowed to
    _print_checks(checks)
    if any(check.verdict == "bad" for check in checks):
        raise typer.Exit(EXIT_FAILED)


@app.command("check-config")
def check_config(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Validate a terminal file and print who it makes this terminal."""
    loaded = _load(config)
    terminal = loaded.settings.terminal
    readers = ", ".join(f"{one.name} ({one.driver}, {one.direction})" for one in loaded.settings.readers)
    typer.echo(f"{config}: good. Terminal {terminal.site}/{terminal.code}, readers {readers}, sha256 {loaded.digest}")


@app.command("config-schema")
def config_schema() -> None:
    """Print the JSON Schema of a terminal file, as firmware_configs/schema keeps it."""
    import json

    from edge_agent.config import json_schema

    typer.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))


@journal_app.command("inspect")
def journal_inspect(
    config: ConfigOption = DEFAULT_CONFIG,
    last: Annotated[int, typer.Option(min=1, max=1000, help="How many of the newest events to list.")] = 20,
) -> None:
    """Show how far the journal and central are, and the newest events."""
    from rich.console import Console
    from rich.table import Table

    from edge_agent.wire.codec import decode_event

    view = _view(config)
    head, cursor = view.head(), view.cursor()
    console = Console()
    console.print(
        f"journal {view.journal_id} of {view.site}/{view.terminal}, {head.seq} events, head {head.hash[:16]}…"
    )
    console.print(f"central holds 1 … {cursor.durable} and {list(cursor.have)} (epoch {cursor.epoch})")
    table = Table("seq", "time", "type", "subject", "clock", "data")
    for record in view.read(max(0, head.seq - last), events_max=last, bytes_max=2**31):
        event = decode_event(record.bytes)
        row = (event.time.isoformat(timespec="milliseconds"), event.type, event.subject or "", event.clockstate)
        table.add_row(str(record.seq), *row, bytes(event.data).decode())
    console.print(table)
    view.close()


@journal_app.command("verify")
def journal_verify(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Check the file's structure and every event's hash, number and predecessor; exit code 1 on any damage."""
    view = _view(config)
    complaints, report = view.quick_check(), view.verify()
    view.close()
    for complaint in complaints:
        typer.echo(f"file: {complaint}")
    for damage in report.damages:
        typer.echo(f"events {damage.seq} … {damage.last_seq}: {damage.kind}: {damage.detail}")
    if complaints or not report.ok:
        _fail("the journal is damaged; what is listed above is what is missing", EXIT_FAILED)
    typer.echo(f"good: {report.events} events, unbroken chain up to {report.last}")


@journal_app.command("export")
def journal_export(
    target: Annotated[Path, typer.Argument(help="File to write: one event a line, its own bytes. '-' for stdout.")],
    config: ConfigOption = DEFAULT_CONFIG,
    after: Annotated[int, typer.Option(min=0, help="Only events with a higher number.")] = 0,
) -> None:
    """Write every readable event's own bytes, one a line."""
    view = _view(config)
    if str(target) == "-":
        written = view.export(sys.stdout.buffer, after=after)
    else:
        with target.open("xb") as file:
            written = view.export(file, after=after)
    view.close()
    typer.echo(f"{written} events written", err=True)


@journal_app.command("set-aside")
def journal_set_aside(
    reason: Annotated[str, typer.Option(help="Why, in a few words: central keeps it.", prompt="Why")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Give up a forked or hopelessly damaged journal: the agent then begins a new one, which says what this one held.

    The file stays beside the new one. What central does not hold of it is not sent any more: export it first.
    """
    path = _journal_file(config)
    from edge_agent.journal.files import OwnerLock, beside
    from edge_agent.journal.record import JournalUnusable
    from edge_agent.journal.recovery import set_aside
    from edge_agent.owner import refuse_as_root

    try:
        refuse_as_root(path.parent)
        lock = OwnerLock(beside(path, ".lock"))
        try:
            target = set_aside(path, reason[:REASON_CHARS_MAX])
        finally:
            lock.release()
    except (JournalUnusable, OSError) as exc:
        _fail(str(exc), EXIT_FAILED)
    typer.echo(
        f"{path.name} is now {target.name}; the agent begins a new journal when it starts, and says so to central"
    )


def _load(path: Path) -> Config:
    from edge_agent.config import BadConfig, FileUnreadable, load_config

    try:
        return load_config(path)
    except BadConfig as exc:
        _fail(str(exc), EXIT_CONFIG)
    except FileUnreadable as exc:
        _fail(str(exc), EXIT_FAILED)


def _journal_file(path: Path) -> Path:
    config = _load(path)
    from edge_agent.main import journal_path

    file = journal_path(config)
    if not file.exists():
        _fail(f"{file}: there is no journal yet; the agent makes it when it first starts", EXIT_FAILED)
    return file


def _view(path: Path) -> JournalView:
    file = _journal_file(path)
    from edge_agent.journal.record import JournalUnusable
    from edge_agent.journal.view import JournalView

    try:
        return JournalView(file)
    except JournalUnusable as exc:
        _fail(str(exc), EXIT_FAILED)


def _print_checks(checks: list[Check]) -> None:
    from rich.console import Console
    from rich.table import Table

    colours = {"good": "green", "doubtful": "yellow", "bad": "red"}
    table = Table("", "check", "found", "what to do")
    for check in checks:
        table.add_row(f"[{colours[check.verdict]}]{check.verdict}[/]", check.name, check.found, check.remedy)
    Console().print(table)


def _fail(sentence: str, code: int) -> NoReturn:
    typer.echo(sentence, err=True)
    raise typer.Exit(code)
