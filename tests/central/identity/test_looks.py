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
    log._seen = {key: at_s - looks.AGAIN_AFTER_S for key, at_s in log._seen.items()}
    log.note(Actor("user:1", "A", "ko", ()), Tag.PEOPLE_LOOK, "site:1", now=NOON, detail={})
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT actor, subject FROM audit_event ORDER BY id").fetchall()
    assert rows == [("user:1", "site:1"), ("user:2", "site:1"), ("user:1", "site:2"), ("user:1", "site:1")]
