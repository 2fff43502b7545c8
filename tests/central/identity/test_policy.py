from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.identity.permissions import ROLE_PERMISSIONS, Permission, Role
from central.identity.policy import (
    Actor,
    Forbidden,
    Grant,
    allowed,
    allowed_sites,
    permissions_on,
    require,
    require_somewhere,
)
from central.kit.errors import NotFound
from central.kit.ids import SiteId

HERE, THERE = SiteId(1), SiteId(2)


def actor(*grants: Grant) -> Actor:
    return Actor("user:1", "Kim", "ko", grants)


def of_role(role: Role, site_id: SiteId | None = None) -> Actor:
    return actor(*(Grant(permission, site_id) for permission in ROLE_PERMISSIONS[role]))


def test_permissions_are_named_scope_resource_action_in_order() -> None:
    values = [permission.value for permission in Permission]
    assert values == sorted(values)
    assert all(len(value.split(":")) == 3 for value in values)
    assert set(ROLE_PERMISSIONS) == set(Role)


@pytest.mark.parametrize(
    ("role", "permission", "expected"),
    [
        (role, permission, permission in ROLE_PERMISSIONS[role])
        for role, permission in itertools.product(Role, Permission)
    ],
)
def test_each_role_may_what_the_table_says_on_its_own_site_and_nothing_elsewhere(
    role: Role, permission: Permission, *, expected: bool
) -> None:
    held = of_role(role, HERE)
    assert allowed(held, permission, site_id=HERE) is expected
    assert not allowed(held, permission, site_id=THERE)
    assert not allowed(held, permission)
    assert allowed(of_role(role), permission, site_id=THERE) is expected


@pytest.mark.parametrize(
    ("role", "permission"),
    [
        (Role.AUDITOR, Permission.SITE_PEOPLE_READ),
        (Role.AUDITOR, Permission.REGISTRY_WORKER_READ),
        (Role.SAFETY_OFFICER, Permission.REGISTRY_WORKER_WRITE),
        (Role.CONTRACTOR, Permission.IDENTITY_TOKEN_WRITE),
        (Role.CONTRACTOR, Permission.REGISTRY_SITE_WRITE),
    ],
)
def test_what_a_role_must_never_hold(role: Role, permission: Permission) -> None:
    assert permission not in ROLE_PERMISSIONS[role]


def test_a_site_one_may_not_know_is_not_found_rather_than_forbidden() -> None:
    held = of_role(Role.SAFETY_OFFICER, HERE)
    with pytest.raises(NotFound):
        require(held, Permission.SITE_PEOPLE_READ, site_id=THERE)
    with pytest.raises(Forbidden, match="registry:worker:write"):
        require(held, Permission.REGISTRY_WORKER_WRITE, site_id=HERE)
    with pytest.raises(Forbidden):
        require(actor(), Permission.SITE_PEOPLE_READ)
    require(held, Permission.SITE_PEOPLE_READ, site_id=HERE)


grants = st.lists(
    st.builds(Grant, st.sampled_from(list(Permission)), st.sampled_from([None, HERE, THERE])), max_size=12
)


@given(grants, st.sampled_from(list(Permission)), st.sampled_from([HERE, THERE]))
def test_every_way_of_asking_gives_the_same_answer(held: list[Grant], permission: Permission, site: SiteId) -> None:
    who = actor(*held)
    yes = allowed(who, permission, site_id=site)
    sites = allowed_sites(who, permission)
    assert yes == (sites is None or site in sites)
    assert yes == (permission in permissions_on(who, site))
    assert yes == ((Grant(permission) in held) or (Grant(permission, site) in held))
    if sites is not None and not sites:
        with pytest.raises(Forbidden):
            require_somewhere(who, permission)
    else:
        assert require_somewhere(who, permission) == sites
