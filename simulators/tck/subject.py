"""The program under test, as far as the kit may end and start it: a child, commands of the maker, the operator."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STOP_S_MAX = 20.0
COMMAND_S_MAX = 120.0


class CannotControl(RuntimeError):
    """The program could not be started or ended; the message says why."""


class Subject(Protocol):
    """What can be done to the program under test."""

    @property
    def can_kill(self) -> bool:
        """Whether it can be killed and comes back."""
        ...

    @property
    def can_stop(self) -> bool:
        """Whether it can be asked to end."""
        ...

    def start(self) -> None:
        """Start it, also again."""
        ...

    def kill(self) -> None:
        """End it as a power cut would: nothing gets a chance to tidy up."""
        ...

    def stop(self) -> None:
        """Ask it to end in order."""
        ...


@dataclass
class Untouched:
    """Runs somewhere, and is left alone."""

    can_kill: bool = False
    can_stop: bool = False

    def start(self) -> None:
        """It runs already."""

    def kill(self) -> None:
        """Cannot."""
        raise CannotControl("no way to kill the program was given")

    def stop(self) -> None:
        """Cannot."""
        raise CannotControl("no way to stop the program was given")


@dataclass
class ChildSubject:
    """A command that the kit runs itself, in a process group of its own; its output goes to `log`."""

    command: str
    log: Path
    can_kill: bool = True
    can_stop: bool = True
    _child: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        """Run the command."""
        try:
            with self.log.open("ab") as log:
                self._child = subprocess.Popen(
                    shlex.split(self.command),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        except (OSError, ValueError) as exc:
            raise CannotControl(f"{self.command!r} cannot be run: {exc}") from exc

    def kill(self) -> None:
        """SIGKILL it and its children."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM; SIGKILL when that is not heeded."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        child = self._child
        if child is None:
            return
        if child.poll() is None:
            if number == signal.SIGKILL:
                os.killpg(child.pid, number)
            else:
                child.send_signal(number)
        try:
            child.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait(STOP_S_MAX)


@dataclass
class CommandSubject:
    """Ended and started by shell commands, for instance over ssh. An empty command means: cannot."""

    start_command: str
    kill_command: str = ""
    stop_command: str = ""

    @property
    def can_kill(self) -> bool:
        """Whether it can be killed and comes back."""
        return bool(self.kill_command and self.start_command)

    @property
    def can_stop(self) -> bool:
        """Whether it can be asked to end."""
        return bool(self.stop_command)

    def start(self) -> None:
        """Run the start command."""
        _run(self.start_command)

    def kill(self) -> None:
        """Run the kill command."""
        _run(self.kill_command)

    def stop(self) -> None:
        """Run the stop command."""
        _run(self.stop_command)


def _run(command: str) -> None:
    if not command:
        return
    try:
        # The operator's own words on the command line, with pipes and quotes.
        done = subprocess.run(command, shell=True, capture_output=True, timeout=COMMAND_S_MAX, check=False)  # noqa: S602
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise CannotControl(f"{command!r} does not work: {exc}") from exc
    if done.returncode:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()[-300:]
        raise CannotControl(f"{command!r} ended with {done.returncode}: {said}")


@dataclass
class OperatorSubject:
    """The operator pulls the plug. `ask` prints a request and waits for Enter."""

    ask: Callable[[str], str]
    can_kill: bool = True
    can_stop: bool = True

    def start(self) -> None:
        """Ask for it to be started."""
        self.ask("Start the terminal (plug it in), then press Enter")

    def kill(self) -> None:
        """Ask for the plug to be pulled."""
        self.ask("Pull the terminal's plug NOW, then press Enter")

    def stop(self) -> None:
        """Ask for an orderly end."""
        self.ask("Shut the terminal down in order, then press Enter")
