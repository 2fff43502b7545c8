"""Composition root of the web process: routers, error pages, what lives as long as the process."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

from fastapi import APIRouter, FastAPI, Request
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse, RedirectResponse, Response

import central.models  # noqa: F401 - every table is known before the first one is written
from central.attendance import (
    day_endpoints,
    feed_endpoints,
    fleet_endpoints,
    fleet_pages,
    fleet_write_pages,
    home_pages,
    month_endpoints,
    month_pages,
)
from central.attendance import endpoints as attendance_endpoints
from central.attendance import pages as attendance_pages
from central.attendance.board import HeadcountBoard
from central.identity.actors import ActorCache
from central.identity.looks import Looks
from central.identity.outside_provider import load_providers
from central.identity.routers import identity_routers
from central.kit import i18n, web
from central.kit.api_docs import OPENAPI_PATH, describe
from central.kit.clock import Clock, SystemClock
from central.kit.config import second_factor_required, with_secret
from central.kit.db import make_engine
from central.kit.errors import NotFound
from central.kit.listen import EVERYTHING, listen
from central.kit.migrate import unready
from central.kit.problems import PROBLEM_TYPE, install_problems
from central.kit.sealed import Seal, load_data_key
from central.myself.asking import OWN_VIEW, show_problem
from central.myself.routes import ROUTERS as MYSELF
from central.privacy import audit_pages, rule_pages, worker_pages
from central.registry.import_queue import ImportQueue
from central.registry.routes import ROUTERS as REGISTRY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from central.kit.config import Settings

GZIP_BYTES_MIN = 1_000
GZIP_LEVEL = 3
"""Of a list's 24 kB it leaves 3.9: the highest level leaves 3.7 and takes more than twice as long."""
BODY_BYTES_MAX = 1_000_000
"""No request needs more, but for a sheet to be taken in."""
SHEET_BYTES_MAX = 21 * 1024 * 1024
SHEETS_PATH = "/imports"


def create_app(settings: Settings, *, clock: Clock | None = None) -> FastAPI:
    """Build the web application; nothing is connected before its lifespan starts."""
    app = FastAPI(
        title="Clean construction system",
        version="1",
        lifespan=_lifespan,
        openapi_url=OPENAPI_PATH,
        docs_url=None,
        redoc_url=None,
    )
    app.state.settings = settings = with_secret(settings)
    app.state.clock = clock or SystemClock()
    app.state.engine = make_engine(settings.database_url)
    app.state.actors = ActorCache(
        app.state.engine, app.state.clock, second_factor_required=second_factor_required(settings)
    )
    app.state.seal = Seal(load_data_key(settings.data_key_file))
    app.state.providers = load_providers(settings.oidc_file)
    app.state.headcounts = HeadcountBoard(app.state.engine, app.state.clock)
    app.state.bells = feed_endpoints.Bells()
    app.state.looks = Looks(app.state.engine)
    app.state.imports = ImportQueue(app.state.engine, app.state.clock)
    install_problems(app, drawn_by=dict.fromkeys(OWN_VIEW, show_problem))
    _include(app)
    describe(app)
    app.mount("/static", web.KeptFiles(directory=web.STATIC_FOLDER), name="static")
    app.add_api_route("/language/{code}", choose_language, include_in_schema=False, response_class=Response)
    app.add_middleware(GZipMiddleware, minimum_size=GZIP_BYTES_MIN, compresslevel=GZIP_LEVEL)
    app.add_middleware(Guarded)
    return app


def _include(app: FastAPI) -> None:
    """Add every slice's routes, lowest slice first: route by route, since a router that is included is tried twice."""
    routers = (
        *(health, *identity_routers(), *REGISTRY),
        *(attendance_endpoints.router, day_endpoints.router),
        *(fleet_endpoints.router, fleet_write_pages.router, fleet_pages.router),
        *(month_endpoints.router, feed_endpoints.router, home_pages.router, attendance_pages.router),
        *(*MYSELF, month_pages.router),
        *(audit_pages.router, audit_pages.api, rule_pages.router, worker_pages.router),
    )
    for router in routers:
        app.router.routes.extend(router.routes)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    state = app.state

    def identity_changed(_: str) -> None:
        state.actors.flush()
        state.headcounts.rights_changed()

    def registry_changed(_: str) -> None:
        state.actors.flush()
        state.headcounts.changed(EVERYTHING)

    def site_changed(payload: str) -> None:
        state.headcounts.changed(payload)
        state.bells.ring(payload)

    handlers = {
        "ccs_site": site_changed,
        "ccs_identity": identity_changed,
        "ccs_registry": registry_changed,
    }
    beside = [
        asyncio.create_task(listen(state.settings.database_url, handlers), name="listen"),
        asyncio.create_task(state.imports.beat(), name="imports"),
    ]
    try:
        yield
    finally:
        for task in beside:
            task.cancel()
        state.headcounts.close()
        await asyncio.to_thread(state.imports.close)
        for task in beside:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        state.engine.dispose()


health = APIRouter(include_in_schema=False)


@health.get("/healthz", response_class=Response)
async def healthz() -> Response:
    """Say that the process answers."""
    return Response("ok\n", media_type="text/plain")


@health.get("/readyz", response_class=Response)
def readyz(request: Request) -> Response:
    """Say whether the database answers with our tables in it, so that a balancer sends people elsewhere until then."""
    wrong = unready(request.app.state.engine)
    return Response(f"{wrong or 'ready'}\n", status_code=503 if wrong else 200, media_type="text/plain")


def choose_language(code: str, next: str = "/") -> Response:  # noqa: A002 - the name of the query parameter
    """Remember a person's language and go back."""
    if code not in i18n.PHONE_LANGUAGES:
        raise NotFound("There is no such language here. Go back and choose one that is offered.")
    answer = RedirectResponse(web.local_path(next), status_code=303)
    web.remember_language(answer, code)
    return answer


class Guarded:
    """Adds the security headers; refuses what another site's page sends with a person's cookies, and long bodies."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_RAW_HEADERS]
            await send(message)

        if scope["method"] not in {"GET", "HEAD", "OPTIONS"}:
            headers = Headers(scope=scope)
            if "cookie" in headers and not web.sent_from_here(headers):
                await _refusal(403, "foreign_form", _FOREIGN)(scope, receive, with_headers)
                return
            length = headers.get("content-length", "0")
            bytes_max = SHEET_BYTES_MAX if scope["path"].endswith(SHEETS_PATH) else BODY_BYTES_MAX
            if length.isdecimal() and int(length) > bytes_max:
                await _refusal(413, "too_large", _too_large(bytes_max))(scope, receive, with_headers)
                return
            receive = _bounded(receive, bytes_max)
        await self._app(scope, receive, with_headers)


_FOREIGN = "This was sent from another site. Open our own page and send it from there."


def _too_large(bytes_max: int) -> str:
    return f"The request is longer than {bytes_max:,} bytes. Send less at a time."


def _refusal(status: int, code: str, detail: str) -> Response:
    title = HTTPStatus(status).phrase
    body = {"type": f"urn:ccs:problem:{code}", "title": title, "status": status, "detail": detail}
    return JSONResponse(body, status_code=status, media_type=PROBLEM_TYPE)


def _bounded(receive: Receive, bytes_max: int) -> Receive:
    """Count what comes without a length beforehand."""
    taken = 0

    async def bounded() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > bytes_max:
            raise HTTPException(413, _too_large(bytes_max))
        return message

    return bounded


_RAW_HEADERS = [(name.lower().encode(), value.encode()) for name, value in web.SECURITY_HEADERS.items()]
