from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from central.audit import service
from central.audit.models import AuditEvent
from central.audit.search import Wanted, query_of
from central.audit.tags import Tag
from central.kit.db import read_session, write_session
from central.kit.errors import Invalid

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
ACTS: tuple[tuple[str, Tag, str, dict[str, Any]], ...] = (
    ("user:1", Tag.WORKER_CREATE, "worker:17", {"is_test": False}),
    ("user:2", Tag.EMPLOYMENT_CREATE, "employment:5", {"worker_id": 17, "site_id": 7}),
    ("user:2", Tag.PEOPLE_LOOK, "site:7", {"people": 2, "workers": [16, 17]}),
    ("token:4", Tag.WORKER_LOOK, "/workers", {"workers": [16]}),
    ("user:1", Tag.WORKER_MERGE, "worker:16", {"into": 17, "moved": {"cards": [1]}}),
    ("user:1", Tag.WORKER_EXPORT, "workers", {"workers": 2_000}),
    ("user:1", Tag.SITE_AMEND, "worker:", {"worker_id": ["16", "17"]}),
)


@pytest.fixture
def trail(central_engine: Engine) -> Engine:
    for number, (actor, tag, subject, detail) in enumerate(ACTS):
        with write_session(central_engine) as session:
            at = NOW + timedelta(hours=number)
            service.record(session, actor=actor, tag=tag, subject=subject, detail=detail, now=at)
    return central_engine


def found(engine: Engine, **wanted: Any) -> list[int]:
    """The acts found, by their place in `ACTS`."""
    with read_session(engine) as session:
        rows = session.exec(query_of(Wanted(**wanted)).order_by(AuditEvent.id)).all()  # type: ignore[arg-type]  # a column
    return [(row.at - NOW) // timedelta(hours=1) for row in rows]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, [0, 1, 2, 3, 4, 5, 6]),
        ({"actors": ["user:2", "token:4"]}, [1, 2, 3]),
        ({"actors": []}, []),
        ({"what": "worker:look"}, [3]),
        ({"what": "worker"}, [0, 3, 4, 5]),
        ({"subject": "site:7"}, [2]),
        ({"subject": "worker:*"}, [0, 4, 6]),
        ({"workers": [17]}, [0, 1, 2, 4]),
        ({"workers": [16]}, [2, 3, 4]),
        ({"workers": [18]}, []),
        ({"from_at": NOW + timedelta(hours=2), "until_at": NOW + timedelta(hours=4)}, [2, 3]),
    ],
)
def test_acts_are_found_by_who_what_whose_and_when(trail: Engine, wanted: dict[str, Any], expected: list[int]) -> None:
    assert found(trail, **wanted) == expected


def test_a_tag_that_does_not_exist_is_refused(trail: Engine) -> None:
    with pytest.raises(Invalid, match="no act that is recorded"):
        found(trail, what="worker:eat")


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ({"actors": ["user:1"]}, "ix_audit_event_actor_at_id"),
        ({"what": "worker:look"}, "ix_audit_event_tag_at_id"),
        ({"subject": "site:7"}, "ix_audit_event_subject_at_id"),
        ({"workers": [17]}, "ix_audit_event_workers"),
        ({"from_at": NOW, "until_at": NOW + timedelta(hours=1)}, "ix_audit_event_at_id"),
    ],
)
def test_each_question_has_its_index(trail: Engine, wanted: dict[str, Any], index: str) -> None:
    from sqlalchemy.dialects import postgresql

    query = query_of(Wanted(**wanted)).order_by(AuditEvent.at.desc(), AuditEvent.id.desc()).limit(51)  # type: ignore[attr-defined,union-attr]  # columns
    compiled = query.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True})  # type: ignore[no-untyped-call]  # untyped there
    with read_session(trail) as session:
        session.execute(text("SET LOCAL enable_seqscan = off"))
        plan = "\n".join(row[0] for row in session.execute(text(f"EXPLAIN {compiled}".replace(":", r"\:"))))
    assert index in plan, plan
