"""A whole installation on this machine for a city to play on: PostgreSQL, Mosquitto, central; and how large each is."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psycopg

from central.identity.accounts import create_token
from central.kit.db import make_engine, write_session
from central.kit.migrate import upgrade
from simulators.processes import CentralProgram, make_keys
from simulators.servers import MosquittoBroker, PostgresServer

if TYPE_CHECKING:
    from types import TracebackType

DATABASE = "ccs_city"
# What a city's one machine would be given; everything else is PostgreSQL's own choice.
POSTGRES = {"shared_buffers": "1GB", "max_wal_size": "8GB", "checkpoint_timeout": "15min"}
# The tests' broker saves its queue at every change; here that would measure the saving.
BROKER = "set_tcp_nodelay true\nautosave_on_changes false\nautosave_interval 1800\nmax_connections -1"

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass
class Stage:
    """Use as a context: everything is started, and stopped and removed in the end."""

    workers: int = 1
    """Ingest workers."""
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="ccs-city-")))

    def __enter__(self) -> Self:
        """Start database and broker; `start_central` follows once the registry is filled."""
        self.folder.chmod(0o755)
        data = self.folder / "pg"
        data.mkdir()
        data.chmod(0o777)
        self.keys = make_keys(self.folder / "keys")
        self.postgres = PostgresServer(data / "data", settings=POSTGRES, dies_with_us=True)
        self.broker = MosquittoBroker(self.folder / "mosquitto", extra=BROKER, dies_with_us=True)
        self.central: list[CentralProgram] = []
        try:
            self.postgres.start()
            self.broker.start()
            with psycopg.connect(self.postgres.url(), autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {DATABASE}")
            upgrade(self.database_url)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def database_url(self) -> str:
        """Return the address of the city's database."""
        return self.postgres.url(DATABASE)

    @property
    def web_url(self) -> str:
        """Return the web's address."""
        return self.central[0].url

    def start_central(self) -> None:
        """Start one web process and the workers."""
        names = ["web", *(f"worker-{number}" for number in range(1, self.workers + 1))]
        for name in names:
            role = name.partition("-")[0]
            program = CentralProgram(role, self.folder, self.database_url, self.broker.url, self.keys, name=name)
            if role == "worker":
                program.program.command += ["--name", name]
            program.program.dies_with_us = True
            self.central.append(program)
            program.start()

    def token(self) -> str:
        """Make a token that may read every headcount."""
        engine = make_engine(self.database_url, pool_size=1)
        with write_session(engine) as session:
            _, secret = create_token(
                session,
                name="city",
                scopes=["site:headcount:read"],
                site=None,
                expires_at=None,
                actor="system:city",
                now=datetime.now(UTC),
            )
        engine.dispose()
        return secret

    def memory_mb(self) -> dict[str, float]:
        """Return the resident memory of each part, in MB; PostgreSQL's shared pages are counted once."""
        found = {}
        for program in self.central:
            child = program.program.child
            found[program.program.name] = _resident_mb(child.pid) if child else 0.0
        found["broker"] = _resident_mb(self.broker.pid or 0)
        found["postgres"] = _family_mb(self.postgres.pid or 0)
        return found

    def processor_s(self) -> dict[str, float]:
        """Return the processor time each part has used since it started, in seconds."""
        found = {}
        for program in self.central:
            child = program.program.child
            found[program.program.name] = _processor_s(child.pid) if child else 0.0
        found["broker"] = _processor_s(self.broker.pid or 0)
        found["postgres"] = sum(map(_processor_s, _family(self.postgres.pid or 0)))
        return found

    def database_mb(self) -> float:
        """Return the size of the database on disk, in MB."""
        with psycopg.connect(self.database_url) as connection:
            row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
        return row[0] / 1e6 if row else 0.0

    def close(self) -> None:
        """Stop everything and remove the folder."""
        for program in reversed(self.central):
            program.program.stop()
        self.broker.stop()
        self.postgres.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def _status(pid: int, name: str) -> float:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) * 1024 / 1e6 for line in text.splitlines() if line.startswith(name)), 0.0)


def _resident_mb(pid: int) -> float:
    return _status(pid, "VmRSS:")


def _family(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *map(int, children)]


def _processor_s(pid: int) -> float:
    """Add up a process's own time and that of its children that have ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / _TICKS_A_SECOND


def _family_mb(pid: int) -> float:
    """Add up the private pages of a process and its children, and the largest share of the pages they have together."""
    family = _family(pid)
    shared = max((_status(one, "RssShmem:") for one in family), default=0.0)
    return sum(_status(one, "RssAnon:") for one in family) + shared
