"""What the simulation tests share: judging a run, and saying of a failure how to see it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simulators.virtual.plan import Plan
from simulators.virtual.run import Result, play, report, shrink

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def held() -> Callable[[Plan], Result]:
    """Play a run; when a promise is broken, fail with the seed, the commit and the shortest trace found."""

    def play_and_judge(plan: Plan) -> Result:
        result = play(plan)
        if not result.ok:
            pytest.fail(f"{report(shrink(result))}\n\nThe whole run: {result.violation}\n{result.plan.describe()}")
        return result

    return play_and_judge


@pytest.fixture
def calm() -> Plan:
    """A short, busy run of two terminals without any fault."""
    return Plan(1, terminals=2, hours=1.5, taps_an_hour=30, heartbeat_s=60, workers=2, faults=frozenset())
