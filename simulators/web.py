"""A real web server in a thread, for tests and the demo: what answers is uvicorn, not a stand-in."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Self

import uvicorn
from fastapi.routing import APIRoute

from simulators.servers import accepts, wait_until

if TYPE_CHECKING:
    from fastapi import FastAPI

STOP_S_MAX = 10.0


def routes_of(app: FastAPI) -> dict[tuple[str, str], APIRoute]:
    """Every route an application answers, by method and path; those of included routers too."""
    held = [route for one in app.routes for route in getattr(getattr(one, "original_router", None), "routes", [one])]
    return {
        (method, route.path): route
        for route in held
        if isinstance(route, APIRoute)
        for method in route.methods or ()
        if method != "HEAD"
    }


def read_by(app: FastAPI) -> list[str]:
    """Paths of every route that is read, in order."""
    return sorted(path for method, path in routes_of(app) if method == "GET")


class WebServer:
    """uvicorn on a loopback port, a free one unless given. Use as a context manager."""

    def __init__(self, app: FastAPI, *, port: int = 0) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", port))
        self.port = int(self._socket.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="web", daemon=True)

    def __enter__(self) -> Self:
        """Start and wait until it accepts connections."""
        self._thread.start()
        wait_until(lambda: self._server.started or not self._thread.is_alive(), what="the web server")
        if not accepts(self.port):
            raise RuntimeError("the web server did not start: see its log above")
        return self

    def __exit__(self, *_: object) -> None:
        """Stop in an orderly way."""
        self._server.should_exit = True
        self._thread.join(STOP_S_MAX)
        self._socket.close()
