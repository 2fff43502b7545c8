from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.kit.errors import Invalid
from central.registry.contract_rules import (
    Contract,
    RefusedContract,
    Terms,
    check_against,
    check_place,
    check_terms,
    findings,
    tree,
)

DAY = date(2026, 3, 1)
END = date(2027, 2, 28)


def terms(amount_won: int = 1_000, number: int = 1, effective_on: date = DAY, **more: date) -> Terms:
    return Terms(number, effective_on, amount_won, more.get("begins_on", DAY), more.get("ends_on", END))


def contract(
    contract_id: int,
    parent_id: int | None = None,
    *given_terms: Terms,
    kind: str = "",
    contractor_id: int = 0,
    **more: str,
) -> Contract:
    kind = kind or ("prime" if parent_id is None else "sub")
    agreed = given_terms or (terms(),)
    return Contract(contract_id, parent_id, contractor_id or contract_id, kind, more.get("work", "structure"), agreed)


def chain(*contracts: Contract) -> dict[int, Contract]:
    return {one.id: one for one in contracts}


@pytest.mark.parametrize(
    ("new", "why"),
    [
        (contract(9, None, kind="sub"), "stands below another"),
        (contract(9, 1, kind="prime"), "client's own"),
        (contract(9, 7), "no contract 7"),
        (contract(9, 1, contractor_id=1), "subcontract to itself"),
        (contract(9, 3), "below a material contract"),
    ],
)
def test_a_contract_in_the_wrong_place_is_refused(new: Contract, why: str) -> None:
    there = chain(contract(1), contract(2, 1), contract(3, 1, kind="material"))
    with pytest.raises((Invalid, RefusedContract), match=why):
        check_place(new, there)
    check_place(contract(9, 2), there)


def test_a_subcontract_larger_than_the_contract_above_it_is_refused_by_the_terms_of_that_day() -> None:
    later = date(2026, 9, 1)
    above = contract(1, None, terms(1_000), terms(2_000, 2, later))
    with pytest.raises(RefusedContract, match=r"1,500 won is larger than the contract above, 1,000 won"):
        check_against(contract(2, 1), terms(1_500), chain(above))
    check_against(contract(2, 1), terms(1_500, effective_on=later), chain(above))
    check_against(contract(2, 1), terms(1_000), chain(above))


def test_nothing_hangs_below_a_contract_that_is_not_in_force() -> None:
    above = contract(1, None, terms(effective_on=DAY))
    with pytest.raises(RefusedContract, match="not in force"):
        check_against(contract(2, 1), terms(1, effective_on=DAY - timedelta(days=1)), chain(above))


def test_the_same_deal_twice_in_the_same_time_is_refused_and_afterwards_it_is_not() -> None:
    first = contract(2, 1, terms(400), contractor_id=5)
    again = contract(3, 1, contractor_id=5, work=" Struc ture")
    with pytest.raises(RefusedContract, match="contract 2 with the same contractor"):
        check_against(again, terms(400), chain(contract(1), first))
    after = terms(400, begins_on=END + timedelta(days=1), ends_on=END + timedelta(days=30))
    check_against(again, after, chain(contract(1), first))
    check_against(contract(3, 1, contractor_id=5, work="finishing"), terms(400), chain(contract(1), first))


def test_terms_must_be_possible() -> None:
    with pytest.raises(Invalid, match="before it begins"):
        check_terms(terms(1, ends_on=DAY - timedelta(days=1)))
    with pytest.raises(Invalid, match="0 won"):
        check_terms(terms(0))


def test_what_may_be_true_but_should_be_looked_at_is_flagged() -> None:
    later = date(2026, 9, 1)
    there = [
        contract(1, None, terms(1_000), terms(500, 9, later)),
        contract(2, 1, terms(600, ends_on=END + timedelta(days=1))),
        contract(3, 2, terms(100)),
        contract(4, 1, terms(600)),
        contract(5, None),
    ]
    codes = {(one.code, one.contract_id) for one in findings(there, DAY)}
    assert codes == {
        ("lower_exceed", 1),
        ("outside_period", 2),
        ("subcontracted_again", 3),
        ("parallel_prime", 5),
    }
    assert {("larger_than_above", 2), ("larger_than_above", 4)} <= {
        (one.code, one.contract_id) for one in findings(there, later)
    }


def test_a_tree_is_as_of_a_day() -> None:
    later = date(2026, 9, 1)
    there = [contract(1, None, terms(1_000), terms(3_000, 2, later)), contract(2, 1, terms(200, 3, later))]
    before, after = tree(there, DAY), tree(there, later)
    assert [(one.terms.amount_won, one.lower_won, len(one.branches)) for one in before] == [(1_000, 0, 0)]
    assert [(one.terms.amount_won, one.lower_won, len(one.branches)) for one in after] == [(3_000, 200, 1)]
    assert tree(there, DAY - timedelta(days=1)) == []


days = st.dates(date(2026, 1, 1), date(2026, 12, 31))


@given(st.lists(st.tuples(days, st.integers(1, 10**12)), min_size=1, max_size=8), days, st.randoms())
def test_terms_of_a_day_depend_on_what_was_recorded_not_on_the_order_of_reading(
    recorded: list[tuple[date, int]], day: date, dice: object
) -> None:
    made = [terms(amount, number, on) for number, (on, amount) in enumerate(recorded)]
    expected = max(
        (one for one in made if one.effective_on <= day), key=lambda one: (one.effective_on, one.number), default=None
    )
    dice.shuffle(made)  # type: ignore[attr-defined]  # hypothesis' random.Random
    assert contract(1, None, *made).on(day) == expected


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(1, 1_000)), max_size=8))
def test_a_tree_holds_every_contract_in_force_once(given_parents: list[tuple[int, int]]) -> None:
    there = []
    for number, (parent, amount) in enumerate(given_parents, 1):
        there.append(contract(number, parent if 0 < parent < number else None, terms(amount)))

    def count(branches: object) -> list[int]:
        return [row for one in branches for row in (one.contract.id, *count(one.branches))]  # type: ignore[attr-defined]

    assert sorted(count(tree(there, DAY))) == [one.id for one in there]
