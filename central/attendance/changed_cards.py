"""Taps resolved again when it changed whose a card was: the registry writes the card down with the change itself.

Workers do so at once, each after its own last commit, and leave the row; the scheduler does it once more when no worker
can still be storing a tap under the old holder, and deletes the row in that transaction. So neither a notice that
nobody heard nor a worker that dies in between leaves a tap with whom it is not.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from central.attendance import keeping
from central.attendance.storing import notify_sites

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    import psycopg

    Connection = psycopg.Connection[Any]

SETTLED_AFTER = timedelta(minutes=10)
"""Longer than a worker holds a batch: by then each has heard of the change, or lost its connection and its batch."""
_DUE = """
SELECT id, decode(token, 'hex') FROM registry_changed_card WHERE changed_at <= %s ORDER BY id LIMIT %s
"""


def waiting(connection: Connection) -> set[bytes]:
    """Read the cards that are written down."""
    return {row[0] for row in connection.execute("SELECT DISTINCT decode(token, 'hex') FROM registry_changed_card")}


def resolve(connection: Connection, tokens: Collection[bytes]) -> None:
    """Find the holders of these cards' taps anew and tell who watches the sites: a transaction each 500 cards."""
    every = sorted(tokens)
    for start in range(0, len(every), keeping.TOKENS_A_STEP_MAX):
        with connection.transaction():
            part = every[start : start + keeping.TOKENS_A_STEP_MAX]
            notify_sites(connection, keeping.resolve_again(connection, part))


def settle(connection: Connection, *, now: datetime) -> int:
    """Resolve what was written down `SETTLED_AFTER` ago for the last time and delete its rows; return how many."""
    settled = 0
    while due := connection.execute(_DUE, (now - SETTLED_AFTER, keeping.TOKENS_A_STEP_MAX)).fetchall():
        with connection.transaction():
            resolve(connection, {token for _, token in due})
            connection.execute("DELETE FROM registry_changed_card WHERE id = ANY(%s)", ([row[0] for row in due],))
        settled += len(due)
    return settled
