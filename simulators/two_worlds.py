"""Two clients' projects that must not see each other, written straight into the tables: for tests of who sees what.

It plays no taps and asks no rule: what matters is that every guarded table has a row in each world.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from central.identity.permissions import Role
from central.myself.models import Objection
from central.registry.contract_models import Contract, ContractVersion
from central.registry.import_models import Import, ImportRow
from central.registry.models import (
    Bar,
    Card,
    CardAssignment,
    Employment,
    Organization,
    Project,
    Site,
    SiteEmployer,
    Terminal,
    Worker,
    Zone,
)
from central.registry.record_models import CardEvent, DayPass, LabourContract, TerminalEvent, WorkerPaper

if TYPE_CHECKING:
    from collections.abc import Callable

    from central.kit.db import WriteSession

SINCE = date(2026, 1, 1)
_ROWS = {
    "employers": "site_employer",
    "employments": "employment",
    "bars": "bar",
    "papers": "paper",
    "labour-contracts": "labour",
    "assignments": "assignment",
    "objections": "objection",
    "day-passes": "day_pass",
    "zones": "zone",
}
"""What the rows of an address are called in a world."""
_OF_A_MONTH = ("/days", "/days.{form}", "/worker-taps")
_numbers = itertools.count(1)


@dataclass
class World:
    """One client's project: the ids of everything in it, by what it is; people's rows by whose they are."""

    name: str
    ids: dict[str, int] = field(default_factory=dict)

    @property
    def site(self) -> str:
        """Return the site's code."""
        return f"site-{self.name}"

    @property
    def project(self) -> str:
        """Return the project's code."""
        return f"project-{self.name}"

    def address(self, path: str, *, who: str = "prime", **given: object) -> str:
        """Fill a route's address in with what is there; `who`: the prime's people or the subcontractor's."""
        ids = self.ids
        values: dict[str, object] = {
            "code": self.project if "/projects/" in path else self.site,
            "organization_id": ids["sub"],
            "worker_id": ids[f"worker_{who}"],
            "card_id": ids[f"card_{who}"],
            "contract_id": ids["contract_sub"],
            "import_id": ids[f"import_{who}"],
            "row_id": ids.get(_rows_of(path, who), 1),
            "terminal": "gate-01",
            "form": "csv",
            "asked": "2026-11",
            "event": "uphold",
            "journal_id": "01a20734-d3cb-71bc-af9b-8f3c301b3488",
            **given,
        }
        month = "?month=2026-11" if path.endswith(_OF_A_MONTH) else ""
        return re.sub(r"\{(\w+)\}", lambda found: str(values.get(found[1], 1)), path) + month


def _rows_of(path: str, who: str) -> str:
    for word, name in _ROWS.items():
        if f"/{word}/" in path:
            return name if name in {"day_pass", "zone"} else f"{name}_{who}"
    return ""


def build_world(session: WriteSession, name: str, *, now: datetime) -> World:
    """Write a client's project with a prime, a subcontractor, a supervisor, and a worker of each employer."""
    made = World(name)

    def add(what: str, row: Any) -> int:  # noqa: ANN401 - a row of any table
        session.add(row)
        session.flush()
        made.ids[what] = row.id
        return int(row.id)

    firms = {kind: add(kind, Organization(name=f"{kind} {name}", kind=kind)) for kind in ("client", "prime", "sub")}
    firms["supervisor"] = add("supervisor", Organization(name=f"supervisor {name}", kind="supervisor"))
    project = add("project", Project(code=made.project, name=name, client_id=firms["client"]))
    site = add("site", Site(code=made.site, name=name, project_id=project))
    for kind in ("prime", "sub"):
        employer = SiteEmployer(site_id=site, organization_id=firms[kind], tier=kind, from_on=SINCE)
        add(f"site_employer_{kind}", employer)
    top = None
    for kind, firm in (("prime", "prime"), ("supervision", "supervisor"), ("sub", "sub")):
        parent = top if kind == "sub" else None
        row = Contract(project_id=project, parent_id=parent, contractor_id=firms[firm], kind=kind, work="structure")
        contract = add(f"contract_{kind}", row)
        top = top or contract
        terms: dict[str, Any] = {
            "amount_won": 1_000_000,
            "begins_on": SINCE,
            "ends_on": date(2027, 12, 31),
            "effective_on": SINCE,
        }
        version = ContractVersion(contract_id=contract, reason="first", recorded_at=now, recorded_by="t", **terms)
        add(f"version_{kind}", version)
    for kind in ("prime", "sub"):
        _people(add, kind, site=site, employer=firms[kind], name=name, now=now)
    for kind in ("prime", "sub"):
        given: dict[str, Any] = {"file": "roll.csv", "digest": "0" * 64, "uploaded_at": now, "uploaded_by": "t"}
        given["found"] = {"rows": 1, "counts": {}, "already_there": 0}
        taken_in = Import(kind="roll", site_id=site, organization_id=firms[kind], state="taken", **given)
        add(f"import_row_{kind}", ImportRow(import_id=add(f"import_{kind}", taken_in), number=2, made={}))
    add("zone", Zone(site_id=site, code="north", name="North", kind="area"))
    terminal = add("terminal", Terminal(site_id=site, code="gate-01"))
    step: dict[str, Any] = {
        "event": "install",
        "from_state": "registered",
        "to_state": "installed",
        "at": now,
        "recorded_by": "t",
    }
    add("terminal_event", TerminalEvent(terminal_id=terminal, **step))
    add(
        "day_pass",
        DayPass(site_id=site, on_day=SINCE, kind="visitor", name="Guest", entered_at=now, recorded_by="t"),
    )
    return made


