"""Every router of identity, for whoever composes an application."""

from __future__ import annotations

from typing import TYPE_CHECKING

from central.identity import factor_pages, pages

if TYPE_CHECKING:
    from fastapi import APIRouter


def identity_routers() -> tuple[APIRouter, ...]:
    """Return them in the order in which they are included."""
    return pages.router, factor_pages.router
