"""One tap to the disk: the real journal against a bare append + fsync of the same bytes on the same disk.

`python benchmarks/journal.py [--folder DIR] [--rounds 7] [--taps 800]` prints one JSON object. Rounds are interleaved
in small blocks, because the disk's mood changes; only the ratios mean anything. The journal's idle work (`maintain`)
runs between blocks, as it does between people at a gate, and is not part of a tap. The clock is read before, as the
gate does before it decides (benchmarks/agent.py times the way from card to answer).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from edge_agent.clock import Clock, SystemClock
from edge_agent.journal.store import Journal
from edge_agent.wire.messages import TAP, Credential, TapData

TAPS_A_BLOCK = 50
TAPPED = TapData("in", "r1", "gate-03", Credential("desfire_ev2", 3, 2), "accepted", "green", 8123)
TOKEN = "9f3c" * 8

Times = list[float]


def percentile_us(times: Times, share: float) -> float:
    """Return a percentile in microseconds."""
    return sorted(times)[min(len(times) - 1, int(len(times) * share))] * 1e6


def journal_block(journal: Journal, clock: Clock, times: Times) -> list[bytes]:
    """Tap a block through the journal; return the bytes that were stored."""
    stored = []
    for _ in range(TAPS_A_BLOCK):
        reading = clock.read()
        begun = time.perf_counter()
        record = journal.append(type_=TAP, data=TAPPED, token=TOKEN, reading=reading)
        times.append(time.perf_counter() - begun)
        stored.append(record.bytes)
    journal.maintain()
    return stored


def bare_block(descriptor: int, events: list[bytes], times: Times) -> None:
    """Append and fsync the same bytes, one by one."""
    for event in events:
        begun = time.perf_counter()
        os.write(descriptor, event)
        os.fsync(descriptor)
        times.append(time.perf_counter() - begun)


def one_round(journal: Journal, clock: Clock, descriptor: int, *, taps: int) -> dict[str, float]:
    """Measure one round; times in microseconds."""
    through, bare, cpu = Times(), Times(), Times()
    for _ in range(taps // TAPS_A_BLOCK):
        begun = time.thread_time()
        events = journal_block(journal, clock, through)
        cpu.append((time.thread_time() - begun) / TAPS_A_BLOCK)
        bare_block(descriptor, events, bare)
    found = {
        "journal_p50_us": percentile_us(through, 0.50),
        "journal_p99_us": percentile_us(through, 0.99),
        "bare_p50_us": percentile_us(bare, 0.50),
        "bare_p99_us": percentile_us(bare, 0.99),
        "journal_cpu_us": statistics.median(cpu) * 1e6,
    }
    found["p50_ratio"] = found["journal_p50_us"] / found["bare_p50_us"]
    found["p99_ratio"] = found["journal_p99_us"] / found["bare_p99_us"]
    return {name: round(value, 2) for name, value in found.items()}


def measure(folder: Path, *, rounds: int, taps: int) -> dict[str, object]:
    """Run all rounds in `folder`; return the result with the medians over rounds."""
    clock = SystemClock()
    journal = Journal.open(folder / "journal.db", site="site-07", terminal="gate-03", clock=clock)
    descriptor = os.open(folder / "bare", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    try:
        one_round(journal, clock, descriptor, taps=TAPS_A_BLOCK * 4)  # warms both up, not counted
        results = [one_round(journal, clock, descriptor, taps=taps) for _ in range(rounds)]
    finally:
        os.close(descriptor)
        journal.close()
    medians = {name: round(statistics.median(result[name] for result in results), 2) for name in results[0]}
    return {
        "benchmark": "journal",
        "what": "tap to durable through the journal / bare append + fsync of the same bytes, same disk, interleaved",
        "rounds": rounds,
        "taps_a_round": taps,
        "medians": medians,
        "goals": {"p50_ratio": 1.2, "p99_ratio": 1.5},
        "each_round": results,
    }


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=None, help="a folder on the disk to measure (default: here)")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--taps", type=int, default=800)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="ccs-bench-", dir=options.folder or Path.cwd()))
    try:
        json.dump(measure(folder, rounds=options.rounds, taps=options.taps), sys.stdout, indent=2)
        sys.stdout.write("\n")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
