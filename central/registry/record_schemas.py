"""What the API takes and gives of papers, labour contracts, passes, zones, and of terminals' lives."""

from __future__ import annotations

from datetime import date, datetime

from pydantic import AwareDatetime, BaseModel, Field

from central.registry.schemas import Code, Given, RowNumber, ShortName


class PaperGiven(Given):
    """A paper of a worker. `until_on` is the first day on which it is no longer valid."""

    kind: str = Field(max_length=20, examples=["safety_certificate"])
    value: str = Field(default="", max_length=40, description="A visa's status, a grade.", examples=[""])
    trade: str | None = Field(default=None, max_length=40)
    number: str = Field(default="", max_length=60)
    from_on: date
    until_on: date | None = None


class PaperView(BaseModel):
    """A paper of a worker; `validity` is coming, valid, ending (30 days), over or withdrawn as of today."""

    id: int
    worker_id: int
    kind: str
    value: str
    trade: str | None
    number: str
    from_on: date
    until_on: date | None
    withdrawn_at: datetime | None
    validity: str = Field(default="", examples=["valid"])


class LabourContractGiven(Given):
    """The written terms of an employment. `minutes_a_day` is the agreed time that makes one credited day."""

    site: Code
    employer_id: RowNumber
    kind: str = Field(max_length=10, examples=["daily"])
    wage_won: int = Field(ge=1, le=100_000_000, examples=[230_000])
    wage_per: str = Field(max_length=10, examples=["day"])
    minutes_a_day: int = Field(ge=1, le=1440, examples=[480])
    signed_on: date
    from_on: date
    until_on: date | None = None


class LabourContractView(BaseModel):
    """A labour contract."""

    id: int
    worker_id: int
    site_id: int
    employer_id: int
    kind: str
    wage_won: int
    wage_per: str
    minutes_a_day: int
    signed_on: date
    from_on: date
    until_on: date | None


class IdentityNumberGiven(Given):
    """A resident or alien registration number, and the filing that needs it."""

    number: str = Field(max_length=20)
    reason: str = Field(min_length=1, max_length=200)


class IdentityNumberKept(BaseModel):
    """That a number is kept, not which."""

    worker_id: int
    reason: str


class IdentityNumberView(BaseModel):
    """An opened identity number. Each look is in the audit trail."""

    worker_id: int
    number: str


class MergeGiven(Given):
    """The worker who turned out to be the same person, and how that is known."""

    other_id: RowNumber
    reason: str = Field(min_length=1, max_length=200)


class MergeView(BaseModel):
    """How many rows of each kind moved to the kept worker."""

    kept_id: int
    merged_id: int
    moved: dict[str, int]


class DayPassGiven(Given):
    """A visitor or driver who is let in."""

    kind: str = Field(max_length=10, examples=["visitor"])
    name: ShortName
    company: str = Field(default="", max_length=200)
    phone: str | None = Field(default=None, max_length=20)
    plate: str | None = Field(default=None, max_length=20)
    host: str = Field(default="", max_length=100)
    entered_at: AwareDatetime | None = None


class DayPassEnded(Given):
    """When somebody left; now when absent."""

    left_at: AwareDatetime | None = None


class DayPassView(BaseModel):
    """A visitor or driver of a day."""

    id: int
    on_day: date
    kind: str
    name: str
    company: str
    phone: str | None
    plate: str | None
    host: str
    entered_at: datetime
    left_at: datetime | None


class ZoneGiven(Given):
    """A part of a site, or a gate into it."""

    code: Code = Field(examples=["gate-1"])
    name: ShortName
    kind: str = Field(max_length=10, examples=["gate"])


class ZoneAmended(Given):
    """What may change of a zone. Its code stands in taps and does not change."""

    name: ShortName | None = None
    closed_on: date | None = None


class ZoneView(BaseModel):
    """A zone or gate of a site."""

    id: int
    code: str
    name: str
    kind: str
    closed_on: date | None


class TerminalStepGiven(Given):
    """A step in a terminal's life: install, pass_test, put_in_service, report_fault, repair, remove."""

    event: str = Field(max_length=20, examples=["install"])
    note: str = Field(default="", max_length=200)


class TerminalEventView(BaseModel):
    """A step in a terminal's life."""

    id: int
    event: str
    from_state: str
    to_state: str
    at: datetime
    note: str
