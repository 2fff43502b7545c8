"""The roster on disk, exactly as central signed it: a full version, then the deltas on top, one envelope a line.

What is read back is verified again, so nobody with a text editor can let a card in. A line torn by a power cut ends
the file; central's retained roster then brings the terminal up to date.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from edge_agent.tap.roster import RosterRefused, RosterView, apply
from edge_agent.wire.codec import BadSignature, decode, encode, open_signed
from edge_agent.wire.messages import Roster, Signed

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

ROSTER_BYTES_MAX = 64 * 1024 * 1024
UNUSABLE = (BadSignature, RosterRefused, msgspec.DecodeError, UnicodeDecodeError)
"""What a roster is refused with; each is a sentence."""


class RosterStore:
    """The file behind the roster. `key` is central's public key; without one nothing is believed."""

    def __init__(self, path: Path, *, site: str, key: Ed25519PublicKey | None) -> None:
        self._path = path
        self._site = site
        self._key = key
        self.trouble = ""
        """Why the file is behind the view that `accept` gave; empty when it is not."""

    def load(self) -> tuple[RosterView, str | None]:
        """Return the newest view the file proves, and a sentence about what had to be left out, which is dropped."""
        view, good, complaint = self._read()
        if complaint is not None and good is not None:
            complaint += self._drop_damage(good)
        return view, complaint

    def look(self) -> tuple[RosterView, str | None]:
        """Return the same as `load`, and leave the file as it is: for whoever only examines it."""
        view, _, complaint = self._read()
        return view, complaint

    def _read(self) -> tuple[RosterView, list[bytes] | None, str | None]:
        """Return the view, the lines that prove it (None when the file was not read), and what is wrong."""
        view = RosterView(self._site)
        good: list[bytes] = []
        try:
            lines = self._path.read_bytes().splitlines() if self._path.exists() else []
        except OSError as exc:
            why = f"{self._path} cannot be read ({exc.strerror}): every card is unknown until central sends it"
            return view, None, why
        for line in lines:
            try:
                view = apply(view, self._open(line))
            except UNUSABLE as exc:
                return view, good, f"{self._path}: line {len(good) + 1} and what follows is left out: {exc}"
            good.append(line)
        return view, good, None

    def _drop_damage(self, good: list[bytes]) -> str:
        """Keep the lines that verify, or say why that was not possible: a full disk must not keep the gate shut."""
        try:
            self._replace(b"".join(line + b"\n" for line in good))
        except OSError as exc:
            return f"; the file could not be put right ({exc.strerror})"
        return ""

    def accept(self, view: RosterView, payload: bytes) -> RosterView:
        """Verify a signed roster, apply it and store it; return the new view. Raise one of `UNUSABLE`.

        A version that is already held returns `view` itself and writes nothing. One that the disk does not take is in
        force all the same, with `trouble` saying so: whoever was barred is barred, and a restart asks central again.
        """
        if len(payload) > ROSTER_BYTES_MAX:
            raise BadSignature(f"a roster of {len(payload)} bytes was not looked at: at most {ROSTER_BYTES_MAX}")
        roster = self._open(payload)
        changed = apply(view, roster)
        if changed is view:
            return view
        line = encode(decode(payload, Signed)) + b"\n"  # re-encoded onto one line; the signed body is a string in it
        try:
            if roster.base is None:
                self._replace(line)
                self.trouble = ""
            elif not self.trouble:  # a delta on a version that the file does not hold would not be read back
                self._append(line)
        except OSError as exc:
            self.trouble = f"{self._path} could not be written ({exc.strerror}): make room, or mend the disk"
        return changed

    def _append(self, line: bytes) -> None:
        """Add a line whole, or leave the file as it was: what follows a torn line would not be read."""
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        before = os.fstat(descriptor).st_size
        try:
            while line:
                line = line[os.write(descriptor, line) :]
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, before)
            raise
        finally:
            os.close(descriptor)

    def _open(self, payload: bytes) -> Roster:
        if self._key is None:
            raise BadSignature("no public key of central is configured: set keys.central_public_key_file")
        return open_signed(payload, Roster, key=self._key)

    def _replace(self, content: bytes) -> None:
        """Put new content in place of the old: after a power cut there is one or the other."""
        staging = self._path.with_name(self._path.name + ".new")
        with os.fdopen(os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        staging.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
