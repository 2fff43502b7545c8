"""The vocabulary of permissions, what each role holds, and what a role's scope reaches. Data only: `policy` decides."""

from __future__ import annotations

from enum import StrEnum


class Permission(StrEnum):
    """`scope:resource:action`; keep the list alphabetical."""

    ATTENDANCE_OBJECTION_DECIDE = "attendance:objection:decide"
    ATTENDANCE_OBJECTION_READ = "attendance:objection:read"
    ATTENDANCE_OBJECTION_WRITE = "attendance:objection:write"
    ATTENDANCE_QUARANTINE_READ = "attendance:quarantine:read"
    ATTENDANCE_WORKER_READ = "attendance:worker:read"
    AUDIT_EVENT_READ = "audit:event:read"
    IDENTITY_COLLEAGUE_WRITE = "identity:colleague:write"
    IDENTITY_TOKEN_WRITE = "identity:token:write"  # noqa: S105 - the name of a permission
    IDENTITY_USER_WRITE = "identity:user:write"
    PRIVACY_RULE_READ = "privacy:rule:read"
    PRIVACY_RULE_WRITE = "privacy:rule:write"
    PRIVACY_WORKER_ERASE = "privacy:worker:erase"
    PRIVACY_WORKER_READ = "privacy:worker:read"
    REGISTRY_CARD_READ = "registry:card:read"
    REGISTRY_CARD_WRITE = "registry:card:write"
    REGISTRY_CONTRACT_READ = "registry:contract:read"
    REGISTRY_CONTRACT_WRITE = "registry:contract:write"
    REGISTRY_DAY_PASS_READ = "registry:day_pass:read"  # noqa: S105 - the name of a permission
    REGISTRY_DAY_PASS_WRITE = "registry:day_pass:write"  # noqa: S105 - the name of a permission
    REGISTRY_IDENTITY_NUMBER_READ = "registry:identity_number:read"
    REGISTRY_ORGANIZATION_READ = "registry:organization:read"
    REGISTRY_ORGANIZATION_WRITE = "registry:organization:write"
    REGISTRY_PROJECT_READ = "registry:project:read"
    REGISTRY_PROJECT_WRITE = "registry:project:write"
    REGISTRY_SITE_READ = "registry:site:read"
    REGISTRY_SITE_WRITE = "registry:site:write"
    REGISTRY_TERMINAL_READ = "registry:terminal:read"
    REGISTRY_TERMINAL_WRITE = "registry:terminal:write"
    REGISTRY_WORKER_MERGE = "registry:worker:merge"
    REGISTRY_WORKER_READ = "registry:worker:read"
    REGISTRY_WORKER_WRITE = "registry:worker:write"
    SITE_HEADCOUNT_READ = "site:headcount:read"
    SITE_PEOPLE_READ = "site:people:read"
    SITE_TAP_READ = "site:tap:read"


class Role(StrEnum):
    """A role that a membership gives, over everything, a project, an organization's part or one site (DOMAIN §1.0).

    A citizen is nobody signed in and has no role.
    """

    ASSOCIATION = "association"
    AUDITOR = "auditor"
    BANK = "bank"
    CLIENT_OFFICIAL = "client_official"
    CONTRACTOR = "contractor"
    SAFETY_OFFICER = "safety_officer"
    SUBCONTRACTOR = "subcontractor"
    SUPERVISOR = "supervisor"
    SUPPLIER = "supplier"
    SYSTEM_OPERATOR = "system_operator"
    WORKER = "worker"


class Via(StrEnum):
    """The way from a membership to what it reaches; the last four go from its organization."""

    EVERYWHERE = "everywhere"
    SITE = "site"
    PROJECT = "project"
    CLIENT = "client"
    """Every project that the organization ordered."""
    EMPLOYER = "employer"
    """Sites where the organization is an employer today; of them its own people and contracts only."""
    PRIME = "prime"
    """Sites where the organization is prime today, wholly; of their projects and its contracts' its own contracts."""
    SUPERVISION = "supervision"
    """Projects that the organization supervises under a contract."""


_READ = frozenset(permission for permission in Permission if permission.endswith(":read"))
_NAMES = frozenset(
    {
        Permission.PRIVACY_WORKER_READ,
        Permission.ATTENDANCE_WORKER_READ,
        Permission.ATTENDANCE_OBJECTION_READ,
        Permission.REGISTRY_DAY_PASS_READ,
        Permission.REGISTRY_IDENTITY_NUMBER_READ,
        Permission.REGISTRY_WORKER_READ,
        Permission.SITE_PEOPLE_READ,
    }
)
_PLACES = frozenset(
    {
        Permission.REGISTRY_ORGANIZATION_READ,
        Permission.REGISTRY_PROJECT_READ,
        Permission.REGISTRY_SITE_READ,
    }
)
_OVERSIGHT = _PLACES | {
    Permission.ATTENDANCE_WORKER_READ,
    Permission.ATTENDANCE_OBJECTION_READ,
    Permission.REGISTRY_CARD_READ,
    Permission.REGISTRY_CONTRACT_READ,
    Permission.REGISTRY_DAY_PASS_READ,
    Permission.REGISTRY_TERMINAL_READ,
    Permission.REGISTRY_WORKER_READ,
    Permission.SITE_HEADCOUNT_READ,
    Permission.SITE_PEOPLE_READ,
    Permission.SITE_TAP_READ,
}

