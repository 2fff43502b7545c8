"""What the stages of a central's examination stand on: played terminals, its API if there is one, people with cards."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from simulators.central_api import ApiRefused
from simulators.commissioning import take_into_service
from simulators.tck.contract import hash_of
from simulators.tck.played_terminal import Journal

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from simulators.central_api import CentralApi
    from simulators.tck.checks import Ledger
    from simulators.tck.played_terminal import PlayedTerminal
    from simulators.tck.schema import Schemas

LOOK_S = 0.1
CONFLICT = 409
PEOPLE = 12
PAGE_ROWS = 500


class Missing(RuntimeError):
    """What a stage waited for did not come; the message says what."""


@dataclass(frozen=True)
class CentralPatience:
    """How long is waited, in seconds."""

    ack_s: float = 30.0
    see_s: float = 30.0
    repeat_s: float = 45.0
    backlog: int = 1500
    gaps: int = 1100


@dataclass(frozen=True)
class Person:
    """A worker with a card: the token, and the id in central's API (0 without one)."""

    token: str
    worker_id: int = 0


class CentralDoor:
    """What can be read of central over its JSON API."""

    def __init__(self, api: CentralApi, site: str) -> None:
        self._api, self._site = api, site

    def headcount(self) -> dict[str, Any]:
        """Return the headcount."""
        return dict(self._api.get(f"/api/v1/sites/{self._site}/headcount"))

    def inside(self) -> set[int]:
        """Return who is inside, by worker id."""
        people = self._api.get(f"/api/v1/sites/{self._site}/people")["people"]
        return {one["worker_id"] for one in people if one["standing"] == "inside"}

    def taps(self, journal: Journal) -> list[dict[str, Any]]:
        """Return the stored taps of a journal."""
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            more = f"&cursor={quote(cursor)}" if cursor else ""
            path = f"/api/v1/sites/{self._site}/taps?limit={PAGE_ROWS}&terminal={journal.terminal}{more}"
            page = self._api.get(path)
            found += [tap for tap in page["items"] if tap["journal_id"] == journal.journal_id]
            cursor = page["next_cursor"] or ""
            if not cursor:
                return found

    def aside(self) -> list[dict[str, Any]]:
        """Return the newest quarantined messages."""
        return list(self._api.get("/api/v1/quarantine?limit=100")["items"])


@dataclass
class CentralBench:
    """One examination. `first` and `second` are registered terminals of one site, `stranger` is not registered."""

    first: PlayedTerminal
    second: PlayedTerminal
    stranger: PlayedTerminal
    ledger: Ledger
    schemas: Schemas
    people: list[Person]
    door: CentralDoor | None = None
    public_key: Ed25519PublicKey | None = None
    crash: Callable[[], None] | None = None
    patience: CentralPatience = field(default_factory=CentralPatience)
    journals: list[tuple[PlayedTerminal, Journal]] = field(default_factory=list)
    took_s: dict[str, float] = field(default_factory=dict)
    """Stage to how long it took."""
    troubles: list[str] = field(default_factory=list)
    """Why stages ended early."""
    tell: Callable[[str], None] = lambda _sentence: None
    _next: int = 0

    def journal(self, terminal: PlayedTerminal | None = None) -> Journal:
        """Begin a new journal, so that no check meets another's records."""
        played = terminal or self.first
        made = Journal(played.site, played.code, boot_id=played.boot_id)
        self.journals.append((played, made))
        return made

    def person(self) -> Person:
        """Return a worker whom no other check has moved; raise `Missing` when there are no more."""
        if self._next >= len(self.people):
            raise Missing(f"a worker with a card of their own; {len(self.people)} were given, {PEOPLE} are needed")
        self._next += 1
        return self.people[self._next - 1]

    def acked(self, journal: Journal, durable: int, *, terminal: PlayedTerminal | None = None) -> dict[str, Any]:
        """Wait for an ack of a journal up to `durable`; raise `Missing`."""
        played = terminal or self.first

        def there() -> bool:
            return any(ack.get("durable") == durable for ack in played.of(journal))

        if not played.wait(there, self.patience.ack_s):
            said = played.of(journal)[-1:]
            raise Missing(f"an ack with durable {durable} within {self.patience.ack_s:.0f} s; the last one: {said}")
        return next(ack for ack in reversed(played.of(journal)) if ack.get("durable") == durable)

    def fence(self, terminal: PlayedTerminal | None = None) -> None:
        """Wait until central has surely taken what was sent: a birth behind it is answered, twice."""
        played = terminal or self.first
        for _ in range(2):
            probe = Journal(played.site, played.code, boot_id=played.boot_id)
            played.say("birth", probe.birth())
            self.acked(probe, 0, terminal=played)

    def see(self, condition: Callable[[], bool]) -> bool:
        """Look again and again until a condition holds; whether it came to that."""
        deadline = time.monotonic() + self.patience.see_s
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(LOOK_S)
        return True

    def inside(self, person: Person, wanted: bool) -> bool:  # noqa: FBT001 - the wish
        """Wait until a person is inside, or is not; whether it came to that."""
        door = self.door
        return door is not None and self.see(lambda: (person.worker_id in door.inside()) is wanted)


def stranger_token() -> str:
    """Make the token of a card that nobody holds."""
    return hash_of(uuid.uuid4().bytes)[:32]


def prepare(api: CentralApi, site: str, terminals: list[str]) -> list[Person]:
    """Register site, terminals, and workers with cards over central's API; what is there already stays."""
    firm = api.post("/api/v1/organizations", {"name": f"Conformance kit {site}", "kind": "client"})
    readers = [{"name": f"r{n}", "direction": one, "zone": "tck"} for n, one in enumerate(("in", "out"), 1)]
    _make(api, "/api/v1/projects", {"code": site, "name": "Conformance kit", "client_id": firm["id"]})
    _make(api, "/api/v1/sites", {"code": site, "project": site, "name": "Conformance kit"})
    for code in terminals:
        _make(api, f"/api/v1/sites/{site}/terminals", {"code": code, "name": code, "zone": "tck", "readers": readers})
        take_into_service(api, site=site, code=code)
    builder = api.post("/api/v1/organizations", {"name": f"Conformance builder {site}", "kind": "prime"})
    place = {"organization_id": builder["id"], "tier": "prime", "from_on": "2020-01-01"}
    _make(api, f"/api/v1/sites/{site}/employers", place)
    people = []
    for number in range(PEOPLE):
        job = {"site": site, "employer_id": builder["id"], "trade": "rebar", "from_on": "2020-01-01"}
        worker = api.post("/api/v1/workers", {"name": f"Conformance {number}", "employment": job})
        token = stranger_token()
        holder = {"worker_id": worker["id"], "from_at": "2020-01-01T00:00:00Z"}
        api.post("/api/v1/cards", {"token": token, "holder": holder})
        people.append(Person(token, worker["id"]))
    return people


def _make(api: CentralApi, path: str, body: dict[str, Any]) -> None:
    try:
        api.post(path, body)
    except ApiRefused as exc:
        if exc.status != CONFLICT:
            raise
