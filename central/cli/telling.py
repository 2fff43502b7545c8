"""What every command shares: the database, and how a refusal is told: as its sentence, with an exit code."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import typer
from psycopg.errors import OperationalError, UndefinedTable
from rich.console import Console

from central.kit.config import BadSetting, load_settings
from central.kit.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

EXIT_REFUSED = 1
EXIT_SETTING = 2
CLI_ACTOR = "system:cli"
console = Console(stderr=True)
"""What is said to a person; standard output is for what another program takes."""

Given = ParamSpec("Given")
Result = TypeVar("Result")


def refuse(message: str) -> None:
    """Say what was refused, and why."""
    console.print(message, style="red", highlight=False, markup=False, soft_wrap=True)


def told(command: Callable[Given, Result]) -> Callable[Given, Result]:
    """Say refusals as their sentence, without a traceback."""

    @functools.wraps(command)
    def run(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        try:
            return command(*args, **kwargs)
        except BadSetting as error:
            refuse(str(error))
            raise typer.Exit(EXIT_SETTING) from error
        except AppError as error:
            refuse(error.message)
            raise typer.Exit(EXIT_REFUSED) from error
        except Exception as error:
            refusal = _of_database(getattr(error, "orig", error))  # what SQLAlchemy wrapped, without loading it
            if refusal:
                refuse(refusal)
                raise typer.Exit(EXIT_REFUSED) from error
            raise

    return run


def _of_database(error: BaseException) -> str:
    if isinstance(error, UndefinedTable):
        return "the database has no tables yet: run ccs-central migrate first"
    if isinstance(error, OperationalError):
        reason = str(error).strip().partition("\n")[0]
        return f"PostgreSQL did not do it ({reason}): check CCS_DATABASE_URL, or try again"
    return ""


@contextmanager
def database() -> Iterator[Engine]:
    """Open the installation's database for one command."""
    import central.models  # noqa: F401 - every table is known before the first one is written
    from central.kit.db import make_engine

    engine = make_engine(load_settings().database_url, pool_size=1)
    try:
        yield engine
    finally:
        engine.dispose()
