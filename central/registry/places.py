"""Organizations, projects, sites, employers on sites: registered and amended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from central.audit import service as audit
from central.audit.tags import Tag
from central.kit.errors import Invalid, NotFound
from central.kit.sentences import sentence
from central.registry import notices, project_rules, repository, rules
from central.registry.models import Organization, Project, Site, SiteEmployer
from central.registry.refusals import flush, open_project, open_site

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    from sqlmodel import SQLModel

    from central.kit.db import ReadSession, WriteSession


def register_organization(
    session: WriteSession, *, name: str, kind: str, business_no: str | None, actor: str, now: datetime
) -> Organization:
    """Register an organization; the business number's check digit is checked."""
    row = Organization(name=name, kind=rules.one_of("kind", kind, rules.ORGANIZATION_KINDS), created_at=now)
    row.business_no = rules.business_number(business_no) if business_no else None
    session.add(row)
    flush(session)
    detail = {"name": row.name, "kind": row.kind, "business_no": row.business_no}
    _note(session, Tag.ORGANIZATION_CREATE, f"organization:{row.id}", detail, actor=actor, now=now)
    return row


def amend_organization(
    session: WriteSession, *, organization_id: int, changes: Mapping[str, Any], actor: str, now: datetime
) -> Organization:
    """Change name, kind or business number."""
    row = organization(session, organization_id=organization_id)
    new = dict(changes)
    if new.get("kind") is not None:
        rules.one_of("kind", new["kind"], rules.ORGANIZATION_KINDS)
    if new.get("business_no") is not None:
        new["business_no"] = rules.business_number(new["business_no"])
    changed = apply_changes(row, new, nullable={"business_no"})
    flush(session)
    notices.tell(session, sites=repository.sites_employing(session, organization_id=organization_id))
    _note(session, Tag.ORGANIZATION_AMEND, f"organization:{organization_id}", changed, actor=actor, now=now)
    return row


def organization(session: ReadSession | WriteSession, *, organization_id: int) -> Organization:
    """Return one organization, or raise `NotFound`."""
    row = session.get(Organization, organization_id)
    if row is None:
        raise NotFound(sentence("there is no organization %(id)s: see the list of organizations", id=organization_id))
    return row


def register_project(
    session: WriteSession,
    *,
    code: str,
    name: str,
    client_id: int,
    facts: Mapping[str, Any] | None = None,
    actor: str,
    now: datetime,
) -> Project:
    """Register a client's project with what is known of it; its borough follows from its point."""
    organization(session, organization_id=client_id)
    row = Project(code=rules.code("project", code), name=name, client_id=client_id, created_at=now)
    given = {name: value for name, value in (facts or {}).items() if value is not None}
    for fact, value in (given | _project_facts(row, given)).items():
        setattr(row, fact, value)
    session.add(row)
    flush(session)
    notices.tell_access_changed(session)
    detail = {"code": code, "name": name, "client_id": client_id, "facts": sorted(given)}
    _note(session, Tag.PROJECT_CREATE, f"project:{row.id}", detail, actor=actor, now=now)
    return row


def amend_project(
    session: WriteSession, *, code: str, changes: Mapping[str, Any], actor: str, now: datetime
) -> Project:
    """Change a project's name or facts; its borough follows from its point."""
    row = project(session, code=code)
    changed = apply_changes(row, dict(changes) | _project_facts(row, changes), nullable=_PROJECT_NULLABLE)
    flush(session)
    changed = {name: _plain(pair) for name, pair in changed.items()}
    _note(session, Tag.PROJECT_AMEND, f"project:{row.id}", changed, actor=actor, now=now)
    return row


_PROJECT_NULLABLE = frozenset(
    {
        "classification",
        "budget_won",
        "bid_notice_on",
        "begins_on",
        "ends_on",
        "completed_on",
        "latitude",
        "longitude",
        "borough",
    }
)


