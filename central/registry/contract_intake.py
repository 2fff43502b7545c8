"""Taking a sheet of contracts into a project: all rows or none, faults by row number; and undoing it.

Terms are a history that the database never lets go of: an undone contract stays on record and binds on no day.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from central.audit import service as audit
from central.audit.tags import Tag
from central.kit.errors import AppError
from central.kit.sentences import packed, sentence
from central.registry import contract_repository, import_repository, notices, undo_repository
from central.registry.contract_sheet import Chain, by_word, found_in, plan_line, read_line
from central.registry.contracts import FIRST
from central.registry.intake import NothingTaken, Taken
from central.registry.refusals import saying_why
from central.registry.undoing import Undone

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from central.kit.db import ReadSession, WriteSession
    from central.registry.import_models import Import
    from central.registry.sheet import SheetRow

_ORGANIZATION = ("id", "name", "kind", "business_no", "created_at")
_CONTRACT = ("id", "project_id", "parent_id", "contractor_id", "kind", "work", "created_at")
_VERSION = (
    *("id", "contract_id", "effective_on", "amount_won", "begins_on", "ends_on", "signed_on", "reason"),
    *("recorded_at", "recorded_by"),
)
_EMPLOYER = ("id", "site_id", "organization_id", "tier", "from_on")
_CLOSED = """
UPDATE registry_contract c SET closed_on = v.effective_on
FROM (SELECT contract_id, min(effective_on) AS effective_on FROM registry_contract_version GROUP BY contract_id) v
WHERE c.id = ANY(:ids) AND v.contract_id = c.id RETURNING 1
"""


def take_contracts(  # noqa: PLR0913 - what a run is given
    session: WriteSession,
    rows: Sequence[SheetRow],
    *,
    project_id: int,
    organization_id: int | None = None,
    may_register: bool,
    sites: frozenset[int] | None,
    file: str,
    actor: str,
    now: datetime,
    progress: Callable[[int], None] = lambda _: None,
) -> Taken:
    """Write a sheet's contracts; raise `NothingTaken` if a row is wrong. Whoever wants a dry run rolls back.

    `organization_id`: who asks may write below this organization's contracts only, which the session is confined to.
    `sites`: to which firms may be brought; None: to all.
    """
    taken = Taken(rows=len(rows))
    completed_on = contract_repository.lock_project(session, project_id)
    held = import_repository.project_sites(session, project_id=project_id)
    chain = Chain(
        contracts=dict(contract_repository.chain(session, project_id=project_id, beyond_reach=True)),
        organizations=by_word(import_repository.organizations(session)),
        reachable=None
        if organization_id is None
        else frozenset(contract_repository.chain(session, project_id=project_id)),
        may_register=may_register,
        sites={code: (one, closed_on) for one, code, closed_on in held if sites is None or one in sites},
        at_work=import_repository.firms_at_work(session, [one for one, *_ in held]),
        completed_on=completed_on,
    )
    for done, row in enumerate(rows, 1):
        try:
            taken.already_there += not plan_line(chain, read_line(row))
        except AppError as error:
            taken.refuse(row.number, error.message)
        progress(done)
    if taken.faulty_rows:
        raise NothingTaken.because_of(taken)
    for number, message in found_in(chain):
        taken.notice(number, message)
    _write(session, chain, taken, project_id=project_id, file=file, actor=actor, now=now)
    return taken


def _write(
    session: WriteSession, chain: Chain, taken: Taken, *, project_id: int, file: str, actor: str, now: datetime
) -> None:
    firms = dict(
        zip(chain.fresh, import_repository.new_ids(session, "registry_organization", len(chain.fresh)), strict=True)
    )
    numbers = import_repository.new_ids(session, "registry_contract", len(chain.planned))
    ids = {one.contract.id: number for one, number in zip(chain.planned, numbers, strict=True)}
    versions = import_repository.new_ids(session, "registry_contract_version", len(chain.planned))
    arrivals = list(chain.arrivals.values())
    entries = import_repository.new_ids(session, "registry_site_employer", len(arrivals))
    for key, (row, *_) in chain.fresh.items():
        taken.made.setdefault(row, {})["organization"] = firms[key]
    with saying_why():
        import_repository.copy_rows(
            session,
            "registry_organization",
            _ORGANIZATION,
            [(firms[key], name, kind, number, now) for key, (_, number, name, kind) in chain.fresh.items()],
        )
        made, terms = [], []
        for planned, version in zip(chain.planned, versions, strict=True):
            one, agreed = planned.contract, planned.terms
            parent_id = one.parent_id if one.parent_id is None else ids.get(one.parent_id, one.parent_id)
            contractor_id = firms.get(one.contractor_id, one.contractor_id)
            made.append((ids[one.id], project_id, parent_id, contractor_id, one.kind, one.work, now))
            terms.append(
                (
                    *(version, ids[one.id], agreed.effective_on, agreed.amount_won, agreed.begins_on, agreed.ends_on),
                    *(planned.signed_on, FIRST, now, actor),
                )
            )
            taken.made.setdefault(planned.row, {})["contract"] = ids[one.id]
        import_repository.copy_rows(session, "registry_contract", _CONTRACT, made)
        import_repository.copy_rows(session, "registry_contract_version", _VERSION, terms)
        come = []
        for entry, firm in zip(entries, arrivals, strict=True):
            contractor_id = firms.get(firm.contractor_id, firm.contractor_id)
            come.append((entry, firm.site_id, contractor_id, firm.tier, firm.from_on))
            taken.made.setdefault(firm.row, {})["site_employer"] = entry
        import_repository.copy_rows(session, "registry_site_employer", _EMPLOYER, come)
    taken.counts = +Counter(contracts=len(made), organizations=len(firms), site_employers=len(entries))
    notices.tell_access_changed(session)
    subject = f"project:{project_id}"
    acts = [
        audit.Act(Tag.ORGANIZATION_CREATE, subject, {"file": file, "organizations": sorted(firms.values())}),
        audit.Act(Tag.CONTRACT_CREATE, subject, {"file": file, "contracts": numbers}),
        audit.Act(Tag.SITE_EMPLOYER_CREATE, subject, {"file": file, "site_employers": entries}),
        audit.Act(Tag.IMPORT_RUN, subject, {"file": file, "rows": taken.rows} | dict(taken.counts)),
    ]
    audit.record_many(session, actor=actor, acts=[act for act in acts if [] not in act.detail.values()], now=now)


def look(session: ReadSession | WriteSession, *, row: Import) -> Undone:
    """Say what undoing would do now, changing nothing."""
    made = undo_repository.made_rows(session, row.id or 0)
    reasons = _reasons(session, made, taken_in=row.taken_in or 0)
    return Undone(len(made) - len(reasons), reasons)


def undo_contracts(session: WriteSession, *, row: Import, actor: str, now: datetime) -> Undone:
    """Let the contracts of an import bind on no day, where nothing later stands on them; their contractors stay.

    Whom the import brought to a site is there no more.
    """
    made = undo_repository.made_rows(session, row.id or 0)
    reasons = _reasons(session, made, taken_in=row.taken_in or 0)
    ids = [kinds["contract"] for number, kinds in made if number not in reasons and "contract" in kinds]
    import_repository.rows_of(session, _CLOSED, ids=ids)
    entries = [kinds["site_employer"] for number, kinds in made if number not in reasons and "site_employer" in kinds]
    undo_repository.delete(session, "registry_site_employer", entries)
    going = [number for number, _ in made if number not in reasons]
    kept = {number: packed(why) for number, why in reasons.items()}
    undo_repository.note_rows(session, row.id or 0, going=going, kept=kept, now=now)
    notices.tell_access_changed(session)
    subject, detail = f"project:{row.project_id}", {"import": row.id, "contracts": ids, "rows_kept": len(reasons)}
    detail |= {"site_employers": entries} if entries else {}
    audit.record(session, actor=actor, tag=Tag.IMPORT_UNDO, subject=subject, detail=detail, now=now)
    return Undone(len(going), reasons)


def _reasons(
    session: ReadSession | WriteSession, made: Sequence[tuple[int, dict[str, int]]], *, taken_in: int
) -> dict[int, str]:
    """Return why rows must stay: changed since, other terms since, named by something later, people employed."""
    rows = {kinds["contract"]: number for number, kinds in made if "contract" in kinds}
    ids = list(rows)
    reasons: dict[int, str] = {
        rows[one]: sentence("the contract was changed since")
        for one in undo_repository.written_since(session, "registry_contract", ids, taken_in=taken_in)
    }
    for one in undo_repository.with_later_terms(session, ids):
        reasons.setdefault(rows[one], sentence("the contract has other terms since"))
    entries = {kinds["site_employer"]: number for number, kinds in made if "site_employer" in kinds}
    for one in undo_repository.written_since(session, "registry_site_employer", list(entries), taken_in=taken_in):
        reasons.setdefault(entries[one], sentence("the employer's time on the site was changed since"))
    for one in undo_repository.employing(session, list(entries)):
        reasons.setdefault(entries[one], sentence("the firm employed people on the site since"))
    for table, column in undo_repository.columns_naming(session, "registry_contract"):
        if table == "registry_contract_version":
            continue
        while True:
            staying = [one for one in ids if rows[one] in reasons]
            ours = [one for one in ids if rows[one] not in reasons] if table == "registry_contract" else []
            named = undo_repository.named(session, table, column, [one for one in ids if one not in staying], but=ours)
            fresh = {rows[one]: sentence("something was recorded below the contract since") for one in named}
            if not fresh:
                break
            reasons |= fresh
    return reasons
