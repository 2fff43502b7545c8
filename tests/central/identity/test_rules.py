from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.identity import rules, totp
from central.identity.outside_provider import Provider, wrong_claim
from central.identity.permissions import ROLE_PERMISSIONS, Permission, Role
from central.identity.policy import Standing
from central.identity.rules import RoleRow, Stage, check_delegation, stage_of
from central.identity.seats import cut, seat_of
from central.kit.errors import Invalid
from central.kit.ids import SiteId

NOON = datetime(2026, 11, 23, 3, tzinfo=UTC)
DAY = timedelta(days=1)
RFC_SECRET = b"12345678901234567890"


@pytest.mark.parametrize(
    ("at", "code"),
    [(59, "94287082"), (1111111109, "07081804"), (1234567890, "89005924"), (20000000000, "65353130")],
)
def test_codes_are_those_of_rfc_6238(at: int, code: str) -> None:
    """RFC 6238, appendix B; its eight digits end in our six."""
    assert totp.code_of(RFC_SECRET, totp.step_at(datetime.fromtimestamp(at, UTC))) == code[-6:]


@given(st.integers(-3, 3), st.integers(-3, 3))
def test_a_code_is_good_one_step_aside_and_once(aside: int, after: int) -> None:
    step = totp.step_at(NOON)
    code = totp.code_of(RFC_SECRET, step + aside)
    found = totp.step_of_code(RFC_SECRET, code, now=NOON, after=step + after)
    good = abs(aside) <= totp.STEPS_ASIDE and aside > after
    assert found == (step + aside if good else None)


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "\uff11\uff12\uff13\uff14\uff15\uff16"])
def test_what_is_no_code_is_no_code(code: str) -> None:
    assert totp.step_of_code(RFC_SECRET, code, now=NOON, after=0) is None


@pytest.mark.promise("ACC-02")
def test_every_role_that_sees_people_or_lets_others_in_needs_a_second_factor() -> None:
    needing = {role for role in Role if rules.needs_second_factor(p.value for p in ROLE_PERMISSIONS[role])}
    assert {Role.SYSTEM_OPERATOR, Role.CONTRACTOR, Role.SAFETY_OFFICER, Role.CLIENT_OFFICIAL} <= needing
    assert not needing & {Role.BANK, Role.WORKER, Role.ASSOCIATION}


def test_every_pattern_of_guarded_permissions_means_something() -> None:
    idle = [
        pattern
        for pattern in rules.GUARDED_PERMISSIONS
        if not rules.needs_second_factor(p.value for p in Permission if _fits(p.value, pattern))
    ]
    assert set(idle) <= {"payments:*"}


def _fits(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern)


@given(guarded=st.booleans(), has_factor=st.booleans(), shown=st.booleans(), required=st.booleans())
def test_a_session_is_whole_only_with_what_its_person_has_and_needs(
    *, guarded: bool, has_factor: bool, shown: bool, required: bool
) -> None:
    """Mutant: let a person with a factor pass without showing it."""
    permissions = {"site:people:read"} if guarded else {"site:headcount:read"}
    stage = stage_of(permissions, has_factor=has_factor, shown=shown, required=required)
    expected = (
        Stage.FULL
        if shown
        else Stage.SHOW_FACTOR
        if has_factor
        else Stage.ENROL_FACTOR
        if guarded and required
        else Stage.FULL
    )
    assert stage is expected


@pytest.mark.parametrize(
    ("to_id", "from_at", "until_at", "sentence"),
    [
        (1, NOON, NOON + DAY, "for yourself"),
        (2, NOON, NOON, "before the first"),
        (2, NOON + DAY, NOON, "before the first"),
        (2, NOON - 2 * DAY, NOON, "are over"),
        (2, NOON, NOON + rules.DELEGATION_MAX + timedelta(seconds=1), "92 days"),
    ],
)
def test_a_delegation_that_cannot_be_is_refused(
    to_id: int, from_at: datetime, until_at: datetime, sentence: str
) -> None:
    with pytest.raises(Invalid, match=sentence):
        check_delegation(owner_id=1, to_id=to_id, from_at=from_at, until_at=until_at, now=NOON)
    check_delegation(owner_id=1, to_id=2, from_at=NOON, until_at=NOON + rules.DELEGATION_MAX, now=NOON)


def test_a_delegation_holds_from_its_first_instant_until_its_last_without_anybody() -> None:
    def holds(at: datetime, ended: datetime | None = None) -> bool:
        return rules.delegation_in_force(NOON, NOON + DAY, ended, now=at)

    assert [holds(NOON - DAY), holds(NOON), holds(NOON + DAY - timedelta(microseconds=1)), holds(NOON + DAY)] == [
        False,
        True,
        True,
        False,
    ]
    assert not holds(NOON, NOON)


def test_a_chosen_role_that_is_gone_falls_back_to_ones_own_and_never_to_lent_ones() -> None:
    own, lent = RoleRow(1, 1, "auditor", "", None), RoleRow(2, 9, "contractor", "", None, 5, "Kim")
    assert seat_of([own, lent], membership_id=None, delegation_id=None).membership_ids == (1,)
    assert seat_of([own, lent], membership_id=2, delegation_id=5).membership_ids == (2,)
    assert seat_of([own], membership_id=2, delegation_id=5).membership_ids == (1,)
    assert seat_of([own, lent], membership_id=2, delegation_id=None).membership_ids == (1,)
    assert seat_of([own], membership_id=1, delegation_id=None, project_id=3).project_id is None


@pytest.mark.promise("ACC-02")
@given(st.sets(st.sampled_from(list(Permission))), st.sets(st.sampled_from(list(Permission))))
def test_a_persons_token_never_has_more_than_the_person(held: set[Permission], scopes: set[Permission]) -> None:
    """Mutant: leave out the intersection."""
    standings = [Standing(frozenset(held), site_id=SiteId(1)), Standing(frozenset(held))]
    names = {scope.value for scope in scopes}
    for site in (None, SiteId(1), SiteId(2)):
        left = cut(standings, scopes=names, site_id=site)
        assert all(one.permissions <= held & scopes for one in left)
        assert site is None or all(one.site_id == site for one in left)


def test_a_token_of_a_person_has_an_end() -> None:
    assert rules.token_end(30, now=NOON) == NOON + 30 * DAY
    for days in (0, -1, 367):
        with pytest.raises(Invalid, match="366 days"):
            rules.token_end(days, now=NOON)


PROVIDER = Provider("city", "City", "https://id.example", "ccs", "secret")


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({}, ""),
        ({"iss": "https://other.example"}, "iss"),
        ({"aud": "else"}, "aud"),
        ({"aud": ["ccs", "else"]}, "azp"),
        ({"aud": ["ccs", "else"], "azp": "else"}, "azp"),
        ({"aud": ["ccs", "else"], "azp": "ccs"}, ""),
        ({"exp": NOON.timestamp() - 61}, "exp"),
        ({"exp": "never"}, "exp"),
        ({"iat": NOON.timestamp() + 61}, "iat"),
        ({"nonce": "another"}, "nonce"),
        ({"sub": ""}, "sub"),
        ({"sub": "x" * 256}, "sub"),
    ],
)
def test_a_providers_claims_are_of_this_sign_in_or_refused(change: dict[str, object], wrong: str) -> None:
    at = NOON.timestamp()
    claims = {"iss": PROVIDER.issuer, "aud": "ccs", "exp": at + 60, "iat": at, "nonce": "n", "sub": "kim"} | change
    assert wrong_claim(claims, PROVIDER, nonce="n", now=NOON) == wrong
