"""Central's ingest on a seeded database: messages in, rows, acknowledgements and the headcount out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from central.attendance.batch import Message, Outcome
from central.attendance.keeping import PersonKey
from central.attendance.service import site_headcount
from central.kit.db import make_engine, read_session
from edge_agent.wire.codec import decode, encode
from edge_agent.wire.ids import card_token
from edge_agent.wire.messages import Ack, Birth, Heartbeat

if TYPE_CHECKING:
    import psycopg

    from central.attendance.headcount import Headcount
    from central.attendance.ingest import Ingest
    from simulators.journal import JournalMaker
    from simulators.seeding import SeededSite

CARD_KEY = bytes(range(32))
SITE, GATE = "site-07", "gate-01"


@dataclass
class IngestBench:
    """One site with two gates, and an `Ingest` with a connection of its own."""

    url: str
    seeded: SeededSite
    connection: psycopg.Connection[Any]
    ingest: Ingest

    def token(self, number: int) -> str:
        """Return the token of a seeded worker's card."""
        return card_token(CARD_KEY, self.seeded.identities[number])

    def take(self, *messages: tuple[str, bytes], now: datetime | None = None) -> Outcome:
        """Take (topic, payload) pairs as one batch, received `now`."""
        return self.ingest.take([Message(*one) for one in messages], now=now or datetime.now(UTC))

    def rows(self, query: str, *values: object) -> list[Any]:
        """Return the rows of a query."""
        return self.connection.execute(query, values).fetchall()

    def one(self, query: str, *values: object) -> Any:  # noqa: ANN401 - whatever the query asks for
        """Return the first value of a query."""
        return self.rows(query, *values)[0][0]

    def everyone(self) -> list[PersonKey]:
        """Return whoever has a state at the site."""
        return [PersonKey(*row) for row in self.rows("SELECT site_id, person FROM attendance_presence")]

    def headcount(self, **at: datetime) -> Headcount:
        """Count the site as pages do: now, or as it was known or true `at` an instant."""
        engine = make_engine(self.url, pool_size=1)
        with read_session(engine) as session:
            found = site_headcount(session, site_id=self.seeded.site_id, now=datetime.now(UTC), **at)  # type: ignore[arg-type]
        engine.dispose()
        return found


def ack_of(outcome: Outcome) -> Ack:
    """Return the first acknowledgement."""
    return decode(outcome.acks[0][1], Ack)


def heartbeat(journal: JournalMaker, *, at: datetime, head: int = 0, unacknowledged: int = 0) -> bytes:
    """Return what a terminal says of itself: its journal's last number and how many of them wait."""
    return encode(
        Heartbeat(
            journal_id=journal.journal_id,
            boot_id="boot-1",
            at=at,
            boottime_ns=1,
            head_seq=head,
            unacknowledged=unacknowledged,
            free_bytes=10**9,
            clock_state="synced",
            clock_error_ms=1,
            roster_version=0,
            readers={"r1": 0.5},
        )
    )


def birth(journal: JournalMaker, *, at: datetime, durable: int = 0, epoch: int = 0, boot: str = "boot-1") -> bytes:
    """Return what a terminal says when it connects with all of this journal."""
    return encode(
        Birth(
            journal_id=journal.journal_id,
            head_seq=len(journal.events),
            head_hash=journal.head_hash,
            boot_id=boot,
            at=at,
            boottime_ns=1,
            clock_state="synced",
            clock_error_ms=1,
            versions={"agent": "1"},
            config_hash="x",
            durable=durable,
            epoch=epoch,
        )
    )
