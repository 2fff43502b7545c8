"""A terminal's disk: what was not synced is lost or torn when the power goes, syncs fail, space runs out, bits rot.

SQLite's own files are real, in memory, below an APSW VFS; beside each is kept what is on stable storage. After a failed
sync the kernel forgets what it could not write: a later sync that succeeds says nothing about it. The small files
beside the journal (witness, reserve, lock) are replaced whole and are taken to be stable at once.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import apsw

if TYPE_CHECKING:
    import random
    from pathlib import Path

SECTOR_BYTES = 512
FREE_BYTES = 1 << 30
"""What an ordinary disk has left."""
VOLATILE = ("-shm", ".lock")
"""Memory and lock of a process: no part of what a disk keeps."""
MAIN_DB = "journal.db"

_Write = tuple[int, bytes | None]
"""(offset, data), or (size, None) for a truncation."""


class MachineDied(BaseException):
    """The process ended inside a disk operation. No `except Exception` may stop it."""


class _Image:
    """One file's stable content and what was written since."""

    def __init__(self, stable: bytes) -> None:
        self.stable = bytearray(stable)
        self.pending: list[_Write] = []
        self.known = bool(stable)
        """Whether the file's name is on stable storage."""

    def settle(self) -> None:
        for write in self.pending:
            _apply(self.stable, write)
        self.pending.clear()
        self.known = True

    def cut(self, chance: random.Random, keep: float) -> bytes:
        """Return what the next boot finds: of each unsynced write some sectors, as chance has it."""
        found = bytearray(self.stable)
        for offset, data in self.pending:
            if data is None:
                if chance.random() < keep:
                    _apply(found, (offset, None))
                continue
            for start in range(0, len(data), SECTOR_BYTES):
                if chance.random() < keep:
                    _apply(found, (offset + start, data[start : start + SECTOR_BYTES]))
        return bytes(found)


def _apply(kept: bytearray, write: _Write) -> None:
    place, data = write
    if data is None:
        del kept[place:]
        return
    if len(kept) < place:
        kept.extend(bytes(place - len(kept)))
    kept[place : place + len(data)] = data


