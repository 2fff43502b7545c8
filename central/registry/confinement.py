"""Rows outside of the asker's reach are not there: every read of a confined session is cut to its reach, by whoever.

A request's session shows no guarded row before it is confined, so a forgotten filter shows too little, never too much.
What the system itself must see beyond the asker's reach (whom to tell of a change) is asked for with `BEYOND_REACH`.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, ColumnElement, Select, Table, any_, event, false, literal, or_, select, tuple_
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import ORMExecuteState, Session, with_loader_criteria
from sqlalchemy.sql.visitors import iterate

from central.kit.db import OF_REQUEST
from central.registry.contract_models import Contract, ContractVersion
from central.registry.import_models import Import, ImportRow
from central.registry.models import (
    Bar,
    Card,
    CardAssignment,
    Employment,
    Project,
    Site,
    SiteEmployer,
    Terminal,
    Worker,
    Zone,
)
from central.registry.record_models import CardEvent, DayPass, LabourContract, TerminalEvent, WorkerPaper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sqlalchemy import Executable
    from sqlalchemy.sql.base import ExecutableOption
    from sqlmodel import SQLModel

    from central.identity.policy import Reach
    from central.kit.db import ReadSession, WriteSession

BEYOND_REACH = {"registry_beyond_reach": True}
"""Execution options of a statement that the system itself needs; never for what is shown."""
_REACH = "registry_reach"
REACHES_REMEMBERED_MAX = 100
"""People who ask at a time have no more different ones; a project's people mostly share theirs."""
_DEPTH_MAX = 8
"""No chain of contracts is deeper."""


class Unconfined(RuntimeError):
    """A request's session read guarded rows unconfined, or in SQL text that cannot be confined: a mistake of ours."""


def confine(session: ReadSession | WriteSession, reach: Reach) -> None:
    """Cut everything that the session reads from now on to `reach`."""
    session.info[_REACH] = reach


def confined_to(session: ReadSession | WriteSession) -> Reach | None:
    """Return what the session is confined to; None for the system's own."""
    return session.info.get(_REACH)


@event.listens_for(Session, "do_orm_execute")
def _cut(state: ORMExecuteState) -> None:
    info = state.session.info
    reach: Reach | None = info.get(_REACH)
    if (reach is None and not info.get(OF_REQUEST)) or state.execution_options.get("registry_beyond_reach"):
        return
    if (reach is not None and reach.everywhere) or state.is_insert or state.is_column_load:
        return
    if not state.is_orm_statement:
        _refuse_text(str(state.statement))
        return
    if reach is None:
        _refuse_unconfined(state)
        return
    criteria = _criteria(reach)
    named = _tables_in(state.statement) if state.is_select else criteria.keys()
    state.statement = state.statement.options(*(one for name, one in criteria.items() if name in named))


@lru_cache(maxsize=REACHES_REMEMBERED_MAX)
def _criteria(reach: Reach) -> Mapping[str, ExecutableOption]:
    """Return the rules of a reach by table: made once, since making them takes longer than a short query."""
    rules = rules_of(reach) | {model: rule(reach) for model, rule in _ABOVE.items()}
    return {
        str(model.__tablename__): with_loader_criteria(model, rule, include_aliases=True)
        for model, rule in rules.items()
    }


def _tables_in(statement: Executable) -> set[str]:
    """Name every table that a question reads, however deep; a rule that it does not need would cost as much as one."""
    return {part.name for part in iterate(statement) if isinstance(part, Table)}  # type: ignore[arg-type]  # a clause too


def _refuse_text(sql: str) -> None:
    found = _guarded_names().search(sql)
    if found is not None:
        raise Unconfined(
            f"{found[0]} is read in SQL text, which cannot be confined: select the model, or say BEYOND_REACH"
        )


