"""The processes of an installation, and its tables."""

from __future__ import annotations

import functools
import signal
import threading
from typing import TYPE_CHECKING, Annotated

import typer

from central.cli.telling import EXIT_REFUSED, console, refuse, told
from central.kit.config import beside, load_settings
from central.kit.logs import configure_logs

if TYPE_CHECKING:
    from central.kit.config import Settings

app = typer.Typer()


@app.command()
@told
def migrate(revision: Annotated[str, typer.Argument(help="Up to which revision.")] = "head") -> None:
    """Bring the database's tables up to this release."""
    from central.kit.migrate import upgrade

    upgrade(load_settings().database_url, revision)
    console.print("the database is up to date")


@app.command()
@told
def web() -> None:
    """Serve the pages and the API."""
    from central.server import serve_with

    failed = serve_with(_settings("web"), _stop_on_signals(), {})
    _end(failed)


@app.command()
@told
def worker(name: Annotated[str, typer.Option(help="Told apart in the broker and the logs.")] = "worker") -> None:
    """Take in what terminals send. Any number may run."""
    from central.worker import run_worker

    run_worker(_settings("worker"), _stop_on_signals(), name=name)


@app.command()
@told
def scheduler() -> None:
    """Start the periodic jobs. A second one waits for its turn."""
    from central.scheduler import run_scheduler

    run_scheduler(_settings("scheduler"), _stop_on_signals())


@app.command(name="all")
@told
def all_(name: Annotated[str, typer.Option(help="The worker's name.")] = "worker") -> None:
    """Run web, worker and scheduler in one process: for a demo or a small site."""
    from central.scheduler import run_scheduler
    from central.server import serve_with
    from central.worker import run_worker

    settings, stop = _settings("all"), _stop_on_signals()
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


def _stop_on_signals() -> threading.Event:
    """Make the event that ends everything. uvicorn raises a signal it caught once more: it must find a handler."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _end(failed: list[str]) -> None:
    if failed:
        refuse(f"{' and '.join(failed)} did not end in order: see the log above")
        raise typer.Exit(EXIT_REFUSED)
