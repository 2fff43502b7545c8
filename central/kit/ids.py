"""Typed identifiers, so that a worker's id is never passed where a site's is meant."""

from __future__ import annotations

from typing import NewType

UserId = NewType("UserId", int)
OrganizationId = NewType("OrganizationId", int)
ProjectId = NewType("ProjectId", int)
SiteId = NewType("SiteId", int)
WorkerId = NewType("WorkerId", int)
CardId = NewType("CardId", int)
TerminalId = NewType("TerminalId", int)
