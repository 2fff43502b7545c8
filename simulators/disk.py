"""Disks that misbehave as real ones do, below the real SQLite: power cuts, failing fsync, no space left.

An APSW VFS over the system's own: reads and locks are real, writes are also remembered until they are synced.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
from pathlib import Path

import apsw

KIB = 1024

_numbers = itertools.count(1)
_Write = tuple[int, bytes | None]
"""(offset, data), or (size, None) for a truncation."""


class FaultyDisk(apsw.VFS):
    """Pass `name` as the journal's `vfs`. Change the public attributes to make it misbehave."""

    def __init__(self) -> None:
        self.name = f"faulty-{next(_numbers)}"
        self.sync_fails = 0
        """So many of the next syncs fail."""
        self.capacity_bytes: int | None = None
        """What the files beside each other may take together; more is 'disk full'."""
        self.synced: dict[Path, bytearray] = {}
        self.pending: dict[Path, list[_Write]] = {}
        super().__init__(self.name, "")

    def xOpen(  # noqa: N802 - APSW's name
        self, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> _FaultyFile:
        """Open a file whose writes are watched."""
        return _FaultyFile(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802, FBT001 - APSW's
        """Forget a deleted file."""
        super().xDelete(filename, syncdir)
        self.synced.pop(Path(filename), None)
        self.pending.pop(Path(filename), None)

    def note(self, path: Path, write: _Write) -> None:
        """Remember a write that a power cut may still take away."""
        self.pending.setdefault(path, []).append(write)

    def settle(self, path: Path) -> None:
        """Everything written to `path` so far is on stable storage."""
        kept = self.synced.setdefault(path, bytearray())
        for write in self.pending.pop(path, []):
            _apply(kept, write)

    def check_room(self, path: Path, end: int) -> None:
        """Raise 'disk full' when growing `path` to `end` bytes goes beyond the capacity."""
        if self.capacity_bytes is None:
            return
        size = path.stat().st_size if path.exists() else 0
        taken = sum(file.stat().st_size for file in path.parent.iterdir() if file.is_file())
        if end > size and taken + end - size > self.capacity_bytes:
            raise apsw.FullError("no space left on the simulated disk")

    def free_bytes(self, folder: Path | str) -> int:
        """Return what is left of the capacity, or of the real disk when none is set."""
        if self.capacity_bytes is None:
            return shutil.disk_usage(folder).free
        taken = sum(file.stat().st_size for file in Path(folder).iterdir() if file.is_file())
        return max(0, self.capacity_bytes - taken)

    def cut_power(self, target: Path, *, rng: random.Random | None = None) -> None:
        """Write to `target` what a machine finds after a power cut now.

        Synced writes are all there; of the others none, or those that `rng` picks.
        """
        target.mkdir(parents=True, exist_ok=True)
        for path in {*self.synced, *self.pending}:
            kept = bytearray(self.synced.get(path, b""))
            for write in self.pending.get(path, []):
                if rng is not None and rng.random() < 0.5:  # noqa: PLR2004 - as likely as not
                    _apply(kept, write)
            (target / path.name).write_bytes(kept)


def _apply(kept: bytearray, write: _Write) -> None:
    place, data = write
    if data is None:
        del kept[place:]
        return
    if len(kept) < place:
        kept.extend(bytes(place - len(kept)))
    kept[place : place + len(data)] = data


class _FaultyFile(apsw.VFSFile):
    def __init__(self, disk: FaultyDisk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        text = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._disk = disk
        self._path = Path(text) if text else None
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - APSW's name
        if self._path is not None:
            self._disk.check_room(self._path, offset + len(data))
            self._disk.note(self._path, (offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802 - APSW's name
        super().xTruncate(newsize)
        if self._path is not None:
            self._disk.note(self._path, (newsize, None))

    def xSync(self, flags: int) -> None:  # noqa: N802 - APSW's name
        if self._disk.sync_fails > 0:
            self._disk.sync_fails -= 1
            raise apsw.IOError("the simulated disk failed to sync")
        super().xSync(flags)
        if self._path is not None:
            self._disk.settle(self._path)


class SmallDisk:
    """A small disk that another program can fill: a mounted tmpfs, or one `simulated` below SQLite."""

    def __init__(self, folder: Path, simulated: FaultyDisk | None) -> None:
        self.folder = folder
        self.simulated = simulated

    def fill(self) -> None:
        """Another program takes all the space there is."""
        if self.simulated is not None:
            self.simulated.capacity_bytes = sum(file.stat().st_size for file in self.folder.iterdir())
            return
        with (self.folder / "ballast").open("wb", buffering=0) as ballast:
            for chunk in (64 * KIB, 4 * KIB, 256):
                while _fits(ballast.fileno(), bytes(chunk)):
                    pass

    def relieve(self) -> None:
        """The other program's file is deleted."""
        if self.simulated is not None:
            self.simulated.capacity_bytes = None
        else:
            (self.folder / "ballast").unlink()


def _fits(descriptor: int, data: bytes) -> bool:
    try:
        return os.write(descriptor, data) == len(data)
    except OSError:
        return False
