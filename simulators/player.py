"""Hands that hold cards to a demo site's socket readers, by hand or through a planned day, and a log of every tap.

The log is what a later start goes on from: which taps of which day were played, and so what the answer is.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, cast

from simulators.site_day import MINUTE_S, READERS, Answer, Decision, PlannedTap, PresenceFold, SiteDay, plan_day
from simulators.socket_card import Shown, SocketHand

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from simulators.people import CardInHand, Person, Roll

RETRY_S = 0.5
SPEED_MAX = 36_000.0
BEFORE_FIRST_TAP_S = 2 * MINUTE_S
LATE_S_MAX = 0.5
RECENT_MAX = 50


class NobodyAnswers(ConnectionError):
    """A reader cannot be reached, or its terminal answered with something else than a decision."""


@dataclass(frozen=True, slots=True)
class Held:
    """What came of holding a card to a reader."""

    answer: Shown
    took_ms: float

    @property
    def recorded(self) -> bool:
        """Whether the terminal has it on stable storage."""
        return self.answer.seq > 0


class Hands:
    """Connections to the readers of a site, one each, usable from any thread."""

    def __init__(self, readers: Mapping[str, tuple[str, int]]) -> None:
        """`readers` maps `terminal/reader` to the socket reader's address."""
        self._addresses = dict(readers)
        self._locks = {key: threading.Lock() for key in readers}
        self._hands: dict[str, SocketHand] = {}

    def hold(self, reader: str, card: CardInHand) -> Held:
        """Hold a card to a reader and wait for the answer; raise `NobodyAnswers`."""
        if reader not in self._addresses:
            raise NobodyAnswers(f"there is no reader {reader!r}: choose one of {', '.join(self._addresses)}")
        with self._locks[reader]:
            started_s = time.monotonic()
            try:
                shown = self._hand(reader).hold(card.identity, method=card.method, assurance=card.assurance)
            except OSError as exc:
                self._drop(reader)
                host, port = self._addresses[reader]
                raise NobodyAnswers(f"reader {reader} at {host}:{port} does not answer: {exc}") from exc
            took_ms = (time.monotonic() - started_s) * 1000
        if shown.error:
            raise NobodyAnswers(f"reader {reader}: {shown.error}")
        return Held(shown, took_ms)

    def close(self) -> None:
        """Take all hands away."""
        for reader in self._addresses:
            self._drop(reader)

    def _hand(self, reader: str) -> SocketHand:
        hand = self._hands.get(reader)
        if hand is None:
            host, port = self._addresses[reader]
            hand = self._hands[reader] = SocketHand(port, host=host)
        return hand

    def _drop(self, reader: str) -> None:
        hand = self._hands.pop(reader, None)
        if hand is not None:
            hand.close()


@dataclass(frozen=True, slots=True)
class PlayedTap:
    """A tap as it was answered. `index` is its place in the planned day, None when somebody held the card by hand."""

    day: int
    index: int | None
    reader: str
    card: str
    decision: str
    shown: str
    journal_id: str
    seq: int
    took_ms: float


class TapLog:
    """Every tap of this data folder, in a file that only grows, and the answer that follows from it."""

    def __init__(self, path: Path, roll: Roll) -> None:
        """Read what is there and rebuild the answer; a torn last line is dropped."""
        self._path = path
        self._roll = roll
        self._lock = threading.Lock()
        self._fold = PresenceFold()
        self.recent: deque[PlayedTap] = deque(maxlen=RECENT_MAX)
        self.count = 0
        self.day, self.next_index = 1, 0
        self._read()
        self._file = path.open("a", encoding="utf-8")

    def _read(self) -> None:
        if not self._path.exists():
            return
        whole = [line for line in self._path.read_text(encoding="utf-8").splitlines(keepends=True) if line[-1] == "\n"]
        for line in whole:
            self._take(PlayedTap(**json.loads(line)))
        self._path.write_text("".join(whole), encoding="utf-8")

    def _take(self, played: PlayedTap) -> None:
        card, person = self._who(bytes.fromhex(played.card))
        tap = PlannedTap(0.0, played.reader, card, person, cast("Decision", played.decision))
        self._fold.tap(tap)
        self.recent.append(played)
        self.count += 1
        if played.index is not None:
            self.day, self.next_index = played.day, played.index + 1

    def _who(self, identity: bytes) -> tuple[CardInHand, Person | None]:
        person = self._roll.holder(identity)
        if person is None:
            return replace(self._roll.stray, identity=identity), None
        own = person.temporary is None or identity == person.card.identity
        return (person.card if own else cast("CardInHand", person.temporary)), person

    def add(self, played: PlayedTap) -> None:
        """Write a tap down and count it."""
        with self._lock:
            self._file.write(json.dumps(asdict(played)) + "\n")
            self._file.flush()
            self._take(played)

    def start_day(self, day: int) -> None:
        """Turn the page: the next planned tap is the first of `day`."""
        with self._lock:
            self.day, self.next_index = day, 0

    def answer(self) -> Answer:
        """Say who must be inside after everything tapped so far."""
        with self._lock:
            return self._fold.answer()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@dataclass
