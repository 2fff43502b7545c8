"""A small site as real processes, the people who tap there, and what must be true of the record afterwards.

For tests of faults: whatever was done to the processes, `complaints` says in sentences what is wrong with the record.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import psycopg

from central.attendance import keeping
from central.attendance.intake import connect
from central.attendance.keeping import PersonKey
from central.attendance.service import site_headcount
from central.kit.db import make_engine, read_session
from central.kit.ids import SiteId
from edge_agent.journal.record import JournalFailed, JournalUnusable
from edge_agent.journal.view import JournalView
from edge_agent.wire.codec import GENESIS_HASH
from edge_agent.wire.ids import card_token
from simulators.processes import CentralProgram, Keys, TerminalProgram, make_keys
from simulators.seeding import SeededSite, seed_site
from simulators.servers import wait_until
from simulators.socket_card import Shown, SocketHand

if TYPE_CHECKING:
    from pathlib import Path

    from simulators.servers import MosquittoBroker

TAP_S_MAX = 60.0
SETTLE_S_MAX = 120.0
LOOK_S = 5.0
JOURNAL_FILE = "journal.db"

_STORED = """
SELECT j.journal_id::text, e.seq, e.hash, e.bytes FROM attendance_event e
JOIN attendance_journal j ON j.id = e.journal WHERE e.site_id = %s ORDER BY 1, 2
"""
_ANOMALIES = """
SELECT a.kind, a.seq, a.detail FROM attendance_anomaly a JOIN attendance_journal j ON j.id = a.journal
JOIN registry_terminal t ON t.id = j.terminal_id WHERE t.site_id = %s
"""


@dataclass(frozen=True, slots=True)
class Green:
    """One tap that somebody saw turn green, and the record that the terminal named for it."""

    card: bytes
    direction: str
    journal_id: str
    seq: int


@dataclass
class Crowd:
    """People at one gate who go in and out in turn, and hold the card again until they see green, as people do."""

    terminal: TerminalProgram
    cards: tuple[bytes, ...]
    pause_s: float = 0.02
    greens: list[Green] = field(default_factory=list)
    inside: set[bytes] = field(default_factory=set)
    not_green: list[Shown] = field(default_factory=list)
    """Answers of another colour: each was held again."""
    _turn: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _failure: BaseException | None = None

    def tap(self, times: int = 1) -> None:
        """Let the next ones in the queue tap; raise `TimeoutError` when one sees no green for a minute."""
        for _ in range(times):
            card = self.cards[self._turn % len(self.cards)]
            self.hold(card, "out" if card in self.inside else "in")
            self._turn += 1

    def hold(self, card: bytes, direction: str) -> Green:
        """Hold a card until green is seen; an answer that never came means nothing, so hold it again."""
        port = self.terminal.reader(direction).port
        seen: list[Green] = []

        def green() -> bool:
            with contextlib.suppress(OSError):
                shown = self._answer(port, card)
                if shown.shown == "green":
                    seen.append(Green(card, direction, shown.journal_id, shown.seq))
                    return True
                self.not_green.append(shown)
            return False

        wait_until(green, what=f"green at {self.terminal.code}", timeout_s=TAP_S_MAX)
        self.greens.append(seen[0])
        if direction == "in":
            self.inside.add(card)
        elif direction == "out":
            self.inside.discard(card)
        return seen[0]

    def _answer(self, port: int, card: bytes) -> Shown:
        with self.terminal.place.entered():
            hand = SocketHand(port)
        with hand:
            return hand.hold(card)

    def start(self, times: int | None = None) -> None:
        """Tap in a thread, so many times or until `finish`."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, args=(times,), name=self.terminal.code, daemon=True)
        self._thread.start()

    def _run(self, times: int | None) -> None:
        try:
            for _ in itertools.count() if times is None else range(times):
                if self._stop.is_set():
                    return
                self.tap()
                self._stop.wait(self.pause_s)
        except BaseException as failure:  # noqa: BLE001 - carried to the thread that waits for it
            self._failure = failure

    @property
    def failed(self) -> bool:
        """Whether somebody waited in vain."""
        return self._failure is not None

    def finish(self, *, early: bool = True) -> None:
        """Stop tapping (not `early`: when all have tapped), and raise what went wrong."""
        if early:
            self._stop.set()
        if self._thread is not None:
            self._thread.join()
        if self._failure is not None:
            raise self._failure

    def wait_for(self, more: int) -> None:
        """Wait until so many more have seen green."""
        goal = len(self.greens) + more
        wait_until(
            lambda: len(self.greens) >= goal or self.failed,
            what=f"{more} more greens at {self.terminal.code}",
            timeout_s=SETTLE_S_MAX,
        )


