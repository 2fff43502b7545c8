from __future__ import annotations

import psycopg
import pytest
from alembic import command
from psycopg import errors
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from central.kit.db import sqlalchemy_url
from central.kit.migrate import alembic_config, upgrade
from edge_agent.wire.ids import card_token
from simulators.seeding import seed_site


def test_the_migrations_make_what_the_models_say(database_url: str) -> None:
    engine = create_engine(sqlalchemy_url(database_url), poolclass=NullPool)
    with engine.connect() as connection:
        command.check(alembic_config(connection))


def test_migrating_twice_changes_nothing(database_url: str) -> None:
    upgrade(database_url)
    upgrade(database_url)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE attendance_event SET bytes = '' WHERE seq = 1",
        "UPDATE attendance_event SET hash = '', worker_id = 1",
        "UPDATE attendance_event SET occurred_at = now()",
        "DELETE FROM attendance_event WHERE journal = 1",
        "UPDATE audit_event SET actor = 'user:9'",
        "DELETE FROM audit_event",
        "TRUNCATE audit_event",
        "UPDATE privacy_erasure SET lines = '[]'",
    ],
)
@pytest.mark.promise("EVD-01")
def test_the_database_itself_refuses_to_change_or_delete_evidence(database_url: str, statement: str) -> None:
    """Mutant: leave out the triggers."""
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE attendance_event SET worker_id = NULL")
        with pytest.raises(errors.RestrictViolation, match="is evidence: rows are added, never changed or deleted"):
            connection.execute(statement.encode())


def test_chains_and_rings_of_old_merges_end_at_whom_is_kept(database_url: str) -> None:
    """Entries 1 → 2 → 3 → 4 stand for one person, 5 and 6 for each other, 7 for itself."""
    engine = create_engine(sqlalchemy_url(database_url), poolclass=NullPool)
    with engine.connect() as connection:
        command.downgrade(alembic_config(connection), "0082")
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO registry_worker (id, name, language, is_test, created_at) OVERRIDING SYSTEM VALUE"
            " SELECT n, 'Kim', 'ko', false, now() FROM generate_series(1, 7) n"
        )
        connection.execute(
            "UPDATE registry_worker w SET merged_into_id = given.kept"
            " FROM (VALUES (1, 2), (2, 3), (3, 4), (5, 6), (6, 5)) given (id, kept) WHERE w.id = given.id"
        )
        connection.execute(
            "INSERT INTO kit_outgoing (id, channel, recipient, subject, body, created_at, due_at, attempts, error,"
            " sent_at) SELECT gone::text, 'sms', '010-1234-5678', '', '', now(), now(), 1, '',"
            " CASE WHEN gone THEN now() END FROM (VALUES (true), (false)) given (gone)"
        )
    upgrade(database_url)
    with psycopg.connect(database_url) as connection:
        kept = connection.execute("SELECT id, merged_into_id FROM registry_worker ORDER BY id").fetchall()
        assert dict(kept) == {1: 4, 2: 4, 3: 4, 4: None, 5: None, 6: 5, 7: None}
        to = connection.execute("SELECT id, recipient FROM kit_outgoing ORDER BY id").fetchall()
        assert to == [("false", "010-1234-5678"), ("true", "")]


def test_every_migration_can_be_taken_back(database_url: str) -> None:
    engine = create_engine(sqlalchemy_url(database_url), poolclass=NullPool)
    with engine.connect() as connection:
        command.downgrade(alembic_config(connection), "base")
    upgrade(database_url)


def test_offers_without_an_end_and_invitations_of_lent_roles_end_with_the_migration(database_url: str) -> None:
    engine = create_engine(sqlalchemy_url(database_url), poolclass=NullPool)
    with engine.connect() as connection:
        command.downgrade(alembic_config(connection), "0082")
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO identity_user (email, name, language) VALUES ('a@b', 'a', 'ko'), ('b@b', 'b', 'ko')"
        )
        connection.execute(
            "INSERT INTO identity_totp (user_id, secret, made_at, confirmed_at, last_step)"
            " SELECT id, 'x', now(), CASE name WHEN 'a' THEN now() END, 0 FROM identity_user"
        )
        connection.execute(
            "INSERT INTO identity_ticket (kind, secret_hash, made_by, data, created_at, expires_at)"
            " SELECT 'invitation', made_by::bytea, made_by, '{}', now(), now() + interval '3 days'"
            " FROM unnest(ARRAY['user:1', 'user:1/delegation:2']) AS made_by"
        )
    upgrade(database_url)
    with psycopg.connect(database_url) as connection:
        confirmed = "SELECT name FROM identity_totp t JOIN identity_user u ON u.id = t.user_id"
        assert connection.execute(confirmed.encode()).fetchall() == [("a",)]
        still = connection.execute("SELECT made_by FROM identity_ticket WHERE used_at IS NULL").fetchall()
        assert still == [("user:1",)]


def test_what_was_left_behind_before_is_put_right(database_url: str) -> None:
    """Mutant: a terminal under repair, or a merge that nobody heard of, stays as it was for ever."""
    in_service, faulty, installed, removed = "in_service", "faulty", "installed", "removed"
    lives = {
        "under-repair": ((in_service, faulty), (faulty, installed)),
        "back-from-removal": (("tested", in_service), (in_service, removed), (removed, installed)),
        "never-served": (("registered", installed),),
        "served-again": ((faulty, removed), ("tested", in_service), (in_service, faulty), (faulty, installed)),
    }
    seeded = seed_site(database_url, card_key=bytes(32), terminals=dict.fromkeys(lives, ("in",)), workers=3)
    engine = create_engine(sqlalchemy_url(database_url), poolclass=NullPool)
    with engine.connect() as connection:
        command.downgrade(alembic_config(connection), "0082")
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE registry_terminal SET state = 'installed', in_service = false")
        for code, steps in lives.items():
            for step in steps:
                connection.execute(
                    "INSERT INTO registry_terminal_event"
                    " (terminal_id, event, from_state, to_state, at, recorded_by, note)"
                    " VALUES (%s, '', %s, %s, now(), 'user:1', '')",
                    (seeded.terminals[code], *step),
                )
        kept, other = seeded.workers[:2]
        connection.execute("UPDATE registry_worker SET merged_into_id = %s WHERE id = %s", (kept, other))
    upgrade(database_url)
    with psycopg.connect(database_url) as connection:
        counting = connection.execute("SELECT code FROM registry_terminal WHERE in_service ORDER BY code").fetchall()
        cards = connection.execute("SELECT token FROM registry_changed_card").fetchall()
    assert counting == [("served-again",), ("under-repair",)]
    assert cards == [(card_token(bytes(32), seeded.identities[0]),)]
