"""A forgotten filter cannot leak another organization's rows: each test here forgets it on purpose."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, func, text, union
from sqlalchemy.orm import aliased
from sqlmodel import SQLModel, select

import central.models
from central.identity.policy import NOTHING, Reach
from central.kit.db import OF_REQUEST, read_session, write_session
from central.kit.ids import OrganizationId, ProjectId, SiteId
from central.registry.confinement import BEYOND_REACH, GUARDED, Unconfined, confine
from central.registry.contract_models import Contract
from central.registry.models import Card, CardAssignment, Employment, Organization, Worker
from simulators.two_worlds import World

EVERYBODYS = {"registry_organization"}
"""Tables of the registry that whoever may read organizations may read wholly: no row of them is one's own."""
WORKERS_OWN = {"registry_changed_card"}
"""Lists of work between processes, card by card: no route reads them."""
ALL = sorted(GUARDED, key=lambda model: model.__name__)


def prime_reach(world: World) -> Reach:
    ids = world.ids
    project, prime = ProjectId(ids["project"]), OrganizationId(ids["prime"])
    return Reach(sites=frozenset({SiteId(ids["site"])}), own_contracts=frozenset({(project, prime)}))


def sub_reach(world: World) -> Reach:
    ids = world.ids
    sub = OrganizationId(ids["sub"])
    return Reach(
        own=frozenset({(SiteId(ids["site"]), sub)}), own_contracts=frozenset({(ProjectId(ids["project"]), sub)})
    )


def ids_of(world: World, model: type[SQLModel], engine: Engine) -> set[int]:
    """The ids of a table's rows that belong to a world, by asking beyond any reach."""
    with read_session(engine) as session:
        every = set(session.exec(select(model.id)).all())  # type: ignore[attr-defined]  # each guarded table has one
    return every & {row_id for name, row_id in world.ids.items() if names_of(model)(name)}


def names_of(model: type[SQLModel]) -> Any:
    stem = {
        "SiteEmployer": "site_employer",
        "CardAssignment": "assignment",
        "CardEvent": "card_event",
        "ContractVersion": "version",
        "DayPass": "day_pass",
        "ImportRow": "import_row",
        "LabourContract": "labour",
        "TerminalEvent": "terminal_event",
        "WorkerPaper": "paper",
    }.get(model.__name__, model.__name__.lower())
    return lambda name: name == stem or name in {f"{stem}_{kind}" for kind in ("prime", "sub", "supervision")}


@pytest.mark.promise("ACC-01")
def test_every_table_of_the_registry_is_guarded_or_named_as_everybodys() -> None:
    guarded = {str(model.__tablename__) for model in GUARDED}
    tables = {name for name in central.models.metadata.tables if name.startswith("registry_")}
    assert tables == guarded | EVERYBODYS | WORKERS_OWN


@pytest.mark.parametrize("model", ALL)
def test_a_query_that_forgets_its_filter_shows_the_askers_rows_alone(
    access_engine: Engine, worlds: tuple[World, World], model: type[SQLModel]
) -> None:
    """Mutant: leave the table out of `rules_of`."""
    own, other = (ids_of(world, model, access_engine) for world in worlds)
    assert own
    assert other
    with read_session(access_engine) as session:
        session.info[OF_REQUEST] = True
        confine(session, prime_reach(worlds[0]))
        seen = {row.id for row in session.exec(select(model)).all()}  # type: ignore[attr-defined]
        assert seen
        assert seen <= own
        assert {row.id for row in session.exec(select(model).where(model.id.in_(other))).all()} == set()  # type: ignore[attr-defined]
        assert [session.get(model, row_id) for row_id in sorted(other)] == [None] * len(other)


@pytest.mark.parametrize("model", ALL)
def test_an_employer_sees_its_own_people_and_not_those_beside_them(
    access_engine: Engine, worlds: tuple[World, World], model: type[SQLModel]
) -> None:
    ids = worlds[0].ids
    with read_session(access_engine) as session:
        session.info[OF_REQUEST] = True
        confine(session, sub_reach(worlds[0]))
        seen = {row.id for row in session.exec(select(model)).all()}  # type: ignore[attr-defined]
        beside = {
            row_id for name, row_id in ids.items() if names_of(model)(name) and name.endswith(("_prime", "vision"))
        }
        assert not seen & beside
        assert seen <= ids_of(worlds[0], model, access_engine)
        assert [session.get(model, row_id) for row_id in sorted(beside)] == [None] * len(beside)


