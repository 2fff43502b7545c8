"""What the stages of a terminal's examination stand on: broker, central, hands, and waiting for conditions."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from simulators.tck.contract import HEARTBEAT_S, token_of
from simulators.tck.hands import CannotHold
from simulators.tck.trace import Key, Shown, Tap, clocks

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulators.tck.broker import Broker
    from simulators.tck.checks import Ledger
    from simulators.tck.hands import Hand
    from simulators.tck.kit_central import KitCentral
    from simulators.tck.subject import Subject

CARDS_MIN = 8
READER_PAUSE_S = 0.1
SETTLE_S = 0.3
"""How long a terminal may take over a message before the heartbeat that we look at."""
BLIND_S = 2.0
"""The same when no heartbeats come."""


class Stuck(RuntimeError):
    """What a stage waited for did not come; the message says what."""


@dataclass(frozen=True)
class Patience:
    """How long is waited, in seconds. The contract leaves resending and reconnecting to the maker: these are limits."""

    connect_s: float = 120.0
    answer_s: float = 30.0
    resend_s: float = 120.0
    heartbeat_s: float = HEARTBEAT_S + 5.0
    backlog_taps: int = 150


@dataclass
class Deck:
    """Cards by part. Enough of them that no card meets a reader twice within a minute unless that is the point."""

    allowed: list[bytes]
    barred: list[bytes]
    unknown: list[bytes]
    stranger: int = 0

    def fresh_unknown(self) -> bytes:
        """Return an unknown card that was not used lately."""
        self.stranger += 1
        return self.unknown[(self.stranger - 1) % len(self.unknown)]


def made_deck() -> Deck:
    """Make identities for hands that can hold any card."""

    def cards(first: int, count: int) -> list[bytes]:
        return [b"\x04\x7c" + number.to_bytes(5, "big") for number in range(first, first + count)]

    return Deck(cards(0x1A2B3C01, 8), cards(0x2A2B3C01, 1), cards(0x3A2B3C01, 1000))


def dealt_deck(cards: list[bytes]) -> Deck:
    """Deal an operator's cards: five of workers, one barred, the others unknown; raise `ValueError`."""
    if len(set(cards)) < CARDS_MIN:
        message = (
            f"{len(set(cards))} different cards were given: give --reader, --tap-command,"
            f" or --card with the identities of {CARDS_MIN} cards that you will hold by hand"
        )
        raise ValueError(message)
    return Deck(cards[:5], cards[5:6], cards[6:])


