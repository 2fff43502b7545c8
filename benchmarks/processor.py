"""Processor time of a process and all that it started: what a rate on a shared machine hides."""

from __future__ import annotations

import os
from pathlib import Path

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    """Return the fields of `/proc/PID/stat` behind the program's name; empty when it ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def tree_s(pid: int) -> float:
    """Return the seconds of processor that `pid`, its living descendants and its ended children have used."""
    parents: dict[int, list[int]] = {}
    for found in Path("/proc").iterdir():
        if found.name.isdigit() and (fields := _stat(int(found.name))):
            parents.setdefault(int(fields[1]), []).append(int(found.name))
    waiting, ticks = [pid], 0
    while waiting:
        one = waiting.pop()
        waiting += parents.get(one, [])
        ticks += sum(int(field) for field in _stat(one)[11:15])
    return ticks / TICKS_A_SECOND
