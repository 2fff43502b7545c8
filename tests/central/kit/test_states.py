from __future__ import annotations

import pytest

from central.kit.states import Machine, RefusedTransition, Transition

TABLE = [
    Transition("draft", "submit", "submitted", "claim:write", "claim:submit"),
    Transition("submitted", "approve", "approved", "claim:approve", "claim:approve"),
    Transition("submitted", "return", "draft", "claim:approve", "claim:return"),
]


@pytest.mark.parametrize("state", ["draft", "submitted", "approved"])
@pytest.mark.parametrize("event", ["submit", "approve", "return"])
def test_every_pair_of_state_and_event_is_a_row_or_a_refusal_naming_what_is_possible(state: str, event: str) -> None:
    machine = Machine("claim", TABLE)
    rows = [row for row in TABLE if (row.state, row.event) == (state, event)]
    if rows:
        assert machine.step(state, event) == rows[0]
        return
    possible = ", ".join(sorted(machine.events(state))) or "nothing"
    with pytest.raises(RefusedTransition, match=f"possible now: {possible}"):
        machine.step(state, event)


def test_a_table_with_two_answers_is_refused() -> None:
    with pytest.raises(ValueError, match="stands twice"):
        Machine("claim", [*TABLE, TABLE[0]])
