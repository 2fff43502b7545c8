"""The journal's SQLite file: opened one way only, its PRAGMAs read back, its schema numbered."""

from __future__ import annotations

from pathlib import Path

import apsw

from edge_agent.journal.record import JournalUnusable

APPLICATION_ID = 0x43435331
"""'CCS1': says whose file this is."""
SCHEMA_FOLDER = Path(__file__).parent / "schema"
BUSY_MS_MAX = 5_000

PRAGMAS: dict[str, str] = {
    "journal_mode": "wal",
    "synchronous": "FULL",
    "fullfsync": "ON",
    "checkpoint_fullfsync": "ON",
    "wal_autocheckpoint": "0",
    "journal_size_limit": "-1",
    "cell_size_check": "ON",
    "temp_store": "MEMORY",
    "locking_mode": "NORMAL",
}
REQUIRED: dict[str, object] = {
    "journal_mode": "wal",
    "synchronous": 2,
    "wal_autocheckpoint": 0,
    "journal_size_limit": -1,
}
"""What the file must answer when asked. Anything less and green would not mean stored."""


def connect(path: Path, *, vfs: str | None = None) -> apsw.Connection:
    """Open for writing with every PRAGMA set and read back; raise `JournalUnusable` or an `apsw.Error`."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE, vfs=vfs)
    try:
        connection.set_busy_timeout(BUSY_MS_MAX)
        # Closing must not touch a disk that just failed; `Journal.close` folds the log back itself.
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        for name, value in PRAGMAS.items():
            connection.pragma(name, value)
        check_pragmas(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def connect_to_read(path: Path, *, vfs: str | None = None) -> apsw.Connection:
    """Open a second connection that cannot write; needs the file to exist."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE, vfs=vfs)
    connection.set_busy_timeout(BUSY_MS_MAX)
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    connection.pragma("wal_autocheckpoint", 0)
    connection.pragma("query_only", 1)
    return connection


def check_pragmas(connection: apsw.Connection) -> None:
    """Read the settings back and refuse to run on less than was asked for."""
    for name, wanted in REQUIRED.items():
        found = connection.pragma(name)
        if found != wanted:
            message = f"the journal's disk answers PRAGMA {name} = {found!r} where {wanted!r} is needed"
            raise JournalUnusable(f"{message}; a tap shown green might be lost, so this terminal does not start")


def schema_files() -> list[tuple[int, Path]]:
    """Return the numbered schema files in order."""
    return sorted((int(path.name[:4]), path) for path in SCHEMA_FOLDER.glob("[0-9][0-9][0-9][0-9]_*.sql"))


def tables_trouble(connection: apsw.Connection) -> str:
    """Say when the file describes its tables otherwise than its schema number stands for, or nothing."""
    sql = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name"
    wanted = apsw.Connection(":memory:")
    try:
        for number, path in schema_files():
            if number <= connection.pragma("user_version"):
                wanted.execute(path.read_text())
        same = wanted.execute(sql).fetchall() == connection.execute(sql).fetchall()
    finally:
        wanted.close()
    return "" if same else "describes its tables otherwise than this agent made them"


def check_schema(held: int) -> None:
    """Refuse a file of a newer agent: raise `JournalUnusable` when `held` is beyond what this one knows."""
    newest = schema_files()[-1][0]
    if held > newest:
        message = f"the journal has schema {held}, this agent knows up to {newest}"
        raise JournalUnusable(f"{message}: install the newer agent again, or set the journal aside")


def migrate(connection: apsw.Connection) -> None:
    """Bring the file to the newest schema, each step in its own transaction; refuse a file of a newer agent."""
    held = connection.pragma("user_version")
    check_schema(held)
    for number, path in schema_files():
        if number > held:
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.execute(path.read_text())
                connection.pragma("application_id", APPLICATION_ID)
                connection.pragma("user_version", number)
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
