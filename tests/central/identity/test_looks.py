from __future__ import annotations

import psycopg
from sqlalchemy import Engine

from central.audit.tags import Tag
from central.identity import looks
from central.identity.looks import Looks
from central.identity.policy import Actor
from simulators.clocks import NOON


def test_a_look_is_recorded_once_a_minute_for_an_actor_and_a_subject(central_engine: Engine, database_url: str) -> None:
    log = Looks(central_engine)
    for key, subject in (("user:1", "site:1"), ("user:1", "site:1"), ("user:2", "site:1"), ("user:1", "site:2")):
        log.note(Actor(key, "A", "ko", ()), Tag.PEOPLE_LOOK, subject, now=NOON, detail={})
    for noted in log._noted.values():
        noted.since_s -= looks.AGAIN_AFTER_S
    log.note(Actor("user:1", "A", "ko", ()), Tag.PEOPLE_LOOK, "site:1", now=NOON, detail={})
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT actor, subject FROM audit_event ORDER BY id").fetchall()
    assert rows == [("user:1", "site:1"), ("user:2", "site:1"), ("user:1", "site:2"), ("user:1", "site:1")]


def test_within_the_minute_whoever_else_is_shown_is_written_down(central_engine: Engine, database_url: str) -> None:
    """Mutant: a look at the same page within the minute is never written, whomever it shows."""
    log, actor = Looks(central_engine), Actor("user:1", "A", "ko", ())
    for shown in ([3, 1], [1], [1, 2, 3], []):
        log.note(actor, Tag.PEOPLE_LOOK, "site:1", now=NOON, detail={"people": len(shown)}, workers=shown)
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT detail -> 'workers' FROM audit_event ORDER BY id").fetchall()
    assert rows == [([1, 3],), ([2],)]
