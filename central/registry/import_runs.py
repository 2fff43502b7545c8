"""The work of imports: checking, taking, undoing, each outside of a request and in one transaction.

A run is confined to what its asker reaches, tells how far it is, and writes down how it ended.
"""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import structlog
from sqlalchemy.exc import SQLAlchemyError

from central.kit.db import read_session, trial_session, write_session
from central.kit.errors import AppError
from central.kit.sentences import packed, sentence
from central.registry import contract_intake, intake, reading, undoing
from central.registry import import_repository as repository
from central.registry.columns import FORMS
from central.registry.confinement import confine
from central.registry.guesses import Guesses
from central.registry.import_models import Import
from central.registry.import_states import IMPORT
from central.registry.imports import RUN_S_MAX, move
from central.registry.models import Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine

    from central.identity.policy import Reach
    from central.kit.clock import Clock
    from central.kit.db import ReadSession, WriteSession
    from central.registry.intake import Taken

TELL_EVERY_S = 0.3
ROWS_A_LOOK = 100

_log = structlog.get_logger()


class Interrupted(AppError):
    """The process that does it ends."""

    status = 503
    code = "import_interrupted"


@dataclass(frozen=True, slots=True)
class Asker:
    """On whose behalf an import runs, and what they may write."""

    actor: str
    reach: Reach | None = None
    """What they reach; None: the system itself."""
    may_register: bool = False
    """Whether unknown firms may be registered."""
    sites: frozenset[int] | None = None
    """The sites to which firms may be brought; None: all."""


class Run:
    """Does what an import's state asks for, once, confined to what its asker reaches."""

    def __init__(
        self,
        engine: Engine,
        import_id: int,
        *,
        asker: Asker,
        card_key: bytes | None,
        clock: Clock,
        progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._engine = engine
        self.import_id = import_id
        self._asker = asker
        self._card_key = card_key
        self._clock = clock
        self._progress = progress
        self._at_s = 0.0
        self._stopped: Callable[[], bool] = lambda: False

    def __call__(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """Run to the end and write down how it ended; `stopped` is asked at each row whether to leave off."""
        self._stopped = stopped
        with read_session(self._engine) as session:
            row = self._row(session)
        work = {"checking": self._check, "taking": self._take, "undoing": self._undo}.get(row.state)
        if work is None:
            return
        try:
            self._go_on()
            work(row)
        except intake.NothingTaken as refusal:
            self._end(row, "refuse", _told(refusal.taken))
        except Interrupted as ended:
            self._end(row, "interrupt", {"error": packed(ended.message)})
        except AppError as refusal:
            self._end(row, "interrupt" if row.state == "undoing" else "refuse", {"error": packed(refusal.message)})
        except (psycopg.Error, SQLAlchemyError) as error:
            _log.error("import_failed", id=self.import_id, error=str(error).strip()[:300])
            self._end(row, "interrupt", {"error": packed(sentence("The database refused it. Try again in a moment."))})

    def _check(self, row: Import) -> None:
        """Write everything, so that the database has its say as well, and let none of it stay."""
        with trial_session(self._engine) as session:
            if self._asker.reach is not None:
                confine(session, self._asker.reach)
            taken = self._apply(session, row)
        self._end(row, "pass", _told(taken))

    def _take(self, row: Import) -> None:
        now = self._clock.now()
        with self._writing() as session:
            taken = self._apply(session, row)
            repository.copy_rows(
                session,
                "registry_import_row",
                ("import_id", "number", "made"),
                ((self.import_id, number, json.dumps(made)) for number, made in taken.made.items()),
            )
            changes = {
                "found": _told(taken),
                "content": None,
                "rows_done": taken.rows,
                "run_until": None,
                "taken_at": now,
                "taken_in": repository.transaction(session),
            }
            to_state = IMPORT.step("taking", "finish").next_state
            move(session, self.import_id, from_state="taking", to_state=to_state, changes=changes)

    def _undo(self, row: Import) -> None:
        now = self._clock.now()
        self._tell(0, total=row.found["rows"])
        with self._writing() as session:
            undo = undoing.undo_roll if row.kind == "roll" else contract_intake.undo_contracts
            done = undo(session, row=row, actor=self._asker.actor, now=now)
            undone = row.found.get("undone", 0) + done.rows
            told = {"undone": undone, "kept": len(done.reasons), "error": None}
            changes = {"run_until": None, "undone_at": now, "found": row.found | told}
            to_state = IMPORT.step("undoing", "finish_partly" if done.reasons else "finish").next_state
            move(session, self.import_id, from_state="undoing", to_state=to_state, changes=changes)

    def _apply(self, session: WriteSession, row: Import) -> Taken:
        """Write what the sheet brings into the open transaction."""
        rows = reading.read(row.content or b"", file=row.file, form=FORMS[row.kind])
        self._tell(0, total=len(rows))
        now = self._clock.now()
        if row.kind == "contracts":
            return contract_intake.take_contracts(
                session,
                rows,
                project_id=row.project_id or 0,
                organization_id=row.organization_id,
                may_register=self._asker.may_register,
                sites=self._asker.sites,
                file=row.file,
                actor=self._asker.actor,
                now=now,
                progress=self._tell,
            )
        return intake.take_roll(
            session,
            rows,
            site=session.get_one(Site, row.site_id or 0),
            employer_id=row.organization_id,
            file=row.file,
            card_key=self._card_key,
            actor=self._asker.actor,
            guesses=Guesses(self._engine, self._asker.actor, self._asker.reach, now=now),
            now=now,
            progress=self._tell,
        )

    def _row(self, session: ReadSession | WriteSession) -> Import:
        return session.get_one(Import, self.import_id)

    @contextmanager
    def _writing(self) -> Iterator[WriteSession]:
        with write_session(self._engine) as session:
            if self._asker.reach is not None:
                confine(session, self._asker.reach)
            yield session

    def _tell(self, done: int, *, total: int | None = None) -> None:
        """Say how far it is, now and then: other processes read it from the import's row."""
        self._go_on()
        if total is None and done % ROWS_A_LOOK:
            return
        self._progress(done)
        at_s = time.monotonic()
        if total is None and at_s - self._at_s < TELL_EVERY_S:
            return
        self._at_s = at_s
        with write_session(self._engine) as session:
            until = self._clock.now() + timedelta(seconds=RUN_S_MAX)
            repository.tell_progress(session, self.import_id, done=done, total=total, until=until)

    def _go_on(self) -> None:
        if self._stopped():
            raise Interrupted(
                sentence("The server is being started anew, so nothing was changed. Begin again in a minute.")
            )

    def _end(self, row: Import, event: str, outcome: dict[str, Any]) -> None:
        step = IMPORT.step(row.state, event)
        kept = row.found if event == "interrupt" else {}
        changes = {"found": kept | outcome, "run_until": None, "rows_done": outcome.get("rows", 0)}
        with write_session(self._engine) as session:
            move(session, self.import_id, from_state=row.state, to_state=step.next_state, changes=changes)


def _told(taken: Taken) -> dict[str, Any]:
    """Write down what a run found, for pages of any language."""
    return {
        "rows": taken.rows,
        "counts": dict(taken.counts),
        "already_there": taken.already_there,
        "faulty_rows": taken.faulty_rows,
        "faults": [[fault.row, packed(fault.message)] for fault in taken.faults],
        "notices": [[fault.row, packed(fault.message)] for fault in taken.notices],
        "error": packed(taken.stopped_by) if taken.stopped_by else None,
    }
