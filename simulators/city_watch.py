"""The officers' screens of some sites: their headcount streams, and the time from a tap to the number it makes.

Only for sites where nobody leaves: the n-th worker's tap is on the screen once it says n or more.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import deque
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from simulators.fleet_terminal import Sample

if TYPE_CHECKING:
    from collections.abc import Sequence

LINE_BYTES_MAX = 1024 * 1024
RETRY_S = 0.5
_MARK = b"data: "
_NUMBER = b'"inside":'


class Screens:
    """One stream a site, read until closed."""

    def __init__(self, url: str, token: str) -> None:
        self._address, self._token = urlsplit(url), token
        self._waiting: dict[str, deque[tuple[int, float]]] = {}
        self._expected: dict[str, int] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self.samples: list[Sample] = []
        self.broken = 0
        """Streams that ended and were opened again."""

    async def open(self, sites: Sequence[str]) -> None:
        """Open a stream a site and wait until each has said where it stands."""
        said = []
        for site in sites:
            self._waiting[site] = deque()
            self._expected[site] = 0
            first = asyncio.Event()
            said.append(first.wait())
            self._tasks.append(asyncio.create_task(self._follow(site, first)))
        await asyncio.gather(*said)

    async def close(self) -> None:
        """End every stream."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def tapped(self, site: str) -> None:
        """Take note that one more worker has just entered a watched site; others are nobody's business here."""
        if site in self._waiting:
            self._expected[site] += 1
            self._waiting[site].append((self._expected[site], time.monotonic()))

    @property
    def unseen(self) -> int:
        """Taps that no screen has shown yet."""
        return sum(map(len, self._waiting.values()))

    def _saw(self, site: str, inside: int) -> None:
        now_s, waiting = time.monotonic(), self._waiting[site]
        while waiting and waiting[0][0] <= inside:
            _, at_s = waiting.popleft()
            self.samples.append(Sample(at_s, now_s - at_s, "screen"))

    async def _follow(self, site: str, first: asyncio.Event) -> None:
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, ValueError):
                await self._read(site, first)
            self.broken += 1
            await asyncio.sleep(RETRY_S)

    async def _read(self, site: str, first: asyncio.Event) -> None:
        host, port = self._address.hostname or "127.0.0.1", self._address.port or 80
        reader, writer = await asyncio.open_connection(host, port, limit=LINE_BYTES_MAX)
        try:
            # A stream ends after five minutes: closed with it, or its end would be noticed with the server's patience.
            writer.write(
                f"GET /api/v1/sites/{site}/headcount/stream HTTP/1.1\r\nHost: {host}\r\n"
                f"Authorization: Bearer {self._token}\r\nAccept: text/event-stream\r\n"
                "Connection: close\r\n\r\n".encode()
            )
            status = await reader.readline()
            if b" 200 " not in status:
                raise ConnectionError(f"the stream of {site} answers {status.decode(errors='replace').strip()}")
            while line := await reader.readline():
                if line.startswith(_MARK) and _NUMBER in line:
                    self._saw(site, int(json.loads(line[len(_MARK) :])["inside"]))
                    first.set()
        finally:
            writer.close()
