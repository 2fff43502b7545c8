"""Anchors: the chain's length and head, kept where the database's owner cannot write, one line each.

A chain that was cut at its end, or written anew from its first row, is a good chain by itself: only what somebody else
kept shows it. An anchor file is only added to; verifying walks the chain once past all of its lines.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from central.audit.service import ChainReport, verify_chain
from central.kit.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from central.kit.db import ReadSession

HASH_HEX_CHARS = 64
LINE_WORDS = 3


class BadAnchor(AppError):
    """A line of an anchor file says nothing that can be compared."""

    status = 422
    code = "bad_anchor"


@dataclass(frozen=True, slots=True)
class Anchor:
    """So many rows there were then, and this was the hash of the last of them."""

    at: datetime
    rows: int
    head: bytes

    def line(self) -> str:
        """Write it as one line of text."""
        return f"{self.at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ} {self.rows} {self.head.hex()}"


def read_line(line: str) -> Anchor:
    """Read what `Anchor.line` wrote; raise `BadAnchor`."""
    words = line.split()
    if len(words) != LINE_WORDS or not words[1].isdecimal() or len(words[2]) != HASH_HEX_CHARS:
        raise BadAnchor(f"{line[:200]!r} is no anchor: expected an instant, a number of rows and a hash")
    try:
        return Anchor(datetime.fromisoformat(words[0]), int(words[1]), bytes.fromhex(words[2]))
    except ValueError as error:
        raise BadAnchor(f"{line[:200]!r} is no anchor: {error}") from error


def read_anchors(path: Path) -> list[Anchor]:
    """Read an anchor file; raise `BadAnchor` for a missing file or a line that is none."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadAnchor(f"the anchors in {path} cannot be read: {error}") from error
    return [read_line(line) for line in lines if line.strip()]


def add_anchor(path: Path, anchor: Anchor) -> None:
    """Add a line to an anchor file and have it on the disk; the file is made when it is missing."""
    with path.open("a", encoding="ascii") as file:
        file.write(anchor.line() + "\n")
        file.flush()
        os.fsync(file.fileno())


@dataclass(frozen=True, slots=True)
class Verdict:
    """The chain, and the first anchor that it does not go through."""

    chain: ChainReport
    missed: Anchor | None = None
    reason: str = ""

    @property
    def good(self) -> bool:
        """Whether every row and every anchor fits."""
        return self.chain.broken_at is None and self.missed is None


def verify(session: ReadSession, anchors: Iterable[Anchor]) -> Verdict:
    """Walk the chain once, and look at each anchor when the walk has come as far as it says."""
    kept = sorted(anchors, key=lambda one: one.rows)
    report = verify_chain(session, heads_at={one.rows for one in kept})
    for one in kept:
        if one.rows > report.rows and report.broken_at is None:
            return Verdict(report, one, f"{one.rows - report.rows} rows or more were cut off the end")
        if one.rows <= report.rows and report.heads.get(one.rows) != one.head:
            return Verdict(report, one, "the rows up to there are not those of then: the chain was written anew")
    return Verdict(report)


def renew(session: ReadSession, path: Path | None, *, now: datetime) -> tuple[str, Anchor]:
    """Hold the chain to the anchors of a file and add one of now; return what is wrong (then none is added), or ""."""
    kept = read_anchors(path) if path is not None and path.exists() else []
    verdict = verify(session, kept)
    anchor = Anchor(now, verdict.chain.rows, verdict.chain.head)
    if verdict.chain.broken_at is not None:
        return f"row {verdict.chain.broken_at} does not fit: {verdict.chain.reason}", anchor
    if verdict.missed is not None:
        return f"the anchor of {verdict.missed.at:%Y-%m-%d %H:%M} UTC does not fit: {verdict.reason}", anchor
    if path is not None:
        add_anchor(path, anchor)
    return "", anchor
