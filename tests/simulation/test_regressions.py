"""Every run in which the simulator found a bug, played again for ever."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from simulators.virtual.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulators.virtual.run import Result

RUNS = tomllib.loads((Path(__file__).parent / "regressions.toml").read_text(encoding="utf-8"))["run"]


def plan_from(run: dict[str, Any]) -> Plan:
    return Plan(
        **{name: value for name, value in run.items() if name not in {"why", "faults"}}, faults=frozenset(run["faults"])
    )


@pytest.mark.parametrize("run", RUNS, ids=lambda run: f"seed-{run['seed']}")
def test_what_once_broke_a_promise_holds_now(run: dict[str, Any], held: Callable[[Plan], Result]) -> None:
    assert held(plan_from(run)).promised > 0, run["why"]
