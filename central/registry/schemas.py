"""What the registry's API takes and gives. Kept apart from the tables; unknown fields are refused."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

Item = TypeVar("Item", bound=BaseModel)
Name = Annotated[str, Field(min_length=1, max_length=200)]
ShortName = Annotated[str, Field(min_length=1, max_length=100)]
RowNumber = Annotated[int, Field(ge=1, le=2**63 - 1)]
Code = Annotated[str, Field(min_length=1, max_length=40, examples=["site-07"])]


class Given(BaseModel):
    """A request body."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class Page(BaseModel, Generic[Item]):
    """One page of a list; ask again with `cursor` while `next_cursor` is not null."""

    items: list[Item]
    next_cursor: str | None = None


class OrganizationGiven(Given):
    """A client, prime contractor, subcontractor, supplier or supervision firm."""

    name: Name
    kind: str = Field(examples=["prime"])
    business_no: str | None = Field(default=None, max_length=20, examples=["124-81-00998"])


class OrganizationAmended(Given):
    """What may change of an organization."""

    name: Name | None = None
    kind: str | None = None
    business_no: str | None = Field(default=None, max_length=20)


class OrganizationView(BaseModel):
    """An organization."""

    id: int
    name: str
    kind: str
    business_no: str | None


class ProjectFacts(Given):
    """What is known of a project; what was agreed stands in its contracts. `ends_on` is the planned last day."""

    purpose: str | None = Field(default=None, max_length=1000)
    classification: str | None = Field(default=None, max_length=20, examples=["public_building"])
    budget_won: int | None = Field(default=None, ge=1, le=10**15)
    bid_notice_on: date | None = Field(default=None, description="First bid notice: decides which dated rules hold.")
    begins_on: date | None = None
    ends_on: date | None = None
    completed_on: date | None = None
    address: str | None = Field(default=None, max_length=300)
    latitude: float | None = Field(default=None, examples=[37.4837])
    longitude: float | None = Field(default=None, examples=[126.9786])


class ProjectGiven(ProjectFacts):
    """A construction project of a client."""

    code: Code
    name: Name
    client_id: RowNumber


class ProjectAmended(ProjectFacts):
    """What may change of a project."""

    name: Name | None = None


class ProjectView(BaseModel):
    """A project. `borough` is the code of the Seoul borough that its point lies in."""

    id: int
    code: str
    name: str
    client_id: int
    purpose: str
    classification: str | None
    budget_won: int | None
    bid_notice_on: date | None
    begins_on: date | None
    ends_on: date | None
    completed_on: date | None
    address: str
    latitude: float | None
    longitude: float | None
    borough: str | None = Field(examples=["11590"])


class SiteGiven(Given):
    """A place where a project's people work."""

    code: Code
    project: Code = Field(description="The project's code.")
    name: Name
    address: str = Field(default="", max_length=300)
    timezone: str = Field(default="Asia/Seoul", max_length=60)
    calendar: dict[str, Any] = Field(default_factory=dict, examples=[{"week": ["mon", "tue"], "day_start": "04:00"}])


class SiteAmended(Given):
    """What may change of a site. Its code stands in topics and does not change."""

    name: Name | None = None
    address: str | None = Field(default=None, max_length=300)
    timezone: str | None = Field(default=None, max_length=60)
    calendar: dict[str, Any] | None = None
    closed_on: date | None = Field(default=None, description="First day on which nothing begins there any more.")


class SiteView(BaseModel):
    """A site."""

    id: int
    code: str
    project_id: int
    name: str
    address: str
    timezone: str
    calendar: dict[str, Any]
    closed_on: date | None


class SiteEmployerGiven(Given):
    """An employer working on a site; `until_on` is the first day it no longer does."""

    organization_id: RowNumber
    tier: str = Field(examples=["sub"])
    from_on: date
    until_on: date | None = None


class PeriodEnded(Given):
    """The end of a period of days: the first day that no longer belongs to it; null opens it again."""

    until_on: date | None


class SiteEmployerView(BaseModel):
    """An employer on a site."""

    id: int
    organization_id: int
    tier: str
    from_on: date
    until_on: date | None


class EmploymentTerms(Given):
    """Employer and trade during a period; `until_on` is the first day it no longer holds."""

    employer_id: RowNumber
    trade: str = Field(max_length=40, examples=["rebar"])
    from_on: date
    until_on: date | None = None


class EmploymentGiven(EmploymentTerms):
    """A worker's employer and trade on a site. Somebody new to your sites is named by number and name together."""

    worker_id: RowNumber | None = None
    worker_no: str | None = Field(default=None, max_length=20, examples=["1234567890"])
    name: ShortName | None = None


class EmploymentAtSite(EmploymentTerms):
    """An employment given together with a new worker."""

    site: Code


class EmploymentView(BaseModel):
    """A worker's employer and trade on a site."""

    id: int
    worker_id: int
    site_id: int
    employer_id: int
    trade: str
    from_on: date
    until_on: date | None


