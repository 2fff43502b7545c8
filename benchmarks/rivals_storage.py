"""Draining a terminal's storage: our journal beside ThingsBoard Gateway's SQLite storage, by its own classes from PyPI.

`python -m benchmarks.rivals_storage [--events 20000] [--rounds 5]` prints one JSON object. Draining is what a sender
does to what has piled up: take events out in order and, once they are delivered, mark them so. Each side in its own way
and through its own classes, in turns. Ours: `Journal.read` in the contract's batches of 64, every row against its hash,
and `Journal.acknowledge`, synced to the disk, after each thousand: what one acknowledgement of central covers while a
backlog drains (the uplink keeps up to 2,048 outstanding). Theirs: `get_event_pack` and `event_pack_processing_done`,
which deletes the pack, not synced. We delete after five weeks only; what deleting as many costs is measured as well and
stands beside it, with and without.

The gateway is measured with two sizes of pack: 1,000, which its documentation shows and its classes take when nothing
is said, and 10, which the configuration file that it ships says. The goal is held against the first, its best.

Every put of ours is on stable storage when it returns; theirs is in a queue, written by a thread about 100 ms later,
and never synced by a commit. Both times are printed, and the processor time of draining an event, which changes less
with what else the machine does. Most of ours is the SHA-256 of the event: bytes that changed on the disk never leave.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from edge_agent.clock import SystemClock
from edge_agent.journal.record import JournalLimits
from edge_agent.journal.store import Journal
from edge_agent.wire.messages import BATCH_BYTES_MAX, EVENTS_A_BATCH_MAX, TAP, Ack, Credential, TapData

SITE, TERMINAL = "site-07", "gate-03"
RUN_S_MAX = 180.0
ACK_EVENTS = 1_000
MAINTAIN_EVERY_PUTS = 1_000
PACKS = {"documented": 1_000, "shipped": 10}
"""The gateway's `max_read_records_count`: in its documentation and `StorageSettings`, and in its `tb_gateway.json`."""
DELETED_AT_ONCE = JournalLimits(keep_window=timedelta(0))
Figures = dict[str, float]


class NoGateway(RuntimeError):
    """ThingsBoard Gateway cannot be had here; the message says why."""


