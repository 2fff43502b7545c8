"""Imports: a file is given, checked by a dry run, taken whole or not at all, and may be undone.

What a person asks for (`ask`) only moves the import along its table; the work itself goes on outside of the
request (`import_runs`), and ends in one transaction: whatever interrupts it leaves nothing half done.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from central.audit import service as audit
from central.audit.tags import Tag
from central.kit.errors import AppError, Conflict, Invalid, NotFound
from central.kit.sentences import sentence, unpacked
from central.registry import import_repository as repository
from central.registry import sheet
from central.registry.import_models import Import
from central.registry.import_states import IMPORT, RUNNING
from central.registry.refusals import flush

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from central.kit.db import ReadSession, WriteSession

RUNS_MAX = 100
"""That wait or run at one time, wherever."""
RUNS_OF_ONE_MAX = 3
RUN_S_MAX = 120
"""A run that was not heard of for so long is given up for lost."""
WAITING_DAYS_MAX = 7
"""A file that nobody took is thrown away after so long: it holds people's data."""
UNDO_DAYS_MAX = 31


class TooManyRuns(AppError):
    """As many imports wait or run as may."""

    status = 429
    code = "too_many_imports"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sheet belongs: a site's roll or a project's contracts; perhaps one organization's rows only."""

    kind: str
    site_id: int | None = None
    project_id: int | None = None
    organization_id: int | None = None
    code: str = ""

    @property
    def path(self) -> str:
        """Return the place's own address."""
        return f"/sites/{self.code}" if self.site_id is not None else f"/projects/{self.code}"

    @property
    def subject(self) -> str:
        """Return the place as the audit trail names it."""
        return f"site:{self.site_id}" if self.site_id is not None else f"project:{self.project_id}"


def place_of(row: Import) -> Place:
    """Return where an import belongs."""
    return Place(row.kind, row.site_id, row.project_id, row.organization_id)


def upload(session: WriteSession, *, place: Place, file: str, content: bytes, actor: str, now: datetime) -> Import:
    """Keep a file to be checked. Raises `Invalid` for one that is too long or has no name."""
    if not file or len(file) > sheet.FILE_NAME_CHARS_MAX or not content:
        raise Invalid(sentence("choose a file with a table in it"))
    sheet.check_size(file, len(content))
    row = Import(
        kind=place.kind,
        site_id=place.site_id,
        project_id=place.project_id,
        organization_id=place.organization_id,
        file=file,
        digest=hashlib.sha256(content).hexdigest(),
        content=content,
        state="uploaded",
        uploaded_at=now,
        uploaded_by=actor,
    )
    session.add(row)
    flush(session)
    detail = {"import": row.id, "event": "upload", "file": file, "digest": row.digest}
    audit.record(session, actor=actor, tag=Tag.IMPORT_STEP, subject=place.subject, detail=detail, now=now)
    return row


def find(session: ReadSession | WriteSession, place: Place, import_id: int) -> Import:
    """Return a place's import within reach, or raise `NotFound`."""
    row = repository.import_in(session, import_id=import_id, site_id=place.site_id, project_id=place.project_id)
    if row is None or row.kind != place.kind:
        raise NotFound("there is no such import here: see the list of imports")
    return row


def check_room(session: WriteSession, *, actor: str, now: datetime) -> None:
    """Pass while one more import of this person may run, counted until the commit; or raise `TooManyRuns`."""
    runs, of_actor = repository.runs(session, actor=actor, now=now)
    if of_actor >= RUNS_OF_ONE_MAX:
        raise TooManyRuns(
            sentence(
                "%(runs)s of your imports wait or run already, so nothing was begun: wait until one has ended, and try"
                " again",
                runs=of_actor,
            )
        )
    if runs >= RUNS_MAX:
        raise TooManyRuns(sentence("too many imports are waiting, so nothing was begun: try again in a few minutes"))


def say_heard_of(session: WriteSession, ids: Sequence[int], *, now: datetime) -> None:
    """Write down of runs that they are not lost."""
    repository.say_heard_of(session, ids, until=now + timedelta(seconds=RUN_S_MAX))


def ask(session: WriteSession, *, row: Import, event: str, actor: str, now: datetime) -> None:
    """Move an import along as a person asks: check, take, undo or discard. A run that was lost counts as ended."""
    state = row.state
    if state in RUNNING and row.run_until is not None and row.run_until < now:
        state = IMPORT.step(state, "interrupt").next_state
    if event == "undo" and row.taken_at is not None and now - row.taken_at > timedelta(days=UNDO_DAYS_MAX):
        raise Conflict(
            sentence("an import can be undone for %(days)s days: change its rows one by one", days=UNDO_DAYS_MAX)
        )
    step = IMPORT.step(state, event)
    runs = step.next_state in RUNNING
    changes: dict[str, Any] = {
        "rows_done": 0,
        "rows_total": 0,
        "run_until": now + timedelta(seconds=RUN_S_MAX) if runs else None,
    }
    if event == "take":
        changes["taken_by"] = actor
    if event == "undo":
        changes["undone_by"] = actor
    if step.next_state == "discarded":
        changes["content"] = None
    move(session, row.id or 0, from_state=row.state, to_state=step.next_state, changes=changes)
    detail = {"import": row.id, "event": event}
    audit.record(session, actor=actor, tag=Tag.IMPORT_STEP, subject=place_of(row).subject, detail=detail, now=now)


def throw_away_old(session: WriteSession, *, now: datetime) -> int:
    """Empty and end the imports that waited too long; return how many."""
    old = repository.expired(session, before=now - timedelta(days=WAITING_DAYS_MAX))
    for import_id, state in old:
        to_state = IMPORT.step(state, "discard").next_state
        repository.move(session, import_id, from_state=state, to_state=to_state, changes={"content": None})
    return len(old)


def move(session: WriteSession, import_id: int, *, from_state: str, to_state: str, changes: Mapping[str, Any]) -> None:
    """Set an import's state and more, or raise `Conflict` when somebody else moved it meanwhile."""
    if not repository.move(session, import_id, from_state=from_state, to_state=to_state, changes=changes):
        raise Conflict("somebody else moved the import on at this moment: look at it again")


def any_import(session: ReadSession | WriteSession, import_id: int) -> Import:
    """Return an import wherever it belongs, or raise `NotFound`: for commands on the machine."""
    row = session.get(Import, import_id)
    if row is None:
        raise NotFound(sentence("there is no import %(id)s: see the list of imports", id=import_id))
    return row


def kept_rows(session: ReadSession | WriteSession, row: Import) -> list[tuple[int, str]]:
    """Return (row number, reason) of the rows that undoing left, at most 200."""
    return [(one.number, unpacked(one.kept_because or {"text": ""})) for one in repository.kept(session, row.id or 0)]
