"""The open incident on disk: a terminal that starts anew without a network still says where to go.

Central says after each birth which incident is open, so one that was closed meanwhile ends when the network is back.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from edge_agent.wire.codec import decode, encode
from edge_agent.wire.messages import Incident

if TYPE_CHECKING:
    from pathlib import Path

INCIDENT_BYTES_MAX = 4096


class IncidentStore:
    """The file behind the board's incident. `path` is in the terminal's data folder."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> tuple[Incident | None, str | None]:
        """Return the incident that was open when the agent last ran, and a sentence when that cannot be known."""
        try:
            content = self._path.read_bytes()[:INCIDENT_BYTES_MAX] if self._path.exists() else b""
            return (decode(content, Incident) if content else None), None
        except OSError as exc:
            return None, f"{self._path} cannot be read ({exc.strerror}): an incident shows again once central says so"
        except (msgspec.DecodeError, ValueError) as exc:
            return None, f"{self._path} is damaged ({exc}): an incident shows again once central says so"

    def keep(self, incident: Incident | None) -> str | None:
        """Write what is open, or that nothing is; return why that failed. A power cut leaves the one or the other."""
        staging = self._path.with_name(self._path.name + ".new")
        try:
            with os.fdopen(os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(encode(incident) if incident is not None else b"")
                file.flush()
                os.fsync(file.fileno())
            staging.replace(self._path)
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as exc:
            return f"{self._path} could not be written ({exc.strerror}): after a restart the terminal shows what it had"
        return None
