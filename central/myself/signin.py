"""A worker's way in: their number, then a code by text message, a code from the desk, or their card at a terminal.

Nothing that is answered tells whether a number is registered: for one that is not, the same is written and said.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Engine

    from central.identity.models import Ticket
    from central.identity.sessions import From
    from central.kit.db import ReadSession, WriteSession
    from central.kit.sealed import Seal
    from central.registry.models import Worker

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
        data = {
            "number": wanted,
            "worker_id": worker.id if worker is not None else None,
            "mark": rules.code_mark(secret, code),
            "holds": holds,
        }
        tickets.issue(session, kind=TicketKind.WORKER_CODE, life=rules.CODE_LIFE, now=now, data=data, secret=secret)
        if texts_go_out:
            until = now + rules.CODE_LIFE if phone else now
            text, to = TEXT % code, phone or _NOBODY
            send_later(session, seal, channel=SMS, recipient=to, subject="", body=text, now=now, useless_at=until)
        subject = f"worker:{worker.id}" if worker is not None else "worker:unknown"
        detail = {"address": address, "text": bool(phone) and texts_go_out}
        audit.record(session, actor="system:web", tag=Tag.WORKER_CODE_ASK, subject=subject, detail=detail, now=now)
    return Asked(secret, holds)


def asked(engine: Engine, *, secret: str, now: datetime) -> Asked:
    """Return a sign-in that was begun, to show it again. Raises `LinkOver`."""
    with read_session(engine) as session:
        ticket = _begun(session, secret=secret, now=now)
    return Asked(secret, int(ticket.data["holds"]))


def show_code(engine: Engine, *, secret: str, code: str, origin: From, now: datetime) -> str:
    """Check a code of either kind; return a new session's secret. Raises `WrongCode`, `LinkOver`, `TooManyAttempts`.

    The try is counted before the code is looked at, so that guesses sent in parallel are counted too.
    """
    ticket = _counted(engine, secret=secret, now=now)
    typed = plain_code(code)
    worker_id = ticket.data["worker_id"]
    right = secrets.compare_digest(rules.code_mark(secret, typed), str(ticket.data["mark"])) and worker_id is not None
    if right:
        with write_session(engine) as session:
            tickets.redeem(session, kind=TicketKind.WORKER_CODE, secret=secret, now=now)
            return _let_in(session, ticket, worker_id=int(worker_id), method="sms", origin=origin, now=now)
    try:
        with write_session(engine) as session:
            given = tickets.redeem(session, kind=TicketKind.WORKER_DESK, secret=_desk(ticket, typed), now=now)
            return _let_in(
                session, ticket, worker_id=int(given.data["worker_id"]), method="desk", origin=origin, now=now
            )
    except LinkOver:
        _note_refusal(engine, ticket, origin, now)
        raise WrongCode("the code is not right: check it, or begin again") from None


def show_card(engine: Engine, *, secret: str, origin: From, now: datetime) -> str:
    """Check whether the card was held as asked; return a new session's secret. Raises `NotSeenYet` and as above."""
    ticket = _counted(engine, secret=secret, now=now)
    worker_id, times, since = ticket.data["worker_id"], int(ticket.data["holds"]), ticket.created_at
    with write_session(engine) as session:
        taps = own_taps(session, worker_id=worker_id or 0, from_at=since - rules.CLOCK_SLACK, until_at=now)
        holds = [
            Hold(tap.terminal_id, tap.occurred_at, tap.received_at, tap.assurance, tap.decision != "auth_failed")
            for tap in taps
        ]
        if worker_id is not None and rules.held_as_asked(holds, times=times, since=since):
            tickets.redeem(session, kind=TicketKind.WORKER_CODE, secret=secret, now=now)
            return _let_in(session, ticket, worker_id=int(worker_id), method="card", origin=origin, now=now)
    raise NotSeenYet("the card was not seen that often yet: wait a moment, or begin again")


def give_desk_code(session: WriteSession, *, worker: Worker, actor: str, now: datetime) -> str:
    """Make a code for a worker without a phone, good once and for an hour; it is shown now and never again."""
    if worker.worker_no is None:
        raise Conflict("the worker has no number of the association: enter it first, for the sign-in begins with it")
    code = "".join(secrets.choice(rules.DESK_ALPHABET) for _ in range(rules.DESK_CHARS))
    secret = f"{worker.worker_no}:{code}"
    data = {"worker_id": worker.id}
    tickets.issue(
        session, kind=TicketKind.WORKER_DESK, life=rules.DESK_LIFE, now=now, made_by=actor, data=data, secret=secret
    )
    subject = f"worker:{worker.id}"
    audit.record(session, actor=actor, tag=Tag.WORKER_CODE_GIVE, subject=subject, detail={}, now=now)
    return f"{code[:4]}-{code[4:]}"


def _begun(session: ReadSession, *, secret: str, now: datetime) -> Ticket:
    return tickets.look(session, kind=TicketKind.WORKER_CODE, secret=secret, now=now)


def _counted(engine: Engine, *, secret: str, now: datetime) -> Ticket:
    """Count a try at a sign-in, right or wrong, and return what was begun."""
    with read_session(engine) as session:
        ticket = _begun(session, secret=secret, now=now)
    limits = {
        f"worker-ticket:{ticket.id}": rules.TRIES_A_TICKET_MAX,
        f"worker-code:{ticket.data['number']}": rules.TRIES_A_NUMBER_MAX,
    }
    attempts.count(engine, limits, now=now)
    return ticket


def _desk(ticket: Ticket, typed: str) -> str:
    return f"{ticket.data['number']}:{typed}"


def _let_in(session: WriteSession, ticket: Ticket, *, worker_id: int, method: str, origin: From, now: datetime) -> str:
    attempts.forget(session, [f"worker-ticket:{ticket.id}", f"worker-code:{ticket.data['number']}"])
    return sessions.start_worker(session, worker_id=worker_id, origin=origin, now=now, method=method)


def _note_refusal(engine: Engine, ticket: Ticket, origin: From, now: datetime) -> None:
    worker_id = ticket.data["worker_id"]
    subject = f"worker:{worker_id}" if worker_id is not None else "worker:unknown"
    detail = {"address": origin.address[: sessions.ADDRESS_CHARS_MAX]}
    with write_session(engine) as session:
        audit.record(session, actor="system:web", tag=Tag.SESSION_REFUSE, subject=subject, detail=detail, now=now)
