"""Every router of the worker's own view, for whoever composes an application."""

from __future__ import annotations

from central.myself import answer_pages, pages, receipt_pages, sign_in_pages

ROUTERS = (
    sign_in_pages.router,
    pages.router,
    receipt_pages.router,
    receipt_pages.key_router,
    answer_pages.router,
)
