"""The chain of contracts: what stood on a day, and what may be added to it. Pure.

What cannot be true is refused; what may be true but should be looked at is flagged, because a record of what people
agreed on must be possible even when it looks wrong.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from central.kit.errors import Conflict, Invalid
from central.kit.sentences import sentence
from central.registry.project_rules import WON_MAX

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date

TOP_KINDS = ("prime", "supervision")
LOWER_KINDS = ("sub", "equipment", "material")
KINDS = TOP_KINDS + LOWER_KINDS
TIER_OF_KIND = {"prime": "prime", "sub": "sub", "equipment": "supplier", "material": "supplier"}
DEPTH_MAX = 5
CONTRACTS_A_PROJECT_MAX = 2_000


class RefusedContract(Conflict):
    """The contract contradicts the chain that it would belong to. `finding` names the rule."""

    code = "refused_contract"


@dataclass(frozen=True, slots=True)
class Terms:
    """What was agreed, from `effective_on` until later terms. `number` orders what was recorded."""

    number: int
    effective_on: date
    amount_won: int
    begins_on: date
    ends_on: date
    """The last day."""


@dataclass(frozen=True, slots=True)
class Contract:
    """One contract with all its terms."""

    id: int
    parent_id: int | None
    contractor_id: int
    kind: str
    work: str
    terms: tuple[Terms, ...]
    closed_on: date | None = None

    def on(self, day: date) -> Terms | None:
        """Return the terms that hold on a day; of two with the same day the one recorded later. None outside."""
        if self.closed_on is not None and day >= self.closed_on:
            return None
        holding = [one for one in self.terms if one.effective_on <= day]
        return max(holding, key=lambda one: (one.effective_on, one.number), default=None)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to look at: a rule's code, the contract, and a sentence."""

    code: str
    contract_id: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Branch:
    """A contract as it stood on a day, with those below it. `lower_won` sums the contracts directly below."""

    contract: Contract
    terms: Terms
    lower_won: int
    branches: tuple[Branch, ...] = field(default_factory=tuple)


def check_terms(terms: Terms) -> None:
    """Pass terms that can be: an amount, and an end not before the begin."""
    if not 0 < terms.amount_won <= WON_MAX:
        raise Invalid(
            sentence(
                "the amount is %(amount)s won: expected 1 to %(max)s",
                amount=f"{terms.amount_won:,}",
                max=f"{WON_MAX:,}",
            )
        )
    if terms.ends_on < terms.begins_on:
        raise Invalid(
            sentence(
                "the work ends (%(end)s) before it begins (%(begin)s): check both dates",
                end=terms.ends_on.isoformat(),
                begin=terms.begins_on.isoformat(),
            )
        )


def check_place(contract: Contract, chain: Mapping[int, Contract]) -> None:
    """Pass a new contract whose kind, parent and contractor fit the chain."""
    if contract.parent_id is None:
        if contract.kind not in TOP_KINDS:
            raise Invalid(
                sentence("a %(kind)s contract stands below another: name the contract above it", kind=contract.kind)
            )
        return
    if contract.kind not in LOWER_KINDS:
        raise Invalid(
            sentence("a %(kind)s contract is the client's own: leave out the contract above it", kind=contract.kind)
        )
    above = _above(contract, chain)
    if above[0].kind not in {"prime", "sub"}:
        raise RefusedContract(
            sentence(
                "nothing is subcontracted below a %(kind)s contract: name the one it belongs to", kind=above[0].kind
            )
        )
    if len(above) >= DEPTH_MAX:
        raise RefusedContract(
            sentence(
                "the contract would be the %(number)sth below each other: at most %(max)s",
                number=len(above) + 1,
                max=DEPTH_MAX,
            )
        )
    if above[0].contractor_id == contract.contractor_id:
        raise RefusedContract("the contractor would subcontract to itself: name the organization that does the work")


def _above(contract: Contract, chain: Mapping[int, Contract]) -> list[Contract]:
    found: list[Contract] = []
    parent_id = contract.parent_id
    while parent_id is not None and len(found) <= DEPTH_MAX:
        parent = chain.get(parent_id)
        if parent is None:
            raise RefusedContract(
                sentence("there is no contract %(id)s in this project: name one of its contracts", id=parent_id)
            )
        found.append(parent)
        parent_id = parent.parent_id
    return found


