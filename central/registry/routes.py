"""Every router of the registry, for whoever composes an application."""

from __future__ import annotations

from central.registry import (
    card_endpoints,
    contract_endpoints,
    endpoints,
    pages,
    record_endpoints,
    site_endpoints,
    worker_endpoints,
)

ROUTERS = (
    endpoints.router,
    site_endpoints.router,
    worker_endpoints.router,
    record_endpoints.router,
    card_endpoints.router,
    contract_endpoints.router,
    pages.router,
)