class WorkerGiven(Given):
    """A person who works on sites. No resident registration number is taken."""

    name: ShortName
    worker_no: str | None = Field(default=None, max_length=20)
    language: str = Field(default="ko", min_length=2, max_length=8)
    phone: str | None = Field(default=None, max_length=20)
    birth_on: date | None = None
    nationality: str | None = Field(default=None, min_length=2, max_length=2, examples=["VN"])
    is_test: bool = Field(
        default=False,
        description="Proves a terminal and is never counted: for those alone who may write terminals there.",
    )
    employment: EmploymentAtSite | None = Field(
        default=None, description="Needed from those whose right to register workers holds on some sites only."
    )


class WorkerAmended(Given):
    """What may change of a worker."""

    name: ShortName | None = None
    worker_no: str | None = Field(default=None, max_length=20)
    language: str | None = Field(default=None, min_length=2, max_length=8)
    phone: str | None = Field(default=None, max_length=20)
    birth_on: date | None = None
    nationality: str | None = Field(default=None, min_length=2, max_length=2)
    is_test: bool | None = Field(default=None, description="For those alone who may write terminals everywhere.")


class WorkerView(BaseModel):
    """A worker."""

    id: int
    name: str
    worker_no: str | None
    language: str
    phone: str | None
    birth_on: date | None
    nationality: str | None
    is_test: bool
    merged_into_id: int | None = Field(description="The worker who this one turned out to be.")
    notices: list[str] = Field(default_factory=list, description="What to look at again, in a sentence each.")


class AssignmentGiven(Given):
    """Whose card it is from `from_at` (now when absent) until `until_at`."""

    worker_id: RowNumber
    from_at: AwareDatetime | None = None
    until_at: AwareDatetime | None = None


class AssignmentEnded(Given):
    """When a card stopped being its holder's (now when absent), and why."""

    until_at: AwareDatetime | None = None
    reason: str = Field(examples=["lost"])


class AssignmentView(BaseModel):
    """A holder of a card."""

    id: int
    card_id: int
    worker_id: int
    from_at: datetime
    until_at: datetime | None
    ended_reason: str | None
    notices: list[str] = Field(default_factory=list, description="What to look at again, in a sentence each.")


class CardGiven(Given):
    """A card by its token, or by its raw identity in hex, which is turned into the token and dropped."""

    token: str | None = Field(default=None, max_length=32)
    uid: str | None = Field(default=None, max_length=64, examples=["04A1B2C3D4E5F6"])
    kind: str = "card"
    holder: AssignmentGiven | None = None


class CardView(BaseModel):
    """A card and whose it is at this moment."""

    id: int
    token: str
    kind: str
    state: str = Field(examples=["issued"])
    holder: AssignmentView | None = None


class CardStepGiven(Given):
    """A step in the life of a card that nobody holds."""

    event: str = Field(max_length=20, examples=["find"])
    note: str = Field(default="", max_length=200)


class CardEventView(BaseModel):
    """A step in a card's life."""

    id: int
    card_id: int
    event: str
    from_state: str
    to_state: str
    at: datetime
    recorded_at: datetime
    note: str


class BarGiven(Given):
    """A worker barred from one site, or from every site when `site` is null."""

    site: Code | None = None
    reason: str = Field(min_length=1, max_length=200)
    from_at: AwareDatetime | None = None
    until_at: AwareDatetime | None = None


class BarEnded(Given):
    """When a bar ends; now when absent."""

    until_at: AwareDatetime | None = None


class BarView(BaseModel):
    """A bar."""

    id: int
    worker_id: int
    site_id: int | None
    reason: str
    from_at: datetime
    until_at: datetime | None


class ReaderGiven(Given):
    """A reader of a terminal."""

    name: str = Field(min_length=1, max_length=40, examples=["r1"])
    direction: Literal["in", "out", "tap", "muster"]
    zone: str = Field(default="", max_length=40)


class TerminalGiven(Given):
    """A card terminal at a gate. It begins as registered; `POST …/events` moves it on."""

    code: Code = Field(examples=["gate-03"])
    name: str = Field(default="", max_length=100)
    zone: str = Field(default="", max_length=40)
    readers: list[ReaderGiven] = Field(default_factory=list, max_length=16)


class TerminalAmended(Given):
    """What may change of a terminal. Its code stands in topics and does not change."""

    name: str | None = Field(default=None, max_length=100)
    zone: str | None = Field(default=None, max_length=40)
    readers: list[ReaderGiven] | None = Field(default=None, max_length=16)


class TerminalView(BaseModel):
    """A terminal."""

    id: int
    site_id: int
    code: str
    name: str
    zone: str
    readers: list[dict[str, Any]]
    in_service: bool = Field(
        description="Whether its silence matters to the headcount: from when it is put in service until it is removed."
    )
    state: str = Field(examples=["in_service"])


class TradeView(BaseModel):
    """A trade."""

    code: str
    ko: str
    en: str
