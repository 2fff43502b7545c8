"""Bring a database to a revision, from code: no ini file, no working directory."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.pool import NullPool

from central.kit.db import sqlalchemy_url

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

SCRIPTS = Path(__file__).parent.parent / "migrations"


def alembic_config(connection: Connection) -> Config:
    """Point Alembic at our migrations and at an open connection."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.attributes["connection"] = connection
    return config


def upgrade(database_url: str, revision: str = "head") -> None:
    """Migrate up to `revision`; does nothing when already there."""
    engine = create_engine(sqlalchemy_url(database_url), poolclass=NullPool)
    with engine.connect() as connection:
        command.upgrade(alembic_config(connection), revision)
    engine.dispose()


@cache
def revisions() -> tuple[str, ...]:
    """Return the revisions that this release knows, newest first."""
    return tuple(script.revision for script in ScriptDirectory(str(SCRIPTS)).walk_revisions())


def unready(engine: Engine) -> str:
    """Say why the database cannot be worked with now, or nothing. One that is ahead of this release is no reason."""
    try:
        with engine.connect() as connection:
            found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    except OperationalError:
        return "PostgreSQL does not answer"
    except ProgrammingError:
        found = None
    newest, *older = revisions()
    if found is None or found in older:
        return f"the tables are at revision {found or 'none'}, this release needs {newest}: run ccs-central migrate"
    return ""
