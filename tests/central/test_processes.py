from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from simulators.servers import EmbeddedBroker, accepts, free_port, wait_until


def free_ports(count: int) -> int:
    """Find a port that is free together with those after it."""
    while True:
        first = free_port()
        with contextlib.suppress(OSError), contextlib.ExitStack() as held:
            for port in range(first, first + count):
                held.enter_context(socket.create_server(("127.0.0.1", port)))
            return first


@pytest.mark.system
@pytest.mark.parametrize("role", ["web", "all"])
def test_a_process_serves_and_ends_in_order_on_a_signal(
    database_url: str, embedded_broker: EmbeddedBroker, tmp_path: Path, role: str
) -> None:
    port, metrics_port = free_port(), free_ports(3)
    env = os.environ | {
        "CCS_DATABASE_URL": database_url,
        "CCS_MQTT_URL": embedded_broker.url,
        "CCS_SECRET_KEY": "s" * 32,
        "CCS_WEB_PORT": str(port),
        "CCS_METRICS_PORT": str(metrics_port),
    }
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, "-m", "central", role], env=env, stdout=out, stderr=out)
    try:
        wait_until(lambda: process.poll() is not None or accepts(port), what=f"central {role} to listen", timeout_s=120)
        assert process.poll() is None, log.read_text()
        assert "ccs_headcount_readings" in httpx.get(f"http://127.0.0.1:{metrics_port}/metrics").text
        assert httpx.get(f"http://127.0.0.1:{metrics_port}/readyz").text == "ok\n"
        assert httpx.get(f"http://127.0.0.1:{port}/metrics").status_code == 404
        if role == "all":
            assert "ccs_ingest" in httpx.get(f"http://127.0.0.1:{metrics_port + 1}/metrics").text
            assert "ccs_job" in httpx.get(f"http://127.0.0.1:{metrics_port + 2}/metrics").text
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, log.read_text()
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        assert {line["process"] for line in lines} <= {role}
        assert role == "web" or lines
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
