"""Telling the other processes, at commit, what changed in the registry."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from central.kit.at_commit import AtCommit
from central.registry import repository

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from central.kit.db import WriteSession

NOTICE_BYTES_MAX = 7_000
"""PostgreSQL's limit is 8,000."""
EVERYTHING = "*"


@dataclass(frozen=True, slots=True)
class _Change:
    tokens: frozenset[str]
    sites: frozenset[int]


def tell(session: WriteSession, *, tokens: Iterable[str] = (), sites: Iterable[int] = ()) -> None:
    """NOTIFY ccs_registry `{"tokens": […], "sites": […]}` once, at the commit; `*` when that would be too long."""
    change = _Change(frozenset(tokens), frozenset(sites))
    if change.tokens or change.sites:
        _CHANGES.note(session, [change])


def _send(session: WriteSession, changes: Sequence[_Change]) -> None:
    tokens = sorted({token for change in changes for token in change.tokens})
    sites = sorted({site for change in changes for site in change.sites})
    text = json.dumps({"tokens": tokens, "sites": sites}, separators=(",", ":"))
    repository.notify(session, "ccs_registry", text if len(text) <= NOTICE_BYTES_MAX else EVERYTHING)


_CHANGES = AtCommit[_Change]("registry", _send)


def tell_access_changed(session: WriteSession) -> None:
    """NOTIFY ccs_identity: what roles reach, or how a site is called, changed."""
    repository.notify(session, "ccs_identity", "")
