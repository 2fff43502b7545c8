"""A seed is the run: twice the same trace, byte for byte, in whatever process it is played."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from simulators.virtual.plan import FAULTS, Plan
from simulators.virtual.run import play

if TYPE_CHECKING:
    from pathlib import Path

EVERYTHING = Plan(5, terminals=3, hours=2.0, taps_an_hour=20, heartbeat_s=60, workers=2, faults=frozenset(FAULTS))


def trace_of(seed: int, folder: Path, hash_seed: str) -> bytes:
    target = folder / f"{hash_seed}.trace"
    subprocess.run(
        [sys.executable, "-m", "simulators.cli", "virtual", "--seed", str(seed), "--trace", str(target)],
        check=True,
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
        capture_output=True,
    )
    return target.read_bytes()


def test_the_same_seed_gives_the_same_trace_byte_for_byte_in_another_process(tmp_path: Path) -> None:
    first = trace_of(11, tmp_path, "1")
    assert len(first.splitlines()) > 100
    assert first == trace_of(11, tmp_path, "2")


def test_with_every_kind_of_fault_at_once_a_run_repeats_itself() -> None:
    first, second = play(EVERYTHING), play(EVERYTHING)
    assert first.trace == second.trace
    assert first.digest == second.digest
    assert first.sometimes == second.sometimes


@pytest.mark.parametrize("fault", ["broker", "clock"])
def test_leaving_one_kind_of_fault_out_leaves_the_others_where_they_were(fault: str) -> None:
    def strikes(plan: Plan) -> list[str]:
        lines = play(plan).trace.decode().splitlines()
        return [line for line in lines if " gets an empty disk" in line or " disk is filled up" in line]

    assert strikes(EVERYTHING.without(fault)) == strikes(EVERYTHING)
