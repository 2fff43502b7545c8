"""One terminal at work: its memory, its idle processor time, and the way of a card through it without the disk.

`python benchmarks/agent.py [--idle-s 15] [--rounds 5] [--cards 500]` starts a real agent (terminal screen, two socket
readers) against a real Mosquitto, its data in memory (`--folder /dev/shm`), and prints one JSON object. Memory is read
after the cards; card-to-answer includes the socket in both directions, and the hand is a process of its own, so that
what is measured is not its turn at an interpreter; the waking of sleeping processors is in it. Needs `mosquitto`
(`make test` installs it).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from simulators.listening_central import ListeningCentral
from simulators.processes import TerminalProgram, make_keys
from simulators.servers import MosquittoBroker, wait_until
from simulators.socket_card import SocketHand

SITE, GATE = "site-07", "gate-03"
WARM_UP_CARDS = 100
CARDS_APART_S = 0.02
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    """Return the process's resident memory in MB (10^6 bytes)."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024 / 1e6


def cpu_s(pid: int) -> float:
    """Return the processor time a process has used, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND


def idle_percent(pid: int, idle_s: float) -> float:
    """Return the share of one processor that the process uses while nothing happens."""
    begun, used = time.monotonic(), cpu_s(pid)
    time.sleep(idle_s)
    return (cpu_s(pid) - used) / (time.monotonic() - begun) * 100


def hold_cards(port: int, *, cards: int, first: int) -> list[float]:
    """Hold different cards one after another, as at a gate; return seconds from card to answer."""
    times = []
    with SocketHand(port) as hand:
        for number in range(first, first + cards):
            begun = time.perf_counter()
            shown = hand.hold(b"\x04" + number.to_bytes(6, "big"))
            times.append(time.perf_counter() - begun)
            if not shown.seq:
                message = f"the terminal did not record a card: {shown}"
                raise RuntimeError(message)
            time.sleep(CARDS_APART_S)
    return times


def percentiles_ms(rounds: list[list[float]]) -> dict[str, float]:
    """Return the medians over the rounds of p50 and p99, in milliseconds."""
    steps = [statistics.quantiles(times, n=100) for times in rounds]
    return {f"p{share}_ms": round(statistics.median(one[share - 1] for one in steps) * 1e3, 3) for share in (50, 99)}


def measure(folder: Path, *, idle_s: float, rounds: int, cards: int) -> dict[str, object]:
    """Run one terminal with its data in `folder`."""
    broker = MosquittoBroker(folder / "broker")
    terminal = TerminalProgram(SITE, GATE, folder / "gate", broker.url, make_keys(folder / "keys"))
    broker.start()
    try:
        with (
            ListeningCentral(broker.url) as central,
            ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as hand,
        ):
            terminal.start()
            wait_until(lambda: bool(central.births), what="the terminal's birth")
            assert terminal.program.child is not None
            pid = terminal.program.child.pid
            started_mb = resident_mb(pid)
            port = terminal.reader("in").port
            hand.submit(hold_cards, port, cards=WARM_UP_CARDS, first=0).result()
            starts = range(WARM_UP_CARDS, WARM_UP_CARDS + rounds * cards, cards)
            times = [hand.submit(hold_cards, port, cards=cards, first=first).result() for first in starts]
            rss_mb = resident_mb(pid)
            idle = idle_percent(pid, idle_s)
    finally:
        terminal.program.stop()
        broker.stop()
    return {
        "benchmark": "agent",
        "what": "a real agent with terminal screen and socket readers on a real Mosquitto; card in to answer out",
        "rss_mb": round(rss_mb, 1),
        "rss_started_mb": round(started_mb, 1),
        "idle_cpu_percent": round(idle, 2),
        "idle_s": idle_s,
        "rounds": rounds,
        "cards_a_round": cards,
        "card_to_answer": percentiles_ms(times),
        "goals": {"rss_mb": 60, "idle_cpu_percent": 1, "card_to_answer_p99_ms": 2},
    }


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm"), help="where the terminal keeps its data")
    parser.add_argument("--idle-s", type=float, default=15.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cards", type=int, default=500)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ccs-bench-", dir=options.folder) as folder:
        json.dump(
            measure(Path(folder), idle_s=options.idle_s, rounds=options.rounds, cards=options.cards),
            sys.stdout,
            indent=2,
        )
        sys.stdout.write("\n")


if __name__ == "__main__":
    main()
