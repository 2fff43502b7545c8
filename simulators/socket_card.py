"""A hand that holds cards to a terminal's socket reader and hears its answer."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import TracebackType

ANSWER_S_MAX = 10.0


@dataclass(frozen=True)
class Shown:
    """What the terminal answered: colour, decision and the record behind it; or `error`, and nothing was recorded."""

    shown: str = ""
    decision: str = ""
    journal_id: str = ""
    seq: int = 0
    text: str = ""
    error: str = ""


class SocketHand:
    """One connection to a socket reader; use as a context. Raises `ConnectionError` when the terminal is gone."""

    def __init__(self, port: int, *, host: str = "127.0.0.1", answer_s_max: float = ANSWER_S_MAX) -> None:
        self._connection = socket.create_connection((host, port), timeout=answer_s_max)
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._answers = self._connection.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Leave the reader."""
        self._answers.close()
        self._connection.close()

    def hold(self, identity: bytes, **claims: Any) -> Shown:  # noqa: ANN401 - method, assurance, keyver, authentic
        """Hold a card to the reader and wait for the answer."""
        return self.say(json.dumps({"card": identity.hex(), **claims}).encode())

    def pull_away(self, reason: str = "the card was pulled away too soon") -> Shown:
        """Hold a card too briefly to be read."""
        return self.say(json.dumps({"unreadable": reason}).encode())

    def say(self, line: bytes) -> Shown:
        """Send any line and read the one that answers it."""
        self._connection.sendall(line + b"\n")
        reply = self._answers.readline()
        if not reply:
            raise ConnectionError("the terminal closed the connection without an answer: take it as not recorded")
        return Shown(**json.loads(reply))


def hold_once(port: int, identity: bytes, **claims: Any) -> Shown:  # noqa: ANN401 - as `SocketHand.hold`
    """Hold one card to a socket reader."""
    with SocketHand(port) as hand:
        return hand.hold(identity, **claims)
