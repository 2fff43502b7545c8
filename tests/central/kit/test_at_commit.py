"""What is noted in a transaction is acted on at its commit: all of it that was not rolled back, and once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import Session

from central.kit.at_commit import AtCommit
from central.kit.db import WriteSession

STEPS = st.lists(
    st.sampled_from(["note", "savepoint", "release", "back to it", "roll back", "close", "commit"]), max_size=25
)


@given(STEPS)
def test_exactly_what_was_not_rolled_back_is_acted_on_in_its_order(steps: list[str]) -> None:
    """Mutants: notes outlive a rollback; a savepoint's rollback takes earlier notes along, or none."""
    done: list[int] = []
    session = WriteSession(Session())
    numbers = AtCommit[int]("numbers", lambda _, noted: done.extend(noted))
    expected: list[int] = []
    levels: list[list[int]] = [[]]  # the transaction's own notes, then those of each open savepoint
    savepoints = []
    for number, step in enumerate([*steps, "commit"]):
        if step == "note":
            numbers.note(session, [number])
            levels[-1].append(number)
        elif step == "savepoint":
            savepoints.append(session.begin_nested())
            levels.append([])
        elif step == "release" and savepoints:
            savepoints.pop().commit()
            inner = levels.pop()
            levels[-1] += inner
        elif step == "back to it" and savepoints:
            savepoints.pop().rollback()
            levels.pop()
        elif step in {"roll back", "close"}:
            session.rollback() if step == "roll back" else session.close()
            savepoints, levels = [], [[]]
        elif step == "commit":
            session.commit()
            expected += [one for level in levels for one in level]
            savepoints, levels = [], [[]]
        assert done == expected


def test_several_kinds_of_notes_do_not_mix_nor_do_sessions() -> None:
    done: list[tuple[str, list[int]]] = []
    kinds = [AtCommit[int](name, lambda _, noted, name=name: done.append((name, noted))) for name in ("one", "other")]  # type: ignore[misc]
    first, second = WriteSession(Session()), WriteSession(Session())
    kinds[0].note(first, [1, 2])
    kinds[1].note(first, [3])
    kinds[0].note(second, [4])
    second.rollback()
    second.commit()
    first.commit()
    assert done == [("one", [1, 2]), ("other", [3])]
