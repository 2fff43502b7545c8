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
    from collections.abc import Callable
    from datetime import datetime

    from central.identity.accounts import Scope
    from central.kit.db import WriteSession
    from simulators.central_api import CentralApi
    from simulators.people import CardInHand, Employer, Person, Roll

SITE = "demo-site"
SITE_NAME = "푸른시립체육관 신축공사"
PROJECT = "demo-project"
TERMINAL_NAMES = {"gate-01": "정문 Main gate", "gate-02": "북문 North gate", "gate-03": "쪽문 Side door"}
EMPLOYED_FOR = timedelta(days=60)
LENT_FOR = timedelta(days=3)
"""Temporary cards: one is good for 30 days."""
ACTOR = "system:demo"


@dataclass(frozen=True, slots=True)
class Account:
    """A sign-in of the demo."""

    role: str
    email: str
    name: str
    password: str


def new_accounts() -> tuple[Account, Account]:
    """Make up the demo's two sign-ins, with passwords of their own."""
    return (
        Account("safety_officer", "safety@demo.example", "안전관리자 Safety officer", _password()),
        Account("system_operator", "operator@demo.example", "운영자 System operator", _password()),
    )


def _password() -> str:
    return "-".join(secrets.token_hex(2) for _ in range(3))


def open_doors(database_url: str, operator: Account) -> str:
    """Make the operator's account and an API token of everything, which nobody can do over the API yet; return it."""
    from central.identity.accounts import Scope, create_token
    from central.kit.db import make_engine, write_session

    engine = make_engine(database_url, pool_size=1)
    now = SystemClock().now()
    try:
        with write_session(engine) as session:
            _account(session, operator, Scope(), now)
            _, token = create_token(
                session, name="demo", scopes=["*"], site=None, expires_at=None, actor=ACTOR, now=now
            )
    finally:
        engine.dispose()
    return token


def add_account(database_url: str, account: Account) -> None:
    """Make an account that holds on the demo site only."""
    from central.identity.accounts import Scope
    from central.kit.db import make_engine, write_session

    engine = make_engine(database_url, pool_size=1)
    try:
        with write_session(engine) as session:
            _account(session, account, Scope(site=SITE), SystemClock().now())
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


def register(api: CentralApi, roll: Roll, *, progress: Callable[[int, int], None]) -> None:
    """Register everything the demo site needs; `progress` hears done and total."""
    today = SystemClock().now()
    from_on = (today - EMPLOYED_FOR).date().isoformat()
    from_at = (today - EMPLOYED_FOR).isoformat()
    total = len(roll.people) + len(roll.employers) + 3
    employers = {firm.key: _register_firm(api, firm) for firm in roll.employers}
    client = employers["client"]
    api.post("/api/v1/projects", {"code": PROJECT, "name": SITE_NAME, "client_id": client})
    api.post("/api/v1/sites", {"code": SITE, "project": PROJECT, "name": SITE_NAME, "address": "푸른시 새봄로 100"})
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
    for done, person in enumerate(roll.people, len(roll.employers) + 3):
        progress(done, total)
        _register_person(api, person, employers[person.employer], from_on, from_at)
    progress(total, total)


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
