"""Pages of acts on many workers: choose them in the list, say what is to happen, look once more, do it.

Annotations are not postponed here: FastAPI could not find a dependency that is a function's own variable.
"""

from dataclasses import dataclass
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from central.audit.tags import Tag
from central.identity.guards import CurrentActor
from central.identity.looks import Looks
from central.identity.permissions import Permission
from central.identity.policy import Actor
from central.kit.db import ReadSession, WriteSession
from central.kit.errors import AppError, Invalid
from central.kit.sentences import sentence
from central.kit.web import checked_form, flash, page, translate
from central.registry import bulk, rules
from central.registry.bulk import CHOSEN_MAX, Change, Terms
from central.registry.endpoints import Now
from central.registry.sessions import confined_reading, confined_writing

router = APIRouter(include_in_schema=False)
PATH = "/workers/chosen"
TEXT_CHARS_MAX = 200


@dataclass(frozen=True, slots=True)
class Sent:
    """What a form sent: whom, what with, and (when it comes from the second look) the plan that was shown."""

    ids: tuple[int, ...]
    site: str = ""
    on: str = ""
    employer: str = ""
    trade: str = ""
    shown: str = ""


async def _sent(request: Request) -> Sent:
    form = await request.form()
    texts = {name: str(form.get(name) or "").strip() for name in ("site", "on", "employer", "trade", "shown")}
    if any(len(text) > TEXT_CHARS_MAX for text in texts.values()):
        raise Invalid(sentence("a field holds more than %(max)s characters", max=TEXT_CHARS_MAX))
    return Sent(ids=_ids(form), **texts)


def _ids(form: FormData) -> tuple[int, ...]:
    given = [str(one) for one in form.getlist("worker")[: CHOSEN_MAX + 1]]
    numbers = tuple(int(one) for one in given if one.isascii() and one.isdecimal() and len(one) <= 18)  # noqa: PLR2004 - fits a bigint
    return tuple(dict.fromkeys(numbers))


Checked = Annotated[None, Depends(checked_form)]
Form = Annotated[Sent, Depends(_sent)]
Choosing = Annotated[ReadSession, Depends(confined_reading(Permission.REGISTRY_WORKER_WRITE))]


@router.post(PATH)
def choose(request: Request, session: Choosing, _: Checked, sent: Form, actor: CurrentActor, now: Now) -> Response:
    """Ask what is to happen to the chosen workers."""
    return _ask(request, session, sent, actor, now)


def _ask(
    request: Request,
    session: ReadSession | WriteSession,
    sent: Sent,
    actor: Actor,
    now: Now,
    *,
    act: str = "",
    wrong: str = "",
) -> Response:
    """Show the chosen workers and the forms of the acts, with what was typed and what was wrong with it."""
    people = bulk.people(session, sent.ids)
    looks: Looks = request.app.state.looks
    looks.record(actor, Tag.WORKER_LOOK, PATH, now=now, detail={"workers": [one.id or 0 for one in people]})
    return page(
        request,
        "registry/chosen.html",
        status=422 if wrong else 200,
        people=people,
        sent=sent,
        act=act,
        wrong=wrong,
        trades=rules.trades().values(),
        may_block=bool(actor.reach(Permission.REGISTRY_CARD_WRITE)),
    )


def _terms(sent: Sent, act: str) -> Terms:
    try:
        on = date.fromisoformat(sent.on) if sent.on else None
    except ValueError:
        raise Invalid(sentence("%(day)s is no date: write it like 2026-11-22", day=repr(sent.on[:20]))) from None
    return Terms(act, site=sent.site, on=on, employer=sent.employer, trade=sent.trade)


def _add(act: str, permission: Permission) -> None:
    """Add the second look and the doing of one act."""
    writing = Annotated[WriteSession, Depends(confined_writing(permission))]

    @router.post(f"{PATH}/{act}")
    def look(request: Request, session: writing, _: Checked, sent: Form, actor: CurrentActor, now: Now) -> Response:
        """Show what would change, worker by worker, before anything does."""
        try:
            changes = bulk.plan(session, sent.ids, _terms(sent, act), now=now)
        except AppError as refusal:
            return _ask(request, session, sent, actor, now, act=act, wrong=refusal.message)
        return _second_look(request, act, sent, changes)

    @router.post(f"{PATH}/{act}/do")
    def carry_out(
        request: Request, session: writing, _: Checked, sent: Form, actor: CurrentActor, now: Now
    ) -> Response:
        """Do exactly what was shown, all of it or nothing."""
        changes = bulk.plan(session, sent.ids, _terms(sent, act), now=now)
        done = bulk.carry_out(session, changes, shown=sent.shown, actor=actor.key, now=now)
        answer = RedirectResponse("/workers", status_code=303)
        flash(request, answer, "done", translate(request, "%(count)s workers were changed.", count=done))
        return answer


def _second_look(request: Request, act: str, sent: Sent, changes: list[Change]) -> Response:
    return page(
        request,
        "registry/chosen_look.html",
        act=act,
        sent=sent,
        changes=changes,
        going=sum(one.apply is not None for one in changes),
        shown=bulk.digest(changes),
    )


for name in ("end", "employ"):
    _add(name, Permission.REGISTRY_WORKER_WRITE)
_add("block", Permission.REGISTRY_CARD_WRITE)
