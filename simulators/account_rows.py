"""What the database holds of accounts, read beside the service."""

from __future__ import annotations

import psycopg


def number_of(database_url: str, email: str) -> int:
    """Return the account of an address; raise `LookupError` when there is none."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT id FROM identity_user WHERE email = %s", (email,)).fetchone()
    if row is None:
        raise LookupError(f"nobody has an account at {email}")
    return int(row[0])


def memberships(database_url: str, email: str) -> list[int]:
    """Return somebody's roles, the oldest first."""
    with psycopg.connect(database_url) as connection:
        query = (
            "SELECT m.id FROM identity_membership m JOIN identity_user u ON u.id = m.user_id"
            " WHERE email = %s ORDER BY 1"
        )
        return [row[0] for row in connection.execute(query, (email,)).fetchall()]


def tags(database_url: str) -> list[str]:
    """Return what the audit trail says was done, in order."""
    with psycopg.connect(database_url) as connection:
        return [row[0] for row in connection.execute("SELECT tag FROM audit_event ORDER BY id").fetchall()]
