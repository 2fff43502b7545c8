"""Lists as sheets: a roll and a chain of contracts with the very columns that are taken in, other lists as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmodel import col, select

from central.kit.errors import Invalid
from central.kit.sentences import sentence
from central.registry import rules
from central.registry.columns import CONTRACTS, ROLL, word_of
from central.registry.models import Card, CardAssignment, Employment, Organization, Worker
from central.registry.record_models import LabourContract, WorkerPaper

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date, datetime

    from central.kit.db import ReadSession
    from central.registry.contract_rules import Branch

ROWS_EXPORTED_MAX = 20_000
Cells = dict[str, object]


def sheet_of(form_headings: Sequence[str], names: Sequence[str], rows: Iterable[Cells]) -> list[list[str]]:
    """Lay rows out under their headings."""
    return [list(form_headings), *([_text(row.get(name)) for name in names] for row in rows)]


def _text(value: object) -> str:
    return "" if value is None else str(value)


def within_limit(count: int) -> None:
    """Pass a list that one file may hold."""
    if count > ROWS_EXPORTED_MAX:
        raise Invalid(
            sentence(
                "the list has more than %(max)s rows: narrow it by a filter, then take it along",
                max=f"{ROWS_EXPORTED_MAX:,}",
            )
        )


def roll(session: ReadSession, *, site_id: int, on: date, now: datetime, cards: bool, language: str) -> list[list[str]]:
    """Write a site's roll of a day as it could be taken in again. `cards`: whether their tokens may be seen.

    Five queries, however many rows.
    """
    query = (
        select(Employment, Worker, Organization)
        .join(Worker, col(Worker.id) == col(Employment.worker_id))
        .join(Organization, col(Organization.id) == col(Employment.employer_id))
        .where(
            Employment.site_id == site_id,
            col(Employment.from_on) <= on,
            col(Employment.until_on).is_(None) | (col(Employment.until_on) > on),
        )
        .order_by(col(Worker.name), col(Worker.id))
    )
    found = session.exec(query.limit(ROWS_EXPORTED_MAX + 1)).all()
    within_limit(len(found))
    ids = [worker.id or 0 for _, worker, _ in found]
    tokens = _tokens(session, ids, now=now) if cards else {}
    papers = _papers(session, ids, language=language)
    labour = _labour(session, ids, site_id=site_id, language=language)
    rows = [
        _entry(spell, worker, firm, language=language)
        | {"card_token": tokens.get(worker.id or 0)}
        | papers.get((worker.id or 0, ""), {})
        | papers.get((worker.id or 0, spell.trade), {})
        | labour.get((worker.id or 0, spell.employer_id, spell.from_on), {})
        for spell, worker, firm in found
    ]
    return sheet_of(ROLL.headings(language), [column.name for column in ROLL.columns], rows)


def _entry(spell: Employment, worker: Worker, firm: Organization, *, language: str) -> Cells:
    trade = rules.trades().get(spell.trade)
    return {
        "name": worker.name,
        "employer": firm.business_no or firm.name,
        "trade": trade.ko if trade is not None and language == "ko" else spell.trade,
        "from_on": spell.from_on,
        "until_on": spell.until_on,
        "worker_no": worker.worker_no,
        "birth_on": worker.birth_on,
        "nationality": worker.nationality,
        "language": worker.language,
        "phone": worker.phone,
    }


def _tokens(session: ReadSession, ids: Sequence[int], *, now: datetime) -> Mapping[int, str]:
    rows = session.exec(
        select(CardAssignment, Card)
        .join(Card, col(Card.id) == col(CardAssignment.card_id))
        .where(
            col(CardAssignment.worker_id).in_(ids),
            col(CardAssignment.from_at) <= now,
            col(CardAssignment.until_at).is_(None) | (col(CardAssignment.until_at) > now),
        )
        .order_by(col(CardAssignment.id))
    ).all()
    return {holding.worker_id: card.token for holding, card in rows}


def _papers(session: ReadSession, ids: Sequence[int], *, language: str) -> Mapping[tuple[int, str], Cells]:
    """Return the newest paper of each kind as its columns; a grade is its trade's."""
    rows = session.exec(
        select(WorkerPaper)
        .where(col(WorkerPaper.worker_id).in_(ids), col(WorkerPaper.withdrawn_at).is_(None))
        .order_by(col(WorkerPaper.from_on), col(WorkerPaper.id))
    ).all()
    found: dict[tuple[int, str], Cells] = {}
    for row in rows:
        cells = found.setdefault((row.worker_id, row.trade or ""), {})
        if row.kind == "safety_certificate":
            cells |= {"safety_no": row.number, "safety_from_on": row.from_on, "safety_until_on": row.until_on}
        elif row.kind == "visa":
            cells |= {"visa": row.value, "visa_from_on": row.from_on, "visa_until_on": row.until_on}
        elif row.kind == "skill_grade":
            cells |= {"grade": word_of("grade", row.value, language), "grade_from_on": row.from_on}
    return found


def _labour(
    session: ReadSession, ids: Sequence[int], *, site_id: int, language: str
) -> Mapping[tuple[int, int, date], Cells]:
    """Return the labour contracts that began with an employment, by worker, employer and that day."""
    query = select(LabourContract).where(LabourContract.site_id == site_id, col(LabourContract.worker_id).in_(ids))
    return {
        (row.worker_id, row.employer_id, row.from_on): {
            "contract_kind": word_of("contract_kind", row.kind, language),
            "wage_won": row.wage_won,
            "wage_per": word_of("wage_per", row.wage_per, language),
            "minutes_a_day": row.minutes_a_day,
            "signed_on": row.signed_on,
        }
        for row in session.exec(query).all()
    }


def contracts(session: ReadSession, branches: Iterable[Branch], *, language: str) -> list[list[str]]:
    """Write a project's contracts of a day, each after the one above it, as they could be taken in again."""
    flat = list(_flat(branches))
    asked = select(Organization).where(col(Organization.id).in_({one.contract.contractor_id for one in flat}))
    firms = {one.id: (one.name, one.business_no) for one in session.exec(asked).all()}
    rows: list[Cells] = []
    for one in flat:
        contract, terms = one.contract, one.terms
        name, number = firms.get(contract.contractor_id, ("", None))
        rows.append(
            {
                "ref": contract.id,
                "above": contract.parent_id,
                "kind": word_of("kind", contract.kind, language),
                "contractor": number or name,
                "work": contract.work,
                "amount_won": terms.amount_won,
                "begins_on": terms.begins_on,
                "ends_on": terms.ends_on,
                "effective_on": terms.effective_on,
                "contractor_name": name,
            }
        )
    shown = {one.contract.id for one in flat}
    for row in rows:
        if row["above"] not in shown and row["above"] is not None:
            row["above"] = f"#{row['above']}"
    return sheet_of(CONTRACTS.headings(language), [column.name for column in CONTRACTS.columns], rows)


def _flat(branches: Iterable[Branch]) -> Iterable[Branch]:
    for one in branches:
        yield one
        yield from _flat(one.branches)
