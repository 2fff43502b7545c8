"""Telling the other processes, at commit, what changed in the registry.

A notice reaches who listens at that moment, and nobody else: it wakes, and nothing rests on it. Whose a tap is must be
found even when no worker runs, so the cards are written down in the same transaction (`ChangedCard`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from central.kit.at_commit import AtCommit
from central.registry import record_repository, repository

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
    """Write the cards down and NOTIFY ccs_registry `{"tokens": […], "sites": […]}`, once, at the commit.

    The notice is `*` when it would be too long: all cards written down, and all sites.
    """
    change = _Change(frozenset(tokens), frozenset(sites))
    if change.tokens or change.sites:
        _CHANGES.note(session, [change])


def _send(session: WriteSession, changes: Sequence[_Change]) -> None:
    tokens = {token for change in changes for token in change.tokens}
    sites = {site for change in changes for site in change.sites}
    if tokens:
        record_repository.note_changed_cards(session, tokens)
    text = json.dumps({"tokens": sorted(tokens), "sites": sorted(sites)}, separators=(",", ":"))
    repository.notify(session, "ccs_registry", text if len(text) <= NOTICE_BYTES_MAX else EVERYTHING)


_CHANGES = AtCommit[_Change]("registry", _send)


def tell_access_changed(session: WriteSession) -> None:
    """NOTIFY ccs_identity: what roles reach, or how a site is called, changed."""
    repository.notify(session, "ccs_identity", "")
