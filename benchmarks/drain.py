"""The return of terminals that were away for weeks: how fast their backlog arrives, and what it costs everybody else.

A hundred terminals hold 20,000 taps each, made by the workers of their sites day by day; all connect at once. Central
is real processes (one worker, one web) on this machine, beside broker, PostgreSQL and the fleet, whose terminals send
by the edge agent's own uplink protocol. Meanwhile workers enter other sites; the time from their tap to the officer's
stream is taken before and during the drain. The drain's rate stands against ingest's own, measured in the same run on
the same server (`benchmarks.ingest`: messages of 50 taps that wait in the broker, one worker). Prints one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.ingest import CARD_KEY, SITE, TERMINALS, WORKERS, clear, make_taps, measure_ours, messages_of
from simulators.city import City, CityTap, Outage, make_city, plan_outage
from simulators.city_morning import CityPlayer, Moment, Morning
from simulators.city_registry import CityRegistry, seed_city
from simulators.city_stage import Stage
from simulators.city_watch import Screens
from simulators.fleet import allow_connections, percentile_ms
from simulators.seeding import seed_site

if TYPE_CHECKING:
    from collections.abc import Sequence

SCALE = 0.3
CALM_S = 40.0
"""Of taps with nothing else going on, before the terminals return."""
SCREEN_TAPS_PER_S = 15.0
OTHER_TAPS_PER_S = 60.0
INGEST_TAPS = 60_000
FIRST_CARD_OF_INGEST = 10_000_000


@dataclass(frozen=True)
class Rig:
    """What the drain is played on."""

    stage: Stage
    city: City
    outage: Outage
    registry: CityRegistry


def ingest_rate(stage: Stage, *, rounds: int, taps: int) -> float:
    """Measure ingest on this server, and leave attendance's tables empty."""
    url, mqtt_url = stage.database_url, stage.broker.url
    gates: dict[str, tuple[str, ...]] = dict.fromkeys(TERMINALS, ("in", "out"))
    seeded = seed_site(
        url, card_key=CARD_KEY, site=SITE, terminals=gates, workers=WORKERS, first_card=FIRST_CARD_OF_INGEST
    )
    messages = messages_of(make_taps(seeded, taps), 50)
    rates = [measure_ours(url, mqtt_url, messages, taps)[0] for _ in range(rounds)]
    clear(url)
    note(f"ingest: {', '.join(f'{rate:,.0f}' for rate in rates)} taps/s")
    return statistics.median(rates)


def note(sentence: str) -> None:
    """Say how far it is."""
    print(sentence, file=sys.stderr, flush=True)


def fresh_taps(city: City, outage: Outage, *, seconds: float, chance: random.Random) -> list[CityTap]:
    """Let workers enter the watched sites one by one, and others come and go at sites that were never away."""
    entering = [(site.terminals, worker) for site in outage.watched for worker in site.workers]
    chance.shuffle(entering)
    count = min(len(entering), int(seconds * SCREEN_TAPS_PER_S))
    taps = [
        CityTap(chance.uniform(0, seconds), chance.choice(gates), worker, "in") for gates, worker in entering[:count]
    ]
    watched = {site.code for site in outage.watched}
    calm = [
        site
        for site in city.sites
        if site.code not in watched and not any(terminal in outage.terminals for terminal in site.terminals)
    ]
    for _ in range(int(seconds * OTHER_TAPS_PER_S)):
        site = chance.choice(calm)
        taps.append(
            CityTap(
                chance.uniform(0, seconds),
                chance.choice(site.terminals),
                chance.choice(site.workers),
                chance.choice(("in", "out")),
            )
        )
    taps.sort()
    return taps


class Drain(CityPlayer):
    """A city on which only the return is played."""

    async def play_return(self, screens: Screens, taps: Sequence[CityTap], *, calm_s: float) -> None:
        """Tap; after `calm_s` let the terminals return; stop when their backlog has arrived."""
        begun_s = time.monotonic()
        self.report.starts_s["before"] = begun_s
        at = 0
        while self._phase != "after":
            now_s = time.monotonic() - begun_s
            if self._phase == "before" and now_s >= calm_s:
                self._enter("return")
                for terminal in self._deep:
                    terminal.mend()
            if self._phase == "return" and self._backlog() == 0:
                self._enter("after")
            while at < len(taps) and taps[at].at_s <= now_s:
                self.tap(taps[at], screens)
                at += 1
            await asyncio.sleep(0.005)
        if at == len(taps):
            note("the fresh taps ended before the drain: its last part is not in the latencies")


