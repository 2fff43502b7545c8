"""A central shared by a module's tests, each of which registers a site of its own; and a host behind a cable."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from simulators.estate import Estate
from simulators.netns import NetworkNamespace, NoNamespaces
from simulators.servers import MosquittoBroker, PostgresServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def cable() -> Iterator[NetworkNamespace]:
    """A host of its own behind a cable. Not to be had without root: that is a reason to skip, but never for root."""
    try:
        with NetworkNamespace() as namespace:
            yield namespace
    except NoNamespaces as exc:
        if os.geteuid() == 0:
            raise
        pytest.skip(str(exc))


@pytest.fixture(scope="module")
def estate(
    postgres: PostgresServer, cable: NetworkNamespace, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Estate]:
    """A broker that listens at the cable too, a worker, and a migrated database of the session's PostgreSQL."""
    folder = tmp_path_factory.mktemp("estate")
    name = f"ccs_{folder.parent.name}_{folder.name}".replace("-", "_")
    with ExitStack() as stack:
        connection = stack.enter_context(psycopg.connect(postgres.url(), autocommit=True))
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE ccs_template')  # type: ignore[call-overload]
        stack.callback(connection.execute, f'DROP DATABASE "{name}" WITH (FORCE)')  # type: ignore[arg-type]
        broker = MosquittoBroker(folder / "mosquitto")
        broker.extra = f"listener {broker.port} {cable.address_here}"
        broker.start()
        stack.callback(broker.stop)
        running = Estate(folder, postgres.url(name), broker)
        stack.callback(running.worker.program.stop)
        running.worker.start()
        yield running


@pytest.fixture
def own_postgres(server_folder: Path, request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    """A PostgreSQL that syncs and may be killed, with an empty database `ccs`."""
    server = PostgresServer(server_folder / f"own-{request.node.name[:40]}", settings={"shared_buffers": "32MB"})
    server.start()
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE ccs")
    yield server
    server.stop()
