"""`ccs-central`: operator commands, and the processes of a central installation."""

from __future__ import annotations

import functools
import secrets
import sys
from collections.abc import Callable
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ParamSpec, TypeVar

import typer
from psycopg.errors import UndefinedTable
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from sqlalchemy.exc import OperationalError, ProgrammingError

import central.models  # noqa: F401 - every table is known before the first one is written
from central.attendance import retention
from central.kit.clock import SystemClock
from central.kit.config import BadSetting, beside, load_settings
from central.kit.db import make_engine, read_session, write_session
from central.kit.errors import AppError, Invalid
from central.kit.logs import configure_logs
from central.server import serve_with, stop_on_signals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from central.kit.config import Settings
    from central.registry.intake import Taken

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    help="Operate the central part: processes, accounts, tokens, imports, checks.",
)
tokens = typer.Typer(no_args_is_help=True, help="API tokens.")
users = typer.Typer(no_args_is_help=True, help="Accounts that people sign in with.")
audits = typer.Typer(no_args_is_help=True, help="The audit trail.")
keys = typer.Typer(no_args_is_help=True, help="Key files.")
retentions = typer.Typer(no_args_is_help=True, help="How many months of events are kept.")
for name, group in {"token": tokens, "user": users, "audit": audits, "keys": keys, "retention": retentions}.items():
    app.add_typer(group, name=name)

EXIT_REFUSED = 1
EXIT_SETTING = 2
CLI_ACTOR = "system:cli"
FAULTS_SHOWN_MAX = 50
_console = Console(stderr=True)

Given = ParamSpec("Given")
Result = TypeVar("Result")


def _refuse(message: str) -> None:
    _console.print(message, style="red", highlight=False, markup=False, soft_wrap=True)


