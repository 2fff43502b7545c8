"""Every router of identity, for whoever composes an application."""

from __future__ import annotations

from typing import TYPE_CHECKING

from central.identity import (
    account_pages,
    again_pages,
    arrival_pages,
    colleague_pages,
    factor_pages,
    member_pages,
    outside_pages,
    pages,
    saved_view_pages,
)

if TYPE_CHECKING:
    from fastapi import APIRouter


def identity_routers() -> tuple[APIRouter, ...]:
    """Return them in the order in which they are included."""
    holders = (
        pages,
        factor_pages,
        again_pages,
        arrival_pages,
        outside_pages,
        account_pages,
        colleague_pages,
        member_pages,
        saved_view_pages,
    )
    return tuple(holder.router for holder in holders)
