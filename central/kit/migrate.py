"""Bring a database to a revision, from code: no ini file, no working directory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from central.kit.db import sqlalchemy_url

if TYPE_CHECKING:
    from sqlalchemy import Connection


def alembic_config(connection: Connection) -> Config:
    """Point Alembic at our migrations and at an open connection."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent.parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def upgrade(database_url: str, revision: str = "head") -> None:
    """Migrate up to `revision`; does nothing when already there."""
    engine = create_engine(sqlalchemy_url(database_url), poolclass=NullPool)
    with engine.connect() as connection:
        command.upgrade(alembic_config(connection), revision)
    engine.dispose()
