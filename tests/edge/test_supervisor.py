"""Loops that fail, hang and stop, and what the service manager hears."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from edge_agent.supervisor import RESTARTS_MAX, Budget, Heart, Loop, Notifier, Supervisor
from simulators.servers import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Lines:
    """A log that keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[tuple[str, dict[str, object]]] = []

    def info(self, event: str, **values: object) -> None:
        self.said.append((event, values))

    error = info

    def events(self) -> list[str]:
        return [event for event, _ in self.said]


@pytest.fixture
def service_manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(tmp_path / "notify"))
        channel.settimeout(10)
        yield channel


def turning(stop: threading.Event, heart: Heart) -> None:
    while not stop.wait(0.02):
        heart.beat()


def run_in_thread(supervisor: Supervisor) -> tuple[threading.Thread, list[bool]]:
    results: list[bool] = []
    thread = threading.Thread(target=lambda: results.append(supervisor.run()))
    thread.start()
    return thread, results


def test_a_loop_that_fails_is_started_again() -> None:
    runs = threading.Semaphore(0)

    def failing(stop: threading.Event, _heart: Heart) -> None:
        runs.release()
        if not stop.is_set():
            raise ValueError("the cable is out")

    log = Lines()
    supervisor = Supervisor([Loop("reader", failing)], log=log)
    thread, results = run_in_thread(supervisor)
    assert all(runs.acquire(timeout=10) for _ in range(2))
    supervisor.request_stop()
    thread.join(10)
    assert results == [True]
    assert ("loop_failed", "ValueError: the cable is out") in [(event, said.get("reason")) for event, said in log.said]


def test_a_loop_that_keeps_failing_ends_the_agent_with_the_reason() -> None:
    def failing(_stop: threading.Event, _heart: Heart) -> None:
        raise ValueError("the cable is out")

    log = Lines()
    supervisor = Supervisor([Loop("reader", failing, restarts_max=1), Loop("uplink", turning)], log=log)
    assert supervisor.run() is False
    assert "loop reader failed more than 1 times: ValueError: the cable is out" in str(log.said)


def test_a_loop_that_returns_early_counts_as_failed() -> None:
    log = Lines()
    assert Supervisor([Loop("uplink", lambda _stop, _heart: None, restarts_max=0)], log=log).run() is False
    assert "it returned" in str(log.said)


def test_the_budget_forgets_what_is_long_ago() -> None:
    budget = Budget(restarts_max=2, window_s=60)
    assert [budget.failed(now) is None for now in (0.0, 10.0, 80.0, 81.0, 82.0)] == [False, False, False, False, True]
    assert RESTARTS_MAX >= 1


def test_the_watchdog_is_fed_while_all_loops_beat(service_manager: socket.socket, tmp_path: Path) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "300000"})
    supervisor = Supervisor([Loop("uplink", turning)], log=Lines(), notifier=notifier)
    thread, results = run_in_thread(supervisor)
    assert service_manager.recv(200).startswith(b"READY=1")
    assert [service_manager.recv(200) for _ in range(3)] == [b"WATCHDOG=1"] * 3
    supervisor.request_stop()
    thread.join(10)
    heard = b""
    while heard != b"STOPPING=1":
        heard = service_manager.recv(200)
    assert results == [True]


@pytest.mark.usefixtures("service_manager")
def test_a_loop_that_hangs_is_not_covered_for(tmp_path: Path) -> None:
    """Mutant: the watchdog is fed whatever the hearts say."""

    def hanging(stop: threading.Event, _heart: Heart) -> None:
        stop.wait()

    log = Lines()
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "150000"})
    loops = [Loop("disk", hanging, stale_s_max=0.2), Loop("uplink", turning)]
    assert Supervisor(loops, log=log, notifier=notifier).run() is False
    assert "no sign of life from: disk" in str(log.said)


def test_a_loop_that_waits_for_the_world_may_be_silent() -> None:
    heart = Heart(stale_s_max=1.0)
    heart.rest()
    assert heart.alive(10**9)
    heart.beat()
    assert not heart.alive(10**9)


_PROGRAM = """
import threading
from edge_agent.supervisor import Loop, Supervisor
class Log:
    def info(self, event, **values): print(event, flush=True)
    error = info
def turning(stop, heart):
    print("turning", flush=True)
    stop.wait()
    print("released", flush=True)
supervisor = Supervisor([Loop("gate", turning)], log=Log())
supervisor.stop_on_signals()
print(supervisor.run(), flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_every_loop_in_order(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", _PROGRAM], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "turning\n"
        os.kill(child.pid, number)
        rest = child.stdout.read().split()
    assert rest == ["stop_asked", "released", "True"]
    assert child.returncode == 0


def test_a_loop_that_does_not_stop_is_named_and_left_behind() -> None:
    started, release = threading.Event(), threading.Event()
    log = Lines()

    def stuck(_stop: threading.Event, _heart: Heart) -> None:
        started.set()
        release.wait()

    supervisor = Supervisor([Loop("stuck", stuck)], log=log)
    thread, results = run_in_thread(supervisor)
    assert started.wait(10)
    supervisor.request_stop()
    wait_until(lambda: "loop_hangs" in log.events(), what="the supervisor to lose patience")
    thread.join(10)
    release.set()
    assert results == [True]
