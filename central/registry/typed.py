"""What the registry's forms take: as the API's bodies, but organizations and sites are named as people name them."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import Field

from central.registry.contract_schemas import TermsGiven
from central.registry.schemas import Code, Given, Name, ProjectFacts, ShortName

Named = Annotated[str, Field(min_length=1, max_length=200)]
"""An organization by its business number or whole name."""
TradeWord = Annotated[str, Field(max_length=40)]


class ProjectTyped(ProjectFacts):
    """A new project."""

    code: Code
    name: Name
    client: Named


class ContractTyped(TermsGiven):
    """A new contract; where it stands is in the address."""

    contractor: Named
    kind: str = Field(max_length=20)
    work: Name


class SiteTyped(Given):
    """A site's facts. `closed_days` are dates with blanks or commas between them."""

    code: Code = ""
    name: Name
    address: str = Field(default="", max_length=300)
    timezone: str = Field(default="Asia/Seoul", max_length=60)
    day_start: str = Field(default="", max_length=5)
    closed_days: str = Field(default="", max_length=2_000)
    closed_on: date | None = None


class SiteEmployerTyped(Given):
    """An employer on a site."""

    organization: Named
    tier: str = Field(max_length=10)
    from_on: date
    until_on: date | None = None


class Ended(Given):
    """The first day that no longer belongs to a period; none opens it again."""

    until_on: date | None = None


class EmploymentTyped(Given):
    """An employment of a known worker."""

    site: Code
    employer: Named
    trade: TradeWord
    from_on: date
    until_on: date | None = None


class NumberedTyped(Given):
    """An employment of somebody who never worked on one's sites, named by number and name together."""

    worker_no: str = Field(max_length=20)
    name: ShortName
    employer: Named
    trade: TradeWord
    from_on: date
    until_on: date | None = None


class WorkerTyped(Given):
    """A new worker, with an employment when a site is given."""

    name: ShortName
    worker_no: str | None = Field(default=None, max_length=20)
    language: str = Field(default="ko", min_length=2, max_length=8)
    phone: str | None = Field(default=None, max_length=20)
    birth_on: date | None = None
    nationality: str | None = Field(default=None, min_length=2, max_length=2)
    site: str = Field(default="", max_length=40)
    employer: str = Field(default="", max_length=200)
    trade: str = Field(default="", max_length=40)
    from_on: date | None = None


class LabourTyped(Given):
    """A labour contract; the agreed day in hours and minutes is given in minutes."""

    site: Code
    employer: Named
    kind: str = Field(max_length=10)
    wage_won: int = Field(ge=1, le=100_000_000)
    wage_per: str = Field(max_length=10)
    minutes_a_day: int = Field(ge=1, le=1440)
    signed_on: date
    from_on: date
    until_on: date | None = None


class CardTyped(Given):
    """A card for a worker: what a reader types, the card's raw identity or its token."""

    card: str = Field(min_length=8, max_length=64)
    kind: str = Field(default="card", max_length=20)
    until_on: date | None = None


class HoldingEnded(Given):
    """Why a holding ends now."""

    reason: str = Field(max_length=20)


class Stepped(Given):
    """A step in the life of a card that nobody holds."""

    event: str = Field(max_length=20)
    note: str = Field(default="", max_length=200)


class BarTyped(Given):
    """A bar from now on; without a site from every site."""

    site: str = Field(default="", max_length=40)
    reason: str = Field(min_length=1, max_length=200)
    until_on: date | None = None


class Nothing(Given):
    """A form that asks nothing but whether one is sure."""


class Closed(Given):
    """The first day on which something is closed; none opens it again."""

    closed_on: date | None = None


class MergeTyped(Given):
    """The other entry of the same person, by its number in the address of its page, and why."""

    other_id: int = Field(ge=1, le=2**63 - 1)
    reason: str = Field(min_length=1, max_length=200)
