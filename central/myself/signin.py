"""A worker's way in: their number, then a code by text message, a code from the desk, or their card at a terminal.

Nothing that is answered tells whether a number is registered: for one that is not, the same is written and said.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from central.attendance.own_taps import own_taps
from central.audit import service as audit
from central.audit.tags import Tag
from central.identity import attempts, sessions, tickets
from central.identity.credentials import new_session_secret
from central.identity.second_factor import WrongCode
from central.identity.tickets import LinkOver, TicketKind
from central.kit.db import read_session, write_session
from central.kit.errors import AppError, Conflict
from central.kit.outbox import send_later
from central.kit.sms import SMS
from central.myself import repository, rules
from central.myself.rules import Hold, plain_code, worker_number
from central.registry.merge_repository import held_beyond_reach
from central.registry.present import require_present

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from central.identity.sessions import From
    from central.kit.db import ReadSession, WriteSession
    from central.kit.sealed import Seal

TEXT = "[건설현장] 확인번호 code %s"
"""Korean carriers carry no other script: see `kit.sms`."""
_NOBODY = "none"


class NotSeenYet(AppError):
    """The card was not held as asked, as far as is known yet."""

    status = 409
    code = "card_not_seen"


@dataclass(frozen=True, slots=True)
class Asked:
    """A sign-in that was begun. `secret` belongs to the browser and is not kept."""

    secret: str
    holds: int
    """How often to hold the card instead."""
    texted: bool = False
    """Whether a text went to the number's telephone, if it has one."""


class _Begun(NamedTuple):
    """What is kept of a sign-in that was begun."""

    ticket_id: int
    since: datetime
    number: str
    worker_id: int | None
    mark: str
    holds: int


def ask(engine: Engine, seal: Seal, *, number: str, address: str, texts_go_out: bool, now: datetime) -> Asked:
    """Begin: send a code to the number's telephone, if there is one. Raises `Invalid`, `TooManyAttempts`."""
    wanted = worker_number(number)
    limits = {
        f"worker-ask:{wanted}": rules.CODES_A_NUMBER_MAX,
        f"worker-ask:{wanted}:{address}": rules.CODES_FROM_ONE_PLACE_MAX,
        f"worker-ask-from:{address}": rules.CODES_AN_ADDRESS_MAX,
    }
    attempts.count(engine, limits, now=now)
    secret, code = new_session_secret(), f"{secrets.randbelow(10**rules.CODE_DIGITS):0{rules.CODE_DIGITS}d}"
    holds = rules.HOLDS_MIN + secrets.randbelow(rules.HOLDS_MAX - rules.HOLDS_MIN + 1)
    with write_session(engine) as session:
        worker = repository.worker_by_number(session, wanted)
        phone = worker.phone if worker is not None else None
        before = tickets.made_for(session, kind=TicketKind.WORKER_CODE, number=wanted, since=now - rules.DAY)
        texted = texts_go_out and before < rules.TEXTS_A_DAY_MAX
        data = {
            "number": wanted,
            "worker_id": worker.id if worker is not None else None,
            "mark": rules.code_mark(secret, code),
            "holds": holds,
        }
        tickets.issue(session, kind=TicketKind.WORKER_CODE, life=rules.CODE_LIFE, now=now, data=data, secret=secret)
        if texted:
            until = now + rules.CODE_LIFE if phone else now
            text, to = TEXT % code, phone or _NOBODY
            send_later(session, seal, channel=SMS, recipient=to, subject="", body=text, now=now, useless_at=until)
        subject = f"worker:{worker.id}" if worker is not None else "worker:unknown"
        detail = {"address": address, "text": bool(phone) and texted}
        audit.record(session, actor="system:web", tag=Tag.WORKER_CODE_ASK, subject=subject, detail=detail, now=now)
    return Asked(secret, holds, texted)


def asked(engine: Engine, *, secret: str, now: datetime) -> Asked:
    """Return a sign-in that was begun, to show it again. Raises `LinkOver`."""
    with read_session(engine) as session:
        return Asked(secret, _begun(session, secret=secret, now=now).holds)


def show_code(engine: Engine, *, secret: str, code: str, origin: From, now: datetime) -> str:
    """Check a code of either kind; return a new session's secret. Raises `WrongCode`, `LinkOver`, `TooManyAttempts`.

    The try is counted before the code is looked at, so that guesses sent in parallel are counted too.
    """
    begun, typed = _counted(engine, secret=secret, now=now), plain_code(code)
    right = secrets.compare_digest(rules.code_mark(secret, typed), begun.mark)
    if right and begun.worker_id is not None:
        with write_session(engine) as session:
            tickets.redeem(session, kind=TicketKind.WORKER_CODE, secret=secret, now=now)
            return _let_in(session, begun, worker_id=begun.worker_id, method="sms", origin=origin, now=now)
    try:
        with write_session(engine) as session:
            desk = f"{begun.number}:{typed}"
            given = tickets.redeem(session, kind=TicketKind.WORKER_DESK, secret=desk, now=now)
            worker_id = int(given.data["worker_id"])
            return _let_in(session, begun, worker_id=worker_id, method="desk", origin=origin, now=now)
    except LinkOver:
        _note_refusal(engine, begun, origin, now)
        raise WrongCode("the code is not right: check it, or begin again") from None


