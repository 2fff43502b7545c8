"""Whose objections a request's session shows: an employer's own, a site's wholly, or the worker's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from central.myself.models import Objection, ObjectionEvent
from central.registry.confinement import guard, on_site, own_entries
from central.registry.whose import about

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Table

    from central.identity.policy import Reach


def _rule(reach: Reach) -> ColumnElement[bool]:
    table: Table = Objection.__table__  # type: ignore[attr-defined]  # SQLModel types its tables no further
    if reach.worker_id is not None:
        return table.c.worker_id.in_(own_entries(reach.worker_id))
    return on_site(table, reach)


def _rule_of_events(reach: Reach) -> ColumnElement[bool]:
    events: Table = ObjectionEvent.__table__  # type: ignore[attr-defined]  # as above
    table: Table = Objection.__table__  # type: ignore[attr-defined]  # as above
    return events.c.objection_id.in_(select(table.c.id).where(_rule(reach)))


guard(Objection, _rule)
about(Objection, "worker_id")
guard(ObjectionEvent, _rule_of_events)
