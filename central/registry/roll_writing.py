"""Writing what a roll brings: ids first, then each table at once, so that the time is the database's own."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from central.audit import service as audit
from central.audit.tags import Tag
from central.registry import import_repository as repository
from central.registry import notices
from central.registry.refusals import saying_why

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from central.kit.db import WriteSession
    from central.registry.roll import Brought, Someone

IDS_AN_AUDIT_ROW_MAX = 500
Made = dict[int, dict[str, Any]]
"""What each row made, by its number: `{"worker": 12, "employment": 31, "papers": [7, 8]}`."""

_WORKER = ("id", "name", "worker_no", "language", "phone", "is_test", "birth_on", "nationality", "created_at")
_EMPLOYMENT = ("id", "worker_id", "site_id", "employer_id", "trade", "from_on", "until_on")
_CARD = ("id", "token", "kind", "state", "created_at")
_ASSIGNMENT = ("id", "card_id", "worker_id", "from_at", "until_at", "given_at")
_PAPER = ("id", "worker_id", "kind", "value", "trade", "number", "from_on", "until_on", "recorded_at", "recorded_by")
_LABOUR = (
    *("id", "worker_id", "site_id", "employer_id", "kind", "wage_won", "wage_per", "minutes_a_day"),
    *("signed_on", "from_on", "until_on", "created_at"),
)
_ISSUED = """
WITH moved AS (
    UPDATE registry_card SET state = 'issued' WHERE id = ANY(:cards) AND state = 'stock' RETURNING id
)
INSERT INTO registry_card_event (card_id, event, from_state, to_state, at, recorded_at, recorded_by, note)
SELECT id, 'issue', 'stock', 'issued', :now, :now, :actor, '' FROM moved
RETURNING 1
"""
_SITES = "SELECT DISTINCT site_id FROM registry_employment WHERE worker_id = ANY(:workers)"


class Writing:
    """Writes a plan, a table at a time, and tells the audit trail which rows it made."""

    def __init__(self, session: WriteSession, *, site_id: int, file: str, actor: str, now: datetime) -> None:
        self._session = session
        self._site_id = site_id
        self._file = file
        self._actor = actor
        self._now = now
        self._made: defaultdict[int, dict[str, Any]] = defaultdict(dict)

    def write(self, plan: Sequence[Brought], cards: dict[str, int | None]) -> Made:
        """Insert what the rows bring; `cards` are the registered ones. Refused when others registered it meanwhile."""
        with saying_why():
            self._workers([one for one in plan if one.is_new])
            self._employments([one for one in plan if one.spell is not None])
            self._cards(plan, cards)
            self._papers(plan)
            self._labour([one for one in plan if one.labour is not None])
        tokens = [one.held[0] for one in plan if one.held is not None]
        sites = self._sites([one.who for one in plan if one.held is not None]) | ({self._site_id} if plan else set())
        notices.tell(self._session, tokens=tokens, sites=sites)
        return dict(self._made)

    def _workers(self, plan: Sequence[Brought]) -> None:
        ids = repository.new_ids(self._session, "registry_worker", len(plan))
        for one, worker_id in zip(plan, ids, strict=True):
            one.who.id = worker_id
            self._made[one.row]["worker"] = worker_id
        rows = [
            (
                *(who.id, who.name, who.entry.worker_no, who.facts.language, who.facts.phone, False),
                *(who.facts.birth_on, who.facts.nationality, self._now),
            )
            for one in plan
            if (who := one.who).entry is not None
        ]
        self._copy("registry_worker", _WORKER, rows)
        self._note(Tag.WORKER_CREATE, "workers", ids)

    def _employments(self, plan: Sequence[Brought]) -> None:
        ids = repository.new_ids(self._session, "registry_employment", len(plan))
        rows = []
        for one, row_id in zip(plan, ids, strict=True):
            if one.spell is not None:
                rows.append((row_id, one.who.id, self._site_id, *one.spell))
                self._made[one.row]["employment"] = row_id
        self._copy("registry_employment", _EMPLOYMENT, rows)
        self._note(Tag.EMPLOYMENT_CREATE, "employments", ids)

    def _cards(self, plan: Sequence[Brought], cards: dict[str, int | None]) -> None:
        """Register the cards that are new, then say whose they are."""
        fresh = [(one.row, one.card) for one in plan if one.card is not None]
        ids = repository.new_ids(self._session, "registry_card", len(fresh))
        for (row, token), card_id in zip(fresh, ids, strict=True):
            cards[token] = card_id
            self._made[row]["card"] = card_id
        rows = [(cards[token], token, "card", "stock", self._now) for _, token in fresh]
        self._copy("registry_card", _CARD, rows)
        self._note(Tag.CARD_CREATE, "cards", ids)
        given = [(one.row, *one.held) for one in plan if one.held is not None]
        row_ids = repository.new_ids(self._session, "registry_card_assignment", len(given))
        holdings = []
        for (row, token, held), row_id in zip(given, row_ids, strict=True):
            holdings.append((row_id, cards[token], held.who.id, held.from_at, held.until_at, self._now))
            self._made[row]["assignment"] = row_id
        self._copy("registry_card_assignment", _ASSIGNMENT, holdings)
        self._note(Tag.CARD_ASSIGN, "assignments", row_ids)
        held_cards = [cards[token] for _, token, _ in given]
        if held_cards:
            repository.rows_of(self._session, _ISSUED, cards=held_cards, now=self._now, actor=self._actor)

    def _papers(self, plan: Sequence[Brought]) -> None:
        papers = [(one, paper) for one in plan for paper in one.papers]
        ids = repository.new_ids(self._session, "registry_worker_paper", len(papers))
        rows = []
        for (one, paper), row_id in zip(papers, ids, strict=True):
            rows.append((row_id, one.who.id, *paper, self._now, self._actor))
            self._made[one.row].setdefault("papers", []).append(row_id)
        self._copy("registry_worker_paper", _PAPER, rows)
        self._note(Tag.WORKER_PAPER_CREATE, "papers", ids)

    def _labour(self, plan: Sequence[Brought]) -> None:
        ids = repository.new_ids(self._session, "registry_labour_contract", len(plan))
        rows = []
        for one, row_id in zip(plan, ids, strict=True):
            if one.labour is not None:
                rows.append((row_id, one.who.id, self._site_id, *one.labour, self._now))
                self._made[one.row]["labour"] = row_id
        self._copy("registry_labour_contract", _LABOUR, rows)
        self._note(Tag.LABOUR_CONTRACT_CREATE, "labour_contracts", ids)

    def _sites(self, people: Iterable[Someone]) -> set[int]:
        workers = [who.id for who in people]
        return {row[0] for row in repository.rows_of(self._session, _SITES, workers=workers)} if workers else set()

    def _copy(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        if rows:
            repository.copy_rows(self._session, table, columns, rows)

    def _note(self, tag: Tag, what: str, ids: Sequence[int]) -> None:
        """Name the rows made, many to an audit row: the chain is locked for a moment, not for a row's time each."""
        parts = [list(ids[start : start + IDS_AN_AUDIT_ROW_MAX]) for start in range(0, len(ids), IDS_AN_AUDIT_ROW_MAX)]
        acts = [audit.Act(tag, f"site:{self._site_id}", {"file": self._file, what: part}) for part in parts]
        audit.record_many(self._session, actor=self._actor, acts=acts, now=self._now)
