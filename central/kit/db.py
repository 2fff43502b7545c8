"""The database: one engine a process, sessions that say whether they may write, one commit a request or job."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, NewType, cast

from fastapi import Depends, Request
from sqlalchemy import Engine, create_engine
from sqlmodel import Session

from central.kit.libpq import VANISHED

if TYPE_CHECKING:
    import psycopg

ReadSession = NewType("ReadSession", Session)
WriteSession = NewType("WriteSession", Session)

STATEMENT_TIMEOUT_MS_MAX = 30_000
LOCK_TIMEOUT_MS_MAX = 10_000
CONNECT_S_MAX = 5


def sqlalchemy_url(database_url: str) -> str:
    """Name the psycopg 3 driver in a libpq address."""
    for prefix in ("postgresql://", "postgres://"):
        if database_url.startswith(prefix):
            return "postgresql+psycopg://" + database_url.removeprefix(prefix)
    return database_url


def make_engine(database_url: str, *, pool_size: int = 10) -> Engine:
    """Make the process's engine. Connections are checked before use, so a restarted server is survived."""
    return create_engine(
        sqlalchemy_url(database_url),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=True,
        connect_args={
            "options": f"-c timezone=UTC -c statement_timeout={STATEMENT_TIMEOUT_MS_MAX}"
            f" -c lock_timeout={LOCK_TIMEOUT_MS_MAX}",
            "application_name": "ccs",
            "connect_timeout": CONNECT_S_MAX,
            **VANISHED,
        },
    )


_SNAPSHOT: dict[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
"""The driver says so as it begins the transaction: no question of its own."""


@contextmanager
def read_session(engine: Engine) -> Iterator[ReadSession]:
    """Open a session on one read-only snapshot."""
    with Session(engine, expire_on_commit=False) as session:
        session.connection(execution_options=_SNAPSHOT)
        yield ReadSession(session)
        session.commit()  # nothing was written; a rollback would throw the connection's prepared statements away


@contextmanager
def write_session(engine: Engine) -> Iterator[WriteSession]:
    """Open a session that commits once at the end, or rolls back. Nobody else commits."""
    with Session(engine, expire_on_commit=False) as session:
        yield WriteSession(session)
        session.commit()


@contextmanager
def trial_session(engine: Engine) -> Iterator[WriteSession]:
    """Open a session whose writes are seen by itself and the constraints, and never committed."""
    with Session(engine, expire_on_commit=False) as session:
        yield WriteSession(session)
        session.rollback()


def psycopg_of(session: ReadSession | WriteSession) -> psycopg.Connection[Any]:
    """Reach the psycopg connection of a session, inside its transaction."""
    return cast("psycopg.Connection[Any]", session.connection().connection.driver_connection)


OF_REQUEST = "of_request"
"""In a session's `info`: somebody asked for it, so guarded rows stay hidden until it is told what they may see."""


_BEFORE_ANSWER = "before_answer"


def before_answer(session: ReadSession | WriteSession, act: Callable[[], None]) -> None:
    """Have something done when a request's session is over, before its answer goes; a failure stops the answer."""
    session.info.setdefault(_BEFORE_ANSWER, []).append(act)


def _reading(request: Request) -> Iterator[ReadSession]:
    with read_session(request.app.state.engine) as session:
        session.info[OF_REQUEST] = True
        yield session
    for act in session.info.get(_BEFORE_ANSWER, ()):  # its connection was given back: an act may take another
        act()


def _writing(request: Request) -> Iterator[WriteSession]:
    with write_session(request.app.state.engine) as session:
        session.info[OF_REQUEST] = True
        yield session
    for act in session.info.get(_BEFORE_ANSWER, ()):
        act()


Reading = Annotated[ReadSession, Depends(_reading, scope="function")]
"""An endpoint's parameter: one read-only snapshot for the request."""
Writing = Annotated[WriteSession, Depends(_writing, scope="function")]
"""An endpoint's parameter: one transaction, committed before the answer is sent, rolled back on any error."""
