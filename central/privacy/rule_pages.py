"""The rules of keeping, as a page: what is held of people, for how long, and by which law."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Path, Request
from sqlmodel import select
from starlette.responses import RedirectResponse, Response

from central.audit import service as audit
from central.audit.tags import Tag
from central.identity.guards import CurrentActor, permission_guard
from central.identity.permissions import Permission
from central.identity.policy import allowed
from central.kit.db import Reading, ReadSession, WriteSession, Writing
from central.kit.errors import AppError, Invalid, NotFound
from central.kit.web import checked_form, flash, language_of, page, translate
from central.privacy.models import KeptLonger
from central.privacy.rules import Rule, by_their_day, rules

MONTHS_MAX = 600

router = APIRouter(include_in_schema=False)


@router.get("/retention", dependencies=[Depends(permission_guard(Permission.PRIVACY_RULE_READ))])
def retention_page(request: Request, session: Reading, actor: CurrentActor) -> Response:
    """Show every rule, and what this installation keeps longer."""
    return _show(request, session, may_set=allowed(actor, Permission.PRIVACY_RULE_WRITE))


def _show(request: Request, session: ReadSession | WriteSession, *, may_set: bool, refusal: str = "") -> Response:
    longer = {row.code: row for row in session.exec(select(KeptLonger)).all()}
    korean = language_of(request) == "ko"
    return page(
        request,
        "privacy/retention.html",
        status=422 if refusal else 200,
        rules=rules(),
        others=by_their_day(),
        longer=longer,
        may_set=may_set,
        refusal=refusal,
        name=lambda rule: rule.ko if korean else rule.en,
    )


@router.post(
    "/retention/{rule}",
    dependencies=[Depends(permission_guard(Permission.PRIVACY_RULE_WRITE)), Depends(checked_form)],
)
def keep_longer(
    request: Request,
    rule: Annotated[str, Path(max_length=40)],
    session: Writing,
    actor: CurrentActor,
    months: Annotated[str, Form(max_length=4)] = "",
    reason: Annotated[str, Form(max_length=300)] = "",
) -> Response:
    """Keep something longer than its rule says, with a reason; never shorter than the law."""
    found = next((one for one in (*rules(), *by_their_day()) if one.code == rule and one.keep_months is not None), None)
    if found is None:
        raise NotFound("There is no such rule that can be set.")
    try:
        _set(session, found, months=months, reason=reason, actor=actor.key, request=request)
    except AppError as refused:
        return _show(request, session, may_set=True, refusal=translate(request, refused.message))
    answer = RedirectResponse("/retention", status_code=303)
    flash(request, answer, "done", translate(request, "The rule holds from the next nightly run on."))
    return answer


def _set(session: WriteSession, rule: Rule, *, months: str, reason: str, actor: str, request: Request) -> None:
    if not months.isdecimal() or not (rule.law_months or 0) <= int(months) <= MONTHS_MAX:
        raise Invalid("Give a number of months that is not less than the law's and not more than 600.")
    if not reason.strip():
        raise Invalid("Say why it is kept so long.")
    now = request.app.state.clock.now()
    row = session.get(KeptLonger, rule.code) or KeptLonger(
        code=rule.code, keep_months=0, reason="", set_by="", set_at=now
    )
    before = row.keep_months or rule.keep_months
    row.keep_months, row.reason, row.set_by, row.set_at = int(months), reason.strip(), actor, now
    session.add(row)
    detail = {"keep_months": row.keep_months, "before": before, "reason": row.reason}
    audit.record(session, actor=actor, tag=Tag.RETENTION_SET, subject=f"rule:{rule.code}", detail=detail, now=now)
