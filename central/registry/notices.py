"""Telling the other processes, at commit, what changed in the registry."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from central.registry import repository

if TYPE_CHECKING:
    from collections.abc import Iterable

    from central.kit.db import WriteSession

NOTICE_BYTES_MAX = 7_000
"""PostgreSQL's limit is 8,000."""
EVERYTHING = "*"


def tell(session: WriteSession, *, tokens: Iterable[str] = (), sites: Iterable[int] = ()) -> None:
    """NOTIFY ccs_registry `{"tokens": […], "sites": […]}`; `*` when that would be too long."""
    content = {"tokens": sorted(set(tokens)), "sites": sorted(set(sites))}
    text = json.dumps(content, separators=(",", ":"))
    repository.notify(session, "ccs_registry", text if len(text) <= NOTICE_BYTES_MAX else EVERYTHING)


def tell_access_changed(session: WriteSession) -> None:
    """NOTIFY ccs_identity: what roles reach, or how a site is called, changed."""
    repository.notify(session, "ccs_identity", "")
