"""Pages: templates, language, CSRF, flash messages, and the headers every answer carries.

A template is named `{slice}/{file}`: `identity/sign_in.html` is `central/identity/templates/sign_in.html`.
A form holds `{{ csrf_field() }}`, and its route depends on `checked_form`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, PrefixLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from central.kit import i18n
from central.kit.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Scope

LANGUAGE_COOKIE = "ccs_language"
CSRF_COOKIE = "ccs_csrf"
FLASH_COOKIE = "ccs_flash"
CSRF_FIELD = "csrf_token"
FLASH_BYTES_MAX = 2_000
LANGUAGE_COOKIE_S = 365 * 24 * 3600
FLASH_COOKIE_S = 60
_NONCE_CHARS = 16
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_CENTRAL = Path(__file__).parent.parent
STATIC_FOLDER = Path(__file__).parent / "static"

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'self'; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}

FlashKind = Literal["done", "notice", "problem"]


class ForeignForm(AppError):
    """A form was sent from another site, or its token is missing or old."""

    status = 403
    code = "foreign_form"


# -- templates


def _template_folders() -> dict[str, Path]:
    return {folder.parent.name: folder for folder in sorted(_CENTRAL.glob("*/templates")) if folder.is_dir()}


@cache
def environment(language: str) -> Environment:
    """Return the language's template environment; every slice's `templates/` folder is in it under its own name."""
    loaders = {name: FileSystemLoader(folder) for name, folder in _template_folders().items()}
    made = Environment(
        loader=PrefixLoader(loaders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= i18n.spoken(language) | {"language": language, "languages": i18n.LANGUAGES, "static": static_url}
    made.filters |= {
        "clock": i18n.clock_time,
        "date_time": i18n.date_time,
        "number": _number,
        "said": partial(i18n.said, language),
    }
    return made


def _number(value: int) -> str:
    return f"{value:,}"


def page(
    request: Request,
    template: str,
    /,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **context: Any,  # noqa: ANN401 - templates take anything
) -> HTMLResponse:
    """Render a template in the asker's language, with `request`, `actor`, `flashes` and `csrf_field` at hand."""
    language = language_of(request)
    csrf = _Csrf(request)
    flashes = _read_flashes(request)
    body = (
        environment(language)
        .get_template(template)
        .render(
            request=request,
            actor=getattr(request.state, "actor", None),
            flashes=flashes,
            csrf_field=csrf.field,
            **context,
        )
    )
    answer = HTMLResponse(body, status_code=status, headers=dict(headers or {}))
    answer.headers.setdefault("Cache-Control", "no-store")
    answer.headers.setdefault("Vary", "Accept-Language, Cookie")
    csrf.remember(answer)
    if flashes:
        answer.delete_cookie(FLASH_COOKIE, path="/")
    return answer


# -- language


def language_of(request: Request) -> str:
    """Return the asker's language: own choice (cookie), else the browser's, else Korean.

    Pages that are there in more languages note theirs as `request.state.language`.
    """
    noted: str | None = getattr(request.state, "language", None)
    return noted or i18n.choose_language(request.cookies.get(LANGUAGE_COOKIE), request.headers.get("accept-language"))


def translate(request: Request, message: str, **values: object) -> str:
    """Translate a sentence into the asker's language."""
    return i18n.gettext(language_of(request), message, **values)


def remember_language(answer: Response, language: str) -> None:
    """Keep a person's choice of language for a year."""
    answer.set_cookie(LANGUAGE_COOKIE, language, max_age=LANGUAGE_COOKIE_S, samesite="lax", path="/")


def local_path(candidate: str | None, *, default: str = "/") -> str:
    """Return a path on this host to go on to, or `default`: never another host."""
    if not candidate or not candidate.startswith("/") or candidate.startswith("//") or "\\" in candidate:
        return default
    parts = urlsplit(candidate)
    return default if parts.scheme or parts.netloc else candidate


# -- CSRF: a cookie with a random value, and in each form a token that only this server makes from it


