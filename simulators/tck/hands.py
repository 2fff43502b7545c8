"""Ways to hold a card to a reader: the socket reader's protocol, a command of the maker's, or the operator's hand."""

from __future__ import annotations

import json
import shlex
import socket
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from simulators.tck.trace import Shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ANSWER_S_MAX = 20.0
COLOURS = {"g": "green", "a": "amber", "r": "red", "green": "green", "amber": "amber", "red": "red"}


class CannotHold(RuntimeError):
    """A card could not be held to a reader; the message says why."""


class Hand(Protocol):
    """Holds cards. `many`: hundreds are no trouble; `claims`: it says itself what the card proves."""

    many: bool
    claims: bool

    @property
    def directions(self) -> Sequence[str]:
        """Name the readers' directions."""
        ...

    def hold(self, identity: bytes, direction: str, **claims: Any) -> Shown:  # noqa: ANN401 - method, assurance, keyver
        """Hold a card to the reader of a direction and wait for the answer; raise `CannotHold`."""
        ...

    def pull_away(self, direction: str) -> Shown:
        """Hold a card too briefly to be read; raise `CannotHold` when this hand cannot."""
        ...

    def close(self) -> None:
        """Leave every reader: the terminal is about to be gone."""
        ...


@dataclass
class SocketHands:
    """Our socket reader's protocol: a line of JSON, answered by a line. `readers`: direction to (host, port)."""

    readers: Mapping[str, tuple[str, int]]
    many: bool = True
    claims: bool = True
    _lines: dict[str, tuple[socket.socket, Any]] = field(default_factory=dict)

    @property
    def directions(self) -> Sequence[str]:
        """Name the readers' directions."""
        return list(self.readers)

    def hold(self, identity: bytes, direction: str, **claims: Any) -> Shown:  # noqa: ANN401 - as the protocol
        """Send the card's line."""
        return self._say(direction, {"card": identity.hex(), **claims})

    def pull_away(self, direction: str) -> Shown:
        """Send an unreadable card."""
        return self._say(direction, {"unreadable": "the card was pulled away too soon"})

    def close(self) -> None:
        """Leave every reader."""
        for connection, answers in self._lines.values():
            answers.close()
            connection.close()
        self._lines.clear()

    def _say(self, direction: str, line: dict[str, Any]) -> Shown:
        host, port = self.readers[direction]
        try:
            if direction not in self._lines:
                connection = socket.create_connection((host, port), timeout=ANSWER_S_MAX)
                self._lines[direction] = (connection, connection.makefile("rb"))
            connection, answers = self._lines[direction]
            connection.sendall(json.dumps(line).encode() + b"\n")
            reply = answers.readline()
            if not reply:
                raise ConnectionResetError("it closed the connection without an answer")
            return shown_of(json.loads(reply))
        except (OSError, ValueError) as exc:
            self._leave(direction)
            raise CannotHold(f"the reader at {host}:{port} ({direction}) does not answer: {exc}") from exc

    def _leave(self, direction: str) -> None:
        line = self._lines.pop(direction, None)
        if line is not None:
            line[1].close()
            line[0].close()


@dataclass
class CommandHands:
    """A command that holds one card and prints what was shown: JSON as the socket reader's, or a colour.

    `{card}` and `{direction}` in the command are replaced.
    """

    command: str
    directions: Sequence[str] = ("in", "out")
    many: bool = True
    claims: bool = False

    def hold(self, identity: bytes, direction: str, **_claims: Any) -> Shown:  # noqa: ANN401 - the card proves itself
        """Run the command."""
        words = [
            word.replace("{card}", identity.hex()).replace("{direction}", direction)
            for word in shlex.split(self.command)
        ]
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=ANSWER_S_MAX, check=False)
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise CannotHold(f"the tap command does not work: {exc}") from exc
        text = done.stdout.strip()
        if done.returncode or not text:
            raise CannotHold(
                f"the tap command ended with {done.returncode}: {(done.stderr or done.stdout).strip()[:200]}"
            )
        try:
            return shown_of(json.loads(text))
        except ValueError:
            return Shown(COLOURS.get(text.lower(), text.lower()))

    def pull_away(self, direction: str) -> Shown:
        """A command holds a card long enough."""
        raise CannotHold(f"the tap command cannot pull a card away ({direction})")

    def close(self) -> None:
        """Nothing is kept open."""


@dataclass
class OperatorHands:
    """The operator holds a card and says what was shown. `ask` prints a question and returns the answer."""

    ask: Callable[[str], str]
    directions: Sequence[str] = ("in", "out")
    names: dict[bytes, str] = field(default_factory=dict)
    """Card to what is written on it."""
    many: bool = False
    claims: bool = False

    def hold(self, identity: bytes, direction: str, **_claims: Any) -> Shown:  # noqa: ANN401 - the card proves itself
        """Ask for the card to be held."""
        card = self.names.get(identity, identity.hex())
        said = self.ask(f"Hold card {card} to the reader for '{direction}'. Shown: [g]reen, [a]mber, [r]ed, [n]othing")
        return Shown(COLOURS.get(said.strip().lower(), ""))

    def pull_away(self, direction: str) -> Shown:
        """Ask for a card to be pulled away."""
        said = self.ask(
            f"Touch the reader for '{direction}' with a card and pull it away at once, so that it cannot be read."
            " Shown: [g]reen, [a]mber, [r]ed, [n]othing"
        )
        colour = COLOURS.get(said.strip().lower(), "")
        return Shown(colour, "not_recorded" if colour == "red" else "")

    def close(self) -> None:
        """Nothing is kept open."""


def shown_of(answer: object) -> Shown:
    """Read a reader's answer; what it says beyond our fields is passed over."""
    if not isinstance(answer, dict):
        return Shown(error=f"not an answer: {answer!r}")
    names = ("shown", "decision", "journal_id", "text", "error")
    texts = {name: str(answer.get(name) or "") for name in names}
    seq = answer.get("seq")
    return Shown(**texts, seq=seq if isinstance(seq, int) else 0)
