"""What a sheet of contracts asks for, row by row, against the project's chain and the rows above. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from central.kit.errors import Invalid
from central.kit.sentences import sentence
from central.registry import contract_rules as contracts
from central.registry import rules
from central.registry.cells import day, needed, needed_day, whole, within
from central.registry.columns import code_of
from central.registry.refusals import open_project, open_site

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from central.registry.sheet import SheetRow

WORK_CHARS_MAX = 200
NAME_CHARS_MAX = 200
REF_CHARS_MAX = 40
ORGANIZATION_KIND = {
    "prime": "prime",
    "supervision": "supervisor",
    "sub": "sub",
    "equipment": "supplier",
    "material": "supplier",
}
"""What a contractor is registered as when a contract names it first."""
TIER = {"prime": "prime", "sub": "sub"}
OTHER_TIER = "supplier"
"""As what a contractor works on a site: who neither builds nor has it built brings something there."""


@dataclass(frozen=True, slots=True)
class Line:
    """A row that can be read."""

    row: int
    ref: str
    above: str
    """A `ref` of a row above, `#17` for a registered contract, or empty."""
    kind: str
    contractor: str
    """Ten digits of a business number, or a name."""
    contractor_name: str
    work: str
    amount_won: int
    begins_on: date
    ends_on: date
    signed_on: date | None
    effective_on: date
    site: str
    """Code of the site where the contractor works, or empty."""


@dataclass(slots=True)
class Arrival:
    """A contractor whom a row brings to a site, until somebody ends it there."""

    row: int
    site_id: int
    contractor_id: int
    """Below zero until it is registered."""
    tier: str
    from_on: date


@dataclass(slots=True)
class Planned:
    """A contract that one row brings. Its id, its parent's and its contractor's are below zero until they are taken."""

    row: int
    contract: contracts.Contract
    terms: contracts.Terms
    signed_on: date | None


@dataclass(slots=True)
class Chain:
    """A project's contracts as far as they are known, and what the rows so far add to them."""

    contracts: dict[int, contracts.Contract]
    organizations: dict[str, int]
    """By business number and by name; a shared name is left out."""
    reachable: frozenset[int] | None = None
    """The registered contracts below which may be written; None: all, and the client's own."""
    may_register: bool = False
    """Whether unknown contractors may be registered."""
    sites: Mapping[str, tuple[int, date | None]] = field(default_factory=dict)
    """The project's sites to which firms may be brought: id and closing day, by code."""
    at_work: Mapping[tuple[int, int], Sequence[date | None]] = field(default_factory=dict)
    """On which day each firm's times on a site end, by site and firm."""
    completed_on: date | None = None
    """The day on which the project was completed: nothing begins in it from then on."""
    refs: dict[str, int] = field(default_factory=dict)
    fresh: dict[int, tuple[int, str, str, str]] = field(default_factory=dict)
    """Organizations to register by id below zero: (row, business number, name, kind)."""
    planned: list[Planned] = field(default_factory=list)
    arrivals: dict[tuple[int, int], Arrival] = field(default_factory=dict)
    """By site and firm."""
    deals: dict[tuple[int | None, int, str, str], list[int]] = field(default_factory=dict)
    """Contracts by parent, contractor, kind and work."""

    def __post_init__(self) -> None:
        for one in self.contracts.values():
            self.deals.setdefault(deal_of(one), []).append(one.id)


def deal_of(one: contracts.Contract) -> tuple[int | None, int, str, str]:
    """Return what makes two contracts the same deal."""
    return (one.parent_id, one.contractor_id, one.kind, "".join(one.work.split()).casefold())


def read_line(row: SheetRow) -> Line:
    """Read one row's cells. Raises `Invalid`."""
    get = row.cells.get
    signed_on, begins_on = day(get("signed_on"), "signed_on"), needed_day(get("begins_on"), "begins_on")
    contractor = needed(get("contractor"), "contractor")
    digits = contractor.replace("-", "").replace(" ", "")
    return Line(
        row=row.number,
        ref=within(needed(get("ref"), "ref"), "ref", REF_CHARS_MAX),
        above=get("above") or "",
        kind=rules.one_of("kind", code_of("kind", needed(get("kind"), "kind")), contracts.KINDS),
        contractor=digits if digits.isdecimal() else contractor,
        contractor_name=within(get("contractor_name") or "", "contractor_name", NAME_CHARS_MAX),
        work=within(needed(get("work"), "work"), "work", WORK_CHARS_MAX),
        amount_won=whole(needed(get("amount_won"), "amount_won"), "amount_won"),
        begins_on=begins_on,
        ends_on=needed_day(get("ends_on"), "ends_on"),
        signed_on=signed_on,
        effective_on=day(get("effective_on"), "effective_on") or signed_on or begins_on,
        site=get("site") or "",
    )


def plan_line(chain: Chain, line: Line) -> bool:
    """Add what one row brings to the chain, or raise why it cannot be; false when exactly this is there already."""
    site_id = _site(chain, line)
    contract_id, is_new = _plan_contract(chain, line)
    if site_id is None:
        return is_new
    return _plan_arrival(chain, line, site_id, chain.contracts[contract_id].contractor_id) or is_new


