"""A believable day on a building site from a seed, and the answer to it: who the system must say is inside, when.

The answer is worked out here on its own, from the rules in DESIGN and not from central's code, so that tests compare
two independent workings. Times are story seconds since midnight; whoever plays the day chooses how fast they pass.

No card is held twice to the same reader within a day, a foreman's double tap apart: so repeat suppression, which runs
on the terminals' real clocks, judges alike at every speed.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from simulators.people import CardInHand, Person, Roll

Decision = Literal["accepted", "unknown_card", "barred", "repeat"]

HOUR_S = 3600.0
MINUTE_S = 60.0
GATES_OPEN_S = 5.5 * HOUR_S
DAY_ENDS_S = 19 * HOUR_S
DOUBT_EXIT_MISSING = 1
DOUBT_EXIT_WEAK = 2
DOUBT_ENTRY_MISSING = 4
DOUBLE_TAP_S_MAX = 5.0


@dataclass(frozen=True, slots=True)
class GateReader:
    """A reader of the demo site."""

    terminal: str
    name: str
    direction: Literal["in", "out", "tap"]
    zone: str

    @property
    def key(self) -> str:
        """`terminal/name`, as the player and the hand page call it."""
        return f"{self.terminal}/{self.name}"


READERS: tuple[GateReader, ...] = (
    GateReader("gate-01", "r1", "in", "main-gate"),
    GateReader("gate-01", "r2", "out", "main-gate"),
    GateReader("gate-02", "r1", "in", "north-gate"),
    GateReader("gate-02", "r2", "out", "north-gate"),
    GateReader("gate-03", "r1", "tap", "side-door"),
)
_BY_KEY = {reader.key: reader for reader in READERS}
_SIDE = "gate-03/r1"


@dataclass(frozen=True, slots=True)
class PlannedTap:
    """One card held to one reader."""

    at_s: float
    reader: str
    """`GateReader.key`."""
    card: CardInHand
    person: Person | None
    decision: Decision
    """What the terminal must decide when it has the roster."""
    note: str = ""
    """What is odd about it, for the person who watches."""


@dataclass(frozen=True, slots=True)
class Step:
    """Somebody's feet: when they really passed the gate."""

    at_s: float
    number: str
    inwards: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What is the case at an instant. Worker numbers, but for cards nobody holds: those are counted."""

    inside: frozenset[str]
    """Whom the system must say is inside: workers and visitors, no test workers."""
    doubted: frozenset[str]
    """Those inside of whom something contradicts: never `certain`."""
    refused: frozenset[str]
    unknown_cards: int
    really_inside: frozenset[str]

    @property
    def at_most(self) -> int:
        """The upper bound when every terminal is heard and has nothing unsent."""
        return len(self.inside) + len(self.refused) + self.unknown_cards


@dataclass(slots=True)
class _State:
    inside: bool = False
    refused: bool = False
    entry_assurance: int = 0
    doubts: int = 0


@dataclass
class PresenceFold:
    """Follows taps one by one and keeps the answer. A second working of central's presence rules, kept simple."""

    _states: dict[str, _State] = field(default_factory=dict)
    _unknown: dict[bytes, _State] = field(default_factory=dict)
    _feet: set[str] = field(default_factory=set)

    def tap(self, tap: PlannedTap) -> None:
        """Count a tap; a repeat counts only where it says its direction and contradicts what is known."""
        if tap.person is not None and tap.person.role == "test":
            return
        if tap.person is None:
            state = self._unknown.setdefault(tap.card.identity, _State())
        else:
            state = self._states.setdefault(tap.person.number, _State())
        direction = _BY_KEY[tap.reader].direction
        agrees = direction == "tap" or (state.inside == (direction == "in") and not state.refused)
        if tap.decision == "repeat" and agrees:
            return
        if direction == "in" or (direction == "tap" and not state.inside):
            _enter(state, tap)
        else:
            _leave(state, tap.card.assurance)

    def step(self, step: Step) -> None:
        """Somebody really walks."""
        (self._feet.add if step.inwards else self._feet.discard)(step.number)

    def answer(self) -> Answer:
        """Say what is the case after all taps and steps so far."""
        inside = {number for number, state in self._states.items() if state.inside}
        return Answer(
            inside=frozenset(inside),
            doubted=frozenset(number for number in inside if self._states[number].doubts),
            refused=frozenset(number for number, state in self._states.items() if state.refused),
            unknown_cards=sum(1 for state in self._unknown.values() if state.inside),
            really_inside=frozenset(self._feet),
        )


