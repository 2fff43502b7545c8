from __future__ import annotations

from alembic import command
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from central.kit.db import sqlalchemy_url
from central.kit.migrate import alembic_config, upgrade


def test_the_migrations_make_what_the_models_say(database_url: str) -> None:
    engine = create_engine(sqlalchemy_url(database_url), poolclass=NullPool)
    with engine.connect() as connection:
        command.check(alembic_config(connection))


def test_migrating_twice_changes_nothing(database_url: str) -> None:
    upgrade(database_url)
    upgrade(database_url)
