"""A process as a table: state and event give the next state, the permission it takes and the audit tag it leaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from central.kit.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Iterable

State = TypeVar("State", bound=str)
Event = TypeVar("Event", bound=str)


class RefusedTransition(Conflict):
    """The event is not possible in the present state."""

    code = "refused_transition"


@dataclass(frozen=True, slots=True)
class Transition(Generic[State, Event]):
    """One row of a process table."""

    state: State
    event: Event
    next_state: State
    permission: str
    tag: str


class Machine(Generic[State, Event]):
    """A process table with one answer for each state and event."""

    def __init__(self, name: str, rows: Iterable[Transition[State, Event]]) -> None:
        self.name = name
        self._rows: dict[tuple[State, Event], Transition[State, Event]] = {}
        for row in rows:
            if (row.state, row.event) in self._rows:
                raise ValueError(f"{name}: {row.event} in {row.state} stands twice in the table")
            self._rows[row.state, row.event] = row

    def step(self, state: State, event: Event) -> Transition[State, Event]:
        """Return the row for `event` in `state`; raise `RefusedTransition` naming what is possible instead."""
        row = self._rows.get((state, event))
        if row is None:
            possible = ", ".join(sorted(self.events(state))) or "nothing"
            raise RefusedTransition(f"{self.name}: {event} is not possible when {state}; possible now: {possible}")
        return row

    def events(self, state: State) -> frozenset[Event]:
        """Return what can happen in `state`."""
        return frozenset(event for (from_, event) in self._rows if from_ == state)
