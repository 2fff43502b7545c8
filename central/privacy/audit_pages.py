"""The audit trail as a page, as files and in the JSON API: who did what, when, and whose data it touched."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal, cast
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel
from starlette.responses import Response

from central.audit.search import Entry, Wanted, find, kinds, place_of
from central.audit.tags import Tag
from central.identity.guards import CurrentActor, permission_guard
from central.identity.looks import Looks
from central.identity.permissions import Permission
from central.kit import tables
from central.kit.db import ReadSession
from central.kit.errors import Invalid
from central.kit.i18n import date_time
from central.kit.web import page, translate
from central.privacy import repository
from central.registry.cards import ZONE
from central.registry.sessions import confined_reading

ROWS_A_PAGE = 50
ROWS_A_PAGE_MAX = 500
ROWS_EXPORTED_MAX = 50_000
TIMEZONE = "Asia/Seoul"
WORKERS_NAMED_MAX = 20
"""Of a look at many, as many are named on the page; the file and the API have them all."""

router = APIRouter(include_in_schema=False, dependencies=[Depends(permission_guard(Permission.AUDIT_EVENT_READ))])
api = APIRouter(prefix="/api/v1", tags=["audit"], dependencies=[Depends(permission_guard(Permission.AUDIT_EVENT_READ))])

AuditReading = Annotated[ReadSession, Depends(confined_reading(Permission.AUDIT_EVENT_READ))]
Text = Annotated[str, Query(max_length=120)]
Cursor = Annotated[str, Query(max_length=60)]


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asked the trail, as it stands in the address; empty texts ask for nothing."""

    who: str = ""
    """A name, an account's address, or a key like `token:5`."""
    what: str = ""
    subject: str = ""
    whose: str = ""
    """A worker's number."""
    from_on: str = ""
    until_on: str = ""
    """Days in Korea, both included."""

    @property
    def filtered(self) -> bool:
        """Whether anything is left out."""
        return any((self.who, self.what, self.subject, self.whose, self.from_on, self.until_on))

    def query(self, **changed: str) -> str:
        """Write the address's query, with changes."""
        facts = {name: getattr(self, name) for name in ("who", "what", "subject", "whose", "from_on", "until_on")}
        return urlencode({name: value for name, value in (facts | changed).items() if value})


def asked(
    who: Text = "", what: Text = "", subject: Text = "", whose: Text = "", from_on: Text = "", until_on: Text = ""
) -> Asked:
    """Read what is asked from the query."""
    return Asked(*(one.replace("\0", "").strip() for one in (who, what, subject, whose, from_on, until_on)))


AskedTrail = Annotated[Asked, Depends(asked)]


class AuditEventView(BaseModel):
    """One act. `hash` chains it to the row before: `ccs-central audit verify` walks the chain."""

    id: int
    at: datetime
    actor: str
    actor_name: str
    tag: str
    subject: str
    detail: dict[str, Any]
    hash: str


class AuditPage(BaseModel):
    """A part of the trail, newest first; `next_cursor` is null at the end."""

    items: list[AuditEventView]
    next_cursor: str | None


_EXAMPLE = {
    "items": [
        {
            "id": 5120,
            "at": "2026-11-22T00:41:04.120Z",
            "actor": "user:3",
            "actor_name": "김안전",
            "tag": "people:look",
            "subject": "site:7",
            "detail": {"people": 2, "workers": [16, 17]},
            "hash": "6f1c0d9be2a44b10c0f5d1a8de2f3b7a6f1c0d9be2a44b10c0f5d1a8de2f3b7a",
        }
    ],
    "next_cursor": "1795221664120000.5120",
}


@router.get("/audit")
def audit_page(
    request: Request, session: AuditReading, actor: CurrentActor, asked: AskedTrail, after: Cursor = ""
) -> Response:
    """Show the trail, newest first, and who did what in it."""
    found = _found(session, asked, after=after, rows_max=ROWS_A_PAGE)
    shown = found[:ROWS_A_PAGE]
    _note(request, session, actor, asked)
    return page(
        request,
        "privacy/audit.html",
        asked=asked,
        rows=shown,
        names=repository.actor_names(session, {row.actor for row in shown}),
        kinds=kinds(),
        following=place_of(shown[-1]) if len(found) > ROWS_A_PAGE else "",
        after=after,
        said=said,
        timezone=TIMEZONE,
        now=request.app.state.clock.now(),
    )