def _plan_contract(chain: Chain, line: Line) -> tuple[int, bool]:
    """Return the contract of a row, and whether the row brings it."""
    if line.ref in chain.refs:
        raise Invalid(sentence("the ref %(ref)s stands twice: give each contract its own", ref=repr(line.ref)))
    parent_id = _parent(chain, line)
    contractor_id, fresh = _contractor(chain, line)
    terms = contracts.Terms(0, line.effective_on, line.amount_won, line.begins_on, line.ends_on)
    made = contracts.Contract(-1 - len(chain.planned), parent_id, contractor_id, line.kind, line.work, (terms,))
    same = _same(chain, made, terms)
    if same is not None:
        chain.refs[line.ref] = same
        return same, False
    open_project(chain.completed_on, terms.effective_on)
    contracts.check_terms(terms)
    contracts.check_place(made, chain.contracts)
    near = [*chain.deals.get(deal_of(made), ()), *([parent_id] if parent_id is not None else [])]
    contracts.check_against(made, terms, {one: chain.contracts[one] for one in near})
    if len(chain.contracts) >= contracts.CONTRACTS_A_PROJECT_MAX:
        raise Invalid(
            sentence("the project would have more than %(max)s contracts", max=f"{contracts.CONTRACTS_A_PROJECT_MAX:,}")
        )
    if fresh is not None:
        chain.fresh[contractor_id] = fresh
        chain.organizations[line.contractor] = contractor_id
    chain.contracts[made.id] = made
    chain.deals.setdefault(deal_of(made), []).append(made.id)
    chain.refs[line.ref] = made.id
    chain.planned.append(Planned(line.row, made, terms, line.signed_on))
    return made.id, True


def _site(chain: Chain, line: Line) -> int | None:
    if not line.site:
        return None
    if line.site not in chain.sites:
        raise Invalid(
            sentence(
                "site is %(site)s: the project has no such site to which you may bring firms; leave it empty, and let"
                " whoever keeps the site do it",
                site=repr(line.site),
            )
        )
    site_id, closed_on = chain.sites[line.site]
    open_site(closed_on, line.begins_on)
    return site_id


def _plan_arrival(chain: Chain, line: Line, site_id: int, contractor_id: int) -> bool:
    """Bring the contractor to the site, once and from the earliest of its contracts; false when it is there."""
    place = (site_id, contractor_id)
    if any(until is None or until > line.begins_on for until in chain.at_work.get(place, ())):
        return False
    first = chain.arrivals.get(place)
    if first is None:
        tier = TIER.get(line.kind, OTHER_TIER)
        chain.arrivals[place] = Arrival(line.row, site_id, contractor_id, tier, line.begins_on)
    else:
        first.from_on = min(first.from_on, line.begins_on)
    return first is None


def _parent(chain: Chain, line: Line) -> int | None:
    if not line.above:
        if chain.reachable is not None:
            raise Invalid(sentence("above is empty: a contract of the client's own is the client's to register"))
        return None
    parent_id = chain.refs.get(line.above)
    if parent_id is not None:
        return parent_id
    number = line.above.removeprefix("#")
    if line.above.startswith("#") and number.isdecimal():
        known = chain.contracts if chain.reachable is None else chain.reachable
        if int(number) in known:
            return int(number)
    raise Invalid(
        sentence(
            "above is %(above)s: no row above has this ref; a contract that is registered is named like #17",
            above=repr(line.above),
        )
    )


def _contractor(chain: Chain, line: Line) -> tuple[int, tuple[int, str, str, str] | None]:
    """Find the contractor; or (with what to register) one that is new, under an id below zero."""
    known = chain.organizations.get(line.contractor)
    if known is not None:
        return known, None
    if line.contractor.isdecimal() and line.contractor_name and chain.may_register:
        number = rules.business_number(line.contractor)
        return -1 - len(chain.fresh), (line.row, number, line.contractor_name, ORGANIZATION_KIND[line.kind])
    if not line.contractor.isdecimal():
        raise Invalid(
            sentence(
                "no organization is called %(name)s, or several are: give the business number",
                name=repr(line.contractor),
            )
        )
    rules.business_number(line.contractor)
    raise Invalid(
        sentence(
            "no organization has the business number %(number)s: it is registered first, by a system operator or with"
            " its name in contractor_name",
            number=line.contractor,
        )
    )


def _same(chain: Chain, made: contracts.Contract, terms: contracts.Terms) -> int | None:
    """Find the contract that is exactly this one."""
    for one in chain.deals.get(deal_of(made), ()):
        theirs = chain.contracts[one].on(terms.effective_on)
        facts = None if theirs is None else (theirs.amount_won, theirs.begins_on, theirs.ends_on, theirs.effective_on)
        if facts == (terms.amount_won, terms.begins_on, terms.ends_on, terms.effective_on):
            return one
    return None


def found_in(chain: Chain) -> list[tuple[int, str]]:
    """Say what is to be looked at in the new contracts, as (row, sentence), on the last day that one begins to hold."""
    if not chain.planned:
        return []
    rows = {one.contract.id: one.row for one in chain.planned}
    on = max(one.terms.effective_on for one in chain.planned)
    flagged = contracts.findings(chain.contracts.values(), on)
    return [(rows[one.contract_id], one.sentence) for one in flagged if one.contract_id in rows]


def by_word(organizations: Mapping[int, tuple[str, str | None]]) -> dict[str, int]:
    """Return organizations by business number and by name, leaving shared names out."""
    names: dict[str, list[int]] = {}
    for one, (name, _) in organizations.items():
        names.setdefault(name, []).append(one)
    found = {name: ids[0] for name, ids in names.items() if len(ids) == 1}
    return found | {number: one for one, (_, number) in organizations.items() if number}
