"""The demo site in central's registry: firms, people, cards, terminals through the JSON API; accounts and a token."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from central.kit.clock import SystemClock
from edge_agent.config import load_public_key
from edge_agent.tap.roster import RosterRefused, RosterView, apply
from edge_agent.wire.codec import BadSignature, open_signed
from edge_agent.wire.messages import Roster
from simulators.commissioning import take_into_service
from simulators.site_day import READERS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from central.identity.accounts import Scope
    from central.kit.db import WriteSession
    from simulators.central_api import CentralApi
    from simulators.people import CardInHand, Employer, Person, Roll

SITE = "demo-site"
SITE_NAME = "푸른시립체육관 신축공사"
PROJECT = "demo-project"
ADDRESS = "푸른시 새봄로 100"
TERMINAL_NAMES = {"gate-01": "정문 Main gate", "gate-02": "북문 North gate", "gate-03": "쪽문 Side door"}
EMPLOYED_FOR = timedelta(days=60)
LENT_FOR = timedelta(days=3)
"""Temporary cards: one is good for 30 days."""
ACTOR = "system:demo"
OPERATOR = "system_operator"
BEGUN_BEFORE, GOES_ON_FOR = timedelta(days=180), timedelta(days=360)
"""The works, seen from the demo's first day."""
PRIME_WON = 12_400_000_000
SUBCONTRACTS = {
    "form": ("형틀 · formwork", 1_480_000_000),
    "rebar": ("철근 · reinforcement", 960_000_000),
    "scaffold": ("비계 · scaffolding", 410_000_000),
    "concrete": ("콘크리트 · concrete", 1_270_000_000),
    "pipe": ("배관 · piping", 1_120_000_000),
    "electric": ("전기 · electrical works", 1_350_000_000),
    "finish": ("마감 · finishing", 1_690_000_000),
}
"""By firm: the work, and won."""
SUPERVISION_WON = 620_000_000


@dataclass(frozen=True, slots=True)
class Account:
    """A sign-in of the demo."""

    role: str
    email: str
    name: str
    password: str
    firm: str = ""
    """`Employer.key` of the organization through which the role is held; empty: the site, an operator everything."""


def new_accounts() -> tuple[Account, ...]:
    """Make up the demo's sign-ins, with passwords of their own."""
    return (
        Account("safety_officer", "safety@demo.example", "안전관리자 Safety officer", _password()),
        Account("contractor", "contractor@demo.example", "원도급사 Contractor", _password(), "prime"),
        Account("subcontractor", "subcontractor@demo.example", "하도급사 Subcontractor", _password(), "rebar"),
        Account("client_official", "client@demo.example", "발주청 Client official", _password(), "client"),
        Account(OPERATOR, "operator@demo.example", "운영자 System operator", _password()),
    )


def _password() -> str:
    return "-".join(secrets.token_hex(2) for _ in range(3))


def open_doors(database_url: str, accounts: Sequence[Account]) -> str:
    """Make the operator's account and an API token of everything, which nobody can do over the API yet; return it."""
    from central.identity.accounts import Scope, create_token
    from central.kit.db import make_engine, write_session

    engine = make_engine(database_url, pool_size=1)
    now = SystemClock().now()
    try:
        with write_session(engine) as session:
            for account in accounts:
                if account.role == OPERATOR:
                    _account(session, account, Scope(), now)
            _, token = create_token(
                session, name="demo", scopes=["*"], site=None, expires_at=None, actor=ACTOR, now=now
            )
    finally:
        engine.dispose()
    return token


def add_accounts(database_url: str, accounts: Sequence[Account], employers: Mapping[str, int]) -> None:
    """Make everybody else's account: for a firm of the site, or for the site."""
    from central.identity.accounts import Scope
    from central.kit.db import make_engine, write_session

    engine = make_engine(database_url, pool_size=1)
    try:
        with write_session(engine) as session:
            for account in accounts:
                if account.role != OPERATOR:
                    firm = employers.get(account.firm)
                    scope = Scope(site=SITE) if firm is None else Scope(organization_id=firm)
                    _account(session, account, scope, SystemClock().now())
    finally:
        engine.dispose()


def _account(session: WriteSession, account: Account, scope: Scope, now: datetime) -> None:
    from central.identity.accounts import create_user

    create_user(
        session,
        email=account.email,
        name=account.name,
        password=account.password,
        role=account.role,
        scope=scope,
        actor=ACTOR,
        now=now,
    )


