"""Two registered workers who are one person: what they hold goes to the one that is kept, and nothing is forgotten.

The other row stays and says who it turned out to be; the audit trail names every row that moved. Taps are never
touched: whose card it was is found anew, as after any change of a holder.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from central.audit import service as audit
from central.audit.tags import Tag
from central.kit.errors import Conflict
from central.kit.sentences import sentence
from central.registry import merge_repository as repository
from central.registry import notices, telephones
from central.registry.present import require_present
from central.registry.refusals import flush

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date, datetime

    from central.kit.db import WriteSession
    from central.kit.sms import Texts
    from central.registry.models import Worker

Spell = tuple[int, "date", "date | None"]
"""Where (the site), from, and the first day after; None while it lasts."""


class NotOnePerson(Conflict):
    """What is on record of the two cannot be one person's, or not by the asker's hand."""

    code = "not_one_person"


@dataclass(frozen=True, slots=True)
class Merged:
    """How many rows of each kind moved."""

    moved: Mapping[str, int]


def clashes(kept: Iterable[Spell], other: Iterable[Spell]) -> list[tuple[Spell, Spell]]:
    """Return the pairs of spells at one place that share a day: nobody is employed twice there at once. Pure."""
    mine = list(kept)
    return [(a, b) for b in other for a in mine if a[0] == b[0] and _share(a, b)]


def _share(a: Spell, b: Spell) -> bool:
    return (b[2] is None or a[1] < b[2]) and (a[2] is None or b[1] < a[2])


def check_one_person(kept: Worker, other: Worker) -> None:
    """Pass two rows that can be one person's, or raise `NotOnePerson`. Pure."""
    if kept.id == other.id:
        raise NotOnePerson("both are the same worker: name the one to keep and the other one", field="other_id")
    for row in (kept, other):
        if row.merged_into_id is not None:
            raise NotOnePerson(
                sentence(
                    "worker %(id)s was merged into worker %(into)s: use that one",
                    id=row.id or 0,
                    into=row.merged_into_id,
                )
            )
    if kept.is_test != other.is_test:
        raise NotOnePerson("one of them is a test worker, who is never counted: they stay apart")
    if kept.worker_no and other.worker_no:
        raise NotOnePerson("each has a number of the association: they are two people, or the association merges first")
    if kept.identity_mark and other.identity_mark and kept.identity_mark != other.identity_mark:
        raise NotOnePerson("their identity numbers differ: they are two people, or one number is wrong")
    if kept.birth_on and other.birth_on and kept.birth_on != other.birth_on:
        raise NotOnePerson(
            sentence(
                "they were born on different days (%(one)s, %(other)s): correct one first",
                one=kept.birth_on.isoformat(),
                other=other.birth_on.isoformat(),
            )
        )


def merge_workers(
    session: WriteSession, *, kept: Worker, other: Worker, reason: str, texts: Texts, actor: str, now: datetime
) -> Merged:
    """Give everything of `other` to `kept`. Refused where it would touch what the asker may not see.

    A telephone or a card that comes with it counts as changed and given now: it opens the worker's own view.
    """
    check_merge(session, kept=kept, other=other, now=now)
    phone_before = (other if other.worker_no else kept).phone
    tokens = repository.tokens_of(session, worker_id=other.id or 0)
    moved = repository.move_rows(session, from_id=other.id or 0, to_id=kept.id or 0)
    repository.note_given(session, moved["card_assignments"], now=now)
    taken = _take_over(session, kept, other)
    other.merged_into_id = kept.id
    flush(session)
    # One step leads from every entry to the one that is kept: what is read or erased of a person needs no second.
    before = repository.point_on(session, from_id=other.id or 0, to_id=kept.id or 0)
    telephones.note_change(session, worker=kept, before=phone_before, texts=texts, actor=actor, now=now)
    notices.tell(session, tokens=tokens, sites=repository.sites_of(session, worker_id=kept.id or 0))
    detail = {"into": kept.id, "reason": reason, "moved": moved, "taken_over": taken, "workers": before}
    audit.record(session, actor=actor, tag=Tag.WORKER_MERGE, subject=f"worker:{other.id}", detail=detail, now=now)
    return Merged({name: len(ids) for name, ids in moved.items()})


def check_merge(session: WriteSession, *, kept: Worker, other: Worker, now: datetime) -> Mapping[str, int]:
    """Pass two rows that may be merged, locked until the commit; return how many rows of each kind would move."""
    first, second = sorted([kept.id or 0, other.id or 0])
    repository.lock_workers(session, [first, second])
    check_one_person(kept, other)
    if repository.held_beyond_reach(session, worker_id=other.id or 0):
        raise NotOnePerson(
            sentence(
                "worker %(id)s also worked where you may not see: ask a system operator to merge them", id=other.id or 0
            )
        )
    if repository.held_beyond_reach(session, worker_id=kept.id or 0):
        require_present(session, worker_id=kept.id or 0, now=now)
    found = clashes(
        repository.spells(session, worker_id=kept.id or 0), repository.spells(session, worker_id=other.id or 0)
    )
    if found:
        site_id, from_on, _ = found[0][1]
        raise NotOnePerson(
            sentence(
                "both were employed on site %(site)s at one time (from %(day)s): end or correct one of the two first",
                site=site_id,
                day=from_on.isoformat(),
            )
        )
    return repository.count_rows(session, worker_id=other.id or 0)


def _take_over(session: WriteSession, kept: Worker, other: Worker) -> list[str]:
    """Fill what the kept row lacks; a number that may stand once only leaves the other row first.

    The identity number stays behind: its seal opens for its own row only. It is entered again where it is needed.
    """
    taken = [
        name
        for name in ("worker_no", "phone", "birth_on", "nationality")
        if getattr(kept, name) is None and getattr(other, name) is not None
    ]
    worker_no = other.worker_no
    if "worker_no" in taken:
        other.worker_no = None
        flush(session)
        kept.worker_no = worker_no
    for name in set(taken) - {"worker_no"}:
        setattr(kept, name, getattr(other, name))
    return taken