@router.get("/audit.{form}")
def export_audit(
    request: Request, form: Literal["csv", "xlsx"], session: AuditReading, actor: CurrentActor, asked: AskedTrail
) -> Response:
    """Hand the trail out as a file; each one is in the trail before it is sent."""
    found = _found(session, asked, after="", rows_max=ROWS_EXPORTED_MAX)
    if len(found) > ROWS_EXPORTED_MAX:
        raise Invalid(f"more than {ROWS_EXPORTED_MAX:,} acts fit: narrow them by days, by who or by what")
    now = request.app.state.clock.now()
    detail = {"form": form, "rows": len(found), "asked": asked.query()}
    cast("Looks", request.app.state.looks).record(actor, Tag.AUDIT_EXPORT, "audit", now=now, detail=detail)
    names = repository.actor_names(session, {row.actor for row in found})
    heads = [translate(request, head) for head in HEADS]
    return tables.answer([heads, *(_line(row, names) for row in found)], form=form, name=f"audit-{now:%Y%m%d-%H%M}")


@api.get("/audit", responses={200: {"content": {"application/json": {"example": _EXAMPLE}}}})
def audit_events(
    request: Request,
    session: AuditReading,
    actor: CurrentActor,
    asked: AskedTrail,
    limit: Annotated[int, Query(ge=1, le=ROWS_A_PAGE_MAX)] = ROWS_A_PAGE,
    cursor: Cursor = "",
) -> AuditPage:
    """Give the trail, newest first: who did what, when, and whose data it touched."""
    found = _found(session, asked, after=cursor, rows_max=limit)
    shown = found[:limit]
    _note(request, session, actor, asked)
    names = repository.actor_names(session, {row.actor for row in shown})
    items = [
        AuditEventView(
            id=row.id or 0,
            at=row.at,
            actor=row.actor,
            actor_name=names.get(row.actor, ""),
            tag=row.tag,
            subject=row.subject,
            detail=row.detail,
            hash=row.hash.hex(),
        )
        for row in shown
    ]
    return AuditPage(items=items, next_cursor=place_of(shown[-1]) if len(found) > limit else None)


def _found(session: ReadSession, asked: Asked, *, after: str, rows_max: int) -> list[Entry]:
    wanted = Wanted(
        actors=repository.actor_keys(session, asked.who) if asked.who else None,
        what=asked.what,
        subject=asked.subject,
        workers=repository.workers_meant(session, asked.whose) if asked.whose else None,
        from_at=_midnight(asked.from_on),
        until_at=_midnight(asked.until_on, days=1),
    )
    return find(session, wanted, after=after, rows_max=rows_max)


def _midnight(text: str, *, days: int = 0) -> datetime | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise Invalid(f"{text!r} is no date: write it like 2026-11-22") from None
    return datetime(day.year, day.month, day.day, tzinfo=ZONE) + timedelta(days=days)


def _note(request: Request, session: ReadSession, actor: CurrentActor, asked: Asked) -> None:
    """Looking at who looked is a look as well."""
    looks: Looks = request.app.state.looks
    now, detail = request.app.state.clock.now(), {"asked": asked.query()}
    workers = repository.workers_meant(session, asked.whose) if asked.whose else []
    looks.note(actor, Tag.AUDIT_LOOK, "audit", now=now, detail=detail, workers=workers)


def say(message: str) -> str:
    """Mark a sentence for translation."""
    return message


HEADS = (say("When"), say("Who"), say("Name"), say("What was done"), say("To what"), say("Details"), say("Chain hash"))


def _line(row: Entry, names: dict[str, str]) -> list[str]:
    when = date_time(row.at, TIMEZONE)
    detail = json.dumps(row.detail, ensure_ascii=False, sort_keys=True)
    return [when, row.actor, names.get(row.actor, ""), row.tag, row.subject, detail, row.hash.hex()]


def said(detail: dict[str, Any]) -> str:
    """Write an act's details as one line, long lists shortened."""
    return " · ".join(f"{name}: {_short(value)}" for name, value in detail.items() if value not in ({}, [], "", None))


def _short(value: Any) -> str:  # noqa: ANN401 - any JSON value
    if isinstance(value, list):
        more = f" … (+{len(value) - WORKERS_NAMED_MAX})" if len(value) > WORKERS_NAMED_MAX else ""
        return ", ".join(_short(one) for one in value[:WORKERS_NAMED_MAX]) + more
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_short(one)}" for name, one in value.items()) + "}"
    return "—" if value is None else str(value)
