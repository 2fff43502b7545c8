"""What other slices ask the registry: which terminals exist, whose card it was, who a worker is on a site."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from central.kit.errors import NotFound
from central.kit.ids import SiteId, TerminalId, WorkerId
from central.registry import repository
from central.registry.models import Site

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from central.kit.db import ReadSession, WriteSession


@dataclass(frozen=True, slots=True)
class TerminalInfo:
    """A registered terminal, as ingest needs it."""

    terminal_id: TerminalId
    site_id: SiteId
    site_code: str
    code: str
    name: str
    zone: str
    in_service: bool
    readers: tuple[dict[str, Any], ...]

    @property
    def records_exits(self) -> bool:
        """Whether any reader here can prove that somebody left."""
        return any(reader.get("direction") in {"out", "tap"} for reader in self.readers)


@dataclass(frozen=True, slots=True)
class Holding:
    """A card was this worker's from `from_at` until `until_at` (half-open; None: still)."""

    worker_id: WorkerId
    from_at: datetime
    until_at: datetime | None

    def covers(self, at: datetime) -> bool:
        """Whether `at` lies inside."""
        return self.from_at <= at and (self.until_at is None or at < self.until_at)


@dataclass(frozen=True, slots=True)
class PersonInfo:
    """A worker as they stood on a site on a date; employer and trade are empty when not employed there."""

    worker_id: WorkerId
    name: str
    language: str
    is_test: bool
    employer: str
    trade: str


@dataclass(frozen=True, slots=True)
class GateCard:
    """A card that a site's gates know, and whether its holder is barred there."""

    token: str
    worker_id: WorkerId
    name: str
    language: str
    barred: str | None


@dataclass(frozen=True, slots=True)
class SiteInfo:
    """A site."""

    id: SiteId
    code: str
    name: str
    timezone: str
    calendar: dict[str, Any]


def terminal_directory(session: ReadSession | WriteSession) -> dict[tuple[str, str], TerminalInfo]:
    """Return every registered terminal by (site code, terminal code), in one query."""
    return {
        (site_code, row.code): TerminalInfo(
            terminal_id=TerminalId(row.id or 0),
            site_id=SiteId(row.site_id),
            site_code=site_code,
            code=row.code,
            name=row.name or row.code,
            zone=row.zone,
            in_service=row.in_service,
            readers=tuple(row.readers),
        )
        for row, site_code in repository.terminals_with_sites(session)
    }


def holders(session: ReadSession | WriteSession, tokens: Sequence[str]) -> dict[str, list[Holding]]:
    """Return all holdings of these cards, oldest first; a card that nobody ever held is absent. One query."""
    found: defaultdict[str, list[Holding]] = defaultdict(list)
    if tokens:
        for token, worker_id, from_at, until_at in repository.assignments_of(session, tokens):
            found[token].append(Holding(WorkerId(worker_id), from_at, until_at))
    return dict(found)


def people(
    session: ReadSession | WriteSession, *, workers: Sequence[int], site_id: int, on: date
) -> dict[int, PersonInfo]:
    """Return workers by id as they stood on a site's date, in one query."""
    if not workers:
        return {}
    return {
        row.id: PersonInfo(WorkerId(row.id), row.name, row.language, row.is_test, row.employer, row.trade)
        for row in repository.people_on(session, workers=workers, site_id=site_id, on=on)
    }


def gate_cards(session: ReadSession | WriteSession, *, site_id: int, now: datetime) -> list[GateCard]:
    """Return the cards that a site's roster carries at `now`, by token: employed there today, or test workers."""
    return [
        GateCard(row.token, WorkerId(row.worker_id), row.name, row.language, row.barred)
        for row in repository.gate_rows(session, site_id=site_id, now=now)
    ]


def sites(session: ReadSession | WriteSession) -> list[SiteInfo]:
    """Return every site, by code."""
    return [_site_info(row) for row in repository.all_sites(session)]


def site(session: ReadSession | WriteSession, *, site_id: int) -> SiteInfo:
    """Return one site, or raise `NotFound`."""
    row = session.get(Site, site_id)
    if row is None:
        raise NotFound(f"there is no site with id {site_id}")
    return _site_info(row)


def _site_info(row: Site) -> SiteInfo:
    return SiteInfo(SiteId(row.id or 0), row.code, row.name, row.timezone, dict(row.calendar))
