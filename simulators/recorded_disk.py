"""A disk that remembers every operation on one folder and can refuse any: for power cuts and errors at each of them.

What a power cut leaves is told by `platters`; here are the hooks below SQLite and below the journal's small files.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal
from unittest import mock

import apsw

from simulators.platters import Create, Delete, Operation, Platters, Rename, Resize, Sync, SyncFolder, Write

FaultKind = Literal["io_error", "full", "short_write", "forgetful_sync", "failed_sync", "read_error"]

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Fault:
    """The operation number `at` (for `read_error`: the read number) fails; with `lasting` so do all after it."""

    at: int
    kind: FaultKind
    lasting: bool = False


class RecordedDisk(apsw.VFS):
    """The disk of `folder`. Use `name` as the journal's `vfs`, inside `with disk.mounted():`."""

    def __init__(self, folder: Path, fault: Fault | None = None) -> None:
        self.name = f"recorded-{next(_numbers)}"
        self.folder = folder
        self.fault = fault
        self.log: list[Operation] = []
        """What happened, failed operations as far as they came."""
        self.platters = Platters()
        """Where that leaves stable storage now."""
        self.asked: list[str] = []
        """What was asked for, by the number of the operation."""
        self.reads = 0
        self.struck = 0
        """How often the fault was met."""
        self.capacity_bytes: int | None = None
        self._inodes: dict[str, int] = {}
        self._count = itertools.count(1)
        super().__init__(self.name, "")

    @contextlib.contextmanager
    def mounted(self) -> Iterator[RecordedDisk]:
        """Let the journal's small files come here as well: whatever its module does, it does by `os`."""
        with mock.patch("edge_agent.journal.files.os", _RecordedOs(self)):
            yield self

    def xOpen(  # noqa: N802 - APSW's name
        self, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> _RecordedFile:
        """Open a file whose writes are recorded."""
        return _RecordedFile(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802, FBT001 - APSW's
        """Delete a name."""
        self.strike("delete")
        super().xDelete(filename, syncdir)
        self.note(Delete(self._forget(filename)))
        if syncdir:
            self.note(SyncFolder())

    def strike(self, what: str, *, growing: bool = False) -> Fault | None:
        """Count one operation; raise what the fault makes of it, or return the fault when it only maims."""
        number = len(self.asked)
        self.asked.append(what)
        fault = self.fault
        if fault is None or fault.kind == "read_error" or not _is_hit(fault, number):
            return None
        if fault.kind in {"forgetful_sync", "failed_sync"} and what != "sync":
            return None
        self.struck += 1
        if fault.kind == "short_write" and what == "write":
            return fault
        if what == "sync":
            return fault
        full = fault.kind in {"full", "short_write"} and (growing or what == "write")
        raise apsw.FullError("no space left on the recorded disk") if full else apsw.IOError("the recorded disk erred")

    def strike_read(self) -> None:
        """Count one read; raise when it is to fail."""
        number, self.reads = self.reads, self.reads + 1
        if self.fault is not None and self.fault.kind == "read_error" and _is_hit(self.fault, number):
            self.struck += 1
            raise apsw.IOError("the recorded disk could not be read")

    def note(self, operation: Operation) -> None:
        """Remember what was done."""
        self.log.append(operation)
        self.platters.take(operation)

    def inode(self, path: str, *, create: bool = True) -> int:
        """Return the number of a file, a new one when it is new."""
        name = Path(path).name
        if name not in self._inodes and create:
            self._inodes[name] = next(self._count)
            self.note(Create(name, self._inodes[name]))
        return self._inodes[name]

    def moved(self, path: str, target: str) -> None:
        """Remember a rename."""
        self._inodes[Path(target).name] = self._inodes.pop(Path(path).name)
        self.note(Rename(Path(path).name, Path(target).name))

    def _forget(self, path: str) -> str:
        self._inodes.pop(Path(path).name, None)
        return Path(path).name

    def used_bytes(self) -> int:
        """Return what the folder's files take together."""
        return sum(file.stat().st_size for file in self.folder.iterdir() if file.is_file())

    def free_bytes(self) -> int:
        """Return what is left of the capacity; a gibibyte when none is set."""
        return max(0, self.capacity_bytes - self.used_bytes()) if self.capacity_bytes is not None else 2**30

    def has_room(self, path: str, end: int) -> bool:
        """Whether a file may grow to `end` bytes."""
        held = Path(path).stat().st_size if Path(path).exists() else 0
        return end <= held or end - held <= self.free_bytes()

    def rot(self, name: str, found: bytes, changed: bytes) -> None:
        """Change bytes of a file that lies on stable storage, as a worn disk does."""
        path = self.folder / name
        content = path.read_bytes()
        place = content.index(found)
        path.write_bytes(content[:place] + changed + content[place + len(found) :])
        self.note(Write(self._inodes[name], place, changed))
        self.note(Sync(self._inodes[name]))

    def forget_unsynced(self, path: str) -> None:
        """Take from memory what a failed sync did not keep: the kernel may drop such pages at any time."""
        Path(path).write_bytes(bytes(self.platters.content.get(self._inodes[Path(path).name], b"")))


def _is_hit(fault: Fault, number: int) -> bool:
    return number == fault.at or (fault.lasting and number > fault.at)


class _RecordedFile(apsw.VFSFile):
    def __init__(self, disk: RecordedDisk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        text = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._disk = disk
        self._path = text or ""
        existed = bool(text) and Path(text or "").exists()
        super().__init__("", name, flags)
        self._names_unsynced = not existed and self._path.endswith(("-wal", "-journal"))
        if self._path:
            self._inode = disk.inode(self._path)

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802 - APSW's name
        self._disk.strike_read()
        return super().xRead(amount, offset)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - APSW's name
        if not self._path:
            super().xWrite(data, offset)
            return
        end = offset + len(data)
        fault = self._disk.strike("write", growing=True)
        if not self._disk.has_room(self._path, end):
            raise apsw.FullError("no space left on the recorded disk")
        done = bytes(data[: len(data) // 2] if fault is not None else data)
        super().xWrite(done, offset)
        self._disk.note(Write(self._inode, offset, done))
        if fault is not None:
            raise apsw.FullError("the recorded disk wrote a part only: no space left")

    def xTruncate(self, newsize: int) -> None:  # noqa: N802 - APSW's name
        self._disk.strike("truncate")
        super().xTruncate(newsize)
        if self._path:
            self._disk.note(Resize(self._inode, newsize))

    def xSync(self, flags: int) -> None:  # noqa: N802 - APSW's name
        fault = self._disk.strike("sync")
        if fault is not None:
            self._disk.note(Sync(self._inode, failed=True))
            if fault.kind == "forgetful_sync":
                self._disk.forget_unsynced(self._path)
            raise apsw.IOError("the recorded disk failed to sync")
        super().xSync(flags)
        self._disk.note(Sync(self._inode))
        if self._names_unsynced:  # SQLite's own VFS syncs the folder of a log that it made
            self._names_unsynced = False
            self._disk.note(SyncFolder())


class _RecordedOs:
    """`os` as the journal's small files use it, on a recorded disk."""

    def __init__(self, disk: RecordedDisk) -> None:
        self._disk = disk
        self._open: dict[int, str] = {}

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever os has
        return getattr(os, name)

    def _strike(self, what: str) -> Fault | None:
        try:
            return self._disk.strike(what, growing=what == "write")
        except apsw.FullError as exc:
            raise OSError(errno.ENOSPC, str(exc)) from exc
        except apsw.IOError as exc:
            raise OSError(errno.EIO, str(exc)) from exc

    def open(self, path: str | Path, flags: int, mode: int = 0o777) -> int:
        """Open a file or the folder."""
        if flags & os.O_CREAT and not Path(path).exists():
            self._strike("open")
        descriptor = os.open(path, flags, mode)
        self._open[descriptor] = str(path)
        if not flags & os.O_DIRECTORY:
            inode = self._disk.inode(str(path))
            if flags & os.O_TRUNC:
                self._disk.note(Resize(inode, 0))
        return descriptor

    def close(self, descriptor: int) -> None:
        """Close a file."""
        self._open.pop(descriptor, None)
        os.close(descriptor)

    def write(self, descriptor: int, data: bytes) -> int:
        """Write at the end: the small files are written once."""
        offset = os.fstat(descriptor).st_size
        return self.pwrite(descriptor, data, offset)

    def pwrite(self, descriptor: int, data: bytes, offset: int) -> int:
        """Write at a place."""
        fault = self._strike("write")
        if not self._disk.has_room(self._open[descriptor], offset + len(data)):
            raise OSError(errno.ENOSPC, "no space left on the recorded disk")
        done = data[: len(data) // 2] if fault is not None else data
        written = os.pwrite(descriptor, done, offset)
        self._disk.note(Write(self._disk.inode(self._open[descriptor]), offset, done[:written]))
        return written

    def fsync(self, descriptor: int) -> None:
        """Sync a file or the folder."""
        path = Path(self._open[descriptor])
        fault = self._strike("sync")
        if path.is_dir():
            if fault is not None:
                raise OSError(errno.EIO, "the recorded disk failed to sync its folder")
            self._disk.note(SyncFolder())
            return
        self._disk.note(Sync(self._disk.inode(str(path)), failed=fault is not None))
        if fault is not None:
            raise OSError(errno.EIO, "the recorded disk failed to sync")

    def ftruncate(self, descriptor: int, size: int) -> None:
        """Cut or grow an open file."""
        self._strike("truncate")
        os.ftruncate(descriptor, size)
        self._disk.note(Resize(self._disk.inode(self._open[descriptor]), size))

    def truncate(self, path: str | Path, size: int) -> None:
        """Cut or grow a file."""
        self._strike("truncate")
        os.truncate(path, size)
        self._disk.note(Resize(self._disk.inode(str(path)), size))

    def posix_fallocate(self, descriptor: int, offset: int, size: int) -> None:
        """Give a file its space."""
        self._strike("write")
        if not self._disk.has_room(self._open[descriptor], offset + size):
            raise OSError(errno.ENOSPC, "no space left on the recorded disk")
        os.posix_fallocate(descriptor, offset, size)
        self._disk.note(Resize(self._disk.inode(self._open[descriptor]), offset + size))

    def replace(self, path: str | Path, target: str | Path) -> None:
        """Put a file in another's place."""
        self._strike("rename")
        Path(path).replace(target)
        self._disk.moved(str(path), str(target))

    rename = replace

    def statvfs(self, _path: str | Path) -> SimpleNamespace:
        """Tell the room left."""
        return SimpleNamespace(f_bavail=self._disk.free_bytes(), f_frsize=1)
