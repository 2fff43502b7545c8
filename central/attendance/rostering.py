"""The loop that publishes rosters: it hears what changes in the database and sweeps every site once a minute."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import psycopg
import structlog

from central.attendance import roster
from central.kit.libpq import VANISHED

if TYPE_CHECKING:
    from collections.abc import Callable

    from central.attendance.roster import Signer
    from central.kit.clock import Clock

SWEEP_S = 60.0
TURN_S = 0.25
BUDGET_S = 0.08
"""Of each turn: a city's rush changes more rosters than can be signed, and must not starve ingest, whose process this
is. The longest due go first; every roster says how old it is."""
BACKOFF_S = 2.0

_log = structlog.get_logger()


class RosterLoop:
    """Publishes each site's roster when it changed, at most once a second."""

    def __init__(
        self, database_url: str, *, clock: Clock, signer: Signer, send: Callable[[str, bytes, bool], bool]
    ) -> None:
        self._database_url = database_url
        self._clock = clock
        self._signer = signer
        self._send = send
        self._due: dict[int, float] = {}
        self._swept: dict[int, None] = {}
        """Looked at when nothing is due: the net under lost notices."""
        self._repeat: set[int] = set()
        self._repeat_all = threading.Event()
        self._sweep_at = 0.0

    def repeat_all(self) -> None:
        """Publish every roster again in full: the broker may have forgotten them."""
        self._repeat_all.set()

    def run(self, stop: threading.Event) -> None:
        """Publish until `stop`; a lost connection is made again, and everything looked at again."""
        while not stop.is_set():
            try:
                with psycopg.connect(
                    self._database_url, autocommit=True, options="-c timezone=UTC", **VANISHED
                ) as connection:
                    self._follow(connection, stop)
            except psycopg.Error as exc:
                _log.warning("roster_retry", error=str(exc).strip(), retry_s=BACKOFF_S)
                stop.wait(BACKOFF_S)

    def _follow(self, connection: psycopg.Connection[Any], stop: threading.Event) -> None:
        notices: list[tuple[str, str]] = []
        connection.add_notify_handler(lambda notice: notices.append((notice.channel, notice.payload)))
        connection.execute("LISTEN ccs_inside")
        connection.execute("LISTEN ccs_registry")
        self._sweep_at = 0.0
        while not stop.wait(TURN_S):
            connection.execute("SELECT 1")
            for channel, payload in notices:
                self._note(connection, channel, payload)
            notices.clear()
            self._sweep(connection)
            self._publish_due(connection)

    def _note(self, connection: psycopg.Connection[Any], channel: str, payload: str) -> None:
        if channel == "ccs_inside":
            if payload.isdecimal():
                self._due.setdefault(int(payload), 0.0)
            return
        try:
            content = json.loads(payload)
            sites = {int(site) for site in content["sites"]}
            sites.update(roster.sites_of_tokens(connection, [str(token) for token in content["tokens"]]))
        except (ValueError, KeyError, TypeError):
            self._sweep_at = 0.0
            return
        for site in sites:
            self._due.setdefault(site, 0.0)

    def _sweep(self, connection: psycopg.Connection[Any]) -> None:
        repeat = self._repeat_all.is_set()
        if not repeat and time.monotonic() < self._sweep_at:
            return
        self._repeat_all.clear()
        self._sweep_at = time.monotonic() + SWEEP_S
        for row in connection.execute("SELECT id FROM registry_site ORDER BY id"):
            self._swept.setdefault(row[0])
            if repeat:
                self._repeat.add(row[0])

    def _publish_due(self, connection: psycopg.Connection[Any]) -> None:
        begun = time.monotonic()
        due = [site for site, at in self._due.items() if at <= begun]
        for site_id in (*due, *(site for site in list(self._swept) if site not in self._due)):
            if time.monotonic() - begun > BUDGET_S:
                return
            self._swept.pop(site_id, None)
            self._due.pop(site_id, None)
            wait = roster.publish(
                connection,
                site_id=site_id,
                now=self._clock.now(),
                signer=self._signer,
                send=self._send,
                repeat=site_id in self._repeat,
            )
            if wait is None:
                self._repeat.discard(site_id)
            else:
                self._due[site_id] = time.monotonic() + wait.total_seconds()