class DayPlayer:
    """Plays planned days through the readers at `speed` story seconds a second. One thread plays; any may look."""

    roll: Roll
    hands: Hands
    log: TapLog
    speed: float = 60.0
    on_tap: Callable[[PlannedTap, Held], None] | None = None
    on_trouble: Callable[[str], None] | None = None
    day: SiteDay = field(init=False)
    finished: threading.Event = field(default_factory=threading.Event, init=False)
    _origin: tuple[float, float] = field(default=(0.0, 0.0), init=False)
    """A monotonic second and the story second it was."""

    def __post_init__(self) -> None:
        """Choose the day: the one that was interrupted, or the next."""
        if not 0 < self.speed <= SPEED_MAX:
            message = f"the speed is story seconds a second: more than 0 and at most {SPEED_MAX:.0f}, not {self.speed}"
            raise ValueError(message)
        self.day = plan_day(self.roll, day=self.log.day)
        if self.log.next_index >= len(self.day.taps):
            self.log.start_day(self.log.day + 1)
            self.day = plan_day(self.roll, day=self.log.day)
        self._origin = (time.monotonic(), self._next_at_s() - BEFORE_FIRST_TAP_S)

    def _next_at_s(self) -> float:
        return self.day.taps[min(self.log.next_index, len(self.day.taps) - 1)].at_s

    @property
    def story_s(self) -> float:
        """The story's time of day; stands still once the day is played."""
        if self.finished.is_set():
            return self.day.taps[-1].at_s
        at, story = self._origin
        return story + (time.monotonic() - at) * self.speed

    def play(self, stop: threading.Event) -> None:
        """Play what is left of the day; return when it is over or `stop` is set."""
        self._origin = (time.monotonic(), self._next_at_s() - BEFORE_FIRST_TAP_S)
        for index in range(self.log.next_index, len(self.day.taps)):
            tap = self.day.taps[index]
            if stop.wait(max(0.0, (tap.at_s - self.story_s) / self.speed)):
                return
            late_s = (self.story_s - tap.at_s) / self.speed
            if late_s > LATE_S_MAX:  # the story waits for the taps, not the taps for the story
                self._origin = (time.monotonic(), tap.at_s)
            if not self._present(tap, index, stop):
                return
        self.finished.set()

    def _present(self, tap: PlannedTap, index: int, stop: threading.Event) -> bool:
        """Hold the card until the tap is recorded, as a worker would; False when stopped before."""
        while True:
            try:
                held = self.hold(tap.reader, tap.card, index=index)
            except NobodyAnswers as exc:
                self._trouble(str(exc))
            else:
                if held.recorded:
                    if self.on_tap:
                        self.on_tap(tap, held)
                    return True
                self._trouble(f"{tap.reader} shows {held.answer.shown}: {held.answer.text}")
            if stop.wait(RETRY_S):
                return False

    def _trouble(self, sentence: str) -> None:
        if self.on_trouble:
            self.on_trouble(sentence)

    def hold(self, reader: str, card: CardInHand, *, index: int | None = None) -> Held:
        """Hold a card to a reader and log what was recorded; raise `NobodyAnswers`."""
        held = self.hands.hold(reader, card)
        if held.recorded:
            self.log.add(
                PlayedTap(
                    day=self.log.day,
                    index=index,
                    reader=reader,
                    card=card.identity.hex(),
                    decision=held.answer.decision,
                    shown=held.answer.shown,
                    journal_id=held.answer.journal_id,
                    seq=held.answer.seq,
                    took_ms=round(held.took_ms, 2),
                )
            )
        return held


def reader_named(key: str) -> str:
    """Check `terminal/reader`; raise `ValueError` naming the readers there are."""
    known = [reader.key for reader in READERS]
    if key not in known:
        message = f"there is no reader {key!r}: choose one of {', '.join(known)}"
        raise ValueError(message)
    return key
