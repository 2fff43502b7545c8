"""One act on many chosen workers: what it would change is worked out first, and only exactly that is then done.

Each change is the use case that its own page would call, so it keeps that one's rules and leaves its own audit row.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlmodel import col, select

from central.kit.errors import Conflict, Invalid
from central.kit.sentences import sentence
from central.registry import cards, places, present, repository, rules, workers
from central.registry.models import Card, CardAssignment, Employment, Organization, Site, Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import date, datetime

    from central.kit.db import ReadSession, WriteSession

CHOSEN_MAX = 200


@dataclass(frozen=True, slots=True)
class Change:
    """What the act does to one worker, in words; `apply` is None when it changes nothing, and the words say why."""

    worker: Worker
    words: str
    apply: Callable[[WriteSession, str, datetime], object] | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """What the act was asked with; unused fields are empty."""

    act: str
    site: str = ""
    on: date | None = None
    """`end`: the first day without the employment; `employ`: its first day."""
    employer: str = ""
    """Business number, or exact name, of an employer of the site."""
    trade: str = ""


class PlanChanged(Conflict):
    """What would be done is no longer what was shown."""

    code = "plan_changed"


def plan(session: WriteSession, ids: Iterable[int], terms: Terms, *, now: datetime) -> list[Change]:
    """Work out what the act would change, by worker's name. The session shows only whom the asker may change."""
    found = people(session, ids)
    if terms.act == "block":
        return _blocks(session, found, now=now)
    site = places.site_by_code(session, code=terms.site)
    if terms.on is None:
        raise Invalid(sentence("give a date"))
    return _ends(session, found, site, terms.on) if terms.act == "end" else _employs(session, found, site, terms)


def people(session: ReadSession | WriteSession, ids: Iterable[int]) -> Sequence[Worker]:
    """Return the chosen workers within reach, by name."""
    chosen = sorted(set(ids))
    if not chosen:
        raise Invalid(sentence("choose at least one worker in the list"))
    if len(chosen) > CHOSEN_MAX:
        raise Invalid(sentence("too many workers are chosen: at most %(max)s at a time", max=CHOSEN_MAX))
    query = select(Worker).where(col(Worker.id).in_(chosen), col(Worker.merged_into_id).is_(None))
    return session.exec(query.order_by(col(Worker.name), col(Worker.id))).all()


def digest(changes: Sequence[Change]) -> str:
    """Name a plan, so that what is done is what was shown."""
    text = "\n".join(f"{one.worker.id}:{one.apply is not None}:{one.words}" for one in changes)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def carry_out(session: WriteSession, changes: Sequence[Change], *, shown: str, actor: str, now: datetime) -> int:
    """Do all of a plan or none; return how many workers it changed. Raises `PlanChanged` when it is another by now."""
    if digest(changes) != shown:
        raise PlanChanged(sentence("something changed since this was shown: look at it again"))
    done = 0
    for one in changes:
        if one.apply is not None:
            one.apply(session, actor, now)
            done += 1
    return done


def _ends(session: WriteSession, people: Sequence[Worker], site: Site, on: date) -> list[Change]:
    query = (
        select(Employment, Organization.name)
        .join(Organization, col(Organization.id) == col(Employment.employer_id))
        .where(
            Employment.site_id == site.id,
            col(Employment.worker_id).in_([one.id for one in people]),
            col(Employment.until_on).is_(None) | (col(Employment.until_on) > on),
        )
        .order_by(col(Employment.from_on), col(Employment.id))
    )
    spells: dict[int, list[tuple[Employment, str]]] = {}
    for spell, firm in session.exec(query).all():
        spells.setdefault(spell.worker_id, []).append((spell, firm))
    return [_end(one, spells.get(one.id or 0, []), site, on) for one in people]


def _end(who: Worker, spells: Sequence[tuple[Employment, str]], site: Site, on: date) -> Change:
    if not spells:
        return Change(who, sentence("not employed on this site on that day: nothing to end"))
    spell, firm = spells[0]
    if len(spells) > 1 or spell.from_on >= on:
        later = max(one.from_on for one, _ in spells).isoformat()
        return Change(who, sentence("an employment begins on %(day)s: choose a later day, or end it alone", day=later))
    row_id, site_id = spell.id or 0, site.id or 0
    return Change(
        who,
        sentence("the employment by %(firm)s ends: %(day)s is the first day without it", firm=firm, day=on.isoformat()),
        lambda session, actor, now: workers.end_employment(
            session, site_id=site_id, row_id=row_id, until_on=on, actor=actor, now=now
        ),
    )


