"""How a refusal looks: RFC 9457 problem details for programs, a page with the same sentence for people."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote, urlsplit

import structlog
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError, OperationalError
from sqlalchemy.exc import TimeoutError as NoFreeConnection
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from central.kit.errors import AppError
from central.kit.web import page

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI, Request

PROBLEM_TYPE = "application/problem+json"
SIGN_IN_PATH = "/sign-in"
SIGN_IN_PATHS = {"proof_needed": "/sign-in/again", "worker_sign_in_required": "/me/sign-in"}
"""Where whoever is not signed in goes, by the refusal's code; elsewhere `SIGN_IN_PATH`."""
_CODES = {404: "not_found", 405: "method_not_allowed", 401: "not_signed_in", 403: "forbidden"}
_log = structlog.get_logger()


class ProblemPage(Protocol):
    """Draws a refusal as a page."""

    def __call__(self, request: Request, /, *, status: int, detail: str) -> Response:
        """Return the page; `detail` is the refusal's sentence, in English."""
        ...


def install_problems(app: FastAPI, *, drawn_by: Mapping[str, ProblemPage] | None = None) -> None:
    """Answer every refusal of the app in one form; below a path of `drawn_by`, pages in that view's own dress."""
    app.state.problem_pages = dict(drawn_by or {})
    app.add_exception_handler(AppError, _app_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(DataError, _not_keepable)
    app.add_exception_handler(OperationalError, _no_database)
    app.add_exception_handler(NoFreeConnection, _no_database)
    app.add_exception_handler(Exception, _crash)


def wants_page(request: Request) -> bool:
    """Whether a person is asking: not the API, and the client takes HTML."""
    return not request.url.path.startswith("/api/") and "text/html" in request.headers.get("accept", "")


def problem(
    request: Request, *, status: int, code: str, detail: str, extensions: dict[str, object] | None = None
) -> JSONResponse:
    """Build RFC 9457 problem details; `type` is `urn:ccs:problem:{code}` and stable."""
    body = {
        "type": f"urn:ccs:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": request.url.path,
    }
    return JSONResponse(body | (extensions or {}), status_code=status, media_type=PROBLEM_TYPE)


def _answer(
    request: Request, *, status: int, code: str, detail: str, extensions: dict[str, object] | None = None
) -> Response:
    if not wants_page(request):
        return problem(request, status=status, code=code, detail=detail, extensions=extensions)
    if status == HTTPStatus.UNAUTHORIZED and request.url.path != SIGN_IN_PATH:
        return _to_sign_in(request, SIGN_IN_PATHS.get(code, SIGN_IN_PATH))
    drawn_by: dict[str, ProblemPage] = request.app.state.problem_pages
    for path, draw in drawn_by.items():
        if request.url.path == path or request.url.path.startswith(f"{path}/"):
            return draw(request, status=status, detail=detail)
    return page(request, "kit/problem.html", status=status, code=code, detail=detail, problem_status=status)


def _to_sign_in(request: Request, path: str) -> Response:
    target = f"{path}?next={quote(_way_back(request), safe='')}"
    if request.headers.get("hx-request"):
        return Response(status_code=HTTPStatus.UNAUTHORIZED, headers={"HX-Redirect": target})
    return RedirectResponse(target, status_code=HTTPStatus.SEE_OTHER)


def _way_back(request: Request) -> str:
    """Where to go after signing in: to the page that was asked for, or back to the form that was sent."""
    if request.method == "GET":
        return request.url.path + (f"?{request.url.query}" if request.url.query else "")
    came_from = urlsplit(request.headers.get("referer", ""))
    return came_from.path or "/" if came_from.netloc == request.url.netloc else "/"


async def _app_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, AppError)  # noqa: S101 - registered for this class only
    answer = _answer(
        request, status=error.status, code=error.code, detail=error.message, extensions=dict(error.extensions)
    )
    if error.status == HTTPStatus.UNAUTHORIZED:
        answer.headers.setdefault("WWW-Authenticate", "Bearer")
    return answer


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class only
    code = _CODES.get(error.status_code, f"http_{error.status_code}")
    if error.status_code == HTTPStatus.NOT_FOUND:
        answer = _answer(request, status=404, code=code, detail="There is nothing at this address.")
    else:
        answer = _answer(request, status=error.status_code, code=code, detail=str(error.detail))
    for name, value in (error.headers or {}).items():
        answer.headers.setdefault(name, value)
    return answer


async def _malformed(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class only
    errors: list[dict[str, object]] = [
        {"field": ".".join(str(part) for part in found["loc"]), "reason": found["msg"]} for found in error.errors()
    ]
    named = "; ".join(f"{found['field']}: {found['reason']}" for found in errors[:5])
    detail = f"The request cannot be used: {named}."
    return _answer(request, status=422, code="invalid", detail=detail, extensions={"errors": errors})


async def _not_keepable(request: Request, error: Exception) -> Response:
    """Refuse what PostgreSQL has no place for: a NUL in a text, a number beyond its type. Nothing was changed."""
    _log.warning("not_keepable", path=request.url.path, error=str(error)[:300])
    detail = "The request holds a text or a number that cannot be kept. Take out hidden characters and try again."
    return _answer(request, status=422, code="not_keepable", detail=detail)


async def _no_database(request: Request, error: Exception) -> Response:
    _log.error("database_unreachable", path=request.url.path, error=str(error)[:300])
    detail = "The database does not answer now. Nothing was changed; try again in a moment."
    return _answer(request, status=503, code="database_unreachable", detail=detail)


async def _crash(request: Request, error: Exception) -> Response:
    _log.error("request_failed", path=request.url.path, method=request.method, exc_info=error)
    detail = "Something failed on our side and is in the log. Try again; if it stays, tell the system operator."
    return _answer(request, status=500, code="internal", detail=detail)