def _project_facts(row: Project, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Check a project as it would be after the changes; return what follows from them."""

    def after(name: str) -> Any:  # noqa: ANN401 - a column of any type
        return changes.get(name, getattr(row, name)) if name in changes else getattr(row, name)

    if after("classification") is not None:
        rules.one_of("classification", after("classification"), project_rules.CLASSIFICATIONS)
    begins_on, ends_on = after("begins_on"), after("ends_on")
    project_rules.project_dates(bid_notice_on=after("bid_notice_on"), begins_on=begins_on, ends_on=ends_on)
    point = project_rules.point(after("latitude"), after("longitude"))
    if "latitude" not in changes and "longitude" not in changes:
        return {}
    return {"borough": project_rules.borough_of(*point) if point is not None else None}


def _plain(pair: list[Any]) -> list[Any]:
    """Write a point's degrees as text: the audit trail holds no fractions."""
    return [str(value) if isinstance(value, float) else value for value in pair]


def project(session: ReadSession | WriteSession, *, code: str) -> Project:
    """Return one project by its code, or raise `NotFound`."""
    row = repository.project_by_code(session, code)
    if row is None:
        raise NotFound(sentence("there is no project %(code)s: check the code", code=repr(code)))
    return row


def register_site(  # noqa: PLR0913 - these are the entry's facts
    session: WriteSession,
    *,
    code: str,
    project_code: str,
    name: str,
    address: str = "",
    timezone: str = "Asia/Seoul",
    calendar: Mapping[str, Any] | None = None,
    actor: str,
    now: datetime,
) -> Site:
    """Register a project's site; its code is the one in MQTT topics."""
    belongs_to = project(session, code=project_code)
    open_project(belongs_to.completed_on, now.date())
    row = Site(
        code=rules.code("site", code),
        project_id=belongs_to.id or 0,
        name=name,
        address=address,
        timezone=rules.time_zone(timezone),
        calendar=rules.calendar(calendar or {}),
        created_at=now,
    )
    session.add(row)
    flush(session)
    notices.tell(session, sites=[row.id or 0])
    notices.tell_access_changed(session)
    detail = {"code": code, "project": project_code, "name": name, "timezone": timezone}
    _note(session, Tag.SITE_CREATE, f"site:{row.id}", detail, actor=actor, now=now)
    return row


def site_by_code(session: ReadSession | WriteSession, *, code: str) -> Site:
    """Return one site by its code, or raise `NotFound`."""
    row = repository.site_by_code(session, code)
    if row is None:
        raise NotFound("there is no such site, or you have no role on it: check the code, or ask for a role")
    return row


def amend_site(session: WriteSession, *, site_id: int, changes: Mapping[str, Any], actor: str, now: datetime) -> Site:
    """Change name, address, time zone, calendar, or the day on which it closes."""
    row = session.get_one(Site, site_id)
    if changes.get("timezone") is not None:
        rules.time_zone(changes["timezone"])
    if changes.get("calendar") is not None:
        rules.calendar(changes["calendar"])
    changed = apply_changes(row, changes, nullable={"closed_on"})
    flush(session)
    notices.tell(session, sites=[site_id])
    notices.tell_access_changed(session)
    _note(session, Tag.SITE_AMEND, f"site:{site_id}", changed, actor=actor, now=now)
    return row


def register_site_employer(
    session: WriteSession,
    *,
    site_id: int,
    organization_id: int,
    tier: str,
    from_on: date,
    until_on: date | None,
    actor: str,
    now: datetime,
) -> SiteEmployer:
    """Say that an employer works on a site during a period; overlapping periods are refused."""
    organization(session, organization_id=organization_id)
    rules.period(from_on, until_on)
    open_site(repository.site_closed_on(session, site_id), from_on)
    row = SiteEmployer(
        site_id=site_id,
        organization_id=organization_id,
        tier=rules.one_of("tier", tier, rules.TIERS),
        from_on=from_on,
        until_on=until_on,
    )
    session.add(row)
    flush(session)
    notices.tell_access_changed(session)
    detail = {"site_id": site_id, "organization_id": organization_id, "tier": tier, "from": from_on, "until": until_on}
    _note(session, Tag.SITE_EMPLOYER_CREATE, f"site_employer:{row.id}", detail, actor=actor, now=now)
    return row


def end_site_employer(
    session: WriteSession, *, site_id: int, row_id: int, until_on: date | None, actor: str, now: datetime
) -> SiteEmployer:
    """Set the first day on which the employer no longer works there; None opens the period again."""
    row = session.get(SiteEmployer, row_id)
    if row is None or row.site_id != site_id:
        raise NotFound(sentence("the site has no employer entry %(id)s: see the site's list of employers", id=row_id))
    rules.period(row.from_on, until_on)
    changed = apply_changes(row, {"until_on": until_on}, nullable={"until_on"})
    flush(session)
    notices.tell_access_changed(session)
    _note(session, Tag.SITE_EMPLOYER_AMEND, f"site_employer:{row_id}", changed, actor=actor, now=now)
    return row


def apply_changes(
    row: SQLModel, changes: Mapping[str, Any], *, nullable: frozenset[str] | set[str] = frozenset()
) -> dict[str, Any]:
    """Set what differs and return it as {field: [old, new]}; refuse null where a value is needed, and no change."""
    changed: dict[str, Any] = {}
    for name, value in changes.items():
        if value is None and name not in nullable:
            raise Invalid(sentence("%(name)s may not be null: leave it out to keep what is there", name=name))
        old = getattr(row, name)
        if old != value:
            setattr(row, name, value)
            changed[name] = [old, value]
    if not changes:
        raise Invalid("nothing to change was given: name at least one field")
    return changed


def _note(
    session: WriteSession, tag: Tag, subject: str, detail: Mapping[str, Any], *, actor: str, now: datetime
) -> None:
    audit.record(session, actor=actor, tag=tag, subject=subject, detail=detail, now=now)