def _enter(state: _State, tap: PlannedTap) -> None:
    if state.inside:
        state.doubts |= DOUBT_EXIT_MISSING
        if tap.decision != "barred":
            state.entry_assurance = max(state.entry_assurance, tap.card.assurance)
        return
    state.doubts, state.entry_assurance = 0, tap.card.assurance
    state.refused = tap.decision == "barred"
    state.inside = not state.refused


def _leave(state: _State, assurance: int) -> None:
    if not (state.inside or state.refused):
        state.doubts = DOUBT_ENTRY_MISSING
    elif assurance >= state.entry_assurance:
        state.inside, state.refused, state.doubts = False, False, 0
    else:
        state.doubts |= DOUBT_EXIT_WEAK


@dataclass(frozen=True)
class SiteDay:
    """A planned day: taps and steps in story order."""

    roll: Roll
    day: int
    taps: tuple[PlannedTap, ...]
    steps: tuple[Step, ...]

    def replay(self, fold: PresenceFold, *, until_s: float = DAY_ENDS_S) -> PresenceFold:
        """Put everything up to and at `until_s` into `fold` and return it; a step counts before its tap."""
        for step in self.steps:
            if step.at_s <= until_s:
                fold.step(step)
        for tap in self.taps:
            if tap.at_s <= until_s:
                fold.tap(tap)
        return fold

    def answer_at(self, at_s: float) -> Answer:
        """Say what is the case at story second `at_s`, on a site that was empty the evening before."""
        return self.replay(PresenceFold(), until_s=at_s).answer()


