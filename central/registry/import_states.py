"""The life of an import, as a table. Pure."""

from __future__ import annotations

from central.audit.tags import Tag
from central.identity.permissions import Permission
from central.kit.states import Machine, Transition

_WRITE = Permission.REGISTRY_WORKER_WRITE


def _step(state: str, event: str, next_state: str, tag: Tag = Tag.IMPORT_STEP) -> Transition[str, str]:
    return Transition(state, event, next_state, _WRITE, tag)


IMPORT: Machine[str, str] = Machine(
    "the import",
    [
        _step("uploaded", "check", "checking"),
        _step("uploaded", "discard", "discarded"),
        _step("checking", "pass", "checked"),
        _step("checking", "refuse", "refused"),
        _step("checking", "interrupt", "uploaded"),
        _step("refused", "check", "checking"),
        _step("refused", "discard", "discarded"),
        _step("checked", "check", "checking"),
        _step("checked", "take", "taking"),
        _step("checked", "discard", "discarded"),
        _step("taking", "finish", "taken", Tag.IMPORT_RUN),
        _step("taking", "refuse", "refused"),
        _step("taking", "interrupt", "checked"),
        _step("taken", "undo", "undoing"),
        _step("undoing", "finish", "undone", Tag.IMPORT_UNDO),
        _step("undoing", "finish_partly", "partly_undone", Tag.IMPORT_UNDO),
        _step("undoing", "interrupt", "taken"),
        _step("partly_undone", "undo", "undoing"),
    ],
)
"""A dry run comes first: nothing is taken that was not checked. What runs is one transaction, so that an interruption
leaves nothing half done. `partly_undone`: some rows stay, each with its reason; they can be tried again."""

RUNNING = frozenset({"checking", "taking", "undoing"})
UNDOABLE = frozenset(state for state in ("taken", "partly_undone") if "undo" in IMPORT.events(state))
ASKED = frozenset({"check", "take", "undo", "discard"})
"""Events that a person asks for; the others come from the run."""
