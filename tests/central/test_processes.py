from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from simulators.servers import EmbeddedBroker, accepts, free_port, wait_until


@pytest.mark.system
@pytest.mark.parametrize("role", ["web", "all"])
def test_a_process_serves_and_ends_in_order_on_a_signal(
    database_url: str, embedded_broker: EmbeddedBroker, tmp_path: Path, role: str
) -> None:
    port = free_port()
    env = os.environ | {
        "CCS_DATABASE_URL": database_url,
        "CCS_MQTT_URL": embedded_broker.url,
        "CCS_SECRET_KEY": "s" * 32,
        "CCS_WEB_PORT": str(port),
    }
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, "-m", "central", role], env=env, stdout=out, stderr=out)
    try:
        wait_until(lambda: process.poll() is not None or accepts(port), what=f"central {role} to listen", timeout_s=120)
        assert process.poll() is None, log.read_text()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, log.read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