def clock_text(at_s: float) -> str:
    """Write story seconds as `HH:MM`."""
    minutes = int(at_s // MINUTE_S)
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


class _Planner:
    """Collects one day's taps and steps."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.taps: list[PlannedTap] = []
        self.steps: list[Step] = []

    def walk(
        self, person: Person, at_s: float, reader: str, *, inwards: bool, card: CardInHand | None = None, note: str = ""
    ) -> None:
        """Let a person tap and walk."""
        self.tap(person, at_s, reader, card=card, note=note)
        self.steps.append(Step(at_s, person.number, inwards))

    def tap(
        self,
        person: Person | None,
        at_s: float,
        reader: str,
        *,
        card: CardInHand | None = None,
        decision: Decision = "accepted",
        note: str = "",
    ) -> None:
        held = card or (person.card if person else None)
        if held is None:
            message = "a tap without a person needs a card"
            raise ValueError(message)
        self.taps.append(PlannedTap(round(at_s, 3), reader, held, person, decision, note))


def plan_day(roll: Roll, *, day: int = 1) -> SiteDay:
    """Plan day number `day` of a site: the same seed and day give the same taps, whatever was played before."""
    planner = _Planner(random.Random(f"day/{roll.seed}/{len(roll.people)}/{day}"))
    crews: dict[int, list[Person]] = {}
    for person in roll.people:
        if person.role in {"worker", "foreman"}:
            crews.setdefault(person.crew, []).append(person)
    for number, crew in crews.items():
        _plan_crew(planner, number, crew)
    _plan_odd_people(planner, roll)
    taps = tuple(sorted(planner.taps, key=lambda tap: tap.at_s))
    return SiteDay(roll, day, taps, tuple(sorted(planner.steps, key=lambda step: step.at_s)))


def _plan_crew(planner: _Planner, number: int, crew: list[Person]) -> None:
    """A crew arrives together by one gate, eats by the other, and leaves by the first, which no one does exactly."""
    chance = planner.chance
    home, other = ("gate-01", "gate-02") if number % 2 == 0 else ("gate-02", "gate-01")
    arrives_s = GATES_OPEN_S + chance.uniform(5, 95) * MINUTE_S
    lunch_s = 11.7 * HOUR_S + chance.uniform(0, 40) * MINUTE_S
    leaves_s = 16.6 * HOUR_S + chance.uniform(0, 50) * MINUTE_S
    eats_outside = chance.random() < 0.6  # noqa: PLR2004 - share of crews that leave for lunch
    by_side = number % 5 == 3  # noqa: PLR2004 - every fifth crew works beside the side door
    for place, person in enumerate(crew):
        enters = _SIDE if by_side and place % 2 == 0 else f"{home}/r1"
        exits = _SIDE if by_side and place % 2 == 1 else f"{home}/r2"
        at_s = arrives_s + place * chance.uniform(2.5, 12) + chance.choice((0, 0, 0, 600))
        _plan_arrival(planner, person, place, at_s, enters)
        if eats_outside and chance.random() < 0.8:  # noqa: PLR2004 - the others have a lunch box
            out_s = lunch_s + place * chance.uniform(2.5, 10)
            planner.walk(person, out_s, f"{other}/r2", inwards=False, card=_hand(person))
            back_s = out_s + chance.uniform(38, 52) * MINUTE_S
            planner.walk(person, back_s, f"{other}/r1", inwards=True, card=_hand(person))
        _plan_exit(planner, person, place, leaves_s + place * chance.uniform(2.5, 15), exits)


def _hand(person: Person) -> CardInHand:
    """Whoever has a temporary number left the card at home, but for those who lose it during the day."""
    return person.card if person.temporary is None or _loses_card(person) else person.temporary


def _loses_card(person: Person) -> bool:
    """Every sixth crew has one, but not beside the side door: a toggle would take the next entry for an exit."""
    return person.temporary is not None and person.crew % 6 == 2 and person.crew % 5 != 3  # noqa: PLR2004 - as said


def _plan_arrival(planner: _Planner, person: Person, place: int, at_s: float, reader: str) -> None:
    card = _hand(person)
    note = "forgot the card: temporary number" if card is person.temporary else ""
    planner.walk(person, at_s, reader, inwards=True, card=card, note=note)
    if place == 0 and person.crew == 0:
        again_s = at_s + planner.chance.uniform(1.5, DOUBLE_TAP_S_MAX)
        planner.tap(person, again_s, reader, decision="repeat", note="a foreman taps twice")


def _plan_exit(planner: _Planner, person: Person, place: int, at_s: float, reader: str) -> None:
    """Most tap out. Some leave early, some forget to tap, some prove less on leaving than on entering."""
    if person.crew % 4 == 0 and place == 1:
        early_s = planner.chance.uniform(13.8, 15.5) * HOUR_S
        planner.walk(person, early_s, reader, inwards=False, card=_hand(person), note="leaves early")
    elif person.crew % 5 == 1 and place == 1:
        planner.steps.append(Step(at_s, person.number, inwards=False))
    elif _loses_card(person):
        note = "lost the card: leaves with a temporary number"
        planner.walk(person, at_s, reader, inwards=False, card=person.temporary, note=note)
    else:
        planner.walk(person, at_s, reader, inwards=False, card=_hand(person))


def _plan_odd_people(planner: _Planner, roll: Roll) -> None:
    """A barred worker, a visitor at the wrong reader, and a card that nobody knows."""
    chance = planner.chance
    for person in roll.people:
        if person.role == "barred":
            at_s = 6.9 * HOUR_S + chance.uniform(0, 20) * MINUTE_S
            planner.tap(person, at_s, "gate-01/r1", decision="barred", note="barred: refused at the gate")
        elif person.role == "visitor":
            at_s = 9.8 * HOUR_S + chance.uniform(0, 30) * MINUTE_S
            planner.tap(person, at_s, "gate-01/r2", note="a visitor taps the exit reader on the way in")
            planner.walk(person, at_s + 20, "gate-01/r1", inwards=True, note="… and then the right one")
            planner.walk(person, at_s + 70 * MINUTE_S, "gate-02/r2", inwards=False, note="the visitor leaves")
    at_s = 6.5 * HOUR_S + chance.uniform(0, 30) * MINUTE_S
    planner.tap(None, at_s, "gate-02/r1", card=roll.stray, decision="unknown_card", note="a card nobody knows")
    planner.tap(
        None, at_s + 8 * HOUR_S, "gate-02/r2", card=roll.stray, decision="unknown_card", note="… and it leaves again"
    )
