"""What a seed stands for: how many terminals, for how long, how busy, and which faults befall them."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import timedelta

FAULTS = (
    "kill_edge",
    "power_cut",
    "io_error",
    "disk_full",
    "rot",
    "swap",
    "image",
    "twin",
    "clock",
    "partition",
    "loss",
    "broker",
    "worker",
    "database",
    "restore",
)
"""Kinds of fault. Each draws from a source of its own, so that one can be left out without moving the others."""
ENABLED_SHARE = 0.45
"""A run with everything at once reaches fewer states than runs with some each."""
HEARTBEATS_S = (30.0, 60.0, 120.0, 300.0)
KEEP_WINDOW = timedelta(hours=2)
"""Days in the field; here so short that rows are deleted while a run lasts."""
BACKUP_AGE_H_MAX = 1.5
"""A backup is never older than what terminals keep: DUR-04 promises no more."""
CALM_H = 2.0
"""Everything must be acknowledged this long after the last fault: four times the protocol's longest pause."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One run. The same plan gives the same trace, byte for byte."""

    seed: int
    terminals: int
    hours: float
    taps_an_hour: float
    heartbeat_s: float
    workers: int
    faults: frozenset[str]
    intensity: float = 1.0
    """How many times as often as usual faults strike."""

    @property
    def terminal_hours(self) -> float:
        """How much of a terminal's time the run covers."""
        return self.terminals * (self.hours + CALM_H)

    def without(self, fault: str) -> Plan:
        """Return the same run with one kind of fault left out."""
        return replace(self, faults=self.faults - {fault})

    def shorter(self, hours: float) -> Plan:
        """Return the same run, its faults ending earlier."""
        return replace(self, hours=hours)

    def describe(self) -> str:
        """Say what it is, in one line."""
        faults = ", ".join(name for name in FAULTS if name in self.faults) or "none"
        return (
            f"seed {self.seed}: {self.terminals} terminals, {self.hours:g} h, {self.taps_an_hour:g} taps an hour each,"
            f" heartbeat {self.heartbeat_s:g} s, {self.workers} workers,"
            f" faults ({self.intensity:g} times as often): {faults}"
        )


def plan_of(seed: int) -> Plan:
    """Draw the run of a seed."""
    chance = random.Random(f"plan:{seed}")
    faults = frozenset(name for name in FAULTS if chance.random() < ENABLED_SHARE)
    return Plan(
        seed=seed,
        terminals=chance.randint(1, 3),
        hours=chance.choice((2.0, 3.0, 6.0)),
        taps_an_hour=chance.choice((3.0, 8.0, 24.0)),
        heartbeat_s=chance.choice(HEARTBEATS_S),
        workers=chance.randint(1, 2),
        faults=faults,
        intensity=chance.choice((1.0, 1.0, 3.0)),
    )
