"""What a disk really holds: pure. A log of operations on one folder's files goes in, what a power cut leaves comes out.

Fault model. Until a file is synced, any part of what was written to it may be lost, in sectors of 512 bytes and in any
order; until its folder is synced, a new, renamed or deleted name may be lost, the last first. A write that fails may
have been done in part. After a sync that failed, what it should have kept is never kept by a later one, and may be gone
from memory as well. Sectors that are not written to stay as they are. A disk that says *synced* and lies is not here:
no software survives it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

SECTOR_BYTES = 512
Survives = Literal["nothing", "everything", "some"]


@dataclass(frozen=True, slots=True)
class Create:
    """A new name in the folder."""

    name: str
    inode: int


@dataclass(frozen=True, slots=True)
class Rename:
    """Another name for a file, in place of what had it."""

    name: str
    target: str


@dataclass(frozen=True, slots=True)
class Delete:
    """A name gone from the folder."""

    name: str


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes at a place of a file."""

    inode: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Resize:
    """A file cut, or grown with zeros."""

    inode: int
    size: int


@dataclass(frozen=True, slots=True)
class Sync:
    """What was written to a file is on stable storage, unless it `failed`: then it never will be."""

    inode: int
    failed: bool = False


@dataclass(frozen=True, slots=True)
class SyncFolder:
    """The names are on stable storage."""


Operation: TypeAlias = Create | Rename | Delete | Write | Resize | Sync | SyncFolder


@dataclass
class Platters:
    """What is on stable storage after some operations, and what is only on its way there."""

    names: dict[str, int] = field(default_factory=dict)
    content: dict[int, bytearray] = field(default_factory=dict)
    moving: list[Create | Rename | Delete] = field(default_factory=list)
    pending: dict[int, list[Write | Resize]] = field(default_factory=dict)

    def take(self, operation: Operation) -> None:
        """Let one more operation happen."""
        if isinstance(operation, Write | Resize):
            self.pending.setdefault(operation.inode, []).append(operation)
        elif isinstance(operation, Sync):
            lost = self.pending.pop(operation.inode, [])
            for one in [] if operation.failed else lost:
                _apply(self.content.setdefault(operation.inode, bytearray()), one)
        elif isinstance(operation, SyncFolder):
            for moved in self.moving:
                _rename(self.names, moved)
            self.moving.clear()
        else:
            self.moving.append(operation)

    def image(self, survives: Survives, rng: random.Random) -> dict[str, bytes]:
        """Return the files a machine finds after the power was cut now, by name."""
        names = dict(self.names)
        kept = {"nothing": 0, "everything": len(self.moving)}.get(survives)
        for moved in self.moving[: rng.randint(0, len(self.moving)) if kept is None else kept]:
            _rename(names, moved)
        return {name: self._file(inode, survives, rng) for name, inode in names.items()}

    def _file(self, inode: int, survives: Survives, rng: random.Random) -> bytes:
        held = self.content.get(inode, b"")
        on_its_way = self.pending.get(inode, [])
        if survives == "nothing" or not on_its_way:
            return bytes(held)
        found = bytearray(held)
        for one in on_its_way:
            if survives == "everything":
                _apply(found, one)
            else:
                for part in _sectors(one):
                    if rng.random() < 0.5:  # noqa: PLR2004 - as likely as not
                        _apply(found, part)
        return bytes(found)


def _apply(found: bytearray, change: Write | Resize) -> None:
    end = change.size if isinstance(change, Resize) else change.offset + len(change.data)
    if len(found) < end:
        found.extend(bytes(end - len(found)))
    if isinstance(change, Resize):
        del found[change.size :]
    else:
        found[change.offset : end] = change.data


def _rename(names: dict[str, int], moved: Create | Rename | Delete) -> None:
    if isinstance(moved, Create):
        names[moved.name] = moved.inode
    elif isinstance(moved, Delete):
        names.pop(moved.name, None)
    elif moved.name in names:
        names[moved.target] = names.pop(moved.name)


def _sectors(change: Write | Resize) -> Iterator[Write | Resize]:
    """Cut a write where a disk would tear it."""
    if isinstance(change, Resize):
        yield change
        return
    start, end = change.offset, change.offset + len(change.data)
    while start < end:
        stop = min(end, (start // SECTOR_BYTES + 1) * SECTOR_BYTES)
        yield Write(change.inode, start, change.data[start - change.offset : stop - change.offset])
        start = stop


def replayed(log: Sequence[Operation]) -> Iterator[tuple[int, Platters]]:
    """Yield (operations done, stable storage then) from none to all; the same object each time, moved on."""
    platters = Platters()
    yield 0, platters
    for done, operation in enumerate(log, 1):
        platters.take(operation)
        yield done, platters


def lay_down(image: dict[str, bytes], folder: Path) -> None:
    """Make `folder` hold these files and no others."""
    folder.mkdir(exist_ok=True)
    for stale in folder.iterdir():
        stale.unlink()
    for name, content in image.items():
        (folder / name).write_bytes(content)
