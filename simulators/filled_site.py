"""A site with people inside, written straight into the tables: for pages, their tests and benchmarks.

It plays no taps. Where the way from a card to the count matters, use a site day instead.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from sqlalchemy import text

from central.attendance.models import Journal, Presence, Quarantined, TerminalStatus
from central.kit.db import write_session
from central.registry.contract_models import Contract, ContractVersion
from central.registry.models import Employment, Organization, Project, Site, SiteEmployer, Terminal, Worker

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from central.kit.db import WriteSession

_FAMILY = "김이박최정강조윤장임한오서신권황"
_GIVEN = ("민수", "영호", "지훈", "성민", "정우", "현수", "동현", "준영", "상철", "미경", "은정", "태식")
_ABROAD = ("Nguyễn Văn Hùng", "Batbayar Ganbold", "Sok Chea", "Ram Thapa", "王伟", "Aziz Karimov")
_FIRMS = ("한빛종합건설", "두레철근", "솔빛형틀", "아라비계", "늘찬콘크리트")
_TRADES = ("general_labourer", "rebar", "form_carpenter", "scaffolder", "concrete")
_SINCE = date(2026, 1, 1)
_GATES = (("gate-01", "정문 들어가는 곳", "in"), ("gate-02", "정문 나가는 곳", "out"), ("gate-03", "후문", "tap"))


@dataclass(frozen=True)
class FilledSite:
    """What was written: ids to go on from."""

    site_id: int
    code: str
    terminal_ids: tuple[int, ...]
    worker_ids: tuple[int, ...]
    journal_ids: tuple[int, ...]


def fill_site(
    engine: Engine,
    *,
    now: datetime,
    code: str = "site-07",
    name: str = "중앙체육관 신축공사",
    inside: int = 40,
    seed: int = 7,
    quiet_gate: bool = False,
) -> FilledSite:
    """Write a project, a site, three terminals and `inside` workers inside; `quiet_gate` leaves a terminal offline."""
    dice = random.Random(seed)
    with write_session(engine) as session:
        site_id, firm_ids = _place(session, code=code, name=name)
        terminals, journals = _gates(session, site_id=site_id, now=now, quiet_gate=quiet_gate)
        workers = [Worker(name=_name(dice)) for _ in range(inside)]
        session.add_all(workers)
        session.flush()
        for index, worker in enumerate(workers):
            session.add(
                Employment(
                    worker_id=worker.id or 0,
                    site_id=site_id,
                    employer_id=firm_ids[index % len(firm_ids)],
                    trade=_TRADES[index % len(firm_ids)],
                    from_on=_SINCE,
                )
            )
            entered = now - timedelta(minutes=dice.randint(5, 300))
            session.add(presence(site_id, worker.id or 0, at=entered, terminal_id=terminals[0], journal=journals[0]))
        return FilledSite(site_id, code, terminals, tuple(worker.id or 0 for worker in workers), journals)


def _place(session: WriteSession, *, code: str, name: str) -> tuple[int, list[int]]:
    firms = [Organization(name=firm, kind="prime" if index == 0 else "sub") for index, firm in enumerate(_FIRMS)]
    client = Organization(name="서울시 도시기반시설본부", kind="client")
    session.add_all([*firms, client])
    session.flush()
    project = Project(code=f"p-{code}", name="중앙체육관", client_id=client.id or 0)
    session.add(project)
    session.flush()
    site = Site(code=code, project_id=project.id or 0, name=name)
    session.add(site)
    session.flush()
    firm_ids = [firm.id or 0 for firm in firms]
    _contracts(session, project_id=project.id or 0, firm_ids=firm_ids)
    for index, firm_id in enumerate(firm_ids):
        tier = "prime" if index == 0 else "sub"
        session.add(SiteEmployer(site_id=site.id or 0, organization_id=firm_id, tier=tier, from_on=_SINCE))
    return site.id or 0, firm_ids


def _contracts(session: WriteSession, *, project_id: int, firm_ids: list[int]) -> None:
    """A prime contract and a subcontract below it, for half as much."""
    parent_id = None
    for kind, firm_id, amount_won in (("prime", firm_ids[0], 4_000_000_000), ("sub", firm_ids[1], 2_000_000_000)):
        row = Contract(project_id=project_id, parent_id=parent_id, contractor_id=firm_id, kind=kind, work="골조공사")
        session.add(row)
        session.flush()
        parent_id = row.id
        session.add(
            ContractVersion(
                contract_id=row.id or 0,
                effective_on=_SINCE,
                amount_won=amount_won,
                begins_on=_SINCE,
                ends_on=date(2027, 12, 31),
                reason="first",
                recorded_at=datetime(2026, 1, 1, tzinfo=UTC),
                recorded_by="system:simulator",
            )
        )


def _gates(
    session: WriteSession, *, site_id: int, now: datetime, quiet_gate: bool
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    terminal_ids, journal_ids = [], []
    for code, label, way in _GATES:
        zone = code.replace("gate", "zone")
        readers = [{"name": "r1", "direction": way, "zone": zone}]
        terminal = Terminal(site_id=site_id, code=code, name=label, zone=zone, readers=readers)
        session.add(terminal)
        session.flush()
        journal = Journal(journal_id=uuid4(), terminal_id=terminal.id or 0, durable=500, durable_hash=bytes(32))
        session.add(journal)
        session.flush()
        silent = timedelta(minutes=40) if quiet_gate and code == _GATES[-1][0] else timedelta(seconds=4)
        session.add(_status(terminal.id or 0, journal.journal_id, heard_at=now - silent, now=now))
        terminal_ids.append(terminal.id or 0)
        journal_ids.append(journal.id or 0)
    return tuple(terminal_ids), tuple(journal_ids)


def presence(site_id: int, worker_id: int, *, at: datetime, terminal_id: int, journal: int, **more: Any) -> Presence:  # noqa: ANN401
    """Make a worker's row: inside since `at`."""
    given: dict[str, Any] = {
        "site_id": site_id,
        "person": f"worker:{worker_id}",
        "worker_id": worker_id,
        "state": 1,
        "since_at": at,
        "entry_assurance": 3,
        "last_at": at,
        "last_journal": journal,
        "last_seq": 1,
        "last_direction": 0,
        "last_terminal_id": terminal_id,
        "last_zone": "zone-01",
    }
    return Presence(**(given | more))