def show_card(engine: Engine, *, secret: str, origin: From, now: datetime) -> str:
    """Check whether the card was held as asked; return a new session's secret. Raises `NotSeenYet` and as above."""
    begun = _counted(engine, secret=secret, now=now)
    with write_session(engine) as session:
        taps = own_taps(session, worker_id=begun.worker_id or 0, from_at=begun.since - rules.CLOCK_SLACK, until_at=now)
        holds = [
            Hold(tap.terminal_id, tap.occurred_at, tap.received_at, tap.assurance, tap.decision != "auth_failed")
            for tap in taps
        ]
        if begun.worker_id is not None and rules.held_as_asked(holds, times=begun.holds, since=begun.since):
            tickets.redeem(session, kind=TicketKind.WORKER_CODE, secret=secret, now=now)
            return _let_in(session, begun, worker_id=begun.worker_id, method="card", origin=origin, now=now)
    raise NotSeenYet("the card was not seen that often yet: wait a moment, or begin again")


def give_desk_code(
    session: WriteSession, *, worker_id: int, number: str | None, has_phone: bool, actor: str, now: datetime
) -> str:
    """Make a code for a worker without a phone, good once and for an hour; it is shown now and never again.

    It opens the worker's days at every employer, so it is refused where one of them is beyond the giver's reach and the
    worker has another way in. Raises `NotPresent` for somebody who left, `Conflict`.
    """
    require_present(session, worker_id=worker_id, now=now)
    if number is None:
        raise Conflict("the worker has no number of the association: enter it first, for the sign-in begins with it")
    if has_phone and held_beyond_reach(session, worker_id=worker_id):
        raise Conflict(
            "the worker also works or worked where you may not see, and has a telephone: they sign in by text message"
            " or with their card, or a system operator gives them a code"
        )
    code = "".join(secrets.choice(rules.DESK_ALPHABET) for _ in range(rules.DESK_CHARS))
    tickets.issue(
        session,
        kind=TicketKind.WORKER_DESK,
        life=rules.DESK_LIFE,
        now=now,
        made_by=actor,
        data={"worker_id": worker_id},
        secret=f"{number}:{code}",
    )
    subject = f"worker:{worker_id}"
    audit.record(session, actor=actor, tag=Tag.WORKER_CODE_GIVE, subject=subject, detail={}, now=now)
    return f"{code[:4]}-{code[4:]}"


def _begun(session: ReadSession, *, secret: str, now: datetime) -> _Begun:
    ticket = tickets.look(session, kind=TicketKind.WORKER_CODE, secret=secret, now=now)
    data = ticket.data
    return _Begun(ticket.id or 0, ticket.created_at, data["number"], data["worker_id"], data["mark"], data["holds"])


def _counted(engine: Engine, *, secret: str, now: datetime) -> _Begun:
    """Count a try at a sign-in, right or wrong, and return what was begun."""
    with read_session(engine) as session:
        begun = _begun(session, secret=secret, now=now)
    limits = {_of_ticket(begun): rules.TRIES_A_TICKET_MAX, _of_number(begun): rules.TRIES_A_NUMBER_MAX}
    attempts.count(engine, limits, now=now)
    return begun


def _of_ticket(begun: _Begun) -> str:
    return f"worker-ticket:{begun.ticket_id}"


def _of_number(begun: _Begun) -> str:
    return f"worker-code:{begun.number}"


def _let_in(session: WriteSession, begun: _Begun, *, worker_id: int, method: str, origin: From, now: datetime) -> str:
    attempts.forget(session, [_of_ticket(begun), _of_number(begun)])
    return sessions.start_worker(session, worker_id=worker_id, origin=origin, now=now, method=method)


def _note_refusal(engine: Engine, begun: _Begun, origin: From, now: datetime) -> None:
    subject = f"worker:{begun.worker_id}" if begun.worker_id is not None else "worker:unknown"
    detail = {"address": origin.address[: sessions.ADDRESS_CHARS_MAX]}
    with write_session(engine) as session:
        audit.record(session, actor="system:web", tag=Tag.SESSION_REFUSE, subject=subject, detail=detail, now=now)
