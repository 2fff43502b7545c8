"""What a demo stands on: its data folder, held by one demo at a time; ports; and what a second start must know."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import socket
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from simulators.demo_site import Account, new_accounts
from simulators.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping

PORT_NAMES = ("web", "hand", "gate-01", "gate-02", "gate-03", "broker", "postgres")
USUAL_PORT_BASE = 8700
PORT_MAX = 65_535
MEMORY_VERSION = 2
CREATE_TRIES_MAX = 3
SECRET_BYTES = 32
TAIL_CHARS_MAX = 2_000
"""Of a log, in what is said of a part that died."""
_OURS = frozenset(
    {"lock", "logs", "terminals", "keys", "postgres", "broker", "taps.jsonl", "demo.json", "demo.new", "running.json"}
)


class DemoCannotRun(RuntimeError):
    """The demo cannot run as asked; the message is a sentence that says what to do."""


class ProgramDied(RuntimeError):
    """A part of the demo ended by itself; the message names it and shows the end of its log."""

    def __init__(self, name: str, status: int | None, log: Path, tail: str) -> None:
        how = f" with status {status}" if status is not None else ""
        super().__init__(f"{name} ended by itself{how}; the end of {log}:\n{tail.strip() or '(the log is empty)'}")


@dataclass
class Memory:
    """What a data folder remembers of its demo, in `demo.json`."""

    seed: int
    workers: int
    ports: dict[str, int] = field(default_factory=dict)
    secret_key: str = ""
    token: str = ""
    accounts: list[Account] = field(default_factory=list)
    seeded: bool = False
    schema: str = ""
    """Digest of the migrations that the database has."""
    version: int = MEMORY_VERSION

    @classmethod
    def read(cls, path: Path) -> Memory | None:
        """Read it back; None when there is none, `DemoCannotRun` when it cannot be used."""
        if not path.exists():
            return None
        try:
            raw: dict[str, Any] = json.loads(path.read_text())
            accounts = [Account(**row) for row in raw.pop("accounts")]
            memory = cls(**raw, accounts=accounts)
        except (ValueError, TypeError, KeyError) as exc:
            raise DemoCannotRun(f"{path} cannot be read ({exc}): start over with --fresh") from exc
        if memory.version != MEMORY_VERSION:
            raise DemoCannotRun(f"{path} is of another version of the demo: start over with --fresh")
        return memory

    def write(self, path: Path) -> None:
        """Write it so that a crash leaves the old one or the new one."""
        draft = path.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False))
        draft.replace(path)


class Ground:
    """A data folder that this process holds. Nothing outside it is written, but for root's database (see below)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._lock: int | None = None

    @property
    def memory_path(self) -> Path:
        """Where the demo remembers."""
        return self.folder / "demo.json"

    @property
    def postgres(self) -> Path:
        """The database's folder. PostgreSQL refuses root, so under root it must lie where another user can reach it."""
        inside = self.folder / "postgres"
        if os.geteuid() != 0 or all(parent.stat().st_mode & 0o001 for parent in self.folder.parents):
            return inside
        name = hashlib.sha256(str(self.folder).encode()).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"ccs-demo-{name}" / "postgres"

    def take(self, *, fresh: bool) -> None:
        """Take the folder for this process, emptied when `fresh`; raise `DemoCannotRun` when another demo has it."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise DemoCannotRun(
                f"the data folder {self.folder} cannot be used ({exc.strerror}): name another with --data"
            ) from exc
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            owner = (self.folder / "lock").read_text().strip()
            self.release()
            raise DemoCannotRun(
                f"another demo (process {owner or 'unknown'}) runs in {self.folder}: "
                "stop it with Ctrl-C, or name another folder with --data"
            ) from exc
        os.truncate(self._lock, 0)
        os.write(self._lock, str(os.getpid()).encode())
        try:
            self._prepare(fresh=fresh)
        except BaseException:
            self.release()
            raise

    def _prepare(self, *, fresh: bool) -> None:
        foreign = sorted(entry.name for entry in self.folder.iterdir() if entry.name not in _OURS)
        if foreign:
            raise DemoCannotRun(
                f"{self.folder} holds something else than a demo ({', '.join(foreign[:3])}): "
                "nothing was touched; name a new folder with --data"
            )
        if fresh or not self.memory_path.exists():  # without a memory it is a first start that was cut short
            self._empty()
        for folder in (self.folder / "logs", self.folder / "terminals", self.postgres.parent):
            folder.mkdir(exist_ok=True)

    def _empty(self) -> None:
        if self.postgres.parent != self.folder:
            shutil.rmtree(self.postgres.parent, ignore_errors=True)
        for entry in self.folder.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            elif entry.name != "lock":
                entry.unlink()

    def release(self) -> None:
        """Give the folder back."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def is_free(port: int) -> bool:
    """Whether a server could listen on a loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return True
    return False


def choose_ports(
    remembered: Mapping[str, int], *, port_base: int | None = None, web_port: int | None = None
) -> dict[str, int]:
    """Choose a port for each of `PORT_NAMES`.

    Ports asked for must be free: `DemoCannotRun` names the one that is taken. Others are those of the last start, so
    that open pages find their server again, else the usual ones, else any that are free.
    """
    wanted: dict[str, int] = {}
    if port_base is not None:
        wanted = {name: port_base + offset for offset, name in enumerate(PORT_NAMES)}
    if web_port is not None:
        wanted["web"] = web_port
    for name, port in wanted.items():
        if not 0 < port <= PORT_MAX:
            raise DemoCannotRun(f"port {port} (for {name}) does not exist: choose 1024 to {PORT_MAX - len(PORT_NAMES)}")
        if not is_free(port):
            raise DemoCannotRun(
                f"port {port} (for {name}) is taken: choose others with --port-base or --web-port, "
                "or leave them out and free ones are found"
            )
    if len(set(wanted.values())) != len(wanted):
        raise DemoCannotRun(f"--web-port {web_port} is one of the ports that --port-base {port_base} takes: move one")
    ports = dict(wanted)
    for offset, name in enumerate(PORT_NAMES):
        if name in ports:
            continue
        candidates = [port for port in (remembered.get(name), USUAL_PORT_BASE + offset) if port]
        usable = [port for port in candidates if port not in ports.values() and is_free(port)]
        ports[name] = usable[0] if usable else _another(ports)
    return ports


def _another(ports: Mapping[str, int]) -> int:
    while (port := free_port()) in ports.values():
        pass
    return port


def create_anew(connection: psycopg.Connection[Any], database: str) -> None:
    """Create an empty database. A start that was cut short may still be creating it: then it is dropped once more."""
    for left in reversed(range(CREATE_TRIES_MAX)):
        connection.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)'.encode())
        try:
            connection.execute(f'CREATE DATABASE "{database}"'.encode())
        except (psycopg.errors.UniqueViolation, psycopg.errors.DuplicateDatabase):
            if not left:
                raise
        else:
            return


def remembered(ground: Ground, *, seed: int | None, workers: int | None) -> Memory:
    """Read what a folder remembers, or begin; raise `DemoCannotRun` when it remembers another demo than asked for."""
    memory = Memory.read(ground.memory_path)
    if memory is None:
        memory = Memory(seed=seed or 1, workers=workers or 200, accounts=list(new_accounts()))
        memory.secret_key = secrets.token_hex(SECRET_BYTES)
    for name, asked, has in (("seed", seed, memory.seed), ("workers", workers, memory.workers)):
        if asked is not None and asked != has:
            raise DemoCannotRun(
                f"{ground.folder} holds a demo with --{name} {has}, not {asked}: "
                f"add --fresh to start over, or leave --{name} out"
            )
    return memory
