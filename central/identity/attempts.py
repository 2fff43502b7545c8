"""Tries that are counted before they are judged, so that those sent in parallel are counted too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from central.identity import repository, throttle
from central.identity.models import Attempt
from central.kit.db import read_session, write_session

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Engine

    from central.kit.db import WriteSession


def count(engine: Engine, limits: Mapping[str, int], *, now: datetime) -> None:
    """Count one try against every subject, or raise `TooManyAttempts` when one has reached its limit."""
    with write_session(engine) as session:
        subjects = list(limits)
        repository.lock_subjects(session, subjects)
        tried = repository.failures_since(session, subjects=subjects, since=now - throttle.WINDOW)
        throttle.check_limits(limits, tried)
        session.add_all(Attempt(subject=subject, at=now) for subject in subjects)


def check(engine: Engine, limits: Mapping[str, int], *, now: datetime) -> None:
    """Pass while no subject has reached its limit, or raise `TooManyAttempts`; nothing is counted."""
    with read_session(engine) as session:
        tried = repository.failures_since(session, subjects=list(limits), since=now - throttle.WINDOW)
    throttle.check_limits(limits, tried)


def forget(session: WriteSession, subjects: Sequence[str]) -> None:
    """Take every try back that was counted against these: somebody succeeded."""
    for subject in subjects:
        repository.forget_attempts(session, ids=[], subject=subject)
