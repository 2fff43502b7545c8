"""Run the web server, alone or with loops beside it, until a signal or a failure ends them all in order."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Mapping

import uvicorn

from central.app import create_app
from central.kit.config import BadSetting, Settings

JOIN_S_MAX = 20.0
GRACE_S_MAX = 5
BACKLOG_CONNECTIONS_MAX = 2048


def stop_on_signals() -> threading.Event:
    """Make the event that ends everything. uvicorn raises a signal it caught once more: it must find a handler."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


def serve_with(settings: Settings, stop: threading.Event, loops: Mapping[str, Callable[[], None]]) -> list[str]:
    """Serve pages and API, with `loops` in threads beside it; return the names of what did not end in order.

    Raises `BadSetting` when the address cannot be listened on.
    """
    threads = [_Loop(name, run, stop) for name, run in loops.items()]
    for thread in threads:
        thread.start()
    started = False
    try:
        started = _serve(settings, stop)
    finally:
        stop.set()
        for thread in threads:
            thread.join(JOIN_S_MAX)
    return ([] if started else ["web"]) + [each.name for each in threads if each.failed or each.is_alive()]


class _Loop(threading.Thread):
    """A loop beside the web server; when it ends, everything ends, so that a supervisor starts it again."""

    def __init__(self, name: str, run: Callable[[], None], stop: threading.Event) -> None:
        super().__init__(name=name, daemon=True)
        self._run = run
        self._stop_all = stop
        self.failed = False

    def run(self) -> None:
        """Run until it is told to stop, or fails."""
        self.failed = True
        try:
            self._run()
            self.failed = False
        finally:
            self._stop_all.set()


def _serve(settings: Settings, stop: threading.Event) -> bool:
    try:
        listening = socket.create_server((settings.web_host, settings.web_port), backlog=BACKLOG_CONNECTIONS_MAX)
    except OSError as error:
        where = f"{settings.web_host}:{settings.web_port}"
        raise BadSetting(
            f"{where} cannot be listened on ({error.strerror}): set CCS_WEB_HOST or CCS_WEB_PORT"
        ) from error
    config = uvicorn.Config(
        create_app(settings), access_log=False, log_level="warning", timeout_graceful_shutdown=GRACE_S_MAX
    )
    server = uvicorn.Server(config)

    def end() -> None:
        stop.wait()
        server.should_exit = True

    threading.Thread(target=end, name="stopper", daemon=True).start()
    with listening:
        server.run([listening])
    return bool(server.started)