class VirtualDisk:
    """One disk. Change the public attributes to make it misbehave."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.folder = folder
        self._chance = chance
        self._images: dict[int, _Image] = {}
        self.dies_in: int | None = None
        """After so many writes and syncs the process ends."""
        self.power_goes = False
        """Whether the power goes with it."""
        self.dead = False
        self.syncs_fail = 0
        self.writes_fail = 0
        self.ballast_bytes: int | None = None
        """What other programs take, when they leave next to nothing; None for an ordinary disk."""
        self.capacity_bytes = 0
        folder.mkdir(parents=True, exist_ok=True)

    def image(self, path: Path) -> _Image:
        """Return the stable side of a file that was just opened."""
        node = path.stat()
        found = self._images.get(node.st_ino)
        if found is None:
            found = self._images[node.st_ino] = _Image(path.read_bytes() if node.st_size else b"")
        return found

    def operate(self, *, sync: bool) -> None:
        """Stand at one write or sync: end here, or fail, or go on."""
        if self.dead:
            raise apsw.IOError("the machine is off")
        if self.dies_in is not None:
            self.dies_in -= 1
            if self.dies_in < 0:
                self.dead = True
                raise MachineDied
        if sync and self.syncs_fail > 0:
            self.syncs_fail -= 1
            raise apsw.IOError("the disk failed to sync")
        if not sync and self.writes_fail > 0:
            self.writes_fail -= 1
            raise apsw.IOError("the disk failed to write")

    def taken_bytes(self) -> int:
        """Return what the terminal's own files take."""
        return sum(file.stat().st_size for file in self.files())

    def free_bytes(self) -> int:
        """Return what is left."""
        if self.ballast_bytes is None:
            return FREE_BYTES
        return max(0, self.capacity_bytes - self.taken_bytes())

    def fill(self, left_bytes: int) -> None:
        """Let other programs take all but `left_bytes`."""
        self.ballast_bytes = 0
        self.capacity_bytes = self.taken_bytes() + left_bytes

    def relieve(self) -> None:
        """Give the space back."""
        self.ballast_bytes = None

    def check_room(self, path: Path, end: int) -> None:
        """Raise 'disk full' when `path` cannot grow to `end` bytes."""
        if self.ballast_bytes is not None and end > path.stat().st_size:
            grown = end - path.stat().st_size
            if grown > self.free_bytes():
                raise apsw.FullError("no space left on the disk")

    def files(self) -> list[Path]:
        """Return what the disk keeps, by name."""
        return sorted(path for path in self.folder.iterdir() if not path.name.endswith(VOLATILE))

    def cut_power(self) -> int:
        """Leave what is on stable storage, and of the rest what chance leaves; return how many writes were open."""
        keep = self._chance.choice((0.0, 0.5, 0.9))
        lost = 0
        for path in self.files():
            image = self._images.get(path.stat().st_ino)
            if image is None or not image.pending:
                continue
            lost += len(image.pending)
            if not image.known and self._chance.random() < 0.5:  # noqa: PLR2004 - as likely as not
                path.unlink()
            else:
                path.write_bytes(image.cut(self._chance, keep))
        self.forget()
        return lost

    def forget(self) -> None:
        """Take what the files hold now for stable: at a boot, after a swap."""
        self._images.clear()
        for path in self.folder.iterdir():
            if path.name.endswith(VOLATILE):
                path.unlink()
        self.dies_in, self.syncs_fail, self.writes_fail = None, 0, 0

    def copy_to(self, target: Path) -> None:
        """Copy what is on the disk, as an operator clones it while the machine is off."""
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for path in self.files():
            shutil.copyfile(path, target / path.name)

    def replace_by(self, source: Path | None) -> None:
        """Put another disk in: a copy of `source`, or an empty one."""
        shutil.rmtree(self.folder)
        self.folder.mkdir()
        for path in sorted(source.iterdir()) if source is not None else ():
            shutil.copyfile(path, self.folder / path.name)
        self.forget()

    def rot(self) -> str:
        """Flip one bit of the journal file; return where, or nothing when there is no file."""
        path = self.folder / MAIN_DB
        size = path.stat().st_size if path.exists() else 0
        if size == 0:
            return ""
        place, bit = self._chance.randrange(size), self._chance.randrange(8)
        with path.open("r+b") as file:
            file.seek(place)
            byte = file.read(1)[0]
            file.seek(place)
            file.write(bytes([byte ^ 1 << bit]))
        image = self._images.get(path.stat().st_ino)
        if image is not None and place < len(image.stable):
            image.stable[place] ^= 1 << bit
        return f"bit {bit} of byte {place}"


class VirtualDisks(apsw.VFS):
    """The VFS of all disks of this process. Its name is the journal's `vfs`."""

    def __init__(self) -> None:
        self.name = f"virtual-{os.getpid()}-{id(self)}"
        self.disks: dict[str, VirtualDisk] = {}
        super().__init__(self.name, "")

    def disk_of(self, folder: Path | str) -> VirtualDisk:
        """Return the disk of a folder."""
        return self.disks[str(folder)]

    def free_bytes(self, folder: Path | str) -> int:
        """Answer the journal's question for free space."""
        return self.disk_of(folder).free_bytes()

    def xOpen(  # noqa: N802 - APSW's name
        self, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> _VirtualFile:
        """Open a file whose writes are watched."""
        return _VirtualFile(self, name, flags)


class _VirtualFile(apsw.VFSFile):
    def __init__(self, disks: VirtualDisks, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        from pathlib import Path

        text = name.filename() if isinstance(name, apsw.URIFilename) else name
        super().__init__("", name, flags)
        self._path = Path(text or "")
        self._disk = disks.disk_of(self._path.parent)
        self._image = self._disk.image(self._path)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - APSW's name
        self._disk.operate(sync=False)
        self._disk.check_room(self._path, offset + len(data))
        super().xWrite(data, offset)
        self._image.pending.append((offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802 - APSW's name
        self._disk.operate(sync=False)
        super().xTruncate(newsize)
        self._image.pending.append((newsize, None))

    def xSync(self, flags: int) -> None:  # noqa: N802 - APSW's name
        try:
            self._disk.operate(sync=True)
        except apsw.IOError:
            self._image.pending.clear()  # the kernel forgets what it could not write
            raise
        super().xSync(flags)
        self._image.settle()
