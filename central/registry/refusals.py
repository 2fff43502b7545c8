"""What the database refuses, said as a sentence."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from psycopg import errors as pg
from sqlalchemy.exc import IntegrityError

from central.kit.errors import Conflict

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


class NotOnSite(Conflict):
    """The employer does not work on the site at that time."""

    code = "employer_not_on_site"

    @classmethod
    def of(cls, organization_id: int, on: date) -> Self:
        """Say which, when, and what to do."""
        return cls(
            f"organization {organization_id} does not work on this site on {on.isoformat()}:"
            " register it as an employer of the site first, or choose another start"
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
        way = {
            "lost": "record that it was found first, or give another card",
            "blocked": "unblock it first, or give another card",
        }.get(state, "give another card")
        return cls(f"the card is {state}, so nobody can get it: {way}")


OVERLAPS = {
    "ex_registry_employment_period": "the worker already has an employer on this site in that period:"
    " end the present employment first, or choose a later start",
    "ex_registry_card_assignment_period": "the card already has a holder in that period:"
    " end the present assignment first, or choose a later start",
    "ex_registry_labour_contract_period": "the worker already has a labour contract with this employer here in that"
    " period: end the present one first, or choose a later start",
    "ex_registry_site_employer_period": "the organization already works on this site in that period:"
    " end the present period first, or choose a later start",
}
_TAKEN = {
    "uq_registry_organization_business_no": "an organization with this business number is already registered",
    "uq_registry_project_code": "a project with this code is already registered: choose another code",
    "uq_registry_site_code": "a site with this code is already registered: choose another code",
    "uq_registry_terminal_site_id_code": "the site already has a terminal with this code: choose another code",
    "uq_registry_worker_worker_no": "a worker with this worker number is already registered",
    "uq_registry_worker_identity_mark": "a worker with this identity number is already registered: look them up",
    "uq_registry_zone_site_id_code": "the site already has a zone or gate with this code: choose another code",
    "uq_registry_card_token": "this card is already registered: assign it instead of registering it again",
}


@contextmanager
def saying_why() -> Iterator[None]:
    """Turn a broken constraint inside the block into a refusal with a sentence; the transaction is lost either way."""
    try:
        yield
    except IntegrityError as error:
        cause = error.orig
        if not isinstance(cause, pg.Error):
            raise
        name = cause.diag.constraint_name or ""
        if name in OVERLAPS:
            raise Overlap(OVERLAPS[name], constraint=name) from error
        if name in _TAKEN:
            raise AlreadyThere(_TAKEN[name], constraint=name) from error
        if isinstance(cause, pg.ForeignKeyViolation):
            raise StillNamed("the entry names something that is not registered: check its ids") from error
        raise


def flush(session: WriteSession) -> None:
    """Send what is pending, and say why when the database refuses it."""
    with saying_why():
        session.flush()
