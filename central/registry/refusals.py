"""What the database refuses, said as a sentence."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from psycopg import errors as pg
from sqlalchemy.exc import IntegrityError

from central.kit.errors import Conflict
from central.kit.sentences import sentence

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from central.kit.db import WriteSession


class Overlap(Conflict):
    """Two periods of the same thing share time."""

    code = "overlap"


class AlreadyThere(Conflict):
    """The name or number is taken."""

    code = "already_there"


class NumberTaken(AlreadyThere):
    """Another worker has this number of the association."""


class NotOnSite(Conflict):
    """The employer does not work on the site at that time."""

    code = "employer_not_on_site"

    @classmethod
    def of(cls, organization_id: int, on: date) -> Self:
        """Say which, when, and what to do."""
        return cls(
            sentence(
                "organization %(id)s does not work on this site on %(day)s: register it as an employer of the site"
                " first, or choose another start",
                id=organization_id,
                day=on.isoformat(),
            )
        )


class StillNamed(Conflict):
    """The row refers to something that is not there."""

    code = "refers_to_nothing"


class NotGivable(Conflict):
    """The card is in a state in which nobody may get it."""

    code = "card_not_givable"

    @classmethod
    def of(cls, state: str) -> Self:
        """Say the state and the way out."""
        ways = {
            "lost": sentence("the card is lost, so nobody can get it: record that it was found first, or give another"),
            "blocked": sentence("the card is blocked, so nobody can get it: unblock it first, or give another card"),
        }
        return cls(ways.get(state) or sentence("the card was replaced, so nobody can get it: give another card"))


class Closed(Conflict):
    """The place was closed by then: nothing begins there any more."""

    code = "closed"


def open_site(closed_on: date | None, on: date) -> None:
    """Pass what begins on a site before its closing day."""
    if closed_on is not None and on >= closed_on:
        raise Closed(
            sentence(
                "the site is closed from %(closed)s on, so nothing begins there on %(day)s: choose an earlier day, or"
                " open it again",
                closed=closed_on.isoformat(),
                day=on.isoformat(),
            ),
            field="from_on",
        )


def open_project(completed_on: date | None, on: date) -> None:
    """Pass what begins in a project before the day of its completion."""
    if completed_on is not None and on >= completed_on:
        raise Closed(
            sentence(
                "the project was completed on %(completed)s, so nothing begins in it on %(day)s: choose an earlier"
                " day, or correct its completion",
                completed=completed_on.isoformat(),
                day=on.isoformat(),
            )
        )


OVERLAPS = {
    "ex_registry_employment_period": sentence(
        "the worker already has an employer on this site in that period:"
        " end the present employment first, or choose a later start"
    ),
    "ex_registry_card_assignment_period": sentence(
        "the card already has a holder in that period: end the present assignment first, or choose a later start"
    ),
    "ex_registry_labour_contract_period": sentence(
        "the worker already has a labour contract with this employer here in that"
        " period: end the present one first, or choose a later start"
    ),
    "ex_registry_site_employer_period": sentence(
        "the organization already works on this site in that period:"
        " end the present period first, or choose a later start"
    ),
}
_WORKER_NO = "uq_registry_worker_worker_no"
_TAKEN = {
    "uq_registry_organization_business_no": sentence("an organization with this business number is already registered"),
    "uq_registry_project_code": sentence("a project with this code is already registered: choose another code"),
    "uq_registry_site_code": sentence("a site with this code is already registered: choose another code"),
    "uq_registry_terminal_site_id_code": sentence(
        "the site already has a terminal with this code: choose another code"
    ),
    _WORKER_NO: sentence("a worker with this worker number is already registered"),
    "uq_registry_worker_identity_mark": sentence(
        "a worker with this identity number is already registered: look them up"
    ),
    "uq_registry_zone_site_id_code": sentence(
        "the site already has a zone or gate with this code: choose another code"
    ),
    "uq_registry_card_token": sentence("this card is already registered: assign it instead of registering it again"),
}


_FIELDS = {
    "uq_registry_organization_business_no": "business_no",
    "uq_registry_project_code": "code",
    "uq_registry_site_code": "code",
    "uq_registry_terminal_site_id_code": "code",
    _WORKER_NO: "worker_no",
    "uq_registry_worker_identity_mark": "number",
    "uq_registry_zone_site_id_code": "code",
    "uq_registry_card_token": "card",
}
"""The input that holds what is taken."""


@contextmanager
def saying_why() -> Iterator[None]:
    """Turn a broken constraint inside the block into a refusal with a sentence; the transaction is lost either way."""
    try:
        yield
    except (IntegrityError, pg.IntegrityError) as error:
        cause = error.orig if isinstance(error, IntegrityError) else error
        if not isinstance(cause, pg.Error):
            raise
        name = cause.diag.constraint_name or ""
        if name in OVERLAPS:
            raise Overlap(OVERLAPS[name], constraint=name, field="from_on") from error
        if name in _TAKEN:
            kind = NumberTaken if name == _WORKER_NO else AlreadyThere
            raise kind(_TAKEN[name], constraint=name, field=_FIELDS[name]) from error
        if isinstance(cause, pg.ForeignKeyViolation):
            raise StillNamed(sentence("the entry names something that is not registered: check its ids")) from error
        raise


def flush(session: WriteSession) -> None:
    """Send what is pending, and say why when the database refuses it."""
    with saying_why():
        session.flush()
