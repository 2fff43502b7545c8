"""What people type to name an organization or a site, found as the row that they mean, and what is offered to them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlmodel import col, select

from central.kit.errors import Invalid
from central.kit.sentences import sentence
from central.registry.models import Organization, Site, SiteEmployer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from central.kit.db import ReadSession, WriteSession

    Session = ReadSession | WriteSession

OFFERED_MAX = 200
_NUMBER = re.compile(r"^[0-9]{10}$")


def organization_named(session: Session, text: str, *, field: str) -> Organization:
    """Find the organization with this business number or exactly this name; `field` is the input that named it."""
    digits = re.sub(r"[\s-]", "", text)
    if _NUMBER.match(digits):
        found = session.exec(select(Organization).where(Organization.business_no == digits)).all()
    else:
        found = session.exec(select(Organization).where(Organization.name == text.strip()).limit(2)).all()
    if not found:
        raise Invalid(
            sentence(
                "No organization has the name or business number “%(text)s”. Choose one, or register it first.",
                text=text,
            ),
            field=field,
        )
    if len(found) > 1:
        raise Invalid(
            sentence("Several organizations are called “%(text)s”. Give the business number.", text=text), field=field
        )
    return found[0]


def organizations_offered(session: Session, *kinds: str) -> list[tuple[str, str]]:
    """Offer organizations of some kinds, by name, with their business numbers."""
    query = select(Organization).where(*([col(Organization.kind).in_(kinds)] if kinds else []))
    rows = session.exec(query.order_by(col(Organization.name)).limit(OFFERED_MAX)).all()
    return [(row.name, business_number(row.business_no)) for row in rows]


def employers_offered(session: Session, *, site_id: int | None = None) -> list[tuple[str, str]]:
    """Offer the employers of a site, or of every site within reach."""
    query = (
        select(Organization)
        .join(SiteEmployer, col(SiteEmployer.organization_id) == col(Organization.id))
        .where(*([SiteEmployer.site_id == site_id] if site_id is not None else []))
        .order_by(col(Organization.name))
        .distinct()
    )
    return [(row.name, business_number(row.business_no)) for row in session.exec(query.limit(OFFERED_MAX)).all()]


def sites_offered(session: Session) -> list[tuple[str, str]]:
    """Offer the sites within reach."""
    rows: Sequence[Site] = session.exec(select(Site).order_by(col(Site.code)).limit(OFFERED_MAX)).all()
    return [(row.code, row.name) for row in rows]


def site_coded(session: Session, code: str, *, field: str) -> Site:
    """Find the site within reach that has this code."""
    row = session.exec(select(Site).where(Site.code == code.strip())).one_or_none()
    if row is None:
        raise Invalid(
            sentence("There is no site “%(code)s”, or you have no role on it. Choose one of yours.", code=code),
            field=field,
        )
    return row


def business_number(digits: str | None) -> str:
    """Write a business number as its certificate does, 124-81-00998."""
    return f"{digits[:3]}-{digits[3:5]}-{digits[5:]}" if digits else ""
