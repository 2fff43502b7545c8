"""Hosts of their own on one machine: network namespaces whose link is cut, made lossy or slow. Linux, root.

A namespace hangs on a veth cable. Programs are started in it with `command`; a thread that opens sockets there uses
`entered`. What can be done to the link is done at this machine's end of the cable or with nftables inside.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

TOOLS = ("ip", "nft", "tc")
_CLONE_NEWNET = 0x40000000
_SUBNETS = 2**15
_numbers = itertools.count()


class NoNamespaces(RuntimeError):
    """Network namespaces cannot be made here; the message says why and what to do."""


class NetworkNamespace:
    """A host with one cable to this machine. Use as a context; raises `NoNamespaces` on entering."""

    def __init__(self) -> None:
        number = (os.getpid() * 8 + next(_numbers)) % _SUBNETS
        # 198.18.0.0/15 is set aside for measuring networks: nothing real is hidden by it.
        net = (198 << 24) + (18 << 16) + number * 4
        self.name = f"ccs{number}"
        self.address_here = _dotted(net + 1)
        """This machine as the namespace sees it: servers for it listen here, once entered."""
        self.address_there = _dotted(net + 2)
        self._cable_here, self._cable_there = f"ccs{number}h", f"ccs{number}t"

    def __enter__(self) -> Self:
        missing = [tool for tool in TOOLS if shutil.which(tool) is None]
        if missing:
            raise NoNamespaces(f"{', '.join(missing)} not found: apt-get install iproute2 nftables")
        if os.geteuid() != 0:
            raise NoNamespaces("network namespaces need root: run these tests as root")
        _run("ip", "netns", "add", self.name)
        try:
            self._lay_cable()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._remove()

    def _lay_cable(self) -> None:
        here, there = self._cable_here, self._cable_there
        _run("ip", "link", "add", here, "type", "veth", "peer", "name", there, "netns", self.name)
        _run("ip", "address", "add", f"{self.address_here}/30", "dev", here)
        _run("ip", "link", "set", here, "up")
        self._inside("ip", "link", "set", "lo", "up")
        self._inside("ip", "address", "add", f"{self.address_there}/30", "dev", there)
        self._inside("ip", "link", "set", there, "up")

    def _remove(self) -> None:
        subprocess.run(["ip", "netns", "delete", self.name], check=False, capture_output=True)

    def _inside(self, *command: str) -> None:
        _run("ip", "netns", "exec", self.name, *command)

    def command(self, command: list[str]) -> list[str]:
        """Return the command that runs `command` in the namespace, in the same process."""
        return ["ip", "netns", "exec", self.name, *command]

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Let this thread open sockets in the namespace; those already open stay where they are."""
        back = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            there = os.open(Path("/run/netns") / self.name, os.O_RDONLY)
            try:
                _set_namespace(there)
            finally:
                os.close(there)
            try:
                yield
            finally:
                _set_namespace(back)
        finally:
            os.close(back)

    def cut(self) -> None:
        """Pull the cable: nothing gets through, and nobody is told that a connection ended."""
        _run("ip", "link", "set", self._cable_here, "down")

    def plug_in(self) -> None:
        """Plug the cable in again, as lossy or slow as it was made."""
        _run("ip", "link", "set", self._cable_here, "up")

    def mend(self) -> None:
        """Plug the cable in again, and let through what was dropped or slowed."""
        self.plug_in()
        for command in (
            self.command(["nft", "delete", "table", "inet", "ccs_loss"]),
            self.command(["tc", "qdisc", "delete", "dev", self._cable_there, "root"]),
            ["tc", "qdisc", "delete", "dev", self._cable_here, "root"],
        ):
            subprocess.run(command, check=False, capture_output=True)  # there may be nothing to undo

    def lose(self, percent: int) -> None:
        """Drop this share of the packets, each way, at random (the kernel's own)."""
        self._inside("nft", "add", "table", "inet", "ccs_loss")
        for hook, cable in (("input", "iifname"), ("output", "oifname")):
            chain = f"{{ type filter hook {hook} priority 0; }}"
            self._inside("nft", "add", "chain", "inet", "ccs_loss", hook, chain)
            rule = f"{cable} {self._cable_there} numgen random mod 100 < {percent} drop"
            self._inside("nft", "add", "rule", "inet", "ccs_loss", hook, *rule.split())

    def swallow(self, ports_there: list[int]) -> None:
        """Drop what belongs to connections from these ports there: the far end has vanished; new connections work."""
        self._inside("nft", "add", "table", "inet", "ccs_loss")
        for hook, port in (("input", "dport"), ("output", "sport")):
            chain = f"{{ type filter hook {hook} priority 0; }}"
            self._inside("nft", "add", "chain", "inet", "ccs_loss", f"swallow_{hook}", chain)
            for number in ports_there:
                rule = ("tcp", port, str(number), "drop")
                self._inside("nft", "add", "rule", "inet", "ccs_loss", f"swallow_{hook}", *rule)

    def slow(self, kbit_s: int) -> None:
        """Let no more through than so many kilobits a second, each way; what waits longer than 2 s is dropped."""
        shape = ["root", "tbf", "rate", f"{kbit_s}kbit", "burst", "4kb", "latency", "2s"]
        _run("tc", "qdisc", "replace", "dev", self._cable_here, *shape)
        self._inside("tc", "qdisc", "replace", "dev", self._cable_there, *shape)


def _dotted(address: int) -> str:
    return ".".join(str(address >> shift & 255) for shift in (24, 16, 8, 0))


def _run(*command: str) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise NoNamespaces(
            f"{' '.join(command)}: {done.stderr.strip()}: this kernel or container does not allow it; run as root on"
            " a machine with network namespaces"
        )


def _set_namespace(descriptor: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.setns(descriptor, _CLONE_NEWNET) != 0:
        raise NoNamespaces(f"setns: {os.strerror(ctypes.get_errno())}")
