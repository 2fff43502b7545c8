"""Our own programs as real processes on this machine: terminals and central, started, killed and started again."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from simulators.children import dies_with
from simulators.servers import accepts, free_port, wait_until

STOP_S_MAX = 15.0
START_S_MAX = 90.0
"""A machine that runs many tests at once takes its time."""


@dataclass(frozen=True)
class Keys:
    """The key files of one installation: the card key, central's signing pair, and what seals its secrets."""

    card_key: Path
    signing_key: Path
    public_key: Path
    data_key: Path

    @property
    def card_key_bytes(self) -> bytes:
        """The system key under which card identities become tokens."""
        return bytes.fromhex(self.card_key.read_text().strip())


def make_keys(folder: Path) -> Keys:
    """Make the key files in `folder`, or return those that are there."""
    folder.mkdir(parents=True, exist_ok=True)
    keys = Keys(folder / "card.key", folder / "signing.pem", folder / "central-public.pem", folder / "data.key")
    if not keys.card_key.exists():
        pair = Ed25519PrivateKey.generate()
        private = pair.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        public = pair.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        for path, content in (
            (keys.signing_key, private),
            (keys.public_key, public),
            (keys.card_key, secrets.token_hex(32).encode()),
            (keys.data_key, secrets.token_hex(32).encode()),
        ):
            path.touch(mode=0o600)
            path.write_bytes(content)
    return keys


class Place(Protocol):
    """Where a program runs when not simply on this machine, such as a network namespace."""

    def command(self, command: list[str]) -> list[str]:
        """Return the command that runs `command` there."""
        ...

    def entered(self) -> AbstractContextManager[object]:
        """Let this thread open its sockets there."""
        ...


class Here:
    """This machine as it is."""

    def command(self, command: list[str]) -> list[str]:
        """Return the command itself."""
        return command

    def entered(self) -> AbstractContextManager[object]:
        """Stay here."""
        return nullcontext()


@dataclass
class Program:
    """A child process that can be killed and started again with the same command; its output goes to a log."""

    name: str
    command: list[str]
    log: Path
    env: dict[str, str] = field(default_factory=dict)
    dies_with_us: bool = False
    """Hear SIGTERM when this process is killed, see `children.dies_with`."""
    child: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        """Start in its own session, so that a terminal's Ctrl-C reaches only whoever started it."""
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.env},
                preexec_fn=dies_with(signal.SIGTERM) if self.dies_with_us else None,  # noqa: PLW1509 - one system call
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self.child is not None and self.child.poll() is None

    @property
    def pid(self) -> int:
        """The living process; raise `RuntimeError` when there is none."""
        if self.child is None or self.child.poll() is not None:
            raise RuntimeError(f"{self.name} does not run:\n{self.tail()}")
        return self.child.pid

    def freeze(self) -> None:
        """SIGSTOP: it keeps its connections and its locks, and does nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT: it goes on where it stood."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL: nothing gets a chance to tidy up."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, and SIGKILL when that is not heeded. Safe to call twice."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self.child is None:
            return
        if self.child.poll() is None:
            self.child.send_signal(number)
        try:
            self.child.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait(STOP_S_MAX)

    def tail(self, characters_max: int = 2_000) -> str:
        """Return the end of the log, for whoever must explain a death."""
        return self.log.read_text(errors="replace")[-characters_max:] if self.log.exists() else ""


@dataclass(frozen=True)
class SocketReader:
    """One reader of a terminal that simulators hold cards to."""

    name: str
    direction: str
    port: int


_TERMINAL = """
[terminal]
site = "{site}"
code = "{code}"
name = "{name}"
zone = "{zone}"
data_dir = "{data}"

[mqtt]
url = "{broker}"
{more_mqtt}

[keys]
card_key_file = "{keys.card_key}"
central_public_key_file = "{keys.public_key}"