def crowd(session: WriteSession, world: World, people: int, *, first: int, now: datetime) -> list[int]:
    """Put more of everything into a world: so many workers of its prime contractor, firms, sites, contracts, terminals.

    `first` numbers them, so that a crowd can grow. Returns the workers.
    """

    def add(what: str, row: Any) -> int:  # noqa: ANN401 - a row of any table
        session.add(row)
        session.flush()
        last[what] = row.id
        return int(row.id)

    last: dict[str, int] = {}
    site, project, prime = world.ids["site"], world.ids["project"], world.ids["prime"]
    terms: dict[str, Any] = {"amount_won": 1_000, "begins_on": SINCE, "ends_on": date(2027, 12, 31)}
    terms |= {"effective_on": SINCE, "reason": "first", "recorded_at": now, "recorded_by": "t"}
    workers = []
    for number in range(first, first + people):
        name = f"{world.name}-{number}"
        firm = add("firm", Organization(name=f"firm {name}", kind="sub"))
        add("employer", SiteEmployer(site_id=site, organization_id=firm, tier="sub", from_on=SINCE))
        below: dict[str, Any] = {"project_id": project, "parent_id": world.ids["contract_prime"], "kind": "sub"}
        contract = add("contract", Contract(contractor_id=firm, work=f"work {number}", **below))
        add("version", ContractVersion(contract_id=contract, **terms))
        another = add("project", Project(code=f"project-{name}", name=name, client_id=world.ids["client"]))
        add("site", Site(code=f"site-{name}", name=name, project_id=another))
        add("own_site", Site(code=f"own-site-{name}", name=name, project_id=project))
        _people(add, f"crowd {number}", site=site, employer=prime, name=world.name, now=now)
        workers.append(last[f"worker_crowd {number}"])
        add("zone", Zone(site_id=site, code=f"zone-{number}", name=name, kind="area"))
        add("terminal", Terminal(site_id=site, code=f"gate-{name}"))
        guest: dict[str, Any] = {"kind": "visitor", "entered_at": now, "recorded_by": "t"}
        add("day_pass", DayPass(site_id=site, on_day=SINCE, name=f"Guest {number}", **guest))
        given: dict[str, Any] = {"file": "roll.csv", "digest": "0" * 64, "uploaded_at": now, "uploaded_by": "t"}
        given["found"] = {"rows": 1, "counts": {}, "already_there": 0}
        taken_in = Import(kind="roll", site_id=site, organization_id=prime, state="taken", **given)
        add("import_row", ImportRow(import_id=add("import", taken_in), number=2, made={}))
    return workers


def _people(add: Callable[[str, Any], int], kind: str, *, site: int, employer: int, name: str, now: datetime) -> None:
    worker = add(f"worker_{kind}", Worker(name=f"worker {kind} {name}", worker_no=f"{kind}-{name}"))
    roll: dict[str, Any] = {"worker_id": worker, "site_id": site, "employer_id": employer, "from_on": SINCE}
    add(f"employment_{kind}", Employment(trade="rebar", **roll))
    labour: dict[str, Any] = {
        "kind": "daily",
        "wage_won": 200_000,
        "wage_per": "day",
        "minutes_a_day": 480,
        "signed_on": SINCE,
    }
    add(f"labour_{kind}", LabourContract(**roll, **labour))
    paper: dict[str, Any] = {"kind": "safety_certificate", "from_on": SINCE, "recorded_at": now, "recorded_by": "t"}
    add(f"paper_{kind}", WorkerPaper(worker_id=worker, **paper))
    card = add(f"card_{kind}", Card(token=f"{next(_numbers):032x}", state="issued"))
    add(f"assignment_{kind}", CardAssignment(card_id=card, worker_id=worker, from_at=now - timedelta(days=1)))
    step: dict[str, Any] = {
        "event": "issue",
        "from_state": "stock",
        "to_state": "issued",
        "at": now,
        "recorded_by": "t",
    }
    add(f"card_event_{kind}", CardEvent(card_id=card, recorded_at=now, **step))
    objection: dict[str, Any] = {"worker_id": worker, "site_id": site, "employer_id": employer, "on_day": SINCE}
    objection |= {"words": "x", "language": "ko", "opened_by": "sms", "state": "open"}
    objection |= {"opened_at": now, "due_at": now + timedelta(days=7), "changed_at": now}
    add(f"objection_{kind}", Objection(**objection))
    add(f"bar_{kind}", Bar(worker_id=worker, site_id=site, reason="x", from_at=now - timedelta(days=1)))


SCOPES: dict[Role, str | None] = {
    Role.ASSOCIATION: None,
    Role.AUDITOR: "client",
    Role.BANK: None,
    Role.CLIENT_OFFICIAL: "client",
    Role.CONTRACTOR: "prime",
    Role.SAFETY_OFFICER: "site",
    Role.SUBCONTRACTOR: "sub",
    Role.SUPERVISOR: "supervisor",
    Role.SUPPLIER: "sub",
    Role.SYSTEM_OPERATOR: None,
}
"""The organization, or the site, through which somebody of a role stands in the own world; None: everywhere."""
EVERYWHERE = {role for role, scope in SCOPES.items() if scope is None}
