"""One LISTEN connection a process: what the database notifies is handed to whoever keeps something in memory.

A lost connection is made again, and then every handler is called with `"*"`: anything may have been missed.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import psycopg
import structlog
from psycopg import sql

from central.kit.libpq import VANISHED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

BACKOFF_S_MIN = 0.2
BACKOFF_S_MAX = 5.0
EVERYTHING = "*"

_log = structlog.get_logger()


async def listen(database_url: str, handlers: Mapping[str, Callable[[str], None]]) -> None:
    """Call `handlers[channel](payload)` for each notification until cancelled. Handlers are quick and never raise."""
    backoff_s = BACKOFF_S_MIN
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(database_url, autocommit=True, **VANISHED) as connection:
                await _subscribe(connection, handlers)
                backoff_s = BACKOFF_S_MIN
                async for notification in connection.notifies():
                    handlers[notification.channel](notification.payload)
        except psycopg.Error as error:
            _log.warning("listen_lost", error=str(error).strip(), retry_s=backoff_s)
        await asyncio.sleep(backoff_s)
        backoff_s = min(backoff_s * 2, BACKOFF_S_MAX)


async def _subscribe(connection: psycopg.AsyncConnection[Any], handlers: Mapping[str, Callable[[str], None]]) -> None:
    for channel in handlers:
        await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
    for handler in handlers.values():
        handler(EVERYTHING)
