"""Composition root of the web process: routers, error pages, what lives as long as the process."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse, RedirectResponse, Response

from central.kit import i18n, web
from central.kit.clock import Clock, SystemClock
from central.kit.db import make_engine
from central.kit.errors import NotFound
from central.kit.problems import install_problems

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from central.kit.config import Settings

GZIP_BYTES_MIN = 1_000


def create_app(settings: Settings, *, clock: Clock | None = None) -> FastAPI:
    """Build the web application; nothing is connected before its lifespan starts."""
    app = FastAPI(title="Clean construction system", version="1", lifespan=_lifespan, docs_url=None, redoc_url=None)
    app.state.settings = settings
    app.state.clock = clock or SystemClock()
    app.state.engine = make_engine(settings.database_url)
    install_problems(app)
    _include(app)
    app.mount("/static", web.KeptFiles(directory=web.STATIC_FOLDER), name="static")
    app.add_api_route("/language/{code}", choose_language, include_in_schema=False, response_class=Response)
    app.add_middleware(GZipMiddleware, minimum_size=GZIP_BYTES_MIN)
    app.add_middleware(Guarded)
    return app


def _include(app: FastAPI) -> None:
    """Add every slice's routes, lowest slice first."""


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    app.state.engine.dispose()


def choose_language(code: str, next: str = "/") -> Response:  # noqa: A002 - the name of the query parameter
    """Remember a person's language and go back."""
    if code not in i18n.LANGUAGES:
        raise NotFound("There is no such language here. Go back and choose one that is offered.")
    answer = RedirectResponse(web.local_path(next), status_code=303)
    web.remember_language(answer, code)
    return answer


class Guarded:
    """Adds the security headers, and refuses what another site's page sends with a person's cookies."""

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
                refused = JSONResponse(
                    {
                        "type": "urn:ccs:problem:foreign_form",
                        "title": "Forbidden",
                        "status": 403,
                        "detail": "This was sent from another site. Open our own page and send it from there.",
                    },
                    status_code=403,
                    media_type="application/problem+json",
                )
                await refused(scope, receive, with_headers)
                return
        await self._app(scope, receive, with_headers)


_RAW_HEADERS = [(name.lower().encode(), value.encode()) for name, value in web.SECURITY_HEADERS.items()]
