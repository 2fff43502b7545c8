"""From the tap path to the watching pages: bounded at every step, never waiting for a slow screen."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from edge_agent.output.base import ScreenEvent

EVENTS_WAITING_MAX = 64
WATCHERS_MAX = 16
FRAMES_A_WATCHER_MAX = 32


class TooManyWatchers(RuntimeError):
    """The screen is already open in as many places as one terminal serves."""

    def __init__(self) -> None:
        super().__init__(f"this screen is already open {WATCHERS_MAX} times: close one of the other pages")


class Mailbox:
    """Screen events on their way from any thread into one event loop. The oldest gives way."""

    def __init__(self) -> None:
        self._waiting: deque[ScreenEvent] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._awake: asyncio.Event | None = None
        self._signalled = False
        self.dropped = 0
        """Events that no screen ever showed because they were overtaken."""

    def put(self, event: ScreenEvent) -> None:
        """Take an event from any thread; return at once and never raise."""
        loop, awake = self._loop, self._awake
        self._waiting.append(event)
        while len(self._waiting) > EVENTS_WAITING_MAX:
            with contextlib.suppress(IndexError):  # the loop was quicker
                self._waiting.popleft()
                self.dropped += 1
        # One wake-up at a time is enough, so a stalled loop is never fed without bound. The taker lowers the flag
        # before it empties the box: whatever is put after that wakes it again.
        if not self._signalled and loop is not None and awake is not None:
            self._signalled = True
            with contextlib.suppress(RuntimeError):  # the loop has ended: the next one finds the event waiting
                loop.call_soon_threadsafe(awake.set)

    def open(self) -> None:
        """Belong to the running event loop from now on; what waited before is old and is not shown."""
        self._waiting.clear()
        self._signalled = False
        self._awake = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    async def take(self) -> list[ScreenEvent]:
        """Wait for events and take all that are there."""
        if self._awake is None:
            raise RuntimeError("open the mailbox in the loop before taking from it")
        while True:
            self._awake.clear()
            self._signalled = False
            taken: list[ScreenEvent] = []
            with contextlib.suppress(IndexError):
                while True:
                    taken.append(self._waiting.popleft())
            if taken:
                return taken
            await self._awake.wait()


class Broadcast:
    """Server-sent event frames to every open page. A page that does not read loses its oldest frames, nobody else's."""

    def __init__(self) -> None:
        self._watchers: set[asyncio.Queue[bytes | None]] = set()
        self._state: bytes | None = None

    @property
    def watchers(self) -> int:
        """How many pages are open."""
        return len(self._watchers)

    def send(self, name: str, message: msgspec.Struct) -> None:
        """Send one frame; a `state` frame is also what a new page gets first."""
        frame = b"event: " + name.encode() + b"\ndata: " + msgspec.json.encode(message) + b"\n\n"
        if name == "state":
            self._state = frame
        for watcher in self._watchers:
            _offer(watcher, frame)

    async def watch(self) -> AsyncIterator[bytes]:
        """Yield frames for one page until `close`; raise `TooManyWatchers` before the first."""
        if len(self._watchers) >= WATCHERS_MAX:
            raise TooManyWatchers
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(FRAMES_A_WATCHER_MAX)
        self._watchers.add(queue)
        try:
            yield b"retry: 1000\n\n"
            if self._state is not None:
                yield self._state
            while (frame := await queue.get()) is not None:
                yield frame
        finally:
            self._watchers.discard(queue)

    def close(self) -> None:
        """End every page's stream, so that the server can stop."""
        for watcher in self._watchers:
            _offer(watcher, None)


def _offer(queue: asyncio.Queue[bytes | None], frame: bytes | None) -> None:
    if queue.full():
        queue.get_nowait()
    queue.put_nowait(frame)
