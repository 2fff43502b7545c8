"""Alembic environment: lock and statement timeouts, one transaction a migration, one migrator at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alembic import context
from sqlalchemy import text

from central.models import metadata

if TYPE_CHECKING:
    from sqlalchemy import Connection

MIGRATION_LOCK = 0x63637300
"""Advisory lock key: only one process migrates at a time."""
MONTHS = "attendance_event_"
"""How the names of the events' partitions begin: they are made while the system runs, not by migrations."""


def is_described(name: str | None, kind: str, _parents: object) -> bool:
    """Whether a thing of the database should stand in the models as well."""
    return kind != "table" or name is None or not name.startswith(MONTHS)


def run(connection: Connection) -> None:
    """Migrate on the connection that `central.kit.migrate` hands over."""
    connection.execute(text("SET lock_timeout = '5s'"))
    connection.execute(text("SET statement_timeout = '10min'"))
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
    connection.commit()
    context.configure(
        connection=connection,
        target_metadata=metadata,
        transaction_per_migration=True,
        compare_type=True,
        include_name=is_described,
    )
    with context.begin_transaction():
        context.run_migrations()
    connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": MIGRATION_LOCK})
    connection.commit()


run(context.config.attributes["connection"])
