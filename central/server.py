"""Run the web server, alone or with loops beside it, until a signal or a failure ends them all in order."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import structlog
import uvicorn
from prometheus_client import REGISTRY

from central.kit.config import BadSetting
from central.kit.metrics import serve_metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fastapi import FastAPI

    from central.kit.config import Settings

JOIN_S_MAX = 20.0
GRACE_S_MAX = 5
BACKLOG_CONNECTIONS_MAX = 2048

_log = structlog.get_logger()


def serve_with(settings: Settings, stop: threading.Event, loops: Mapping[str, Callable[[], None]]) -> list[str]:
    """Serve pages and API, with `loops` in threads beside it; return the names of what did not end in order.

    Raises `BadSetting` when the address cannot be listened on.
    """
    # Every page and its templates: half of what there is to load, and no other process or command needs it.
    from central.app import create_app
    from central.kit.migrate import unready

    app = create_app(settings)
    threads = [_Loop(name, run, stop) for name, run in loops.items()]
    started = False
    with serve_metrics(settings.metrics_port, registry=REGISTRY, alive=str, ready=lambda: unready(app.state.engine)):
        for thread in threads:
            thread.start()
        try:
            started = _serve(app, settings, stop)
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
        except Exception as error:  # noqa: BLE001  # tidy: broad-except this is the supervisor: it says why and ends all
            _log.error("loop_failed", loop=self.name, exc_info=error)
        finally:
            self._stop_all.set()


def _serve(app: FastAPI, settings: Settings, stop: threading.Event) -> bool:
    try:
        listening = socket.create_server((settings.web_host, settings.web_port), backlog=BACKLOG_CONNECTIONS_MAX)
    except OSError as error:
        where = f"{settings.web_host}:{settings.web_port}"
        raise BadSetting(
            f"{where} cannot be listened on ({error.strerror}): set CCS_WEB_HOST or CCS_WEB_PORT"
        ) from error
    config = uvicorn.Config(
        app, access_log=False, log_config=None, log_level="warning", timeout_graceful_shutdown=GRACE_S_MAX
    )
    server = uvicorn.Server(config)

    def end() -> None:
        stop.wait()
        server.should_exit = True

    threading.Thread(target=end, name="stopper", daemon=True).start()
    with listening:
        server.run([listening])
    return bool(server.started)