def _secret(request: Request) -> bytes:
    key: str = request.app.state.settings.secret_key
    return key.encode()


def _token(key: bytes, cookie: str, nonce: str) -> str:
    made = hmac.new(key, _bytes(f"csrf:{cookie}:{nonce}"), hashlib.sha256).hexdigest()
    return f"{nonce}{made}"


def _bytes(sent: str) -> bytes:
    """Any text that a request can bring, half a character too: texts that are no ASCII cannot be compared safely."""
    return sent.encode(errors="surrogatepass")


def _is_same(sent: str, ours: str) -> bool:
    """Whether what was sent is what we made, in a time that tells nothing of where they differ."""
    return hmac.compare_digest(_bytes(sent), _bytes(ours))


class _Csrf:
    """The token of one answer. The nonce makes each rendering differ, so compression tells nothing of it."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._known = request.cookies.get(CSRF_COOKIE)
        self._cookie = self._known or secrets.token_hex(16)
        self._used = False

    def field(self) -> Markup:
        self._used = True
        token = _token(_secret(self._request), self._cookie, secrets.token_hex(_NONCE_CHARS // 2))
        return Markup('<input type="hidden" name="{}" value="{}">').format(CSRF_FIELD, token)

    def remember(self, answer: Response) -> None:
        if self._used and self._known is None:
            secure = self._request.app.state.settings.secure_cookies
            answer.set_cookie(CSRF_COOKIE, self._cookie, httponly=True, secure=secure, samesite="lax", path="/")


def sent_from_here(headers: Mapping[str, str]) -> bool:
    """Whether the browser says that our own page made the request; a client that is no browser says nothing."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host")


async def checked_form(request: Request) -> None:
    """Dependency of each route that a form is sent to: refuse what our own page did not send."""
    if request.method in _SAFE_METHODS:
        return
    again = "Open the page again and send the form from there."
    if not sent_from_here(request.headers):
        raise ForeignForm(f"This form was sent from another site. {again}")
    form = await request.form()
    token = str(form.get(CSRF_FIELD) or request.headers.get("x-csrf-token") or "")
    cookie = request.cookies.get(CSRF_COOKIE, "")
    if not cookie or not _is_same(token, _token(_secret(request), cookie, token[:_NONCE_CHARS])):
        await form.close()
        raise ForeignForm(f"The form's token is missing or old. {again}")


# -- flash: one sentence carried over a redirect


def flash(request: Request, answer: Response, kind: FlashKind, message: str) -> None:
    """Show a sentence, already translated, on the next page."""
    body = base64.urlsafe_b64encode(json.dumps([kind, message]).encode()).decode()
    if len(body) > FLASH_BYTES_MAX:
        body = base64.urlsafe_b64encode(json.dumps([kind, message[:200] + "…"]).encode()).decode()
    seal = hmac.new(_secret(request), f"flash:{body}".encode(), hashlib.sha256).hexdigest()[:32]
    secure = request.app.state.settings.secure_cookies
    answer.set_cookie(
        FLASH_COOKIE, f"{seal}.{body}", max_age=FLASH_COOKIE_S, httponly=True, secure=secure, samesite="lax", path="/"
    )


def _read_flashes(request: Request) -> list[tuple[str, str]]:
    seal, _, body = request.cookies.get(FLASH_COOKIE, "").partition(".")
    expected = hmac.new(_secret(request), _bytes(f"flash:{body}"), hashlib.sha256).hexdigest()[:32]
    if not body or not _is_same(seal, expected):
        return []
    kind, message = json.loads(base64.urlsafe_b64decode(body))
    return [(kind, message)]


# -- static files


@cache
def static_url(name: str) -> str:
    """Return a static file's address; it changes with the content, so browsers may keep it for ever."""
    digest = hashlib.sha256((STATIC_FOLDER / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"


class KeptFiles(StaticFiles):
    """Static files; an address with the content's digest in it never changes meaning."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Answer with a year of caching when the address names the content."""
        answer = await super().get_response(path, scope)
        if b"v=" in scope.get("query_string", b""):
            answer.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return answer
