"""A site with a few workers who look at their own days: numbers, telephones, cards, and taps truly ingested."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from central.attendance.batch import Message
from central.attendance.ingest import Ingest
from central.attendance.intake import connect
from central.kit.db import make_engine, write_session
from central.registry.models import (
    Card,
    CardAssignment,
    Employment,
    Organization,
    Project,
    Site,
    SiteEmployer,
    Terminal,
    Worker,
)
from edge_agent.wire.ids import card_token
from simulators.journal import JournalMaker
from simulators.seeding import identity

if TYPE_CHECKING:
    from central.kit.db import WriteSession

CARD_KEY = bytes(range(32))
SINCE = date(2026, 1, 1)
CODE = "site-31"
PEOPLE = (
    # number, name, language, telephone, employer
    ("26-0001", "Nguyễn Văn Hùng", "vi", "010-1111-0001", "sub"),
    ("26-0002", "김민수", "ko", None, "sub"),
    ("26-0003", "Batbayar Ganbold", "mn", "010-1111-0003", "prime"),
)


@dataclass
class OwnSite:
    """What was put there; taps go in through `tap`."""

    database_url: str
    ids: dict[str, int] = field(default_factory=dict)
    """`client`, `prime`, `sub`, `project`, `site`, and each worker by number."""
    journals: dict[str, JournalMaker] = field(default_factory=dict)

    def tap(
        self,
        number: str,
        at: datetime,
        direction: str = "in",
        *,
        assurance: int = 3,
        decision: str = "accepted",
        received_at: datetime | None = None,
    ) -> tuple[str, int]:
        """Let a worker hold their card, and central receive it at once; return the record's journal and number."""
        journal = self.journals.setdefault("gate-01", JournalMaker(CODE, "gate-01"))
        journal.at = at - timedelta(seconds=1)
        token = card_token(CARD_KEY, self.card(number))
        journal.tap(token, direction, assurance=assurance, decision=decision)
        seq = len(journal.events)
        with connect(self.database_url) as connection:
            received = received_at or at + timedelta(seconds=1)
            Ingest(connection).take([Message(journal.topic, journal.batch(seq, seq))], now=received)
        return journal.journal_id, seq

    def day(self, number: str, on: date) -> None:
        """Let a worker come at 7 and leave at 17 in Seoul."""
        seven = datetime(on.year, on.month, on.day, tzinfo=UTC) - timedelta(hours=2)
        self.tap(number, seven)
        self.tap(number, seven + timedelta(hours=10), "out")

    @staticmethod
    def card(number: str) -> bytes:
        """Return a worker's card."""
        return identity(int(number.replace("-", "")))


def seed_own_site(database_url: str) -> OwnSite:
    """Register a site with a prime and a subcontractor, a gate, and three workers."""
    made = OwnSite(database_url)
    engine = make_engine(database_url, pool_size=1)
    with write_session(engine) as session:
        _place(session, made)
        for number, name, language, phone, employer in PEOPLE:
            worker = Worker(worker_no=number, name=name, language=language, phone=phone)
            card = Card(token=card_token(CARD_KEY, made.card(number)), state="issued")
            session.add_all([worker, card])
            session.flush()
            made.ids[number] = worker.id or 0
            since = datetime(SINCE.year, SINCE.month, SINCE.day, tzinfo=UTC)
            held = CardAssignment(card_id=card.id or 0, worker_id=worker.id or 0, from_at=since, given_at=since)
            session.add(held)
            session.add(
                Employment(
                    worker_id=worker.id or 0,
                    site_id=made.ids["site"],
                    employer_id=made.ids[employer],
                    trade="rebar",
                    from_on=SINCE,
                )
            )
    engine.dispose()
    return made


def _place(session: WriteSession, made: OwnSite) -> None:
    firms = {
        "client": Organization(name="푸른시 도시기반본부", kind="client"),
        "prime": Organization(name="가온누리종합건설", kind="prime", business_no="9990000016"),
        "sub": Organization(name="두레철근", kind="sub", business_no="9990000021"),
    }
    session.add_all(firms.values())
    session.flush()
    made.ids |= {kind: firm.id or 0 for kind, firm in firms.items()}
    project = Project(code="project-31", name="체육관", client_id=made.ids["client"])
    session.add(project)
    session.flush()
    site = Site(code=CODE, project_id=project.id or 0, name="중앙체육관 신축공사")
    session.add(site)
    session.flush()
    made.ids |= {"project": project.id or 0, "site": site.id or 0}
    for tier in ("prime", "sub"):
        session.add(SiteEmployer(site_id=site.id or 0, organization_id=made.ids[tier], tier=tier, from_on=SINCE))
    readers = [{"name": "r1", "direction": "in", "zone": "gate-01"}]
    session.add(Terminal(site_id=site.id or 0, code="gate-01", name="정문", zone="gate-01", readers=readers))
