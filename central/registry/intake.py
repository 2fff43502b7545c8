"""Taking a whole roll into a site: all rows or none, faults by row number; taking it twice changes nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from central.audit import service as audit
from central.audit.tags import Tag
from central.kit.errors import AppError, Invalid
from central.registry import places, repository, rules, workers
from central.registry.refusals import Overlap

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from central.kit.db import WriteSession
    from central.registry.models import Site, Worker
    from central.registry.sheet import SheetRow

FAULTS_MAX = 50


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a row."""

    row: int
    message: str


@dataclass(slots=True)
class Taken:
    """What a roll brought, or would bring."""

    rows: int = 0
    workers: int = 0
    employments: int = 0
    cards: int = 0
    already_there: int = 0
    """Rows that changed nothing."""
    faults: list[Fault] = field(default_factory=list)


class NothingTaken(AppError):
    """The transaction is to be rolled back: rows were wrong, or it was a dry run. `taken` says what would have been."""

    status = 422
    code = "import_refused"

    def __init__(self, message: str, taken: Taken) -> None:
        super().__init__(message, faults=[{"row": fault.row, "message": fault.message} for fault in taken.faults])
        self.taken = taken


def take_roll(  # noqa: PLR0913 - what a run is given
    session: WriteSession,
    rows: Sequence[SheetRow],
    *,
    site_code: str,
    file: str,
    card_key: bytes | None,
    actor: str,
    now: datetime,
    dry_run: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> Taken:
    """Register workers, employments and cards of a roll; raise `NothingTaken` unless every row is right.

    Each row is tried in its own savepoint, so that one run names the faults of many rows (at most 50).
    """
    site = places.site_by_code(session, code=site_code)
    intake = _Intake(session, site=site, card_key=card_key, actor=actor, now=now)
    taken = intake.taken
    for done, row in enumerate(rows, 1):
        taken.rows = done
        try:
            with session.begin_nested():
                intake.take(row)
        except AppError as error:
            taken.faults.append(Fault(row.number, error.message))
            if len(taken.faults) >= FAULTS_MAX:
                break
        progress(done)
    if taken.faults:
        raise NothingTaken(
            f"{len(taken.faults)} rows are wrong, so nothing was taken: correct them and import again", taken
        )
    if dry_run:
        raise NothingTaken("a dry run: every row is right, and nothing was taken", taken)
    detail = {"file": file, "rows": taken.rows, "workers": taken.workers, "cards": taken.cards}
    audit.record(session, actor=actor, tag=Tag.IMPORT_RUN, subject=f"site:{site.id}", detail=detail, now=now)
    return taken


class _Intake:
    """One run over a roll."""

    def __init__(self, session: WriteSession, *, site: Site, card_key: bytes | None, actor: str, now: datetime) -> None:
        self._session = session
        self._site = site
        self._site_id = site.id or 0
        self._zone = ZoneInfo(site.timezone)
        self._card_key = card_key
        self._actor = actor
        self._now = now
        self._employers = repository.employers_by_word(session, site_id=self._site_id)
        self.taken = Taken()

    def take(self, row: SheetRow) -> None:
        cells = row.cells
        from_on = _day(cells["from_on"], "from_on")
        until_on = _day(cells["until_on"], "until_on") if cells.get("until_on") else None
        employer_id = self._employer(cells["employer"])
        trade = rules.trade_code(cells["trade"])
        token = self._token(cells)
        found = self._find(cells, token)
        worker = found or self._register(cells)
        employed = self._employ(worker, employer_id=employer_id, trade=trade, from_on=from_on, until_on=until_on)
        carded = token is not None and self._card(worker, token, from_on=from_on)
        if found is not None and not employed and not carded:
            self.taken.already_there += 1
        self.taken.workers += found is None
        self.taken.employments += employed
        self.taken.cards += carded

    def _employer(self, word: str) -> int:
        if not word:
            raise Invalid("employer is empty: give its business number or its name")
        digits = word.replace("-", "").replace(" ", "")
        employer_id = self._employers.get(digits) or self._employers.get(word)
        if employer_id is None:
            raise Invalid(f"employer {word!r} does not work on this site: register it there first, or check the name")
        return employer_id

    def _token(self, cells: dict[str, str]) -> str | None:
        uid, token = cells.get("card_uid") or None, cells.get("card_token") or None
        return None if uid is None and token is None else rules.token_of(token=token, uid=uid, card_key=self._card_key)

    def _find(self, cells: dict[str, str], token: str | None) -> Worker | None:
        """Find the row's worker by number, else by card; refuse one who goes by another name."""
        name = cells["name"]
        if not name:
            raise Invalid("name is empty")
        worker = None
        if cells.get("worker_no"):
            worker = repository.worker_by_number(self._session, cells["worker_no"])
        elif token is not None:
            worker = repository.holder_now(self._session, token=token, now=self._now)
        if worker is not None and worker.name != name:
            what = "worker number" if cells.get("worker_no") else "card"
            raise Invalid(f"the {what} belongs to worker {worker.id}, who is registered under another name: check both")
        return worker

    def _register(self, cells: dict[str, str]) -> Worker:
        return workers.register_worker(
            self._session,
            name=_within(cells["name"], "name", 100),
            worker_no=cells.get("worker_no") or None,
            language=_within(cells.get("language") or "ko", "language", 8),
            phone=cells.get("phone") or None,
            actor=self._actor,
            now=self._now,
        )

    def _employ(self, worker: Worker, *, employer_id: int, trade: str, from_on: date, until_on: date | None) -> bool:
        worker_id = worker.id or 0
        if repository.same_employment(
            self._session,
            worker_id=worker_id,
            site_id=self._site_id,
            employer_id=employer_id,
            trade=trade,
            from_on=from_on,
            until_on=until_on,
        ):
            return False
        workers.employ(
            self._session,
            worker_id=worker_id,
            site_id=self._site_id,
            employer_id=employer_id,
            trade=trade,
            from_on=from_on,
            until_on=until_on,
            actor=self._actor,
            now=self._now,
        )
        return True

    def _card(self, worker: Worker, token: str, *, from_on: date) -> bool:
        holder = repository.holder_now(self._session, token=token, now=self._now)
        if holder is not None and holder.id == worker.id:
            return False
        if holder is not None:
            raise Overlap("the card belongs to another worker now: end that assignment first, or check the card")
        card = repository.card_by_token(self._session, token)
        if card is None:
            card = workers.register_card(self._session, token=token, actor=self._actor, now=self._now)
        midnight = datetime.combine(from_on, time.min, tzinfo=self._zone)
        workers.assign_card(
            self._session,
            card=card,
            worker_id=worker.id or 0,
            from_at=min(midnight, self._now),
            until_at=None,
            actor=self._actor,
            now=self._now,
        )
        return True


def _day(text: str, column: str) -> date:
    parts = re.split(r"[-./]", re.sub(r"\s", "", text).rstrip("."))
    try:
        year, month, day = (int(part) for part in parts)
        return date(year, month, day)
    except ValueError as error:
        raise Invalid(f"{column} is {text!r}: expected a date like 2026-11-22") from error


def _within(text: str, column: str, chars_max: int) -> str:
    if len(text) > chars_max:
        raise Invalid(f"{column} has {len(text)} characters: at most {chars_max}")
    return text
