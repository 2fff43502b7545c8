"""A private pcscd with a virtual reader: the real daemon in its own mount namespace, beside any other, without root.

The reader can be unplugged and plugged in, and the daemon killed and started again. Bench times, not hardware: pcscd
polls a virtual reader every 400 ms or so, so a card held for less may go unseen.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from simulators.children import ChildProcess
from simulators.servers import ServerUnavailable, wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

SLOTS = 2
_PORTS = range(21000, 29000, SLOTS)
_SOURCE = Path(__file__).parent / "ifd" / "usb_reader.c"
_VPCD = ("/usr/lib/pcsc/drivers/serial/libifdvpcd.so", "/usr/lib/x86_64-linux-gnu/pcsc/drivers/serial/libifdvpcd.so")

_ENTER = """
set -e
mount -t tmpfs tmpfs /run
mkdir /run/pcscd
mount --bind "$2" /run/pcscd
mount --bind "$3" /usr/lib/pcsc/drivers
export CCS_USB_BUS="$4" LD_PRELOAD="$5" CCS_USB_VPCD="$6" CCS_USB_PORT="$8"
exec "$1" --foreground --config "$7"
"""

_INFO = """<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0"><dict>
<key>CFBundleExecutable</key><string>usb_reader.so</string>
<key>ifdVendorID</key><array><string>0xCC5E</string></array>
<key>ifdProductID</key><array><string>0x0001</string></array>
<key>ifdFriendlyName</key><array><string>{reader}</string></array>
</dict></plist>
"""


class PrivatePcscd:
    """One daemon with one virtual reader of two slots, `{reader} 00 00` and `{reader} 00 01`.

    Clients find it by `environment` (`PCSCLITE_CSOCK_NAME`), which libpcsclite reads once a process. `ports` are where
    the virtual cards of the slots connect.
    """

    def __init__(self, folder: Path, *, reader: str = "Gate A") -> None:
        self.folder = folder
        self.reader = reader
        self.first_port = _free_port_pair()
        self._process: ChildProcess | None = None

    @property
    def ports(self) -> tuple[int, ...]:
        """Where a virtual card connects, a slot each."""
        return tuple(self.first_port + slot for slot in range(SLOTS))

    @property
    def readers(self) -> tuple[str, ...]:
        """The readers' names as PC/SC lists them."""
        return tuple(f"{self.reader} 00 {slot:02d}" for slot in range(SLOTS))

    @property
    def environment(self) -> Mapping[str, str]:
        """What a client process needs in its environment before it first talks to PC/SC."""
        return {"PCSCLITE_CSOCK_NAME": str(self._run / "pcscd.comm")}

    def start(self) -> None:
        """Start, and wait until it serves and its reader's ports accept (unless unplugged)."""
        self._install()
        (self._run / "pcscd.comm").unlink(missing_ok=True)
        namespace = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
        paths = [self._run, self._drivers, self._bus, self._library, self.folder / "libifdvpcd.so", self._configuration]
        command = [*namespace, "sh", "-c", _ENTER, "sh", _pcscd(), *map(str, paths), str(self.first_port)]
        # the kernel watches the starting thread: only the main one lives as long as the process
        last_words = signal.SIGKILL if threading.current_thread() is threading.main_thread() else None
        self._process = ChildProcess(command, log=self._log, last_words=last_words)
        self._process.start()
        wait_until(self._serving, what="pcscd to serve")
        if (self._bus / "reader").exists():
            self._wait_for_ports()

    def ensure_running(self) -> None:
        """Start it if it is down, plug the reader in if it is not, and wait until no card is on it."""
        if self._process is None or not self._process.running:
            self.start()
        self.plug()
        self.wait_until_empty()

    def stop(self) -> None:
        """Stop in an orderly way."""
        if self._process:
            self._process.signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill with SIGKILL; its files stay where they are."""
        if self._process:
            self._process.signal(signal.SIGKILL)

    def unplug(self) -> None:
        """Pull the reader's cable, with any card that is on it, and wait until a running daemon knows."""
        self.pull_cable()
        if self._process and self._process.running:
            wait_until(lambda: not any(map(_listening, self.ports)), what="pcscd to remove the reader")

    def wait_until_empty(self) -> None:
        """Wait until the daemon has noticed that the last cards were taken away, which a poll later it has."""
        for port in self.ports:
            wait_until(lambda port=port: not _connected(port), what="pcscd to notice the empty reader")  # type: ignore[misc]

    def pull_cable(self) -> None:
        """Pull the reader's cable and go on at once."""
        (self._bus / "reader").unlink(missing_ok=True)

    def plug(self) -> None:
        """Put the reader's cable back and wait for it while the daemon runs."""
        (self._bus / "reader").touch()
        if self._process and self._process.running:
            self._wait_for_ports()

    def _wait_for_ports(self) -> None:
        for port in self.ports:
            wait_until(lambda port=port: _listening(port), what=f"the virtual reader's port {port}")  # type: ignore[misc]

    def _serving(self) -> bool:
        process = self._process
        if process is None or not process.running:
            raise ServerUnavailable(f"pcscd stopped while starting:\n{process.tail() if process else ''}")
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(self.environment["PCSCLITE_CSOCK_NAME"]) == 0

    @property
    def _run(self) -> Path:
        return self.folder / "run"

    @property
    def _log(self) -> Path:
        return self.folder / "pcscd.log"

    @property
    def _bus(self) -> Path:
        return self.folder / "usb"

    @property
    def _drivers(self) -> Path:
        return self.folder / "drivers"

    @property
    def _library(self) -> Path:
        return self._drivers / "usb_reader.bundle" / "Contents" / "Linux" / "usb_reader.so"

    @property
    def _configuration(self) -> Path:
        return self.folder / "reader.conf.d"

    def _install(self) -> None:
        if self._library.exists():
            return
        for folder in (self._run, self._bus, self._configuration, self._library.parent):
            folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_vpcd(), self.folder / "libifdvpcd.so")
        (self._library.parent.parent / "Info.plist").write_text(_INFO.format(reader=self.reader))
        compiler = shutil.which("cc")
        if compiler is None:
            raise ServerUnavailable("no C compiler: apt-get install gcc libpcsclite-dev")
        command = [compiler, "-shared", "-fPIC", "-I/usr/include/PCSC", str(_SOURCE), "-o", str(self._library), "-ldl"]
        built = subprocess.run(command, capture_output=True, text=True, check=False)
        if built.returncode:
            raise ServerUnavailable(f"{_SOURCE.name} does not compile (libpcsclite-dev there?):\n{built.stderr}")
        (self._bus / "reader").touch()


