"""Two entries of one person: which is the other one, a second look at both, one entry."""

# ruff: noqa: FAST003 - the worker's dependency reads {worker_id}; dependencies are parameters

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from central.identity.asking import texts_of
from central.identity.guards import CurrentActor
from central.identity.permissions import Permission
from central.kit.db import ReadSession
from central.kit.forms import Filled, Form, FormSent, Posted, Second, say, show, submit
from central.kit.web import language_of, translate
from central.registry import inputs, merging, typed, wording, workers
from central.registry.endpoints import Now, RowId
from central.registry.models import Worker
from central.registry.record_endpoints import MergeWriting, WorkerToMerge
from central.registry.sessions import confined_reading
from central.registry.worker_pages import form_about, page_of_worker

router = APIRouter(include_in_schema=False)
RowNumberAsked = Annotated[int | None, Query(ge=1, le=2**63 - 1)]
MergeReading = Annotated[ReadSession, Depends(confined_reading(Permission.REGISTRY_WORKER_MERGE))]


@router.get("/workers/{worker_id}/merge")
def ask_to_merge(request: Request, worker_id: RowId, session: MergeReading, other: RowNumberAsked = None) -> Response:
    """Ask which other entry is the same person; the address may name it."""
    row = workers.worker(session, worker_id=worker_id)
    return show(request, _merge_form(request, row), Filled({"other_id": str(other)} if other else {}))


@router.post("/workers/{worker_id}/merge", dependencies=[FormSent])
def merge(
    request: Request, kept: WorkerToMerge, posted: Posted, actor: CurrentActor, session: MergeWriting, now: Now
) -> Response:
    """Give everything of the other entry to this one, after a second look at both."""
    form = _merge_form(request, kept)

    def act(given: typed.MergeTyped) -> str:
        other = workers.worker(session, worker_id=given.other_id)
        texts = texts_of(request)
        merging.merge_workers(
            session, kept=kept, other=other, reason=given.reason, texts=texts, actor=actor.key, now=now
        )
        return page_of_worker(kept)

    def look(given: typed.MergeTyped) -> Second:
        other = workers.worker(session, worker_id=given.other_id)
        counts = merging.check_merge(session, kept=kept, other=other, now=now)
        words = ", ".join(
            f"{wording.word(language_of(request), wording.MOVED, name)} {count}"
            for name, count in counts.items()
            if count
        )
        lines = [
            translate(request, "Kept: %(who)s", who=_who(kept)),
            translate(request, "Closed, and pointing to the one that is kept: %(who)s", who=_who(other)),
            translate(request, "What moves: %(what)s", what=words or "—"),
            translate(request, "Taps stay as they are and count for the one that is kept."),
        ]
        return Second(translate(request, "Are these two one person?"), lines, translate(request, "Merge them"))

    done = say("The two entries are one now.")
    return submit(request, session, form, posted, typed.MergeTyped, act, done=done, look=look)


def _who(row: Worker) -> str:
    facts = (row.name, row.worker_no, row.birth_on, row.nationality)
    return " · ".join(str(one) for one in facts if one)


def _merge_form(request: Request, row: Worker) -> Form:
    title = translate(request, "Merge another entry into: %(name)s", name=row.name)
    action = translate(request, "Look at what moves")
    return form_about(request, row, title, inputs.merge(), action=action)
