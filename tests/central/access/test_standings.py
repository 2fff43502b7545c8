"""What a membership's reach becomes: the pure half of who sees what."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.identity.permissions import EMPLOYERS_ROWS, ROLE_PERMISSIONS, ROLE_REACH, Permission, Role, Via
from central.identity.policy import (
    Actor,
    Forbidden,
    Reached,
    allowed,
    check_scope,
    require_partly,
    require_rows,
    standings_of,
)
from central.kit.errors import Invalid, NotFound
from central.kit.ids import OrganizationId, ProjectId, SiteId

SITE, PROJECT, FIRM, OTHER = SiteId(1), ProjectId(2), OrganizationId(3), OrganizationId(4)


def of(role: str, via: str, site: SiteId | None = SITE) -> Actor:
    here = None if via == Via.EVERYWHERE else PROJECT
    reached = Reached(role, via, site, here, FIRM)
    return Actor("user:1", "Kim", "ko", standings=standings_of([reached]))


@pytest.mark.parametrize("via", Via)
@pytest.mark.parametrize("role", Role)
def test_a_role_goes_only_the_ways_that_the_table_names(role: Role, via: Via) -> None:
    site = None if via == Via.EVERYWHERE else SITE
    held = {permission for permission in Permission if of(role, via, site).reach(permission)}
    assert held == (ROLE_PERMISSIONS[role] if via in ROLE_REACH[role] else set())


def test_a_role_or_a_way_of_another_release_gives_nothing() -> None:
    assert standings_of([Reached("emperor", Via.SITE, SITE, PROJECT), Reached(Role.CONTRACTOR, "tunnel", SITE)]) == ()


@pytest.mark.parametrize("role", [Role.SUBCONTRACTOR, Role.SUPPLIER])
def test_an_employers_role_never_holds_rows_wholly(role: Role) -> None:
    """Mutant: `Via.EMPLOYER` gives the site as a prime's does."""
    actor = of(role, Via.EMPLOYER)
    for permission in ROLE_PERMISSIONS[role] & EMPLOYERS_ROWS:
        reach = actor.reach(permission)
        assert not reach.everywhere
        assert not reach.sites
        assert not reach.projects
        assert reach.own == {(SITE, FIRM)}
        assert not allowed(actor, permission, site_id=SITE, project_id=PROJECT)
        require_rows(actor, permission, site_id=SITE, employer_id=FIRM)
        require_partly(actor, permission, site_id=SITE)
        require_partly(actor, permission, project_id=PROJECT)
        with pytest.raises(Forbidden):
            require_rows(actor, permission, site_id=SITE, employer_id=OTHER)
        with pytest.raises(NotFound):
            require_partly(actor, permission, site_id=SiteId(9))


def test_a_prime_has_its_site_wholly_and_of_the_project_its_own_contracts() -> None:
    reach = of(Role.CONTRACTOR, Via.PRIME).reach(Permission.REGISTRY_CONTRACT_READ)
    assert not reach.projects
    assert reach.own_contracts == {(PROJECT, FIRM)}
    assert of(Role.CONTRACTOR, Via.PRIME).reach(Permission.REGISTRY_WORKER_WRITE).sites == {SITE}


def test_a_role_on_one_site_looks_at_the_project_and_changes_nothing_there() -> None:
    actor = of(Role.CONTRACTOR, Via.SITE)
    assert allowed(actor, Permission.REGISTRY_CONTRACT_READ, project_id=PROJECT)
    assert not allowed(actor, Permission.REGISTRY_CONTRACT_WRITE, project_id=PROJECT)


@pytest.mark.parametrize("role", Role)
def test_a_scope_is_taken_exactly_when_the_role_has_a_way_from_there(role: Role) -> None:
    from_firm = {Via.CLIENT, Via.EMPLOYER, Via.PRIME, Via.SUPERVISION}
    for place, ways in (
        ("site", {Via.SITE}),
        ("project", {Via.PROJECT}),
        ("organization", from_firm),
        ("", {Via.EVERYWHERE}),
    ):
        asked = {name: name == place for name in ("site", "project", "organization")}
        if ROLE_REACH[role] & ways:
            check_scope(role, **asked)
        else:
            with pytest.raises(Invalid, match="cannot be held over"):
                check_scope(role, **asked)


reached_rows = st.lists(
    st.builds(
        Reached,
        st.sampled_from(list(Role)),
        st.sampled_from(list(Via)),
        st.none() | st.sampled_from([SITE, SiteId(5)]),
        st.sampled_from([PROJECT, ProjectId(6)]),
        st.none() | st.sampled_from([FIRM, OTHER]),
    ),
    max_size=6,
)


@given(reached_rows, reached_rows)
def test_more_memberships_never_take_anything_away(some: list[Reached], more: list[Reached]) -> None:
    few = Actor("user:1", "Kim", "ko", standings=standings_of(some))
    many = Actor("user:1", "Kim", "ko", standings=standings_of([*some, *more]))
    for permission in Permission:
        a, b = few.reach(permission), many.reach(permission)
        assert b.everywhere or (not a.everywhere and a.sites <= b.sites and a.projects <= b.projects and a.own <= b.own)
