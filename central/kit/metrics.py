"""Health, readiness and metrics of a process, on their own small HTTP port that only this machine reaches."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from central.kit.config import BadSetting

if TYPE_CHECKING:
    from collections.abc import Iterator

from contextlib import contextmanager

REQUEST_S_MAX = 5.0

Check = Callable[[], str]
"""Returns what is wrong in one sentence, or nothing."""


@contextmanager
def serve_metrics(port: int, *, registry: CollectorRegistry, alive: Check, ready: Check) -> Iterator[int]:
    """Serve `/healthz`, `/readyz` and `/metrics` on loopback while inside; 0 serves nothing. Yields the port."""
    if port == 0:
        yield 0
        return
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), _handler(registry, alive=alive, ready=ready))
    except OSError as error:
        raise BadSetting(
            f"port {port} for metrics cannot be listened on ({error.strerror}): set CCS_METRICS_PORT"
        ) from error
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(registry: CollectorRegistry, *, alive: Check, ready: Check) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = REQUEST_S_MAX

        def do_GET(self) -> None:  # the name that http.server calls
            if self.path == "/metrics":
                self._answer(200, CONTENT_TYPE_LATEST, generate_latest(registry))
            elif self.path in {"/healthz", "/readyz"}:
                wrong = alive() if self.path == "/healthz" else ready()
                self._answer(503 if wrong else 200, "text/plain; charset=utf-8", (wrong or "ok").encode() + b"\n")
            else:
                self._answer(404, "text/plain; charset=utf-8", b"try /healthz, /readyz or /metrics\n")

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Say nothing: scrapes are not news."""

    return Handler
