"""What the worker's own pages take from a request: one of twelve languages, sessions cut to the worker's own rows."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

from babel.dates import format_skeleton
from fastapi import Depends, Request

from central.identity.asking import now_of
from central.identity.guards import SignedInWorker
from central.identity.policy import Reach
from central.kit import i18n
from central.kit.db import Reading, ReadSession, WriteSession, Writing
from central.kit.web import LANGUAGE_COOKIE, language_of, page
from central.registry.confinement import confine

if TYPE_CHECKING:
    from starlette.responses import Response


OWN_VIEW = ("/me", "/receipts")
"""Paths below which pages are the worker's own view, refusals among them."""


async def spoken(request: Request) -> None:
    """Note the asker's language, of all that these pages are there in."""
    _note_language(request)


def _note_language(request: Request) -> None:
    request.state.language = i18n.choose_language(
        request.cookies.get(LANGUAGE_COOKIE), request.headers.get("accept-language"), offered=i18n.PHONE_LANGUAGES
    )


async def own_reading(worker: SignedInWorker, session: Reading) -> ReadSession:
    """Give a read session that shows the worker's own rows and nobody else's."""
    confine(session, Reach(worker_id=worker.worker_id))
    return session


async def own_writing(worker: SignedInWorker, session: Writing) -> WriteSession:
    """Give a write session that sees the worker's own rows and nobody else's."""
    confine(session, Reach(worker_id=worker.worker_id))
    return session


async def _now(request: Request) -> datetime:
    return now_of(request)


OwnReading = Annotated[ReadSession, Depends(own_reading)]
OwnWriting = Annotated[WriteSession, Depends(own_writing)]
Now = Annotated[datetime, Depends(_now)]


def show(request: Request, template: str, /, *, status: int = 200, **context: Any) -> Response:  # noqa: ANN401 - as `page`
    """Render a page of the worker's own view."""
    language = language_of(request)
    context |= {"own_languages": i18n.PHONE_LANGUAGES, "clock": _clock}
    context |= {"day_name": lambda day: day_name(language, day), "month_name": lambda day: month_name(language, day)}
    return page(request, f"myself/{template}", status=status, **context)


def show_problem(request: Request, /, *, status: int, detail: str) -> Response:
    """Draw a refusal in the worker's own view, in one of its languages: also of an address that no route has."""
    _note_language(request)
    return show(request, "problem.html", status=status, detail=detail, problem_status=status)


def day_name(language: str, day: date) -> str:
    """Write a day as people say it, without its year: `Mon, Nov 23`."""
    return format_skeleton("MMMEd", day, locale=language)


def month_name(language: str, day: date) -> str:
    """Write a month with its year."""
    return format_skeleton("yMMMM", day, locale=language)


def _clock(at: datetime | None, timezone: str) -> str:
    return "—" if at is None else at.astimezone(ZoneInfo(timezone)).strftime("%H:%M")


def _(message: str) -> str:
    return message


DOUBTS = {
    "missing_entry": _("The way in is missing."),
    "missing_exit": _("The way out is missing."),
    "weak_exit": _("The way out does not count: the card proved less than on the way in."),
    "not_yet_out": _("You are not out yet."),
    "long_stay": _("More than 14 hours lie between the way in and the way out."),
}
STATES = {
    "open": _("Waiting for your employer"),
    "upheld": _("Agreed"),
    "refused": _("Your employer does not agree"),
    "withdrawn": _("Withdrawn"),
    "insisted": _("Waiting for the client"),
    "dismissed": _("Closed: the client does not agree"),
}