@dataclass
class RunningSite:
    """One registered site, its terminals not started yet."""

    code: str
    seeded: SeededSite
    terminals: dict[str, TerminalProgram]

    def crowd(self, terminal: str, *, people: int | None = None, **options: Any) -> Crowd:  # noqa: ANN401 - Crowd's own
        """Send a share of the site's people to one terminal: as many as there are, divided evenly, unless told."""
        share = len(self.seeded.identities) // len(self.terminals)
        at = list(self.terminals).index(terminal) * share
        return Crowd(self.terminals[terminal], self.seeded.identities[at : at + (people or share)], **options)

    def stop(self) -> None:
        """Stop its terminals."""
        for terminal in self.terminals.values():
            terminal.program.stop()


@dataclass
class Estate:
    """A central with its database and broker, which may be shared by tests; each test registers a site of its own."""

    folder: Path
    database_url: str
    broker: MosquittoBroker
    keys: Keys = field(init=False)
    worker: CentralProgram = field(init=False)
    _cards: int = 1
    _counted: int = 0

    def __post_init__(self) -> None:
        self.keys = make_keys(self.folder / "keys")
        self.worker = self.central("worker")

    def central(self, role: str, **options: Any) -> CentralProgram:  # noqa: ANN401 - CentralProgram's own
        """Make another central process."""
        return CentralProgram(role, self.folder / "central", self.database_url, self.broker.url, self.keys, **options)

    def site(
        self,
        code: str,
        terminals: tuple[str, ...] = ("gate-01",),
        *,
        workers: int = 20,
        broker: str = "",
        **options: Any,  # noqa: ANN401 - TerminalProgram's own
    ) -> RunningSite:
        """Register a site; its terminals reach the broker at `broker` (empty: where it listens) and take `options`."""
        seeded = seed_site(
            self.database_url,
            card_key=self.keys.card_key_bytes,
            site=code,
            terminals=dict.fromkeys(terminals, ("in", "out")),
            workers=workers,
            first_card=self._cards,
        )
        self._cards += workers
        programs = {
            one: TerminalProgram(code, one, self.folder / code / one, broker or self.broker.url, self.keys, **options)
            for one in terminals
        }
        return RunningSite(code, seeded, programs)

    def wait_settled(self, crowds: list[Crowd], *, timeout_s: float = SETTLE_S_MAX) -> None:
        """Wait until central holds every green tap, and every terminal knows it: liveness once faults stop.

        A busy machine may take its time: raises `TimeoutError` when nothing more was stored for `timeout_s`.
        """
        stored, silent_s = -1, 0.0
        while silent_s < timeout_s:
            with contextlib.suppress(TimeoutError):
                wait_until(lambda: self._held(crowds), what="every green tap at central", timeout_s=LOOK_S)
                break
            before, stored = stored, self._stored()
            silent_s = silent_s + LOOK_S if stored == before else 0.0
        else:
            raise TimeoutError(f"nothing was stored for {timeout_s:.0f} s, and not every green tap is at central")
        wait_until(lambda: all(map(_told, crowds)), what="every terminal to know so", timeout_s=timeout_s)

    def _held(self, crowds: list[Crowd]) -> bool:
        last: dict[str, int] = {}
        for green in itertools.chain.from_iterable(crowd.greens for crowd in crowds):
            last[green.journal_id] = max(last.get(green.journal_id, 0), green.seq)
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(self.database_url) as connection:
            rows = connection.execute("SELECT journal_id::text, durable FROM attendance_journal").fetchall()
            durable: dict[str, int] = dict(rows)
            return all(durable.get(journal, 0) >= seq for journal, seq in last.items())
        return False

    def _stored(self) -> int:
        """Count what central holds; as before when it does not answer now."""
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(self.database_url) as connection:
            row = connection.execute("SELECT count(*) FROM attendance_event").fetchone()
            self._counted = int(row[0] or 0) if row else 0
        return self._counted

    def complaints(
        self, site: RunningSite, crowds: list[Crowd], *, expected_anomalies: frozenset[str] = frozenset()
    ) -> list[str]:
        """Say everything that is wrong with a site's record once settled: nothing, if the promises hold.

        Every green tap is there once, as it was held; numbers without a gap, hashes and chain whole; who is inside by
        the presence kept, by presence folded from zero, and by the headcount.
        """
        with connect(self.database_url) as connection:
            found = [
                f"anomaly {kind} at {seq}: {detail}"
                for kind, seq, detail in connection.execute(_ANOMALIES, (site.seeded.site_id,))
                if kind not in expected_anomalies
            ]
            aside = connection.execute(
                "SELECT reason, detail FROM attendance_quarantine WHERE topic LIKE %s", (f"ccs/v1/{site.code}/%",)
            )
            found += [f"quarantined, {reason}: {detail}" for reason, detail in aside]
            rows = connection.execute(_STORED, (site.seeded.site_id,)).fetchall()
            found += _chain_complaints(rows)
            found += _tap_complaints(rows, crowds, self.keys.card_key_bytes)
            persons = connection.execute(
                "SELECT site_id, person FROM attendance_presence WHERE site_id = %s", (site.seeded.site_id,)
            ).fetchall()
            with connection.transaction():
                found += _presence_complaints(connection, [PersonKey(*row) for row in persons])
        return found + self._headcount_complaints(site, crowds)

    def inside(self, site: RunningSite) -> set[int]:
        """Return who is inside by central's headcount, as worker ids."""
        engine = make_engine(self.database_url, pool_size=1)
        try:
            with read_session(engine) as session:
                counted = site_headcount(session, site_id=SiteId(site.seeded.site_id), now=datetime.now(UTC))
        finally:
            engine.dispose()
        people = {person.worker_id for person in counted.people if person.worker_id is not None}
        if len(people) != counted.inside:
            raise AssertionError(f"the headcount says {counted.inside} inside and names {len(people)}")
        return people

    def _headcount_complaints(self, site: RunningSite, crowds: list[Crowd]) -> list[str]:
        owner = dict(zip(site.seeded.identities, site.seeded.workers, strict=True))
        expected = {owner[card] for crowd in crowds for card in crowd.inside}
        counted = self.inside(site)
        missing, too_many = sorted(expected - counted), sorted(counted - expected)
        return [f"headcount: missing {missing}, too many {too_many}"] if missing or too_many else []