def _pcscd() -> str:
    program = shutil.which("pcscd") or shutil.which("pcscd", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise ServerUnavailable("pcscd is not installed: apt-get install pcscd")
    return program


def _vpcd() -> str:
    for path in _VPCD:
        if Path(path).exists():
            return path
    raise ServerUnavailable("the virtual reader driver is not installed: apt-get install vsmartcard-vpcd")


def _free_port_pair() -> int:
    """Two neighbouring ports outside the ephemeral range, on all interfaces as vpcd listens."""
    start = os.getpid() % len(_PORTS)
    for offset in range(len(_PORTS)):
        first = _PORTS[(start + offset) % len(_PORTS)]
        if all(_bindable(first + slot) for slot in range(SLOTS)):
            return first
    raise ServerUnavailable(f"no two free neighbouring ports in {_PORTS.start} to {_PORTS.stop}")


def _bindable(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


_LISTEN, _ESTABLISHED, _CLOSE_WAIT = "0A", "01", "08"


def _listening(port: int) -> bool:
    """Whether a socket listens; asked of the kernel, because connecting would be inserting a card."""
    return _LISTEN in _socket_states(port)


def _connected(port: int) -> bool:
    """Whether the driver still holds a card's connection, the card's end of which may be closed."""
    return not _socket_states(port).isdisjoint({_ESTABLISHED, _CLOSE_WAIT})


def _socket_states(port: int) -> set[str]:
    """The states of this port's sockets on its own side, as the kernel numbers them."""
    lines = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return {words[3] for words in lines if words[1].endswith(f":{port:04X}")}