def _refuse_unconfined(state: ORMExecuteState) -> None:
    for mapper in state.all_mappers:
        if mapper.class_ in GUARDED or mapper.class_ in _ABOVE:
            raise Unconfined(f"{mapper.class_.__name__} is read before `confine`: depend on confined_reading")


GUARDED: frozenset[type[SQLModel]] = frozenset(
    {
        Bar,
        Card,
        CardAssignment,
        CardEvent,
        Contract,
        ContractVersion,
        DayPass,
        Employment,
        Import,
        ImportRow,
        LabourContract,
        Project,
        Site,
        SiteEmployer,
        Terminal,
        TerminalEvent,
        Worker,
        WorkerPaper,
        Zone,
    }
)
_ABOVE: dict[type[SQLModel], Callable[[Reach], ColumnElement[bool]]] = {}


def guard(model: type[SQLModel], rule: Callable[[Reach], ColumnElement[bool]]) -> None:
    """Guard a table of a slice above the registry by a rule of its own."""
    _ABOVE[model] = rule
    _guarded_names.cache_clear()
    _criteria.cache_clear()


SITES: Table = Site.__table__  # type: ignore[attr-defined]  # SQLModel types its tables no further
_PLACES_OF_ONESELF: list[Callable[[int], ColumnElement[bool]]] = []


def place_of_oneself(rule: Callable[[int], ColumnElement[bool]]) -> None:
    """Have a worker reach further sites, by a condition on `SITES` that a slice above the registry knows of."""
    _PLACES_OF_ONESELF.append(rule)
    _criteria.cache_clear()


@cache
def _guarded_names() -> re.Pattern[str]:
    names = sorted((str(model.__tablename__) for model in {*GUARDED, *_ABOVE}), key=len, reverse=True)
    return re.compile("|".join(rf"\b{name}\b" for name in names))


def rules_of(reach: Reach) -> dict[type[SQLModel], ColumnElement[bool]]:
    """Say for each guarded table which of its rows are reached. Written on tables, so that no rule cuts another."""
    if reach.worker_id is not None:
        return _rules_of_oneself(reach.worker_id)
    site, project, contract = _t(Site), _t(Project), _t(Contract)
    employment, assignment, card, worker = _t(Employment), _t(CardAssignment), _t(Card), _t(Worker)
    places = reach.sites | {site_id for site_id, _ in reach.own}
    workers = select(employment.c.worker_id).where(on_site(employment, reach))
    cards = select(assignment.c.card_id).where(assignment.c.worker_id.in_(workers))
    projects = reach.projects | {project_id for project_id, _ in reach.own_contracts}
    contracts = _contracts(reach)
    return {
        Site: _is_one_of(site.c.id, places),
        Project: or_(
            _is_one_of(project.c.id, projects),
            project.c.id.in_(select(site.c.project_id).where(_is_one_of(site.c.id, places))),
        ),
        Zone: _is_one_of(_t(Zone).c.site_id, places),
        Terminal: _is_one_of(_t(Terminal).c.site_id, places),
        TerminalEvent: _t(TerminalEvent).c.terminal_id.in_(
            select(_t(Terminal).c.id).where(_is_one_of(_t(Terminal).c.site_id, places))
        ),
        SiteEmployer: on_site(_t(SiteEmployer), reach, employer="organization_id"),
        DayPass: _is_one_of(_t(DayPass).c.site_id, reach.sites),
        Employment: on_site(employment, reach),
        LabourContract: on_site(_t(LabourContract), reach),
        Worker: worker.c.id.in_(workers),
        WorkerPaper: _t(WorkerPaper).c.worker_id.in_(workers),
        Bar: _t(Bar).c.worker_id.in_(workers) & or_(_t(Bar).c.site_id.is_(None), _is_one_of(_t(Bar).c.site_id, places)),
        CardAssignment: assignment.c.worker_id.in_(workers),
        Card: card.c.id.in_(cards),
        CardEvent: _t(CardEvent).c.card_id.in_(cards),
        Import: _imports(reach),
        ImportRow: _t(ImportRow).c.import_id.in_(select(_t(Import).c.id).where(_imports(reach))),
        Contract: contract.c.id.in_(contracts),
        ContractVersion: _t(ContractVersion).c.contract_id.in_(contracts),
    }


