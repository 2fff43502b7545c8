"""Telling the other processes, at commit, what changed in the registry."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sqlalchemy import event

from central.registry import repository

if TYPE_CHECKING:
    from collections.abc import Iterable

    from central.kit.db import WriteSession

NOTICE_BYTES_MAX = 7_000
"""PostgreSQL's limit is 8,000."""
EVERYTHING = "*"
_PENDING = "registry_pending"


def tell(session: WriteSession, *, tokens: Iterable[str] = (), sites: Iterable[int] = ()) -> None:
    """NOTIFY ccs_registry `{"tokens": […], "sites": […]}` once, at the commit; `*` when that would be too long."""
    if _PENDING not in session.info:
        session.info[_PENDING] = (set(), set())
        event.listen(session, "before_commit", _send)
    pending: tuple[set[str], set[int]] = session.info[_PENDING]
    pending[0].update(tokens)
    pending[1].update(sites)


def _send(session: WriteSession) -> None:
    tokens, sites = session.info[_PENDING]
    if session.in_nested_transaction() or not (tokens or sites):
        return
    text = json.dumps({"tokens": sorted(tokens), "sites": sorted(sites)}, separators=(",", ":"))
    tokens.clear()
    sites.clear()
    repository.notify(session, "ccs_registry", text if len(text) <= NOTICE_BYTES_MAX else EVERYTHING)


def tell_access_changed(session: WriteSession) -> None:
    """NOTIFY ccs_identity: what roles reach, or how a site is called, changed."""
    repository.notify(session, "ccs_identity", "")