def _employs(session: WriteSession, people: Sequence[Worker], site: Site, terms: Terms) -> list[Change]:
    """Plan to employ people; who is employed there already is ended the same day, which moves them over."""
    if terms.on is None:
        raise Invalid(sentence("give a date"))
    on, trade = terms.on, rules.trade_code(terms.trade) if terms.trade else ""
    words = repository.employers_by_word(session, site_id=site.id or 0)
    employer_id = words.get(terms.employer.replace("-", "").replace(" ", "")) or words.get(terms.employer)
    if employer_id is None:
        raise Invalid(
            sentence(
                "no employer of the site is called %(name)s: compare with the site's page", name=repr(terms.employer)
            )
        )
    query = select(Employment).where(
        Employment.site_id == site.id,
        col(Employment.worker_id).in_([one.id for one in people]),
        col(Employment.until_on).is_(None) | (col(Employment.until_on) > on),
    )
    present: dict[int, list[Employment]] = {}
    for spell in session.exec(query).all():
        present.setdefault(spell.worker_id, []).append(spell)
    return [
        _employ(one, present.get(one.id or 0, []), site, employer_id=employer_id, trade=trade, on=on) for one in people
    ]


def _employ(who: Worker, spells: Sequence[Employment], site: Site, *, employer_id: int, trade: str, on: date) -> Change:
    now_on = spells[0] if spells else None
    if len(spells) > 1 or (now_on is not None and now_on.from_on >= on):
        return Change(who, sentence("an employment on this site begins on that day or later: change it alone"))
    kept = trade or (now_on.trade if now_on is not None else "")
    if not kept:
        return Change(who, sentence("no trade is known: choose one"))
    if now_on is not None and (now_on.employer_id, now_on.trade) == (employer_id, kept):
        return Change(who, sentence("employed so already: nothing changes"))
    worker_id, site_id, ending = who.id or 0, site.id or 0, now_on.id if now_on is not None else None

    def apply(session: WriteSession, actor: str, now: datetime) -> None:
        if ending is not None:
            workers.end_employment(session, site_id=site_id, row_id=ending, until_on=on, actor=actor, now=now)
        given = {"worker_id": worker_id, "site_id": site_id, "employer_id": employer_id}
        workers.employ(session, **given, trade=kept, from_on=on, until_on=None, actor=actor, now=now)

    if ending is None:
        words = sentence("employed from %(day)s (%(trade)s)", day=on.isoformat(), trade=kept)
    else:
        words = sentence(
            "the present employment ends and the new one begins on %(day)s (%(trade)s)", day=on.isoformat(), trade=kept
        )
    return Change(who, words, apply)


def _blocks(session: WriteSession, people: Sequence[Worker], *, now: datetime) -> list[Change]:
    query = (
        select(CardAssignment, Card)
        .join(Card, col(Card.id) == col(CardAssignment.card_id))
        .where(
            col(CardAssignment.worker_id).in_([one.id for one in people]),
            col(CardAssignment.from_at) <= now,
            col(CardAssignment.until_at).is_(None) | (col(CardAssignment.until_at) > now),
        )
        .order_by(col(CardAssignment.id))
    )
    held: dict[int, list[tuple[int, Card]]] = {}
    for holding, card in session.exec(query).all():
        held.setdefault(holding.worker_id, []).append((holding.id or 0, card))
    own = present.writable_among(session, [one.id or 0 for one in people], now=now)
    return [_block(one, held.get(one.id or 0, []), own=one.id in own) for one in people]


def _block(who: Worker, held: Sequence[tuple[int, Card]], *, own: bool) -> Change:
    if not own:
        return Change(who, sentence("on none of your rolls any more: who employs them today blocks a card"))
    if not held:
        return Change(who, sentence("holds no card: nothing to block"))

    def apply(session: WriteSession, actor: str, now: datetime) -> None:
        for row_id, card in held:
            cards.release_card(session, card=card, row_id=row_id, until_at=now, reason="blocked", actor=actor, now=now)

    tokens = ", ".join(card.token[:8] for _, card in held)
    return Change(who, sentence("blocked, and nobody's: %(cards)s", cards=tokens), apply)