@dataclass
class TerminalBench:
    """One examination."""

    broker: Broker
    central: KitCentral
    hand: Hand
    subject: Subject
    ledger: Ledger
    deck: Deck
    card_key: bytes
    patience: Patience = field(default_factory=Patience)
    roster_version: int = 0
    blind: bool = False
    """No heartbeats come: what they would say cannot be seen."""
    silent_keys: list[Key] = field(default_factory=list)
    """Events that the broker took and central did not acknowledge."""
    took_s: dict[str, float] = field(default_factory=dict)
    """Stage to how long it took."""
    silent_mark: int = 0
    """The message behind which an ack had named the last of them in `have`."""
    troubles: list[str] = field(default_factory=list)
    """Why stages ended early."""
    tell: Callable[[str], None] = lambda _sentence: None

    def __post_init__(self) -> None:
        """Take the broker's trace for our own."""
        self.trace = self.broker.trace

    # -- waiting

    def until(self, condition: Callable[[], bool], what: str, timeout_s: float | None = None) -> None:
        """Wait for a condition; raise `Stuck`."""
        limit = self.patience.answer_s if timeout_s is None else timeout_s
        if not self.trace.wait(condition, limit):
            raise Stuck(f"{what} did not come within {limit:.0f} s")

    def fence(self) -> dict[str, Any]:
        """Wait until the terminal has surely taken what it was told; return the heartbeat that says so, or nothing."""
        time.sleep(SETTLE_S)
        mark = self.trace.head
        if self.blind:
            time.sleep(BLIND_S)
            return self.trace.last("heartbeat", after=mark)
        self.blind = not self.trace.wait(
            lambda: bool(self.trace.of("heartbeat", after=mark)), self.patience.heartbeat_s
        )
        return self.trace.last("heartbeat", after=mark)

    def connected(self, *, after_session: int = 0) -> dict[str, Any]:
        """Wait for a connection behind session `after_session` and its birth; return the birth."""

        def born() -> bool:
            return any(one.session > after_session and one.kind == "birth" for one in self.trace.heard)

        self.until(born, "a connection with a birth", self.patience.connect_s)
        return next(one.body for one in reversed(self.trace.heard) if one.kind == "birth")

    def covered(self, numbers: list[str]) -> int | None:
        """Return how many events the terminal takes for acknowledged; None, with a word in the ledger, when unseen."""
        beat = self.fence()
        try:
            return int(beat["head_seq"]) - int(beat["unacknowledged"])
        except (KeyError, TypeError, ValueError):
            self.ledger.cannot(numbers, "no heartbeat came in which it could be seen")
            return None

    def settled(self) -> bool:
        """Let central answer, and wait until nothing is outstanding; whether it came to that."""
        self.central.answers = True
        if self.central.journal_id:
            self.central.acknowledge()
        mark = self.trace.head

        def done() -> bool:
            return any(one.body.get("unacknowledged") == 0 for one in self.trace.of("heartbeat", after=mark))

        if self.blind:
            time.sleep(BLIND_S)
            return True
        return self.trace.wait(done, self.patience.answer_s + self.patience.heartbeat_s)

    # -- cards

    def hold(self, identity: bytes, direction: str = "in", **claims: Any) -> Tap:  # noqa: ANN401 - method, assurance, keyver
        """Hold a card, and note the answer; raise `Stuck` when there is no reader."""
        given = {"method": "id_only", "assurance": 0} | claims if self.hand.claims else {}
        _, before_s = clocks()
        try:
            answer = self.hand.hold(identity, self._direction(direction), **given)
        except CannotHold as exc:
            answer = Shown(error=str(exc))
        _, after_s = clocks()
        tap = Tap(identity, self._direction(direction), before_s, after_s, answer, given)
        with self.trace.changed:
            self.trace.taps.append(tap)
        return tap

    def hold_when_ready(self, identity: bytes) -> Tap:
        """Hold a card to a terminal that has just been started, until its reader answers."""
        deadline = time.monotonic() + self.patience.connect_s
        tap = self.hold(identity)
        while tap.answer.error and time.monotonic() < deadline:
            time.sleep(READER_PAUSE_S)
            tap = self.hold(identity)
        return tap

    def restart(self) -> None:
        """Kill -9 the terminal and start it again."""
        self.subject.kill()
        self.hand.close()
        self.subject.start()

    def _direction(self, wanted: str) -> str:
        """Use another reader when there is none of the wanted direction."""
        known = list(self.hand.directions)
        return wanted if wanted in known else known[0]

    def token(self, identity: bytes) -> str:
        """Return a card's token."""
        return token_of(self.card_key, identity)

    def arrived(self, taps: list[Tap], what: str, *, timeout_s: float | None = None) -> list[Key]:
        """Wait until the taps that were answered are here as events; return their keys."""
        promised = [tap for tap in taps if tap.answer.promises]
        keys = [Key(tap.answer.journal_id, tap.answer.seq) for tap in promised if tap.answer.seq]
        if keys:
            self.until(lambda: all(self.has(key) for key in keys), what, timeout_s)
        unnamed = len(promised) - len(keys)
        if unnamed:
            wanted = sum(1 for tap in self.trace.taps if tap.answer.promises)
            self.until(lambda: len(self.tap_keys()) >= wanted, what, timeout_s)
            keys += sorted(self.tap_keys())[-unnamed:]
        return keys

    def has(self, key: Key) -> bool:
        """Whether an event is here."""
        return key.seq in self.trace.events.get(key.journal_id, {})

    def tap_keys(self) -> list[Key]:
        """Name every tap and roll call entry that is here."""
        kinds = {"ccs.tap.v1", "ccs.muster.v1"}
        return [
            Key(journal_id, seq)
            for journal_id in list(self.trace.events)
            for seq, event in self.trace.decoded(journal_id)
            if event.get("type") in kinds
        ]

    def event(self, key: Key) -> dict[str, Any]:
        """Return an event that is here."""
        found = json.loads(self.trace.events[key.journal_id][key.seq])
        return found if isinstance(found, dict) else {}

    # -- the roster

    def with_roster(self) -> bool:
        """Give the terminal the first whole roster if it has none of ours; whether its heartbeat names the version."""
        if self.roster_version == 0:
            self.roster_version = int(time.time())  # versions rise, also over examinations
            self.central.say_roster(self.central.roster(self.roster_version, entries=self.entries()))
        return self.holds_roster(self.roster_version)

    def holds_roster(self, version: int) -> bool:
        """Wait until a heartbeat names a roster's version; without heartbeats the answer to a card must tell."""
        if self.blind:
            time.sleep(BLIND_S)
            return True
        mark = self.trace.head

        def named() -> bool:
            return any(one.body.get("roster_version") == version for one in self.trace.of("heartbeat", after=mark))

        return self.trace.wait(named, self.patience.heartbeat_s + SETTLE_S)

    def entries(self, *more: bytes) -> list[dict[str, Any]]:
        """Make the roster's entries: the allowed cards but the last two, the barred, and `more`."""
        cards = [*self.deck.allowed[:-2], *more, *self.deck.barred]
        return [
            {
                "token": self.token(card),
                "worker": str(number),
                "name": f"Worker {number}",
                "lang": "en",
                **({"barred": "not instructed"} if card in self.deck.barred else {}),
            }
            for number, card in enumerate(cards, 1)
        ]