@pytest.mark.promise("ACC-01")
def test_joins_subqueries_and_columns_are_cut_as_well(access_engine: Engine, worlds: tuple[World, World]) -> None:
    with read_session(access_engine) as session:
        confine(session, prime_reach(worlds[0]))
        names = set(session.exec(select(Worker.name)).all())
        assert names == {"worker prime own", "worker sub own"}
        joined = select(Card.token, Worker.name).select_from(Card).join(CardAssignment).join(Worker)
        assert {name for _, name in session.exec(joined)} == names
        of_all = select(Employment.id).where(Employment.worker_id.in_(select(Worker.id)))  # type: ignore[attr-defined]
        assert len(session.exec(of_all).all()) == 2
        with_below = {row.id for row in session.exec(select(Contract)).all()}
        assert with_below == {worlds[0].ids["contract_prime"], worlds[0].ids["contract_sub"]}


@pytest.mark.promise("ACC-01")
def test_however_a_table_is_named_its_rows_are_cut(access_engine: Engine, worlds: tuple[World, World]) -> None:
    """Mutant: look for a statement's tables in its outermost part only."""
    other, beyond = aliased(Worker), select(Worker.name.label("name"))  # type: ignore[attr-defined]  # a column
    named = select(func.max(Worker.name)).correlate(None).scalar_subquery()
    below = select(Worker.name).where(Worker.id == Employment.worker_id).correlate(Employment)
    shapes = {
        "alias": select(other.name),
        "subquery": select(beyond.subquery().c.name),
        "subquery in a subquery": select(select(beyond.subquery().c.name).subquery().c.name),
        "common table": select(beyond.cte().c.name),
        "union": union(beyond, select(Worker.name).where(Worker.id > 0)),  # type: ignore[operator]
        "column": select(named).select_from(Organization),
        "array below a row": select(func.unnest(func.array(below.scalar_subquery()))).select_from(Employment),
        "existence": select(Organization.name).where(
            select(Worker.id).where(Worker.name.contains("other")).exists()  # type: ignore[attr-defined]
        ),
    }
    with read_session(access_engine) as session:
        confine(session, prime_reach(worlds[0]))
        for shape, asked in shapes.items():
            seen = {str(row[0]) for row in session.execute(asked).all()}
            assert not [name for name in seen if name.startswith("worker") and name.endswith("other")], shape
            assert (shape == "existence") != bool(seen), shape


def test_a_session_of_a_request_shows_nothing_before_it_is_confined(
    access_engine: Engine, worlds: tuple[World, World]
) -> None:
    """Mutant: take a session that nobody confined for one of the system's."""
    assert worlds
    for model in ALL:
        with read_session(access_engine) as session:
            session.info[OF_REQUEST] = True
            with pytest.raises(Unconfined, match="confine"):
                session.exec(select(model)).all()
    with read_session(access_engine) as session:
        session.info[OF_REQUEST] = True
        confine(session, NOTHING)
        assert [session.exec(select(model)).all() for model in ALL] == [[]] * len(ALL)


def test_sql_text_on_guarded_tables_is_refused_unless_it_says_that_it_goes_beyond(
    access_engine: Engine, worlds: tuple[World, World]
) -> None:
    with read_session(access_engine) as session:
        confine(session, prime_reach(worlds[0]))
        asked = text("SELECT count(*) FROM registry_worker")
        with pytest.raises(Unconfined, match="registry_worker"):
            session.execute(asked)
        with pytest.raises(Unconfined, match="registry_card"):
            session.execute(Card.__table__.select())  # type: ignore[attr-defined]
        assert session.execute(asked, execution_options=BEYOND_REACH).scalar() == 4


def test_an_update_reaches_no_row_that_a_select_would_not_show(
    access_engine: Engine, worlds: tuple[World, World]
) -> None:
    from sqlmodel import update

    with write_session(access_engine) as session:
        confine(session, prime_reach(worlds[0]))
        session.exec(update(Worker).values(language="vi").execution_options(synchronize_session=False))
    with read_session(access_engine) as session:
        changed = set(session.exec(select(Worker.name).where(Worker.language == "vi")).all())
    assert changed == {"worker prime own", "worker sub own"}


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_reach_shows_exactly_the_employments_that_it_names(
    access_engine: Engine, worlds: tuple[World, World], data: st.DataObject
) -> None:
    places = [SiteId(world.ids["site"]) for world in worlds]
    firms = [OrganizationId(world.ids[kind]) for world in worlds for kind in ("prime", "sub")]
    sites = data.draw(st.frozensets(st.sampled_from(places)))
    own = data.draw(st.frozensets(st.tuples(st.sampled_from(places), st.sampled_from(firms))))
    with read_session(access_engine) as session:
        every = session.exec(select(Employment)).all()
        expected = {row.id for row in every if row.site_id in sites or (row.site_id, row.employer_id) in own}
        session.expunge_all()
        confine(session, Reach(sites=sites, own=own))
        assert {row.id for row in session.exec(select(Employment)).all()} == expected
        workers = {row.worker_id for row in every if row.id in expected}
        assert {row.id for row in session.exec(select(Worker)).all()} == workers
