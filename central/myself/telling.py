"""Who is told of an objection: who has to answer when it is nearly due or late, and the worker when it is answered."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from central.audit import service as audit
from central.audit.tags import Tag
from central.identity.account_repository import addresses_through
from central.identity.letters import checked_language
from central.identity.permissions import Role
from central.kit.i18n import gettext
from central.kit.mail import MAIL
from central.kit.outbox import send_later
from central.kit.sms import SMS, fits
from central.myself import repository, rules

if TYPE_CHECKING:
    from datetime import datetime

    from central.kit.db import WriteSession
    from central.kit.sealed import Seal
    from central.myself.models import Objection

AT_ONCE_MAX = 200
ANSWERED = "[건설현장] 이의에 답변이 있습니다. Answered: /me"
_ANSWERERS = (Role.CONTRACTOR.value, Role.SUBCONTRACTOR.value, Role.SUPPLIER.value)
_DECIDERS = (Role.CLIENT_OFFICIAL.value,)


def remind(session: WriteSession, seal: Seal, *, public_url: str, now: datetime) -> dict[str, int]:
    """Write to whoever has to answer: once when it is nearly due, once more when it is late."""
    today = now.astimezone(rules.ZONE).date()
    soon = now + timedelta(days=rules.deadlines(today).remind_days)
    rows = repository.to_remind(session, due_before=soon, now=now, rows_max=AT_ONCE_MAX)
    letters = 0
    for row in rows:
        told = _write(session, seal, row, public_url=public_url, now=now)
        letters += told
        detail = {"letters": told, "late": row.due_at <= now}
        subject = f"objection:{row.id}"
        audit.record(
            session, actor="system:scheduler", tag=Tag.OBJECTION_REMIND, subject=subject, detail=detail, now=now
        )
    return {"reminded": len(rows), "letters": letters} if rows else {}


def _write(session: WriteSession, seal: Seal, row: Objection, *, public_url: str, now: datetime) -> int:
    decides = row.state == "insisted"
    whose = repository.client_of_site(session, row.site_id) if decides else row.employer_id
    people = addresses_through(session, organization_id=whose, roles=_DECIDERS if decides else _ANSWERERS)
    for email, spoken in people:
        language = checked_language(spoken)
        late = row.due_at <= now
        subject = gettext(language, "An objection is late") if late else gettext(language, "An objection is nearly due")
        body = gettext(
            language,
            "A worker says that the record of a day is wrong. The answer is due by %(day)s.\n\n%(link)s\n",
            day=(row.due_at.astimezone(rules.ZONE).date() - timedelta(days=1)).isoformat(),
            link=f"{public_url}/objections/{row.id}",
        )
        send_later(session, seal, channel=MAIL, recipient=email, subject=subject, body=body, now=now)
    return len(people)


def tell_worker(session: WriteSession, seal: Seal, *, row: Objection, now: datetime) -> None:
    """Tell a worker with a telephone that there is an answer; what it says stands on their own page only."""
    phone = repository.phone_of(session, row.worker_id)
    if phone and fits(ANSWERED):
        until = now + timedelta(days=1)
        send_later(session, seal, channel=SMS, recipient=phone, subject="", body=ANSWERED, now=now, useless_at=until)