[kiosk]
host = "127.0.0.1"
port = {kiosk_port}
"""

_READER = """
[[readers]]
name = "{reader.name}"
driver = "socket"
address = "127.0.0.1:{reader.port}"
direction = "{reader.direction}"
zone = "{zone}"
"""


@dataclass
class TerminalProgram:
    """A real edge agent with socket readers, its configuration written to its own folder."""

    site: str
    code: str
    folder: Path
    broker: str
    keys: Keys
    directions: tuple[str, ...] = ("in", "out")
    name: str = ""
    zone: str = ""
    """Empty: the terminal's code."""
    more_readers: str = ""
    """Further `[[readers]]` tables, or others, as TOML."""
    more_mqtt: str = ""
    """Further lines of `[mqtt]`, as TOML."""
    data: Path | None = None
    """None: beside the configuration."""
    place: Place = field(default_factory=Here)
    env: dict[str, str] = field(default_factory=dict)
    kiosk_port: int = field(default_factory=free_port)
    readers: tuple[SocketReader, ...] = field(init=False)
    program: Program = field(init=False)

    def __post_init__(self) -> None:
        """Choose the readers' ports and write the configuration."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.readers = tuple(
            SocketReader(f"r{number}", direction, free_port()) for number, direction in enumerate(self.directions, 1)
        )
        config = self.folder / "terminal.toml"
        text = _TERMINAL.format(
            site=self.site, code=self.code, name=self.name or self.code, zone=self.zone or self.code,
            data=self.data_dir, broker=self.broker, more_mqtt=self.more_mqtt, keys=self.keys,
            kiosk_port=self.kiosk_port,
        )  # fmt: skip
        text += "".join(_READER.format(reader=reader, zone=self.zone or self.code) for reader in self.readers)
        config.write_text(text + self.more_readers)
        command = [sys.executable, "-m", "edge_agent", "run", "--config", str(config)]
        self.program = Program(self.code, self.place.command(command), self.folder / "terminal.log", self.env)

    @property
    def data_dir(self) -> Path:
        """Where its journal lies."""
        return self.data or self.folder / "data"

    def start(self) -> None:
        """Start, and wait until every reader takes cards."""
        self.program.start()
        wait_until(self._ready, what=f"terminal {self.code} to take cards", timeout_s=START_S_MAX)

    def _ready(self) -> bool:
        if not self.program.running:
            raise RuntimeError(f"terminal {self.code} stopped while starting:\n{self.program.tail()}")
        with self.place.entered():
            return all(accepts(reader.port) for reader in self.readers)

    def reader(self, direction: str) -> SocketReader:
        """Return the reader of a direction."""
        return next(reader for reader in self.readers if reader.direction == direction)


@dataclass
class CentralProgram:
    """A real central process: `web`, `worker`, `scheduler` or `all`."""

    role: str
    folder: Path
    database_url: str
    broker: str
    keys: Keys
    name: str = ""
    web_port: int = field(default_factory=free_port)
    metrics_port: int = field(default_factory=free_port)
    place: Place = field(default_factory=Here)
    env: dict[str, str] = field(default_factory=dict)
    """Further settings."""
    program: Program = field(init=False)

    def __post_init__(self) -> None:
        """Build the environment that the process reads."""
        self.folder.mkdir(parents=True, exist_ok=True)
        name = self.name or self.role
        env = {
            "CCS_DATABASE_URL": self.database_url,
            "CCS_MQTT_URL": self.broker,
            "CCS_CARD_KEY_FILE": str(self.keys.card_key),
            "CCS_SIGNING_KEY_FILE": str(self.keys.signing_key),
            "CCS_DATA_KEY_FILE": str(self.keys.data_key),
            "CCS_SECRET_KEY": self.keys.card_key.read_text().strip(),
            "CCS_WEB_PORT": str(self.web_port),
            "CCS_METRICS_PORT": str(self.metrics_port if self.role in {"worker", "scheduler"} else 0),
            "CCS_SECURE_COOKIES": "false",
        }
        command = [sys.executable, "-m", "central", self.role]
        self.program = Program(name, self.place.command(command), self.folder / f"{name}.log", env | self.env)

    @property
    def url(self) -> str:
        """Return the web address."""
        return f"http://127.0.0.1:{self.web_port}"

    def start(self) -> None:
        """Start, and wait until its port answers."""
        self.program.start()
        port = self.web_port if self.role in {"web", "all"} else self.metrics_port

        def ready() -> bool:
            if not self.program.running:
                raise RuntimeError(f"central {self.role} stopped while starting:\n{self.program.tail()}")
            with self.place.entered():
                return accepts(port)

        wait_until(ready, what=f"central {self.role} on port {port}", timeout_s=START_S_MAX)
