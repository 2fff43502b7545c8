"""The vocabulary of permissions and what each role holds. Data only: `policy` decides."""

from __future__ import annotations

from enum import StrEnum


class Permission(StrEnum):
    """`scope:resource:action`; keep the list alphabetical."""

    ATTENDANCE_QUARANTINE_READ = "attendance:quarantine:read"
    AUDIT_EVENT_READ = "audit:event:read"
    IDENTITY_TOKEN_WRITE = "identity:token:write"  # noqa: S105 - the name of a permission
    IDENTITY_USER_WRITE = "identity:user:write"
    REGISTRY_CARD_READ = "registry:card:read"
    REGISTRY_CARD_WRITE = "registry:card:write"
    REGISTRY_ORGANIZATION_READ = "registry:organization:read"
    REGISTRY_ORGANIZATION_WRITE = "registry:organization:write"
    REGISTRY_PROJECT_READ = "registry:project:read"
    REGISTRY_PROJECT_WRITE = "registry:project:write"
    REGISTRY_SITE_READ = "registry:site:read"
    REGISTRY_SITE_WRITE = "registry:site:write"
    REGISTRY_TERMINAL_READ = "registry:terminal:read"
    REGISTRY_TERMINAL_WRITE = "registry:terminal:write"
    REGISTRY_WORKER_READ = "registry:worker:read"
    REGISTRY_WORKER_WRITE = "registry:worker:write"
    SITE_HEADCOUNT_READ = "site:headcount:read"
    SITE_PEOPLE_READ = "site:people:read"
    SITE_TAP_READ = "site:tap:read"


class Role(StrEnum):
    """A role that a membership gives, over everything, a project, an organization's sites or one site."""

    AUDITOR = "auditor"
    CONTRACTOR = "contractor"
    SAFETY_OFFICER = "safety_officer"
    SYSTEM_OPERATOR = "system_operator"


_READ = frozenset(permission for permission in Permission if permission.endswith(":read"))

ROLE_PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.AUDITOR: _READ - {Permission.SITE_PEOPLE_READ, Permission.REGISTRY_WORKER_READ},
    Role.CONTRACTOR: frozenset(
        {
            Permission.REGISTRY_CARD_READ,
            Permission.REGISTRY_CARD_WRITE,
            Permission.REGISTRY_ORGANIZATION_READ,
            Permission.REGISTRY_PROJECT_READ,
            Permission.REGISTRY_SITE_READ,
            Permission.REGISTRY_TERMINAL_READ,
            Permission.REGISTRY_WORKER_READ,
            Permission.REGISTRY_WORKER_WRITE,
            Permission.SITE_HEADCOUNT_READ,
            Permission.SITE_PEOPLE_READ,
            Permission.SITE_TAP_READ,
        }
    ),
    Role.SAFETY_OFFICER: frozenset(
        {
            Permission.REGISTRY_SITE_READ,
            Permission.REGISTRY_TERMINAL_READ,
            Permission.SITE_HEADCOUNT_READ,
            Permission.SITE_PEOPLE_READ,
            Permission.SITE_TAP_READ,
        }
    ),
    Role.SYSTEM_OPERATOR: frozenset(Permission),
}
"""Role to permissions. The auditor walks figures back to taps without names."""