def check_against(contract: Contract, terms: Terms, chain: Mapping[int, Contract]) -> None:
    """Refuse terms that contradict the chain on the day when they begin to hold."""
    day = terms.effective_on
    if contract.parent_id is not None:
        parent = chain[contract.parent_id].on(day)
        if parent is None:
            raise RefusedContract(
                sentence(
                    "the contract above is not in force on %(day)s: register its terms first, or choose a later day",
                    day=day.isoformat(),
                )
            )
        if terms.amount_won > parent.amount_won:
            raise RefusedContract(
                sentence(
                    "the amount of %(amount)s won is larger than the contract above, %(above)s won on"
                    " %(day)s: check both amounts",
                    amount=f"{terms.amount_won:,}",
                    above=f"{parent.amount_won:,}",
                    day=day.isoformat(),
                ),
                field="amount_won",
            )
    for other in chain.values():
        theirs = other.on(day)
        if other.id != contract.id and theirs is not None and _same_deal(other, contract) and _overlap(theirs, terms):
            raise RefusedContract(
                sentence(
                    "contract %(id)s with the same contractor for the same work runs from %(begin)s to %(end)s:"
                    " change that one, or choose dates that do not overlap",
                    id=other.id,
                    begin=theirs.begins_on.isoformat(),
                    end=theirs.ends_on.isoformat(),
                )
            )


def _same_deal(a: Contract, b: Contract) -> bool:
    same = (a.parent_id, a.contractor_id, a.kind) == (b.parent_id, b.contractor_id, b.kind)
    return same and _plain(a.work) == _plain(b.work)


def _plain(work: str) -> str:
    return "".join(work.split()).casefold()


def _overlap(a: Terms, b: Terms) -> bool:
    return a.begins_on <= b.ends_on and b.begins_on <= a.ends_on


def findings(chain: Iterable[Contract], day: date) -> list[Finding]:
    """Return what is to be looked at in a project's contracts as they stand on a day, by contract."""
    standing = {one.id: (one, terms) for one in chain if (terms := one.on(day)) is not None}
    lower: defaultdict[int, int] = defaultdict(int)
    found: list[Finding] = []
    for contract, terms in standing.values():
        if contract.parent_id is not None:
            lower[contract.parent_id] += terms.amount_won
            above = standing.get(contract.parent_id)
            found += _beside(contract, terms, above)
    for contract_id, sum_won in lower.items():
        if contract_id in standing and sum_won > standing[contract_id][1].amount_won:
            told = (
                f"the contracts below sum to {sum_won:,} won, more than its own {standing[contract_id][1].amount_won:,}"
            )
            found.append(Finding("lower_exceed", contract_id, told))
    found += _parallel_primes([pair for pair in standing.values() if pair[0].kind == "prime"])
    return sorted(found, key=lambda one: (one.contract_id, one.code))


def _beside(contract: Contract, terms: Terms, above: tuple[Contract, Terms] | None) -> list[Finding]:
    if above is None:
        return [Finding("above_not_in_force", contract.id, "the contract above it is not in force")]
    parent, agreed = above
    found = []
    if terms.amount_won > agreed.amount_won:
        told = f"its {terms.amount_won:,} won are more than the {agreed.amount_won:,} won of the contract above"
        found.append(Finding("larger_than_above", contract.id, told))
    if terms.begins_on < agreed.begins_on or terms.ends_on > agreed.ends_on:
        told = f"its period leaves that of the contract above ({agreed.begins_on} to {agreed.ends_on})"
        found.append(Finding("outside_period", contract.id, told))
    if contract.kind == "sub" and parent.kind == "sub":
        told = "work was subcontracted again: the client's written consent belongs to the record"
        found.append(Finding("subcontracted_again", contract.id, told))
    return found


def _parallel_primes(primes: list[tuple[Contract, Terms]]) -> list[Finding]:
    found = []
    for place, (contract, terms) in enumerate(primes):
        for other, theirs in primes[:place]:
            if _plain(contract.work) == _plain(other.work) and _overlap(terms, theirs):
                told = f"prime contract {other.id} is for the same work in the same time: a joint venture?"
                found.append(Finding("parallel_prime", contract.id, told))
    return found


def tree(chain: Iterable[Contract], day: date) -> list[Branch]:
    """Return the contracts in force on a day, each with those below it; one whose parent is not shown stands on top."""
    standing = {one.id: (one, terms) for one in chain if (terms := one.on(day)) is not None}
    below: defaultdict[int | None, list[int]] = defaultdict(list)
    for contract, _ in standing.values():
        below[contract.parent_id if contract.parent_id in standing else None].append(contract.id)

    def branch(contract_id: int) -> Branch:
        contract, terms = standing[contract_id]
        lower = [standing[one][1].amount_won for one in below[contract_id]]
        return Branch(contract, terms, sum(lower), tuple(branch(one) for one in sorted(below[contract_id])))

    return [branch(one) for one in sorted(below[None])]
