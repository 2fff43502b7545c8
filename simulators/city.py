"""A city's construction sites and one of their mornings, made from a seed. Pure: who taps where and when.

The figures are Seoul's: 3,500 sites, 7,000 terminals, 105,000 workers; sizes fall off as they do in a city, from a few
sites of many hundred workers to very many of seven or eight.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_agent.wire.messages import Direction

SITES, TERMINALS, WORKERS = 3_500, 7_000, 105_000
SITES_MIN = 12
SIZE_FALL, SIZE_SHIFT = 0.9, 20
"""A site of rank r has a share of workers ∝ (r + shift) ^ -fall."""
HOUR_S = 3600.0
GATES_OPEN_S, RUSH_S, RUSH_ENDS_S, MORNING_ENDS_S = 5 * HOUR_S, 5.5 * HOUR_S, 7.5 * HOUR_S, 10 * HOUR_S
RUSH_PEAK_S = 6.25 * HOUR_S
RUSH_SHARE = 0.85
"""Of all arrivals, between `RUSH_S` and `RUSH_ENDS_S`."""
EARLY_SHARE = 0.05
ERRAND_SHARE = 0.1
"""Of the workers, who go out and come back once before the morning ends."""
ERRAND_S = (300.0, 1800.0)
OUTAGE_SHARE = 1 / 3
DEEP_TERMINALS = 100
"""Of the terminals that were away, those that bring a backlog of many days."""
WATCHED_WORKERS = (25, 60)
"""Workers of a site that is watched for the time from tap to screen."""


class CityTooSmall(ValueError):
    """A city of that size has no morning worth playing; the message says what to ask for."""


@dataclass(frozen=True, slots=True)
class CitySite:
    """A site: its workers and its terminals, by their numbers in the city."""

    code: str
    workers: range
    terminals: range

    def gate(self, terminal: int) -> str:
        """Return a terminal's code."""
        return f"gate-{terminal - self.terminals.start + 1:02d}"


@dataclass(frozen=True)
class City:
    """All sites, the largest first."""

    seed: int
    sites: tuple[CitySite, ...]

    @property
    def workers(self) -> int:
        """How many workers there are."""
        return self.sites[-1].workers.stop

    @property
    def terminals(self) -> int:
        """How many terminals there are."""
        return self.sites[-1].terminals.stop

    def site_of_terminal(self, terminal: int) -> CitySite:
        """Return the site at which a terminal stands."""
        starts = [site.terminals.start for site in self.sites]
        return self.sites[bisect_right(starts, terminal) - 1]


@dataclass(frozen=True)
class Outage:
    """Which terminals lose their connection, and which of these were away for so long that they bring a backlog."""

    terminals: frozenset[int]
    deep: frozenset[int]
    watched: tuple[CitySite, ...]
    """Sites none of whose terminals is touched: their taps measure what the others' return does to everybody else."""


class CityTap(NamedTuple):
    """One card held to one reader. `at_s` counts from midnight."""

    at_s: float
    terminal: int
    worker: int
    direction: Direction


def make_city(*, seed: int = 1, scale: float = 1.0) -> City:
    """Make the city of a seed. `scale` 1 is Seoul; the proportions stay."""
    sites = round(SITES * scale)
    if sites < SITES_MIN:
        raise CityTooSmall(f"scale {scale} leaves {sites} sites: ask for at least {SITES_MIN / SITES:.4f}")
    workers = _shares(round(WORKERS * scale), sites, least=2)
    terminals = _shares(round(TERMINALS * scale), sites, least=1)
    made, worker, terminal = [], 0, 0
    for number, (people, gates) in enumerate(zip(workers, terminals, strict=True), 1):
        made.append(CitySite(f"city-{number:04d}", range(worker, worker + people), range(terminal, terminal + gates)))
        worker, terminal = worker + people, terminal + gates
    return City(seed, tuple(made))


def _shares(total: int, parts: int, *, least: int) -> list[int]:
    """Deal `total` over `parts` ranks, at least `least` to each, the rest falling off with the rank."""
    weights = [(rank + SIZE_SHIFT) ** -SIZE_FALL for rank in range(1, parts + 1)]
    free, whole = total - least * parts, sum(weights)
    bounds = [round(free * share / whole) for share in accumulate(weights)]
    return [least + upper - lower for lower, upper in zip([0, *bounds], bounds, strict=False)]


def plan_outage(city: City, *, watched: int = 60) -> Outage:
    """Choose a third of the terminals, the first gate of the largest sites among them, and sites to watch."""
    chance = random.Random(f"outage/{city.seed}/{len(city.sites)}")
    deep_count = max(1, round(DEEP_TERMINALS * len(city.sites) / SITES))
    low, high = WATCHED_WORKERS
    fit = [site for site in city.sites[deep_count:] if low <= len(site.workers) <= high]
    seen = sorted(chance.sample(fit, min(watched, len(fit) // 2)), key=lambda site: site.code)
    deep = {site.terminals.start for site in city.sites[:deep_count]}
    spared = {terminal for site in seen for terminal in site.terminals}
    others = [terminal for terminal in range(city.terminals) if terminal not in deep and terminal not in spared]
    cut = chance.sample(others, min(len(others), round(city.terminals * OUTAGE_SHARE) - len(deep)))
    return Outage(frozenset(deep.union(cut)), frozenset(deep), tuple(seen))


def plan_morning(city: City, *, watched: Sequence[CitySite] = ()) -> list[CityTap]:
    """Write down every tap of the morning, in order.

    Everybody arrives once. Workers of watched sites arrive evenly over the morning, so that each part of it is
    measured alike, and go on no errands, so that the number inside only grows.
    """
    chance = random.Random(f"morning/{city.seed}/{len(city.sites)}")
    even = {site.code for site in watched}
    taps: list[CityTap] = []
    for site in city.sites:
        for worker in site.workers:
            gate = chance.choice(site.terminals)
            if site.code in even:
                taps.append(CityTap(chance.uniform(RUSH_S, MORNING_ENDS_S), gate, worker, "in"))
                continue
            at_s = _arrival_s(chance)
            taps.append(CityTap(at_s, gate, worker, "in"))
            if chance.random() < ERRAND_SHARE:
                taps += _errand(chance, site, worker, at_s)
    taps.sort()
    return taps


def _arrival_s(chance: random.Random) -> float:
    draw = chance.random()
    if draw < EARLY_SHARE:
        return chance.uniform(GATES_OPEN_S, RUSH_S)
    if draw < EARLY_SHARE + RUSH_SHARE:
        return chance.triangular(RUSH_S, RUSH_ENDS_S, RUSH_PEAK_S)
    return chance.uniform(RUSH_ENDS_S, MORNING_ENDS_S - ERRAND_S[1])


def _errand(chance: random.Random, site: CitySite, worker: int, arrived_s: float) -> list[CityTap]:
    out_s = chance.uniform(min(arrived_s + ERRAND_S[0], MORNING_ENDS_S - ERRAND_S[1]), MORNING_ENDS_S - ERRAND_S[0])
    back_s = min(out_s + chance.uniform(*ERRAND_S), MORNING_ENDS_S)
    return [
        CityTap(out_s, chance.choice(site.terminals), worker, "out"),
        CityTap(back_s, chance.choice(site.terminals), worker, "in"),
    ]