def add_doubt(engine: Engine, filled: FilledSite, *, now: datetime) -> None:
    """Give the site one of each doubt: a long stay, a weak exit, an unknown card, somebody refused."""
    gate, journal = filled.terminal_ids[0], filled.journal_ids[0]
    with write_session(engine) as session:
        long_stay, weak_exit, refused = filled.worker_ids[:3]
        sql = (
            "UPDATE attendance_presence SET since_at = :since, doubts = :doubts, state = :state"
            " WHERE worker_id = :worker"
        )
        for worker, since, doubts, state in (
            (long_stay, now - timedelta(hours=16), 1, 1),
            (weak_exit, now - timedelta(hours=2), 2, 1),
            (refused, now - timedelta(hours=1), 0, 2),
        ):
            session.execute(text(sql), {"since": since, "doubts": doubts, "state": state, "worker": worker})
        card = presence(
            filled.site_id,
            0,
            at=now - timedelta(minutes=9),
            terminal_id=gate,
            journal=journal,
            person="card:" + "9f" * 16,
        )
        card.worker_id, card.entry_assurance = None, 0
        session.add(card)


def enter(engine: Engine, filled: FilledSite, *, name: str, now: datetime) -> int:
    """Let one more person in and notify, as ingest does; return the worker's id."""
    with write_session(engine) as session:
        worker = Worker(name=name)
        session.add(worker)
        session.flush()
        row = presence(
            filled.site_id, worker.id or 0, at=now, terminal_id=filled.terminal_ids[0], journal=filled.journal_ids[0]
        )
        session.add(row)
        session.execute(text("SELECT pg_notify('ccs_site', :site)"), {"site": str(filled.site_id)})
        return worker.id or 0


def quarantine_one(engine: Engine, *, now: datetime, reason: str = "malformed_event", detail: str = "") -> None:
    """Put one message aside."""
    with write_session(engine) as session:
        session.add(
            Quarantined(
                sha256=uuid4().bytes * 2,
                topic="ccs/v1/site-07/gate-01/events",
                reason=reason,
                detail=detail or "time: expected an RFC 3339 instant, found 'yesterday'",
                journal_id=uuid4(),
                seq=17,
                bytes_=b'{"specversion":"1.0","time":"yesterday","note":"<script>1</script>"}',
                first_seen_at=now,
                last_seen_at=now,
                times=3,
            )
        )


def _name(dice: random.Random) -> str:
    if dice.random() < 0.1:  # noqa: PLR2004 - one in ten comes from abroad
        return dice.choice(_ABROAD)
    return dice.choice(_FAMILY) + dice.choice(_GIVEN)


def _status(terminal_id: int, journal_id: UUID, *, heard_at: datetime, now: datetime) -> TerminalStatus:
    return TerminalStatus(
        terminal_id=terminal_id,
        online=True,
        boot_id="b",
        born_at=now,
        heard_at=heard_at,
        journal_id=journal_id,
        head_seq=503,
        clock_state="synced",
        clock_offset_ms=12,
    )
