"""Every router of the registry, for whoever composes an application."""

from __future__ import annotations

from central.registry import (
    bar_pages,
    bulk_pages,
    card_endpoints,
    card_pages,
    contract_endpoints,
    contract_pages,
    endpoints,
    export_pages,
    import_pages,
    merge_pages,
    organization_pages,
    pages,
    pass_pages,
    project_pages,
    record_endpoints,
    search_pages,
    site_endpoints,
    site_pages,
    worker_endpoints,
    worker_pages,
)

ROUTERS = (
    endpoints.router,
    site_endpoints.router,
    worker_endpoints.router,
    record_endpoints.router,
    card_endpoints.router,
    contract_endpoints.router,
    organization_pages.router,
    project_pages.router,
    contract_pages.router,
    site_pages.router,
    pass_pages.router,
    pages.router,
    search_pages.router,
    bulk_pages.router,
    export_pages.router,
    import_pages.router,
    worker_pages.router,
    merge_pages.router,
    card_pages.router,
    bar_pages.router,
)
