"""The seeds that every change must survive, and the rare states that they are there to reach."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from simulators.virtual.plan import plan_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulators.virtual.plan import Plan
    from simulators.virtual.run import Result

SEEDS = 300
SEEDS_A_TEST = 15
BLOCKS = range(SEEDS // SEEDS_A_TEST)

SOMETIMES = {
    "bit flipped on a disk",
    "broker died",
    "broker lost what it had taken",
    "card held to a dead terminal",
    "card refused: not recorded",
    "central restored from an older backup",
    "clock 1970",
    "clock 2099",
    "clock hours",
    "clock minutes",
    "clock years",
    "cursor moved back in a new epoch",
    "delivered again to another worker",
    "died in a tap",
    "died in the uplink",
    "died while it kept house",
    "died while it opened the journal",
    "disk cloned into a second machine",
    "disk full",
    "disk swapped",
    "epoch rose",
    "forked journal set aside by an operator",
    "journal replaced, loss announced",
    "old events deleted at the edge",
    "old image of a disk put back",
    "power cut with unsynced writes",
    "presence folded from zero",
    "promise covered by an announced loss",
    "promise destroyed with its disk",
    "promise found in quarantine",
    "session taken over",
    "worker died between commit and acknowledgement",
}
"""States that a run may or may not reach; over all the seeds each must be reached."""


@pytest.mark.promise("DUR-01", "DUR-02", "DUR-03", "DUR-04", "DUR-05", "DUR-06", "DUR-07", "INC-01")
@pytest.mark.parametrize("block", BLOCKS)
def test_whatever_befalls_the_system_every_promise_holds(
    block: int, held: Callable[[Plan], Result], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Mutant: any of those in test_breakages.py; each breaks one of these runs."""
    counts: Counter[str] = Counter()
    for seed in range(1 + block * SEEDS_A_TEST, 1 + (block + 1) * SEEDS_A_TEST):
        counts.update(held(plan_of(seed)).sometimes)
    # The processes of one test run share a folder: whoever ends last sees what all of them reached.
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if base.name.startswith("popen-") else base) / "sometimes"
    shared.mkdir(exist_ok=True)
    (shared / f"{block}.json").write_text(json.dumps(counts))
    done = sorted(shared.glob("*.json"))
    if len(done) == len(BLOCKS):
        total = sum((Counter(json.loads(one.read_text())) for one in done), Counter[str]())
        print(f"rare states reached over {SEEDS} seeds: {dict(sorted(total.items()))}")
        assert SOMETIMES - set(total) == set(), "states that no seed reaches prove nothing: change the faults"