def _told(command: Callable[Given, Result]) -> Callable[Given, Result]:
    """Say refusals as their sentence, without a traceback."""

    @functools.wraps(command)
    def run(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        try:
            return command(*args, **kwargs)
        except BadSetting as error:
            _refuse(str(error))
            raise typer.Exit(EXIT_SETTING) from error
        except AppError as error:
            _refuse(error.message)
            raise typer.Exit(EXIT_REFUSED) from error
        except OperationalError as error:
            reason = str(error.orig).strip().partition("\n")[0]
            _refuse(f"PostgreSQL did not do it ({reason}): check CCS_DATABASE_URL, or try again")
            raise typer.Exit(EXIT_REFUSED) from error
        except ProgrammingError as error:
            if not isinstance(error.orig, UndefinedTable):
                raise
            _refuse("the database has no tables yet: run ccs-central migrate first")
            raise typer.Exit(EXIT_REFUSED) from error

    return run


@contextmanager
def _engine() -> Iterator[Engine]:
    engine = make_engine(load_settings().database_url, pool_size=1)
    try:
        yield engine
    finally:
        engine.dispose()


# -- processes


@app.command()
@_told
def migrate(revision: Annotated[str, typer.Argument(help="Up to which revision.")] = "head") -> None:
    """Bring the database's tables up to this release."""
    from central.kit.migrate import upgrade

    upgrade(load_settings().database_url, revision)
    _console.print("the database is up to date")


@app.command()
@_told
def web() -> None:
    """Serve the pages and the API."""
    failed = serve_with(_settings("web"), stop_on_signals(), {})
    _end(failed)


@app.command()
@_told
def worker(name: Annotated[str, typer.Option(help="Told apart in the broker and the logs.")] = "worker") -> None:
    """Take in what terminals send. Any number may run."""
    from central.worker import run_worker

    run_worker(_settings("worker"), stop_on_signals(), name=name)


@app.command()
@_told
def scheduler() -> None:
    """Start the periodic jobs. A second one waits for its turn."""
    from central.scheduler import run_scheduler

    run_scheduler(_settings("scheduler"), stop_on_signals())


@app.command(name="all")
@_told
def all_(name: Annotated[str, typer.Option(help="The worker's name.")] = "worker") -> None:
    """Run web, worker and scheduler in one process: for a demo or a small site."""
    from central.scheduler import run_scheduler
    from central.worker import run_worker

    settings, stop = _settings("all"), stop_on_signals()
    failed = serve_with(
        settings,
        stop,
        {
            "worker": functools.partial(run_worker, beside(settings, 1), stop, name=name),
            "scheduler": functools.partial(run_scheduler, beside(settings, 2), stop),
        },
    )
    _end(failed)


def _settings(process: str) -> Settings:
    """Read the settings of a process that runs on, and have it write its log as they say."""
    settings = load_settings()
    configure_logs(settings.log_format, process=process)
    return settings


def _end(failed: list[str]) -> None:
    if failed:
        _refuse(f"{' and '.join(failed)} did not end in order: see the log above")
        raise typer.Exit(EXIT_REFUSED)


# -- tokens


@tokens.command("create")
@_told
def token_create(
    token_name: Annotated[str, typer.Option("--name", help="What holds it, e.g. 'site app'.")],
    scope: Annotated[list[str], typer.Option(help="A permission, or a pattern like 'registry:*:read'. Repeatable.")],
    site: Annotated[str | None, typer.Option(help="Code of the only site it is good for.")] = None,
    expires_days: Annotated[int | None, typer.Option(min=1, max=3650, help="Good for this long.")] = None,
) -> None:
    """Make an API token. Standard output is the token alone, once."""
    from central.identity.accounts import create_token

    now = SystemClock().now()
    expires_at = now + timedelta(days=expires_days) if expires_days else None
    with _engine() as engine, write_session(engine) as session:
        token_id, secret = create_token(
            session, name=token_name, scopes=scope, site=site, expires_at=expires_at, actor=CLI_ACTOR, now=now
        )
    _console.print(f"token {token_id} was made; keep it now, it is not shown again:")
    typer.echo(secret)


@tokens.command("list")
@_told
def token_list() -> None:
    """Show every token, without secrets."""
    from central.identity.accounts import list_tokens

    with _engine() as engine, read_session(engine) as session:
        rows = list_tokens(session)
    table = Table("id", "name", "site", "scopes", "made", "ends", "state")
    now = SystemClock().now()
    for row in rows:
        over = row.expires_at is not None and row.expires_at <= now
        state = "expired" if over else "revoked" if row.revoked_at else "good"
        ends = f"{row.expires_at:%Y-%m-%d}" if row.expires_at else "never"
        scopes = ", ".join(row.scopes)
        table.add_row(str(row.id), row.name, row.site or "every", scopes, f"{row.created_at:%Y-%m-%d}", ends, state)
    Console().print(table)


@tokens.command("revoke")
@_told
def token_revoke(token_id: int) -> None:
    """Revoke a token everywhere within seconds."""
    from central.identity.accounts import revoke_token

    with _engine() as engine, write_session(engine) as session:
        revoke_token(session, token_id=token_id, actor=CLI_ACTOR, now=SystemClock().now())
    _console.print(f"token {token_id} is revoked")


# -- accounts


@users.command("create")
@_told
def user_create(  # noqa: PLR0913 - one option each
    *,
    email: Annotated[str, typer.Option(help="What the person signs in with.")],
    user_name: Annotated[str, typer.Option("--name", help="The person's name.")],
    role: Annotated[str, typer.Option(help="system_operator, safety_officer, contractor or auditor.")],
    site: Annotated[str | None, typer.Option(help="Code of the only site the role holds on.")] = None,
    project: Annotated[str | None, typer.Option(help="Code of the project whose sites it holds on.")] = None,
    organization: Annotated[str | None, typer.Option(help="Business number: sites where it is prime.")] = None,
    language: Annotated[str, typer.Option(help="ko or en.")] = "ko",
    generate: Annotated[bool, typer.Option("--generate", help="Make a password and print it, once.")] = False,
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read it from standard input.")] = False,
) -> None:
    """Make an account with one role. Asks for the password unless told otherwise."""
    from central.identity.accounts import Scope, create_user
    from central.identity.credentials import new_password

    if generate:
        password = new_password()
    elif password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    scope = Scope(site=site, project=project, organization=organization)
    with _engine() as engine, write_session(engine) as session:
        user_id = create_user(
            session,
            email=email,
            name=user_name,
            password=password,
            role=role,
            scope=scope,
            language=language,
            actor=CLI_ACTOR,
            now=SystemClock().now(),
        )
    _console.print(f"user {user_id} was made")
    if generate:
        _console.print("the password; keep it now, it is not shown again:")
        typer.echo(password)


@users.command("disable")
@_told
def user_disable(email: Annotated[str, typer.Option(help="What the person signs in with.")]) -> None:
    """Close an account: signed out everywhere within seconds, and not let in again."""
    from central.identity.accounts import disable_user

    with _engine() as engine, write_session(engine) as session:
        disable_user(session, email=email, actor=CLI_ACTOR, now=SystemClock().now())
    _console.print(f"{email} is disabled")


# -- rolls


@app.command("import")
@_told
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
        with _engine() as engine, write_session(engine) as session, Progress(*columns, console=_console) as bar:
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
            _console.print(f"row {fault.row}: {fault.message}", highlight=False, markup=False, soft_wrap=True)
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


# -- checks and key files


@audits.command("verify")
@_told
def audit_verify(
    expect: Annotated[str | None, typer.Option(help="A head printed earlier: proves that nothing was cut off.")] = None,
) -> None:
    """Walk the audit trail's hash chain from its first row; print its head."""
    from central.audit.service import verify_chain

    expected = _hash_option(expect)
    with _engine() as engine, read_session(engine) as session:
        report = verify_chain(session, expected=expected)
    if report.broken_at is not None:
        _refuse(f"row {report.broken_at} does not fit: {report.reason}")
        raise typer.Exit(EXIT_REFUSED)
    if expected is not None and not report.seen_expected:
        _refuse("the expected head is not in the chain: rows were cut off, or it is of another one")
        raise typer.Exit(EXIT_REFUSED)
    _console.print(f"{report.rows} rows, chain intact; head:")
    typer.echo(report.head.hex())


def _hash_option(text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise typer.BadParameter("expected 64 hexadecimal characters, as audit verify prints them") from error


@retentions.command("show")
@_told
def retention_show() -> None:
    """Show the rule, the months that are kept, and the next that it lets go of."""
    with _engine() as engine, read_session(engine) as session:
        keep_months, months = retention.plan(session, now=SystemClock().now())
    for month, goes in months:
        Console().print(month.partition, "goes at the next run" if goes else "is kept", highlight=False)
    _console.print("every month is kept" if keep_months is None else f"{keep_months} whole months are kept")


@retentions.command("keep")
@_told
def retention_keep(
    months: Annotated[int | None, typer.Option(help="Whole months before the present one; 12 or more.")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Keep every month, as a new installation does.")] = False,
) -> None:
    """Set how many months of events are kept. What is let go of is dropped: back the month's table up before."""
    if (months is None) is not everything:
        raise Invalid("say either --months N or --all")
    with _engine() as engine, write_session(engine) as session:
        retention.set_rule(session, keep_months=months, actor=CLI_ACTOR, now=SystemClock().now())
    retention_show()


@keys.command("create")
@_told
def keys_create(
    folder: Annotated[Path, typer.Argument(help="Where the files are written; made when missing.")],
) -> None:
    """Make the card key, the data key and the signing key pair, readable by this user only. Never overwrites."""
    from central.kit.keys import write_keys

    for path in write_keys(folder, random=secrets.token_bytes):
        typer.echo(str(path))
