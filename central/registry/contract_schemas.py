"""What the API takes and gives of contracts. Amounts are whole won."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from pydantic import BaseModel, Field

from central.registry.project_rules import WON_MAX
from central.registry.schemas import Given, Name, RowNumber

Won = Annotated[int, Field(ge=1, le=WON_MAX, examples=[1_250_000_000])]


class TermsGiven(Given):
    """What was agreed. `ends_on` is the last day of work; `effective_on` is `signed_on` or `begins_on` when absent."""

    amount_won: Won
    begins_on: date
    ends_on: date
    signed_on: date | None = None
    effective_on: date | None = None


class TermsChanged(TermsGiven):
    """New terms of a contract, with the reason."""

    reason: str = Field(min_length=1, max_length=300, examples=["design change 2: retaining wall"])


class ContractGiven(TermsGiven):
    """A contract with its first terms. Without `parent_id` it is the client's own: prime or supervision."""

    parent_id: RowNumber | None = None
    contractor_id: RowNumber
    kind: str = Field(max_length=20, examples=["sub"])
    work: Name = Field(examples=["reinforcement and formwork"])


class ContractClosed(Given):
    """The first day on which a contract no longer binds; null opens it again."""

    closed_on: date | None


class ContractClosedView(BaseModel):
    """A contract's end, as it stands now."""

    id: int
    closed_on: date | None


class TermsView(BaseModel):
    """Terms of a contract as recorded."""

    id: int
    contract_id: int
    effective_on: date
    amount_won: int
    begins_on: date
    ends_on: date
    signed_on: date | None
    reason: str
    recorded_at: datetime


class ContractView(BaseModel):
    """A contract as it stood on a day. `depth` is 0 on top; `lower_won` sums the contracts directly below it."""

    id: int
    parent_id: int | None
    depth: int
    contractor_id: int
    contractor: str
    kind: str
    work: str
    effective_on: date
    amount_won: int
    begins_on: date
    ends_on: date
    closed_on: date | None
    lower_won: int


class FindingView(BaseModel):
    """Something to look at."""

    code: str = Field(examples=["lower_exceed"])
    contract_id: int
    sentence: str


class ChainView(BaseModel):
    """A project's contracts on a day, each followed by those below it, as far as you may see them."""

    project: str
    on: date
    mode: str | None = Field(examples=["long_term"])
    items: list[ContractView]
    findings: list[FindingView]
