"""The small files beside the journal: its owner's lock, the muster reserve, the witness of what it held."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from pathlib import Path

import msgspec

from edge_agent.journal.record import JournalUnusable

RELEASE_STEPS = 4
"""The reserve goes in quarters, so that whatever else is filling the disk gets as little of it as possible."""
WITNESS_BYTES_MAX = 64 * 1024


def beside(path: Path, suffix: str) -> Path:
    """Name a file next to the journal: `journal.db` and `-wal` give `journal.db-wal`."""
    return path.with_name(path.name + suffix)


def free_bytes(folder: Path | str) -> int:
    """Return what an unprivileged process may still use on the disk of `folder`."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def sync_folder(folder: Path) -> None:
    """Put the names in `folder` on stable storage."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class OwnerLock:
    """One process owns the journal. The kernel frees the lock when its process dies, however it dies."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._take(path)
        except BaseException:
            os.close(self._descriptor)
            raise

    def _take(self, path: Path) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            owner = os.read(self._descriptor, 20).decode(errors="replace").strip() or "unknown"
            message = f"the journal beside {path} is already open in process {owner}; stop that agent first"
            raise JournalUnusable(message) from exc
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Let another process open the journal."""
        os.close(self._descriptor)


class Reserve:
    """Disk space held by a file so that muster entries find room when everything else is full."""

    def __init__(self, path: Path, *, size_bytes: int) -> None:
        self._path = path
        self._size_bytes = size_bytes

    @property
    def held_bytes(self) -> int:
        """What the reserve holds at this moment."""
        return self._path.stat().st_size if self._path.exists() else 0

    def lay_out(self, *, keep_free_bytes: int) -> bool:
        """Fill the reserve up again unless that leaves less than `keep_free_bytes`; return whether it is whole.

        Raises `OSError` when the disk refuses for another reason than its space.
        """
        missing = self._size_bytes - self.held_bytes
        if missing <= 0:
            return True
        if free_bytes(self._path.parent) - missing < keep_free_bytes:
            return False
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, self._size_bytes)
            os.fsync(descriptor)
        except OSError as exc:
            # Another writer was quicker; hold nothing rather than a file whose blocks may not exist.
            os.ftruncate(descriptor, 0)
            if exc.errno != errno.ENOSPC:
                raise
            return False
        finally:
            os.close(descriptor)
        return True

    def release_step(self) -> int:
        """Give back a quarter (or the rest); return the bytes freed, 0 when nothing is left. Raises `OSError`."""
        held = self.held_bytes
        if held == 0:
            return 0
        left = max(0, held - -(-self._size_bytes // RELEASE_STEPS))
        os.truncate(self._path, left)
        return held - left


class Witness(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the journal held when last looked at: a lower bound that survives the loss of the file itself."""

    journal_id: str
    head_seq: int
    durable: int
    set_aside: str = ""
    """The name the damaged file was given, when it was moved out of the way."""
    reason: str = ""
    readable: int | None = None
    """How many unacknowledged events could still be read in the file set aside."""
    proof: str = ""
    """Hash of the rest: a changed bit must not make a good journal look short. Empty in a witness of an older agent."""

    def proven(self) -> Witness:
        """Return this witness with its proof."""
        bare = msgspec.structs.replace(self, proof="")
        return msgspec.structs.replace(self, proof=hashlib.sha256(msgspec.json.encode(bare)).hexdigest())


def read_witness(path: Path) -> Witness | None:
    """Return the witness, or None when there is none or it is unreadable itself."""
    try:
        found = msgspec.json.decode(path.read_bytes()[:WITNESS_BYTES_MAX], type=Witness)
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    return found if found.proof in {"", found.proven().proof} else None


class WitnessFile:
    """Writes the witness as the journal grows: rarely, for an older one is still true."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written = Witness("", 0, 0)

    def update(self, seen: Witness, *, every: int) -> str:
        """Write `seen` when the journal is new or moved on by `every` events; return what went wrong, or nothing."""
        held = self._written
        if seen == held or (held.journal_id == seen.journal_id and seen.head_seq - held.head_seq < every):
            return ""
        try:
            write_witness(self._path, seen)
        except OSError as exc:
            return f"the witness could not be written: {exc}"
        self._written = seen
        return ""


def write_witness(path: Path, witness: Witness) -> None:
    """Replace the witness in one step; raise `OSError` and keep the old one when the disk has no room."""
    fresh = beside(path, ".new")
    content = msgspec.json.encode(witness.proven())
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        if os.write(descriptor, content) != len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(fresh))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(fresh, path)  # noqa: PTH105 - every change to the small files is a call of `os` in this module
    sync_folder(path.parent)


def patch(path: Path, content: bytes, place: int) -> None:
    """Write `content` at `place` of a file that is there, and sync it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.pwrite(descriptor, content, place)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def rename(path: Path, target: Path) -> None:
    """Give a file another name in its folder; on stable storage only after `sync_folder`."""
    os.rename(path, target)  # noqa: PTH104 - as above
