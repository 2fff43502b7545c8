"""Real readers for the edge's tests: one private pcscd a test process, put right again before every test."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from simulators.pcscd import PrivatePcscd
from simulators.reader_bench import NfcBench, PcscBench, ReaderBench, SocketBench

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def pcscd_process() -> Iterator[PrivatePcscd]:
    """The daemon. libpcsclite reads where it is once a process, so there is one for all tests of this process."""
    with tempfile.TemporaryDirectory(prefix="ccs-pcscd-", ignore_cleanup_errors=True) as folder:
        daemon = PrivatePcscd(Path(folder), reader="ACS ACR122U Gate A")
        daemon.start()
        with pytest.MonkeyPatch.context() as patch:
            for name, value in daemon.environment.items():
                patch.setenv(name, value)
            yield daemon
        daemon.stop()


@pytest.fixture
def pcscd(pcscd_process: PrivatePcscd) -> PrivatePcscd:
    """The daemon, running, with its reader plugged in and no card on it."""
    pcscd_process.ensure_running()
    return pcscd_process


@pytest.fixture
def pcsc_bench(pcscd: PrivatePcscd) -> Iterator[PcscBench]:
    """A hand at the virtual PC/SC reader."""
    bench = PcscBench(pcscd)
    yield bench
    bench.take_away()


@pytest.fixture(params=["pcsc", "nfc-106A", "nfc-212F", "socket"])
def reader_bench(request: pytest.FixtureRequest) -> Iterator[ReaderBench]:
    """Each driver in turn."""
    if request.param == "pcsc":
        yield request.getfixturevalue("pcsc_bench")
    elif request.param == "socket":
        yield SocketBench()
    else:
        with NfcBench(felica=request.param == "nfc-212F") as bench:
            yield bench