def _told(crowd: Crowd) -> bool:
    """Whether the terminal's own cursor stands behind its people's last green."""
    last = crowd.greens[-1] if crowd.greens else None
    if last is None:
        return True
    try:
        view = JournalView(crowd.terminal.data_dir / JOURNAL_FILE)
    except JournalUnusable:
        return False
    try:
        return view.journal_id == last.journal_id and view.cursor().durable >= last.seq
    except JournalFailed:
        return False
    finally:
        view.close()


def _presence_complaints(connection: psycopg.Connection[Any], keys: list[PersonKey]) -> list[str]:
    """Compare what is kept of these persons, locked, with what their taps make of them."""
    kept = keeping.locked(connection, sorted(keys))
    return [
        f"presence kept is not presence folded: {key}: {kept.get(key)}, {folded}"
        for key, folded in keeping.folded(connection, sorted(keys)).items()
        if kept.get(key) != folded
    ]


def _chain_complaints(rows: list[Any]) -> list[str]:
    found = []
    before: dict[str, tuple[int, str]] = {}
    for journal, seq, digest, content in rows:
        last, expected_hash = before.get(journal, (0, GENESIS_HASH))
        if seq != last + 1:
            found.append(f"{journal}: {last} is followed by {seq}")
        elif msgspec.json.decode(content)["prevhash"] != expected_hash:
            found.append(f"{journal}: the chain is broken at {seq}")
        if hashlib.sha256(content).digest() != bytes(digest):
            found.append(f"{journal}: the hash of {seq} is not its bytes'")
        before[journal] = seq, bytes(digest).hex()
    return found


def _tap_complaints(rows: list[Any], crowds: list[Crowd], card_key: bytes) -> list[str]:
    stored = {(journal, seq): content for journal, seq, _, content in rows}
    found = []
    for crowd in crowds:
        keys = [(green.journal_id, green.seq) for green in crowd.greens]
        if len(keys) != len(set(keys)):
            found.append(f"{crowd.terminal.code}: one record answered two taps")
        if keys != sorted(keys):
            found.append(f"{crowd.terminal.code}: records out of order")
        missing = [key for key in keys if key not in stored]
        if missing:
            found.append(f"{crowd.terminal.code}: {len(missing)} green taps are not in the database: {missing[:5]}")
        for green in crowd.greens:
            content = stored.get((green.journal_id, green.seq))
            if content is None:
                continue
            event = msgspec.json.decode(content)
            held = f"card:{card_token(card_key, green.card)}", green.direction
            if (event.get("subject"), event["data"].get("direction")) != held:
                found.append(f"{crowd.terminal.code}: record {green.seq} is not the tap that was shown green")
    return found
