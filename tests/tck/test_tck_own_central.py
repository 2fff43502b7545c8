"""Our own central before the kit: broker, worker, web and PostgreSQL as processes, killed once in between."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg
import pytest

from central.identity.accounts import create_token
from central.identity.permissions import Permission
from central.kit.db import make_engine, write_session
from central.kit.migrate import upgrade
from simulators.processes import CentralProgram, make_keys
from simulators.servers import MosquittoBroker, PostgresServer
from simulators.tck.central_bench import CentralPatience
from simulators.tck.central_setup import CentralWish, examine_wish
from simulators.tck.report import as_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.system, pytest.mark.slow]

UNTESTED = {"INC-03.51"}
"""Judged only where an incident is retained."""


@pytest.fixture
def own_postgres(server_folder: Path) -> Iterator[PostgresServer]:
    """A server that may be killed, and writes as in production."""
    server = PostgresServer(server_folder / "postgres-tck", settings={"shared_buffers": "32MB"})
    server.start()
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE ccs")
    upgrade(server.url("ccs"))
    yield server
    server.stop()


@pytest.mark.promise("DUR-02")
@pytest.mark.promise("DUR-05")
@pytest.mark.promise("DUR-06")
def test_our_own_central_passes_every_check(
    tmp_path: Path, own_postgres: PostgresServer, mosquitto: MosquittoBroker
) -> None:
    """Mutant: those of tests/tck/test_tck_bad_central.py, in our own worker."""
    url = own_postgres.url("ccs")
    keys = make_keys(tmp_path / "keys")
    worker = CentralProgram("worker", tmp_path / "central", url, mosquitto.url, keys)
    web = CentralProgram("web", tmp_path / "central", url, mosquitto.url, keys)
    engine = make_engine(url, pool_size=1)
    with write_session(engine) as session:
        scopes = [str(permission) for permission in Permission]
        now = datetime.now(UTC)
        _, secret = create_token(
            session, name="tck", scopes=scopes, site=None, expires_at=None, actor="system:test", now=now
        )
    engine.dispose()
    crash = tmp_path / "crash"
    try:
        worker.start()
        web.start()
        wish = CentralWish(
            url=mosquitto.url,
            site="tck",
            codes=("gate-01", "gate-02", "gate-99"),
            api=web.url,
            token=secret,
            prepare=True,
            public_key=keys.public_key,
            patience=CentralPatience(),
        )

        def killed() -> None:
            worker.program.kill()
            own_postgres.kill()
            own_postgres.start()
            worker.start()
            crash.touch()

        report = examine_wish(replace(wish, crash=killed), lambda _stage: None)
    finally:
        worker.program.stop()
        web.program.stop()
    told = json.loads(as_json(report))
    failed = [check for check in told["checks"] if check["outcome"] == "failed"]
    assert not failed, json.dumps(failed, indent=1, ensure_ascii=False)
    assert report.complete, report.notes
    assert set(report.numbers("untested")) <= UNTESTED, report.verdicts
    assert crash.exists()
