"""Whose data a request's session read: noted row by row as it is loaded, so that no page can forget to say so (PRV-01).

What comes without a row of these tables (SQL text, single columns) is named by whoever shows it, with `also`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import event

from central.registry.models import Bar, CardAssignment, Employment, Worker
from central.registry.record_models import LabourContract, WorkerPaper

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.orm import QueryContext
    from sqlmodel import SQLModel

    from central.kit.db import ReadSession, WriteSession

OF_WORKERS: dict[type[SQLModel], str] = {
    Bar: "worker_id",
    CardAssignment: "worker_id",
    Employment: "worker_id",
    LabourContract: "worker_id",
    Worker: "id",
    WorkerPaper: "worker_id",
}
"""Tables whose rows are about one worker, and the column that says which."""
_READ = "registry_whose"


def watch(session: ReadSession | WriteSession) -> None:
    """Note from now on whose rows the session loads."""
    session.info.setdefault(_READ, set())


def also(session: ReadSession, workers: Iterable[int]) -> None:
    """Name workers whose data was read past the tables' rows."""
    session.info.setdefault(_READ, set()).update(workers)


def take(session: ReadSession | WriteSession) -> list[int]:
    """Return the workers noted until now, and begin anew: whoever takes them writes them down."""
    found = sorted(session.info.get(_READ, ()))
    if _READ in session.info:
        session.info[_READ] = set()
    return found


def _note(row: Any, context: QueryContext) -> None:  # noqa: ANN401 - a row of any of the tables
    found = context.session.info.get(_READ)
    if found is not None and not context.execution_options.get("registry_beyond_reach"):
        found.add(getattr(row, OF_WORKERS[type(row)]))


def about(model: type[SQLModel], column: str) -> None:
    """Have the rows of a higher slice's table noted as well; `column` says whose each is."""
    OF_WORKERS[model] = column
    event.listen(model, "load", _note)


for _model in tuple(OF_WORKERS):
    event.listen(_model, "load", _note)
