"""Every audit tag, `subject:action`, alphabetical. Nothing else may be recorded."""

from __future__ import annotations

from enum import StrEnum


class Tag(StrEnum):
    """What was done."""

    API_TOKEN_CREATE = "api_token:create"  # noqa: S105 - the name of an act
    API_TOKEN_EXPIRE = "api_token:expire"  # noqa: S105 - as above
    API_TOKEN_REVOKE = "api_token:revoke"  # noqa: S105 - as above
    BAR_AMEND = "bar:amend"
    BAR_CREATE = "bar:create"
    CARD_ASSIGN = "card:assign"
    CARD_CREATE = "card:create"
    CARD_RELEASE = "card:release"
    CARD_STEP = "card:step"
    CONTRACT_AMEND = "contract:amend"
    CONTRACT_CLOSE = "contract:close"
    CONTRACT_CREATE = "contract:create"
    CONTRACT_LOOK = "contract:look"
    DAY_PASS_CREATE = "day_pass:create"  # noqa: S105 - the name of an act
    DAY_PASS_END = "day_pass:end"  # noqa: S105 - the name of an act
    DAY_PASS_LOOK = "day_pass:look"  # noqa: S105 - the name of an act
    DELEGATION_CREATE = "delegation:create"
    DELEGATION_END = "delegation:end"
    EMPLOYMENT_AMEND = "employment:amend"
    EMPLOYMENT_CREATE = "employment:create"
    EVENTS_DROP = "events:drop"
    FACTOR_ADD = "factor:add"
    FACTOR_REFUSE = "factor:refuse"
    FACTOR_REMOVE = "factor:remove"
    FACTOR_SHOW = "factor:show"
    IDENTITY_NUMBER_LOOK = "identity_number:look"
    IDENTITY_NUMBER_SET = "identity_number:set"
    IMPORT_RUN = "import:run"
    INVITATION_ACCEPT = "invitation:accept"
    INVITATION_CREATE = "invitation:create"
    INVITATION_WITHDRAW = "invitation:withdraw"
    LABOUR_CONTRACT_CREATE = "labour_contract:create"
    MEMBERSHIP_CREATE = "membership:create"
    MEMBERSHIP_END = "membership:end"
    ORGANIZATION_AMEND = "organization:amend"
    ORGANIZATION_CREATE = "organization:create"
    OUTSIDE_LINK = "outside:link"
    OUTSIDE_UNLINK = "outside:unlink"
    PASSWORD_SET = "password:set"  # noqa: S105 - as above
    PEOPLE_EXPORT = "people:export"
    PEOPLE_LOOK = "people:look"
    PROJECT_AMEND = "project:amend"
    PROJECT_CREATE = "project:create"
    QUARANTINE_LOOK = "quarantine:look"
    RECOVERY_REQUEST = "recovery:request"
    RETENTION_SET = "retention:set"
    SESSION_END = "session:end"
    SESSION_REFUSE = "session:refuse"
    SESSION_START = "session:start"
    SESSION_SWITCH = "session:switch"
    SITE_AMEND = "site:amend"
    SITE_CREATE = "site:create"
    SITE_EMPLOYER_AMEND = "site_employer:amend"
    SITE_EMPLOYER_CREATE = "site_employer:create"
    SPARE_CODES_CREATE = "spare_codes:create"
    TERMINAL_AMEND = "terminal:amend"
    TERMINAL_CREATE = "terminal:create"
    TERMINAL_STEP = "terminal:step"
    USER_CREATE = "user:create"
    USER_DISABLE = "user:disable"
    WORKER_AMEND = "worker:amend"
    WORKER_CREATE = "worker:create"
    WORKER_EXPORT = "worker:export"
    WORKER_LOOK = "worker:look"
    WORKER_MERGE = "worker:merge"
    WORKER_PAPER_CREATE = "worker_paper:create"
    WORKER_PAPER_WITHDRAW = "worker_paper:withdraw"
    ZONE_AMEND = "zone:amend"
    ZONE_CREATE = "zone:create"
