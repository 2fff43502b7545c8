"""A process that taps into a real journal as fast as it can, printing each event once it is stored. Made to be killed.

`python -m simulators.journal_writer JOURNAL [TAPS]`: after TAPS taps it stands still, so that a kill falls between two.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

from edge_agent.clock import SystemClock
from edge_agent.journal.record import MIB, JournalLimits
from edge_agent.journal.store import Journal
from edge_agent.wire.messages import TAP, Credential, TapData

MAINTAIN_EVERY_TAPS = 50


def main(path: Path, taps: int = 0) -> None:
    """Tap until killed, or `taps` times and then wait for a line on stdin; a line `seq hash` means stored."""
    limits = JournalLimits(wal_bytes=MIB // 4, wal_bytes_idle_max=MIB // 8)
    journal = Journal.open(path, site="site-07", terminal="gate-03", clock=SystemClock(), limits=limits)
    tap = TapData("in", "r1", "gate-03", Credential("id_only", 0), "accepted", "green")
    for number in itertools.count(1):
        record = journal.append(type_=TAP, data=tap, token="0" * 32)
        sys.stdout.write(f"{record.seq} {record.hash}\n")
        sys.stdout.flush()
        if record.seq % MAINTAIN_EVERY_TAPS == 0:
            journal.maintain()
        if number == taps:
            sys.stdin.readline()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
