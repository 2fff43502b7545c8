"""What the pages of identity take from a request, and the session cookie that they answer with."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from central.audit.tags import Tag
from central.identity.credentials import SECRET_CHARS_MAX
from central.identity.guards import SESSION_COOKIE, actor_cache
from central.identity.letters import Letters
from central.identity.passkeys import Here
from central.identity.sessions import From
from central.kit.public import public_host, public_url
from central.kit.sms import Texts

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from fastapi import Request
    from sqlalchemy import Engine
    from starlette.responses import Response

    from central.identity.looks import Looks
    from central.identity.policy import Actor
    from central.kit.sealed import Seal


def now_of(request: Request) -> datetime:
    """Return the present instant."""
    return cast("datetime", request.app.state.clock.now())


def engine_of(request: Request) -> Engine:
    """Return the process's database."""
    return cast("Engine", request.app.state.engine)


def note_accounts(request: Request, actor: Actor, shown: Iterable[int]) -> None:
    """Write down whose accounts a page shows, before it does: names, addresses, roles. Blocks."""
    users = sorted(set(shown))
    looks: Looks = request.app.state.looks
    looks.record(actor, Tag.USER_LOOK, request.url.path, now=now_of(request), detail={"users": users})


def seal_of(request: Request) -> Seal:
    """Return the installation's seal."""
    return cast("Seal", request.app.state.seal)


def letters_of(request: Request) -> Letters:
    """Return who writes letters here."""
    return Letters(seal_of(request), mail_goes_out=bool(request.app.state.settings.smtp_url))


def texts_of(request: Request) -> Texts:
    """Return who writes text messages here."""
    return Texts(seal_of(request), go_out=bool(request.app.state.settings.sms_url))


def origin_of(request: Request) -> From:
    """Say where a request came from, for the session that it begins."""
    previous = request.cookies.get(SESSION_COOKIE, "")[:SECRET_CHARS_MAX]
    address = request.client.host if request.client else "unknown"
    return From(address, request.headers.get("user-agent", ""), previous or None)


def here_of(request: Request) -> Here:
    """Return what passkeys are bound to here."""
    return Here(public_host(request), public_url(request))


def set_session(request: Request, answer: Response, secret: str) -> None:
    """Give the browser a session's secret; what this process remembered of the old one is forgotten."""
    actor_cache(request).flush()
    secure = request.app.state.settings.secure_cookies
    answer.set_cookie(SESSION_COOKIE, secret, httponly=True, secure=secure, samesite="lax", path="/")
