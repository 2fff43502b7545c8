"""Where people reach the web. Never taken from a request where it matters: a `Host` header is anybody's word."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from central.kit.errors import AppError

if TYPE_CHECKING:
    from fastapi import Request


class NoPublicAddress(AppError):
    """This installation does not know its own address."""

    status = 503
    code = "no_public_address"


def public_url(request: Request) -> str:
    """Return `https://host[:port]` without a slash at its end. A demo without TLS takes it from the request."""
    settings = request.app.state.settings
    if settings.public_url:
        parts = urlsplit(settings.public_url)
        return f"{parts.scheme}://{parts.netloc}"
    if not settings.secure_cookies:
        return f"{request.url.scheme}://{request.url.netloc}"
    raise NoPublicAddress(
        "this installation does not know its own address: ask a system operator to set CCS_PUBLIC_URL"
    )


def public_host(request: Request) -> str:
    """Return the host name alone: what passkeys are bound to."""
    return urlsplit(public_url(request)).hostname or ""
