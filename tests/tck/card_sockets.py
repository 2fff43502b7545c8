"""Readers of another maker's terminal: a line of JSON a card over TCP, answered by a line of JSON."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable
from typing import Any


class CardSockets:
    """Listens at a port for each direction, 0 for any; `answer` is given direction and card."""

    def __init__(self, ports: dict[str, int], answer: Callable[[str, dict[str, Any]], dict[str, Any]]) -> None:
        self._answer = answer
        self._open = threading.Event()
        self._open.set()
        self._listeners = [(direction, _listen(port)) for direction, port in ports.items()]
        self.ports: dict[str, int] = {direction: one.getsockname()[1] for direction, one in self._listeners}
        self._clients: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, args=one, daemon=True) for one in self._listeners]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._open.clear()
        for _, listener in self._listeners:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for client in self._clients:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def _accept(self, direction: str, listener: socket.socket) -> None:
        while self._open.is_set():
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self._clients.append(client)
            thread = threading.Thread(target=self._attend, args=(direction, client), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _attend(self, direction: str, client: socket.socket) -> None:
        with client, client.makefile("rb") as lines:
            for line in lines:
                if not self._open.is_set():
                    return
                try:
                    client.sendall(json.dumps(self._answer(direction, json.loads(line))).encode() + b"\n")
                except OSError:
                    return


def _listen(port: int) -> socket.socket:
    """Take a port, 0 for any; one that was ours a moment ago may be somebody's for an instant."""
    for _ in range(50):
        with contextlib.suppress(OSError):
            return socket.create_server(("127.0.0.1", port))
        threading.Event().wait(0.1)
    return socket.create_server(("127.0.0.1", port))
