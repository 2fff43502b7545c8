"""The terminal's screen as a page on localhost: it needs no network, and it shows what the agent says and no more."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from datetime import datetime
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from edge_agent.clock import SystemClock
from edge_agent.output.feed import WATCHERS_MAX, Broadcast, Mailbox, TooManyWatchers
from edge_agent.output.muster import muster_page
from edge_agent.output.texts import known
from edge_agent.output.view import Status, page_texts, screen, status

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.requests import Request

    from edge_agent.output.base import KioskState, ScreenEvent

SITE_TIME_ZONE = "Asia/Seoul"
STATE_LOOK_S = 1.0
STATE_RESEND_S_MAX = 5.0
STOP_LOOK_S = 0.25
STOP_S_MAX = 2

_STATIC = Path(__file__).with_name("static")
_MEDIA = {".css": "text/css", ".js": "text/javascript"}
_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_log = logging.getLogger(__name__)


class KioskUnavailable(RuntimeError):
    """The screen cannot be served; the message says why and what to do. Taps go on without it."""


class Kiosk:
    """A `Display` on a page at `/`, its live feed at `/events` and the gate's list at `/muster`.

    `state` is asked about once a second, off the event loop. `now` gives aware UTC, the machine's clock unless given.
    `time_zone` is the site's, for every time that people read. Port 0 takes a free one: see `url` once `ready` is set.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        terminal_name: str,
        languages: Sequence[str],
        state: Callable[[], KioskState],
        now: Callable[[], datetime] | None = None,
        sound: bool = True,
        time_zone: str = SITE_TIME_ZONE,
    ) -> None:
        self._host = host
        self._port = port
        self._terminal_name = terminal_name
        self._state = state
        self._now = now or _system_now()
        self._zone = _zone(time_zone)
        self._mailbox = Mailbox()
        self._feed = Broadcast()
        self._last: Status | None = None
        self._page = _page(terminal_name, known(languages), sound=sound, time_zone=time_zone)
        self.ready = threading.Event()

    @property
    def url(self) -> str:
        """Return the page's address."""
        return f"http://{self._host}:{self._port}/"

    @property
    def dropped(self) -> int:
        """How many events were overtaken before any screen could show them."""
        return self._mailbox.dropped

    def show(self, event: ScreenEvent) -> None:
        """Hand the event to the screen's own thread; never block and never raise."""
        self._mailbox.put(event)

    def run(self, stop: threading.Event, beat: Callable[[], None]) -> None:
        """Serve until `stop`; call `beat` while the loop turns. Raise `KioskUnavailable` when the port is taken."""
        with self._listen() as listener:
            asyncio.run(self._serve(listener, stop, beat))

    def _listen(self) -> socket.socket:
        try:
            listener = socket.create_server((self._host, self._port))
        except OSError as exc:
            message = (
                f"the screen cannot be served at {self._host}:{self._port} ({exc.strerror}): "
                "stop what uses the port, or change [kiosk] port in the terminal file"
            )
            raise KioskUnavailable(message) from exc
        self._port = listener.getsockname()[1]
        return listener

    async def _serve(self, listener: socket.socket, stop: threading.Event, beat: Callable[[], None]) -> None:
        self._mailbox.open()
        server = uvicorn.Server(
            uvicorn.Config(
                self.app(),
                log_config=None,
                access_log=False,
                lifespan="off",
                loop="asyncio",
                ws="none",
                timeout_graceful_shutdown=STOP_S_MAX,
            )
        )
        async with asyncio.TaskGroup() as tasks:
            work = [tasks.create_task(self._show_events()), tasks.create_task(self._send_state())]
            tasks.create_task(self._stop_when(stop, beat, server))
            self.ready.set()
            await server.serve(sockets=[listener])
            for task in work:
                task.cancel()
        self.ready.clear()

    async def _stop_when(self, stop: threading.Event, beat: Callable[[], None], server: uvicorn.Server) -> None:
        while not stop.is_set():
            beat()
            await asyncio.sleep(STOP_LOOK_S)
        self._feed.close()
        server.should_exit = True

    async def _show_events(self) -> None:
        while True:
            for event in await self._mailbox.take():
                drawn = screen(event, zone=self._zone, status=self._last)
                if drawn is not None:
                    self._feed.send("tap", drawn)
                else:
                    self._feed.send("state", await self._status())

    async def _send_state(self) -> None:
        sent_at = 0.0
        last = None
        clock = asyncio.get_running_loop().time
        while True:
            current = await self._status()
            if current != last or clock() - sent_at >= STATE_RESEND_S_MAX:
                self._feed.send("state", current)
                last, sent_at = current, clock()
            await asyncio.sleep(STATE_LOOK_S)

    async def _status(self) -> Status:
        self._last = status(await asyncio.to_thread(self._state), zone=self._zone)
        return self._last

    def app(self) -> Starlette:
        """Build the web application; `run` serves it."""
        routes = [
            Route("/", self._get_page),
            Route("/events", self._get_events),
            Route("/muster", self._get_muster),
            *[Route(f"/static/{file.name}", _static(file)) for file in _STATIC.iterdir() if file.suffix in _MEDIA],
        ]
        # A page from elsewhere must not read names by pointing its own name at this machine.
        hosts = [self._host, "localhost", "127.0.0.1"]
        return Starlette(routes=routes, middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts)])

    async def _get_page(self, _request: Request) -> Response:
        return HTMLResponse(self._page, headers=_HEADERS)

    async def _get_events(self, _request: Request) -> Response:
        if self._feed.watchers >= WATCHERS_MAX:
            return PlainTextResponse(str(TooManyWatchers()), status_code=503, headers={"Retry-After": "5"})
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(self._feed.watch(), media_type="text/event-stream", headers=headers)

    async def _get_muster(self, request: Request) -> Response:
        whole_names = request.query_params.get("names") == "whole"
        if whole_names:
            _log.warning("the list of who is inside was opened with whole names at this terminal's screen")
        page = muster_page(
            await asyncio.to_thread(self._state),
            terminal_name=self._terminal_name,
            now=self._now(),
            zone=self._zone,
            whole_names=whole_names,
        )
        return HTMLResponse(page, headers=_HEADERS | {"Cache-Control": "no-store"})


def _page(terminal_name: str, languages: tuple[str, ...], *, sound: bool, time_zone: str) -> str:
    settings = {"texts": page_texts(languages), "sound": sound, "time_zone": time_zone}
    # "<" would let a text end the script element.
    text = msgspec.json.encode(settings).decode().replace("<", "\\u003c")
    template = Template((_STATIC / "kiosk.html").read_text(encoding="utf-8"))
    return template.substitute(terminal_name=escape(terminal_name), settings=text)


def _static(file: Path) -> Callable[[Request], Response]:
    body = file.read_bytes()
    media_type = _MEDIA[file.suffix]

    def answer(_request: Request) -> Response:
        return Response(body, media_type=media_type, headers=_HEADERS)

    return answer


def _system_now() -> Callable[[], datetime]:
    clock = SystemClock()
    return lambda: clock.read().at


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as exc:
        message = f"the time zone {name!r} is not known on this machine: install tzdata, or name one such as Asia/Seoul"
        raise KioskUnavailable(message) from exc