def register_site(api: CentralApi, roll: Roll) -> dict[str, int]:
    """Register the demo site with its firms and terminals; return each firm's id, by its key."""
    from_on = (SystemClock().now() - EMPLOYED_FOR).date().isoformat()
    employers = {firm.key: _register_firm(api, firm) for firm in roll.employers}
    _register_project(api, employers)
    api.post("/api/v1/sites", {"code": SITE, "project": PROJECT, "name": SITE_NAME, "address": ADDRESS})
    tiers = {"prime": "prime", "sub": "sub", "supervisor": "supplier"}
    for firm in roll.employers:
        if firm.kind in tiers:
            body = {"organization_id": employers[firm.key], "tier": tiers[firm.kind], "from_on": from_on}
            api.post(f"/api/v1/sites/{SITE}/employers", body)
    for code, name in TERMINAL_NAMES.items():
        readers = [
            {"name": reader.name, "direction": reader.direction, "zone": reader.zone}
            for reader in READERS
            if reader.terminal == code
        ]
        body = {"code": code, "name": name, "zone": readers[0]["zone"], "readers": readers}
        api.post(f"/api/v1/sites/{SITE}/terminals", body)
        take_into_service(api, site=SITE, code=code)
    return employers


def _register_project(api: CentralApi, employers: Mapping[str, int]) -> None:
    """Register the project with its contracts: the client's own, and below the prime one each trade's."""
    today = SystemClock().now().date()
    works = {"begins_on": (today - BEGUN_BEFORE).isoformat(), "ends_on": (today + GOES_ON_FOR).isoformat()}
    facts = {
        "code": PROJECT,
        "name": SITE_NAME,
        "client_id": employers["client"],
        "purpose": "시민 체육관 신축 · a gymnasium for the town",
        "classification": "public_building",
        "budget_won": 15_000_000_000,
        "address": ADDRESS,
    }
    api.post("/api/v1/projects", facts | works)

    def contract(firm: str, kind: str, work: str, amount_won: int, parent: int | None = None) -> int:
        body = {"contractor_id": employers[firm], "kind": kind, "work": work, "amount_won": amount_won}
        above = {} if parent is None else {"parent_id": parent}
        return int(api.post(f"/api/v1/projects/{PROJECT}/contracts", body | works | above)["contract_id"])

    prime = contract("prime", "prime", "건축공사 · building works", PRIME_WON)
    contract("supervisor", "supervision", "감리 · supervision", SUPERVISION_WON)
    for firm, (work, amount_won) in SUBCONTRACTS.items():
        contract(firm, "sub", work, amount_won, prime)


def register_people(
    api: CentralApi, roll: Roll, employers: dict[str, int], *, progress: Callable[[int, int], None]
) -> None:
    """Register everybody with their cards; `progress` hears done and total."""
    since = SystemClock().now() - EMPLOYED_FOR
    for done, person in enumerate(roll.people):
        progress(done, len(roll.people))
        _register_person(api, person, employers[person.employer], since.date().isoformat(), since.isoformat())
    progress(len(roll.people), len(roll.people))


def _register_firm(api: CentralApi, firm: Employer) -> int:
    body = {"name": firm.name, "kind": firm.kind, "business_no": firm.business_no}
    return int(api.post("/api/v1/organizations", body)["id"])


def _register_person(api: CentralApi, person: Person, employer: int, from_on: str, from_at: str) -> None:
    worker = api.post(
        "/api/v1/workers",
        {
            "name": person.name,
            "worker_no": person.number,
            "phone": person.telephone,
            "language": person.language,
            "is_test": person.role == "test",
            "employment": {"site": SITE, "employer_id": employer, "trade": person.trade, "from_on": from_on},
        },
    )
    _register_card(api, person.card, "card", worker["id"], from_at)
    if person.temporary:
        lent_at = (SystemClock().now() - LENT_FOR).isoformat()
        _register_card(api, person.temporary, "temporary", worker["id"], lent_at)
    if person.role == "barred":
        bar = {"site": SITE, "reason": "기초안전보건교육 미이수 · no basic safety training", "from_at": from_at}
        api.post(f"/api/v1/workers/{worker['id']}/bars", bar)


def _register_card(api: CentralApi, card: CardInHand, kind: str, worker: int, from_at: str) -> None:
    holder = {"worker_id": worker, "from_at": from_at}
    api.post("/api/v1/cards", {"uid": card.identity.hex(), "kind": kind, "holder": holder})


def cards_known(roster_file: Path, public_key: Path) -> int:
    """Count the cards of the newest roster that a terminal keeps; a line that is being written is passed over."""
    if not roster_file.exists():
        return 0
    key = load_public_key(public_key)
    view = RosterView(SITE)
    for line in roster_file.read_bytes().splitlines():
        try:
            view = apply(view, open_signed(line, Roster, key=key))
        except (BadSignature, RosterRefused, msgspec.DecodeError):
            break
    return len(view.entries)


def schema_digest() -> str:
    """Digest this release's migrations, so that a start with the same ones need not load the machinery."""
    import central

    digest = hashlib.sha256()
    for file in sorted((Path(central.__file__).parent / "migrations" / "versions").glob("*.py")):
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()
