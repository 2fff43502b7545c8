"""Undoing an import: what it made goes, row by row, where nothing that came later stands on it.

Which tables name a worker is read from the database's own catalogue, so that a table added later by whatever part of
the system is taken into account without anybody's remembering it here. Taps are never touched.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from central.audit import service as audit
from central.audit.tags import Tag
from central.kit.sentences import packed, sentence
from central.registry import notices
from central.registry import undo_repository as repository
from central.registry.roll_writing import IDS_AN_AUDIT_ROW_MAX

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from central.kit.db import ReadSession, WriteSession
    from central.registry.import_models import Import

TABLES = {
    "labour": "registry_labour_contract",
    "papers": "registry_worker_paper",
    "assignment": "registry_card_assignment",
    "employment": "registry_employment",
    "worker": "registry_worker",
}
"""What goes, in this order; a card that the import registered stays, nobody's: its life is a history."""
PASSES_MAX = 5
"""A row that stays may keep another one of the sheet: looked for so often."""


@dataclass(slots=True)
class Undone:
    """How many of the import's rows went, and why the others stay (by their number)."""

    rows: int = 0
    reasons: dict[int, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Making:
    """What the rows of an import made: (row number, id) by kind."""

    by_kind: dict[str, dict[int, int]]
    """Kind to id to row number."""

    def ids(self, kind: str, without: Iterable[int] = ()) -> list[int]:
        left_out = set(without)
        return [row_id for row_id, number in self.by_kind.get(kind, {}).items() if number not in left_out]

    def number(self, kind: str, row_id: int) -> int:
        return self.by_kind[kind][row_id]


def undo_roll(session: WriteSession, *, row: Import, actor: str, now: datetime) -> Undone:
    """Take back what the rows of a roll made, as far as nothing stands on it; what stays has a reason."""
    made = dict(repository.made_rows(session, row.id or 0))
    making = _making(made)
    reasons = reasons_to_keep(session, making, row=row)
    going = [number for number in made if number not in reasons]
    ids = {kind: making.ids(kind, reasons) for kind in TABLES}
    tokens = repository.tokens_of(session, ids["assignment"])
    for kind, table in TABLES.items():
        if kind == "assignment":
            repository.cards_back(session, ids[kind], actor=actor, now=now)
        repository.delete(session, table, ids[kind])
    repository.note_rows(
        session, row.id or 0, going=going, kept={n: packed(why) for n, why in reasons.items()}, now=now
    )
    notices.tell(session, tokens=tokens, sites=[row.site_id or 0])
    _note(session, row, ids, kept=len(reasons), actor=actor, now=now)
    return Undone(len(going), reasons)


def look(session: ReadSession | WriteSession, *, row: Import) -> Undone:
    """Say what undoing a roll would do now, changing nothing."""
    made = dict(repository.made_rows(session, row.id or 0))
    reasons = reasons_to_keep(session, _making(made), row=row)
    return Undone(len(made) - len(reasons), reasons)


def _making(made: Mapping[int, Mapping[str, Any]]) -> _Making:
    by_kind: defaultdict[str, dict[int, int]] = defaultdict(dict)
    for number, kinds in made.items():
        for kind, ids in kinds.items():
            for row_id in ids if isinstance(ids, list) else [ids]:
                by_kind[kind][row_id] = number
    return _Making(dict(by_kind))


def reasons_to_keep(session: ReadSession | WriteSession, making: _Making, *, row: Import) -> dict[int, str]:
    """Return why rows must stay, by number: written to since, tapped since, or named by something recorded since."""
    reasons: dict[int, str] = {}
    for kind, table in TABLES.items():
        for row_id in repository.written_since(session, table, making.ids(kind), taken_in=row.taken_in or 0):
            reasons.setdefault(making.number(kind, row_id), _CHANGED[kind])
    for row_id in repository.tapped_cards(session, making.ids("assignment")):
        reasons.setdefault(making.number("assignment", row_id), _TAPPED)
    for row_id in repository.tapped_employments(session, making.ids("employment")):
        reasons.setdefault(making.number("employment", row_id), _TAPPED)
    naming = repository.columns_naming(session, "registry_worker")
    for _ in range(PASSES_MAX):
        workers = making.ids("worker", reasons)
        ours = {table: making.ids(kind, reasons) for kind, table in TABLES.items()}
        fresh = {
            making.number("worker", worker_id): _because(table)
            for table, column in naming
            for worker_id in repository.named(session, table, column, workers, but=ours.get(table, []))
        }
        if not fresh:
            break
        reasons = fresh | reasons
    return reasons


_TAPPED = sentence("a tap was recorded with it since: taps are evidence, so what they rest on stays")
_CHANGED = {
    "worker": sentence("the worker was changed since"),
    "employment": sentence("the employment was changed since"),
    "assignment": sentence("the card was taken back or given on since"),
    "papers": sentence("the paper was withdrawn or changed since"),
    "labour": sentence("the labour contract was changed since"),
}
_NAMED = {
    "attendance_event": _TAPPED,
    "attendance_presence": _TAPPED,
    "registry_bar": sentence("the worker was barred since"),
    "registry_card_assignment": sentence("the worker was given another card since"),
    "registry_employment": sentence("the worker was employed elsewhere since"),
    "registry_labour_contract": sentence("a labour contract of the worker was recorded since"),
    "registry_worker": sentence("another entry was merged into the worker since"),
    "registry_worker_paper": sentence("a paper of the worker was recorded since"),
}


def _because(table: str) -> str:
    return _NAMED.get(table) or sentence("something was recorded of the worker since (%(table)s)", table=table)


def _note(
    session: WriteSession, row: Import, ids: Mapping[str, list[int]], *, kept: int, actor: str, now: datetime
) -> None:
    """Name the rows that went, many to an audit row, as they came."""
    acts = [
        audit.Act(
            Tag.IMPORT_UNDO, f"site:{row.site_id}", {"import": row.id, kind: found[at : at + IDS_AN_AUDIT_ROW_MAX]}
        )
        for kind, found in ids.items()
        for at in range(0, len(found), IDS_AN_AUDIT_ROW_MAX)
    ]
    acts.append(audit.Act(Tag.IMPORT_UNDO, f"site:{row.site_id}", {"import": row.id, "rows_kept": kept}))
    audit.record_many(session, actor=actor, acts=acts, now=now)