ROLE_PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.ASSOCIATION: _PLACES,
    Role.AUDITOR: _READ - _NAMES,
    Role.BANK: frozenset(),
    Role.CLIENT_OFFICIAL: _OVERSIGHT
    | {
        Permission.ATTENDANCE_OBJECTION_DECIDE,
        Permission.IDENTITY_COLLEAGUE_WRITE,
        Permission.REGISTRY_CONTRACT_WRITE,
        Permission.REGISTRY_PROJECT_WRITE,
    },
    Role.CONTRACTOR: _OVERSIGHT
    | {
        Permission.ATTENDANCE_OBJECTION_WRITE,
        Permission.IDENTITY_COLLEAGUE_WRITE,
        Permission.REGISTRY_CARD_WRITE,
        Permission.REGISTRY_CONTRACT_WRITE,
        Permission.REGISTRY_DAY_PASS_WRITE,
        Permission.REGISTRY_WORKER_MERGE,
        Permission.REGISTRY_WORKER_WRITE,
    },
    Role.SAFETY_OFFICER: frozenset(
        {
            Permission.REGISTRY_DAY_PASS_READ,
            Permission.REGISTRY_DAY_PASS_WRITE,
            Permission.REGISTRY_SITE_READ,
            Permission.REGISTRY_TERMINAL_READ,
            Permission.SITE_HEADCOUNT_READ,
            Permission.SITE_PEOPLE_READ,
            Permission.SITE_TAP_READ,
        }
    ),
    Role.SUBCONTRACTOR: _PLACES
    | {
        Permission.ATTENDANCE_WORKER_READ,
        Permission.ATTENDANCE_OBJECTION_READ,
        Permission.ATTENDANCE_OBJECTION_WRITE,
        Permission.IDENTITY_COLLEAGUE_WRITE,
        Permission.REGISTRY_CARD_READ,
        Permission.REGISTRY_CONTRACT_READ,
        Permission.REGISTRY_WORKER_READ,
        Permission.REGISTRY_WORKER_WRITE,
        Permission.SITE_HEADCOUNT_READ,
    },
    Role.SUPERVISOR: _OVERSIGHT | {Permission.IDENTITY_COLLEAGUE_WRITE},
    Role.SUPPLIER: _PLACES
    | {
        Permission.ATTENDANCE_WORKER_READ,
        Permission.REGISTRY_CONTRACT_READ,
        Permission.REGISTRY_WORKER_READ,
        Permission.SITE_HEADCOUNT_READ,
    },
    Role.SYSTEM_OPERATOR: frozenset(Permission),
    Role.WORKER: frozenset(),
}
"""Role to permissions. The auditor walks figures back to taps without names. The association receives filings and a
bank orders, each by its own door: here they may look up places, or nothing. A worker's own view asks nobody."""

ROLE_BRINGS_IN: dict[Role, frozenset[Role]] = {
    Role.CLIENT_OFFICIAL: frozenset({Role.AUDITOR, Role.CLIENT_OFFICIAL}),
    Role.CONTRACTOR: frozenset({Role.CONTRACTOR, Role.SAFETY_OFFICER}),
    Role.SUBCONTRACTOR: frozenset({Role.SUBCONTRACTOR}),
    Role.SUPERVISOR: frozenset({Role.SUPERVISOR}),
}
"""Role held through an organization to the roles that it may give others through the same one, and take from them.
Nobody brings people in for another firm: its first account comes from a system operator."""

EMPLOYERS_ROWS = frozenset(
    {
        Permission.ATTENDANCE_WORKER_READ,
        Permission.ATTENDANCE_OBJECTION_READ,
        Permission.ATTENDANCE_OBJECTION_WRITE,
        Permission.REGISTRY_CARD_READ,
        Permission.REGISTRY_CARD_WRITE,
        Permission.REGISTRY_CONTRACT_READ,
        Permission.REGISTRY_CONTRACT_WRITE,
        Permission.REGISTRY_WORKER_READ,
        Permission.REGISTRY_WORKER_WRITE,
        Permission.SITE_HEADCOUNT_READ,
    }
)
"""Permissions over rows that belong to an organization: through its contracts they reach its own rows only."""

_PLACED = frozenset({Via.EVERYWHERE, Via.SITE, Via.PROJECT})

ROLE_REACH: dict[Role, frozenset[Via]] = {
    Role.ASSOCIATION: frozenset({Via.EVERYWHERE}),
    Role.AUDITOR: _PLACED | {Via.CLIENT, Via.PRIME},
    Role.BANK: frozenset({Via.EVERYWHERE}),
    Role.CLIENT_OFFICIAL: frozenset({Via.SITE, Via.PROJECT, Via.CLIENT}),
    Role.CONTRACTOR: _PLACED | {Via.PRIME},
    Role.SAFETY_OFFICER: _PLACED | {Via.PRIME},
    Role.SUBCONTRACTOR: frozenset({Via.EMPLOYER}),
    Role.SUPERVISOR: frozenset({Via.SITE, Via.PROJECT, Via.SUPERVISION}),
    Role.SUPPLIER: frozenset({Via.EMPLOYER}),
    Role.SYSTEM_OPERATOR: _PLACED | {Via.CLIENT, Via.PRIME},
    Role.WORKER: frozenset(),
}
"""Role to the ways that its membership may reach something; other ways give nothing. A subcontractor's or supplier's
role holds through its organization alone, so that no membership of theirs can show a site's other firms."""
