"""A small registry straight into the database, for tests and benchmarks that are about something else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

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

EMPLOYED_FOR = timedelta(days=60)


@dataclass(frozen=True)
class SeededSite:
    """What was put there: worker ids and card identities in the same order, terminal ids by code."""

    site_id: int
    workers: tuple[int, ...]
    identities: tuple[bytes, ...]
    terminals: dict[str, int]


def identity(number: int) -> bytes:
    """Make the 7-byte UID of the n-th card."""
    return b"\x04" + number.to_bytes(6, "big")


def seed_site(
    database_url: str,
    *,
    card_key: bytes,
    site: str = "site-07",
    terminals: dict[str, tuple[str, ...]] | None = None,
    workers: int = 10,
    first_card: int = 1,
) -> SeededSite:
    """Register a site with terminals (code to reader directions) and workers who hold one card each."""
    now = datetime.now(UTC)
    identities = tuple(identity(number) for number in range(first_card, first_card + workers))
    engine = make_engine(database_url, pool_size=1)
    with write_session(engine) as session:
        client = Organization(name="City Works Office", kind="client")
        employer = Organization(name="Hanbit Construction", kind="prime")
        session.add_all([client, employer])
        session.flush()
        project = Project(code=f"project-{site}", name="Gymnasium", client_id=client.id or 0)
        session.add(project)
        session.flush()
        place = Site(code=site, project_id=project.id or 0, name="Gymnasium site")
        session.add(place)
        session.flush()
        site_id, employer_id, from_at = place.id or 0, employer.id or 0, now - EMPLOYED_FOR
        session.add(SiteEmployer(site_id=site_id, organization_id=employer_id, tier="prime", from_on=from_at.date()))
        gates = [
            Terminal(
                site_id=site_id,
                code=code,
                zone=code,
                readers=[
                    {"name": f"r{number}", "direction": direction, "zone": code}
                    for number, direction in enumerate(directions, 1)
                ],
            )
            for code, directions in (terminals or {"gate-01": ("in", "out")}).items()
        ]
        people = [Worker(name=f"Worker {number:04d}") for number in range(first_card, first_card + workers)]
        cards = [Card(token=card_token(card_key, each)) for each in identities]
        session.add_all([*gates, *people, *cards])
        session.flush()
        for person, card in zip(people, cards, strict=True):
            session.add(CardAssignment(card_id=card.id or 0, worker_id=person.id or 0, from_at=from_at))
            session.add(
                Employment(
                    worker_id=person.id or 0,
                    site_id=site_id,
                    employer_id=employer_id,
                    trade="rebar",
                    from_on=from_at.date(),
                )
            )
        seeded = SeededSite(
            site_id, tuple(p.id or 0 for p in people), identities, {gate.code: gate.id or 0 for gate in gates}
        )
    engine.dispose()
    return seeded