def install(target: Path) -> None:
    """Install the gateway's package alone into a scratch folder; raise `NoGateway`."""
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-deps", "--target", str(target)]
    done = subprocess.run([*command, "thingsboard-gateway"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NoGateway(f"thingsboard-gateway could not be installed: {done.stderr.strip()[-300:]}")


def open_journal(folder: Path) -> Journal:
    """Open the journal under test: it deletes what is acknowledged as soon as it is asked to."""
    clock = SystemClock()
    return Journal.open(folder / "journal.db", site=SITE, terminal=TERMINAL, clock=clock, limits=DELETED_AT_ONCE)


def fill_journal(folder: Path, *, events: int) -> Figures:
    """Store taps, each on stable storage before the next; the idle work between them is not a put."""
    folder.mkdir()
    clock, put_s, stored_bytes = SystemClock(), 0.0, 0
    data = TapData("in", "r1", "gate", Credential("desfire_ev2", 3, 2), "accepted", "green", 1)
    journal = open_journal(folder)
    try:
        for number in range(events):
            token, reading = f"{number:032x}", clock.read()
            begun_s = time.perf_counter()
            record = journal.append(type_=TAP, data=data, token=token, reading=reading)
            put_s += time.perf_counter() - begun_s
            stored_bytes += len(record.bytes)
            if number % MAINTAIN_EVERY_PUTS == 0:
                journal.maintain()
    finally:
        journal.close()
    return {"put_us": put_s / events * 1e6, "event_bytes": stored_bytes / events}


def lay_copy(filled: Path, folder: Path) -> None:
    """Copy a filled journal, synced: nobody's drain pays for the copying."""
    shutil.copytree(filled, folder)
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())


def drain_journal(folder: Path, *, events: int) -> Figures:
    """Drain, then delete as much; events a second."""
    journal = open_journal(folder)
    try:
        taken, confirmed, begun_s, cpu_s = 0, 0, time.perf_counter(), time.process_time()
        while taken < events:
            records = journal.read(taken, events_max=EVENTS_A_BATCH_MAX, bytes_max=BATCH_BYTES_MAX)
            taken = records[-1].seq
            if taken - confirmed >= ACK_EVENTS or taken == events:
                journal.acknowledge(Ack(journal.journal_id, taken, records[-1].hash, [], 1))
                confirmed = taken
        drain_s, cpu_s = time.perf_counter() - begun_s, time.process_time() - cpu_s
        clock = SystemClock()
        journal.prune(clock.read())  # notes since when central holds them; nothing is ripe yet
        begun_s = time.perf_counter()
        deleted = journal.prune(clock.read())
        delete_s = time.perf_counter() - begun_s
    finally:
        journal.close()
    if deleted != events - 1:
        raise RuntimeError(f"the journal deleted {deleted} of {events} events, all but the last were to go")
    rates = {"per_s": events / drain_s, "deleting_too_per_s": events / (drain_s + delete_s)}
    return rates | {"cpu_us": cpu_s / events * 1e6}


def drain_gateway(folder: Path, target: Path, *, events: int, size_bytes: int, pack: int) -> Figures:
    """Fill and drain the gateway's storage in a process that sees nothing but its package."""
    folder.mkdir()
    program = str(Path(__file__).with_name("rivals_gateway.py"))
    done = subprocess.run(
        [sys.executable, program, str(folder), str(events), str(size_bytes), str(pack)],
        env={**os.environ, "PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
        check=False,
        timeout=RUN_S_MAX,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the gateway's storage could not be drained: {done.stderr.strip()[-600:]}")
    found: Figures = json.loads(done.stdout.splitlines()[-1])
    return found


def medians(rounds: list[Figures]) -> Figures:
    """Return the median of each figure."""
    return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}


def compare(scratch: Path, *, events: int, rounds: int) -> dict[str, Any]:
    """Drain all in turns; raise `NoGateway`."""
    target = scratch / "gateway"
    install(target)
    filled = scratch / "filled"
    put = fill_journal(filled, events=events)
    note(f"journal: a put takes {put['put_us']:,.0f} µs to the disk")
    ours: list[Figures] = []
    theirs: dict[str, list[Figures]] = {name: [] for name in PACKS}
    for number in range(rounds):
        folder = scratch / f"journal-{number}"
        lay_copy(filled, folder)
        ours.append(drain_journal(folder, events=events))
        for name, pack in PACKS.items():
            place = scratch / f"gateway-{name}-{number}"
            theirs[name].append(
                drain_gateway(place, target, events=events, size_bytes=round(put["event_bytes"]), pack=pack)
            )
            shutil.rmtree(place)
        shutil.rmtree(folder)
        rates = ", ".join(f"{name} {theirs[name][-1]['per_s']:,.0f}/s" for name in PACKS)
        note(f"journal {ours[-1]['per_s']:,.0f}/s (deleting too {ours[-1]['deleting_too_per_s']:,.0f}/s), {rates}")
    mine, others = put | medians(ours), {name: medians(theirs[name]) | {"pack": PACKS[name]} for name in PACKS}
    for other in others.values():
        other["journal_times_faster"] = mine["per_s"] / other["per_s"]
        other["journal_deleting_too_times_faster"] = mine["deleting_too_per_s"] / other["per_s"]
    return {"events": events, "rounds": rounds, "journal": mine, "gateway": others}


def note(sentence: str) -> None:
    """Say how far it is."""
    print(sentence, file=sys.stderr, flush=True)


def main() -> None:
    """Read the options and print the result."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--events", type=int, default=20_000)
    options.add_argument("--rounds", type=int, default=5)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="ccs-bench-") as folder:
        print(json.dumps(compare(Path(folder), events=given.events, rounds=given.rounds), indent=2))


if __name__ == "__main__":
    main()