async def drain(rig: Rig, *, backlog: int, seconds_max: float) -> dict[str, Any]:
    """Play the return once and say what was seen."""
    nothing = Morning(rig.city, rig.outage, [], backlog=backlog)
    player = Drain(nothing, rig.registry, rig.stage.broker.url, stage=rig.stage)
    player.fill(lambda done: note(f"{done:,} taps made") if done % 500_000 == 0 else None)
    screens = Screens(rig.stage.web_url, rig.stage.token())
    chance = random.Random("drain")
    taps = fresh_taps(rig.city, rig.outage, seconds=seconds_max, chance=chance)
    last_s = 0.0

    def show(moment: Moment) -> None:
        nonlocal last_s
        if moment.at_s - last_s >= 10:  # noqa: PLR2004 - seconds between two lines
            last_s = moment.at_s
            memory = {name: round(size) for name, size in moment.memory_mb.items()}
            note(f"{moment.phase}: {moment.durable:,} durable, {moment.backlog:,} to come, MB {memory}")

    async def everything(open_screens: Screens) -> None:
        await player.play_return(open_screens, taps, calm_s=CALM_S)

    await player.play(screens, story=everything, progress=show)
    return summary(player)


def summary(player: CityPlayer) -> dict[str, Any]:
    """Reduce what was seen to the figures that count."""
    report = player.report
    first, last = report.bounds("return")
    during = [one for one in report.moments if first <= one.at_s <= last]
    memory = [one.memory_mb["worker-1"] for one in during]
    third = max(1, len(memory) // 3)
    screen = {
        phase: [one.took_s for one in report.screens if low <= one.at_s < high]
        for phase, (low, high) in {"calm": report.bounds("before"), "drain": (first, last)}.items()
    }
    return {
        "backlog": report.backlog,
        "drain_s": round(last - first, 1),
        "drain_per_s": report.backlog / (last - first),
        "screen": {
            phase: {
                "taps": len(times),
                "p50_ms": round(percentile_ms(times, 50), 1),
                "p99_ms": round(percentile_ms(times, 99), 1),
            }
            for phase, times in screen.items()
        },
        "worker_mb": {
            "before": round(max(one.memory_mb["worker-1"] for one in report.moments if one.at_s < first), 1),
            "first_third": round(statistics.median(memory[:third]), 1),
            "last_third": round(statistics.median(memory[-third:]), 1),
            "most": round(max(memory), 1),
        },
        "processors": {part: round(share, 3) for part, share in report.processor_share("return").items()},
        "sent_again": report.tally.resent,
        "complaints": report.tally.complaints,
        "unacknowledged": report.unacknowledged,
        "unseen": report.unseen,
    }


def run(*, workers: int, scale: float, terminals: int, backlog: int, rounds: int, seconds_max: float) -> dict[str, Any]:
    """Measure ingest, then the drain."""
    city = make_city(scale=scale)
    plan = plan_outage(city, watched=100)
    deep = frozenset(site.terminals.start for site in city.sites[:terminals])
    outage = Outage(deep, deep, plan.watched)
    allow_connections(city.terminals)
    with Stage(workers=workers) as stage:
        registry = seed_city(stage.database_url, city, card_key=stage.keys.card_key_bytes)
        ingest = ingest_rate(stage, rounds=rounds, taps=INGEST_TAPS)
        stage.start_central()
        rig = Rig(stage, city, outage, registry)
        found = asyncio.run(drain(rig, backlog=backlog, seconds_max=seconds_max))
        found["database_mb"] = round(stage.database_mb())
    screen = found["screen"]
    return {
        "benchmark": "drain",
        "load": [round(one, 1) for one in os.getloadavg()],
        "ingest_per_s": ingest,
        "drain_of_ingest": found["drain_per_s"] / ingest,
        "p99_times_calm": screen["drain"]["p99_ms"] / max(screen["calm"]["p99_ms"], 0.1),
        **found,
    }


def main() -> None:
    """Read the options, measure, print."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--terminals", type=int, default=100)
    options.add_argument("--backlog", type=int, default=20_000, help="taps of each")
    options.add_argument("--scale", type=float, default=SCALE, help="of the city around them")
    options.add_argument("--rounds", type=int, default=5, help="of the ingest measurement")
    options.add_argument("--seconds", type=float, default=300.0, help="of fresh taps that are prepared")
    options.add_argument("--workers", type=int, default=1, help="that central has")
    options.add_argument("--quick", action="store_true", help="10 terminals, 2,000 taps each: to see that it works")
    given = options.parse_args()
    terminals, backlog, scale, rounds = given.terminals, given.backlog, given.scale, given.rounds
    if given.quick:
        terminals, backlog, scale, rounds = 10, 2_000, 0.05, 1
    found = run(
        workers=given.workers,
        scale=scale,
        terminals=terminals,
        backlog=backlog,
        rounds=rounds,
        seconds_max=given.seconds,
    )
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