def _rules_of_oneself(worker_id: int) -> dict[type[SQLModel], ColumnElement[bool]]:
    """A worker reaches their own rows and the places where they ever were; of nobody else anything."""
    employment, assignment = _t(Employment), _t(CardAssignment)
    mine = own_entries(worker_id)
    places = select(employment.c.site_id).where(employment.c.worker_id.in_(mine))
    site = _t(Site)
    rules: dict[type[SQLModel], ColumnElement[bool]] = dict.fromkeys(GUARDED, false())
    rules |= {model: _t(model).c.worker_id.in_(mine) for model in _OF_WORKERS}
    cards = select(assignment.c.card_id).where(assignment.c.worker_id.in_(mine))
    return rules | {
        Worker: _t(Worker).c.id.in_(mine),
        Card: _t(Card).c.id.in_(cards),
        Site: or_(site.c.id.in_(places), *(rule(worker_id) for rule in _PLACES_OF_ONESELF)),
        Project: _t(Project).c.id.in_(select(site.c.project_id).where(site.c.id.in_(places))),
    }


_OF_WORKERS = (Bar, CardAssignment, Employment, LabourContract, WorkerPaper)


def own_entries(worker_id: int) -> Select[tuple[int]]:
    """Select a worker's own entry and those that were merged into it."""
    worker = _t(Worker)
    return select(worker.c.id).where(or_(worker.c.id == worker_id, worker.c.merged_into_id == worker_id))


def _t(model: type[SQLModel]) -> Table:
    return model.__table__  # type: ignore[attr-defined, no-any-return]  # SQLModel types its tables no further


def _is_one_of(column: ColumnElement[Any], ids: Iterable[int]) -> ColumnElement[bool]:
    """One array parameter, however many ids: the statement stays the same."""
    found = sorted(ids)
    return column == any_(literal(found, ARRAY(BigInteger))) if found else false()


def on_site(table: Table, reach: Reach, *, employer: str = "employer_id") -> ColumnElement[bool]:
    """Say which rows are reached of a table that names a site and an employer."""
    wholly = _is_one_of(table.c.site_id, reach.sites)
    if not reach.own:
        return wholly
    return or_(wholly, tuple_(table.c.site_id, table.c[employer]).in_(sorted(reach.own)))


def _imports(reach: Reach) -> ColumnElement[bool]:
    """Of a place reached wholly everybody's imports; else those that were confined to one's own organization."""
    table = _t(Import)
    found = [_is_one_of(table.c.project_id, reach.projects), on_site(table, reach, employer="organization_id")]
    if reach.own_contracts:
        found.append(tuple_(table.c.project_id, table.c.organization_id).in_(sorted(reach.own_contracts)))
    return or_(*found)


def _contracts(reach: Reach) -> Any:  # noqa: ANN401 - a select of ids
    """Select the contracts of whole projects, and of an organization its own with all below them."""
    contract = _t(Contract)
    wholly = _is_one_of(contract.c.project_id, reach.projects)
    if not reach.own_contracts:
        return select(contract.c.id).where(wholly)
    mine = tuple_(contract.c.project_id, contract.c.contractor_id).in_(sorted(reach.own_contracts))
    branch = select(contract.c.id, literal(1).label("depth")).where(or_(wholly, mine)).cte("reached", recursive=True)
    below = contract.alias()
    branch = branch.union(
        select(below.c.id, branch.c.depth + 1)
        .join(branch, below.c.parent_id == branch.c.id)
        .where(branch.c.depth < _DEPTH_MAX)
    )
    return select(branch.c.id)
