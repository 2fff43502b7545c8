from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import DataError
from sqlmodel import col, select

from central.audit import anchors, service
from central.audit.models import AuditEvent
from central.audit.tags import Tag
from central.kit.db import WriteSession, read_session, write_session

NOW = datetime(2026, 11, 23, 3, 0, 0, 123456, tzinfo=UTC)


def note(engine: Engine, number: int) -> None:
    with write_session(engine) as session:
        detail = {"number": number, "on": date(2026, 11, 23), "words": ["가", None, True]}
        service.record(session, actor="user:1", tag=Tag.SITE_AMEND, subject=f"site:{number}", detail=detail, now=NOW)


def verified(engine: Engine, **asked: bytes) -> service.ChainReport:
    with read_session(engine) as session:
        return service.verify_chain(session, **asked)


def test_an_untouched_chain_verifies_and_shows_its_head(central_engine: Engine) -> None:
    assert verified(central_engine).head == service.GENESIS_HASH
    for number in range(5):
        note(central_engine, number)
    report = verified(central_engine)
    assert (report.rows, report.broken_at) == (5, None)
    note(central_engine, 5)
    assert verified(central_engine, expected=report.head).seen_expected


@pytest.mark.parametrize(
    ("damage", "broken_at", "reason"),
    [
        ("UPDATE audit_event SET actor = 'user:2' WHERE id = 3", 3, "edited"),
        ("UPDATE audit_event SET detail = detail || '{\"number\": 9}' WHERE id = 3", 3, "edited"),
        ("UPDATE audit_event SET at = at + interval '1 microsecond' WHERE id = 2", 2, "edited"),
        ("DELETE FROM audit_event WHERE id = 3", 4, "missing"),
        ("DELETE FROM audit_event WHERE id = 1", 2, "missing"),
    ],
)
@pytest.mark.promise("EVD-01")
def test_a_row_edited_or_taken_out_is_located(
    central_engine: Engine, database_url: str, damage: str, broken_at: int, reason: str
) -> None:
    """Mutants: a row's content is not hashed again; a row may follow any other."""
    for number in range(5):
        note(central_engine, number)
    with psycopg.connect(database_url) as connection:
        connection.execute("SET session_replication_role = replica")  # as an intruder with every right
        connection.execute(damage.encode())
    report = verified(central_engine)
    assert report.broken_at == broken_at
    assert reason in report.reason


def test_rows_cut_off_the_end_are_noticed_by_whoever_kept_the_head(central_engine: Engine, database_url: str) -> None:
    for number in range(3):
        note(central_engine, number)
    head = verified(central_engine).head
    with psycopg.connect(database_url) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("DELETE FROM audit_event WHERE id = 3")
    report = verified(central_engine, expected=head)
    assert report.broken_at is None
    assert not report.seen_expected


def test_writers_at_the_same_time_make_one_chain(central_engine: Engine) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: note(central_engine, number), range(24)))
    report = verified(central_engine)
    assert (report.rows, report.broken_at) == (24, None)


def test_a_rolled_back_act_leaves_no_row(central_engine: Engine) -> None:
    def fail_after_recording() -> None:
        with write_session(central_engine) as session:
            service.record(session, actor="user:1", tag=Tag.SITE_AMEND, subject="site:1", detail={}, now=NOW)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_after_recording()
    assert verified(central_engine).rows == 0


def recorded(engine: Engine) -> list[str]:
    """The subjects in the trail, which must verify."""
    assert verified(engine).broken_at is None
    with read_session(engine) as session:
        return [row.subject for row in session.exec(select(AuditEvent).order_by(col(AuditEvent.id)))]


@pytest.mark.promise("EVD-01")
def test_an_act_that_was_rolled_back_is_not_in_the_trail_when_its_session_goes_on(central_engine: Engine) -> None:
    """Mutant: what was recorded outlives the rollback and is chained with the next commit."""

    def act(session: WriteSession, subject: str) -> None:
        service.record(session, actor="user:1", tag=Tag.SITE_AMEND, subject=subject, detail={}, now=NOW)

    with write_session(central_engine) as session:
        act(session, "refused:1")
        session.rollback()
        act(session, "before:1")
        with session.begin_nested() as savepoint:
            act(session, "refused:2")
            with session.begin_nested():
                act(session, "refused:3")
            savepoint.rollback()
        with session.begin_nested():
            act(session, "inside:1")
        act(session, "after:1")
    assert recorded(central_engine) == ["before:1", "inside:1", "after:1"]


@pytest.mark.promise("EVD-01")
def test_an_act_that_the_database_refused_is_not_in_the_trail(central_engine: Engine) -> None:
    """A statement that fails takes its savepoint along, and what was recorded in it."""

    def refused(session: WriteSession) -> None:
        with session.begin_nested():
            service.record(session, actor="user:1", tag=Tag.SITE_AMEND, subject="refused:1", detail={}, now=NOW)
            session.add(AuditEvent(at=NOW, actor="x" * 121, tag="x", prev_hash=b"", hash=b""))
            session.flush()

    with write_session(central_engine) as session:
        service.record(session, actor="user:1", tag=Tag.SITE_AMEND, subject="before:1", detail={}, now=NOW)
        with pytest.raises(DataError):
            refused(session)
    assert recorded(central_engine) == ["before:1"]


def test_only_declared_tags_and_plain_details_are_taken(central_engine: Engine) -> None:
    with write_session(central_engine) as session:
        with pytest.raises(ValueError, match="free:text"):
            service.record(session, actor="user:1", tag="free:text", subject="", detail={}, now=NOW)
        with pytest.raises(TypeError, match="float"):
            service.record(session, actor="user:1", tag=Tag.SITE_AMEND, subject="", detail={"x": 0.1}, now=NOW)


def anchor_now(engine: Engine) -> anchors.Anchor:
    report = verified(engine)
    return anchors.Anchor(NOW, report.rows, report.head)


@pytest.mark.promise("EVD-01")
def test_a_chain_written_anew_from_its_first_row_is_noticed_by_an_anchor_kept_elsewhere(
    central_engine: Engine, database_url: str, tmp_path: Path
) -> None:
    """Mutants: anchors are not compared; only the last one is."""
    file = tmp_path / "anchors"
    for number in range(6):
        note(central_engine, number)
        if number % 2:
            anchors.add_anchor(file, anchor_now(central_engine))
    kept = anchors.read_anchors(file)
    assert [one.rows for one in kept] == [2, 4, 6]
    with read_session(central_engine) as session:
        assert anchors.verify(session, kept).good
    with psycopg.connect(database_url) as connection:
        connection.execute("SET session_replication_role = replica")  # as an intruder with every right
        connection.execute("DELETE FROM audit_event")
    for number in (0, 1, 2, 9, 4, 5):
        note(central_engine, number)
    assert verified(central_engine).broken_at is None, "by itself it is a good chain"
    with read_session(central_engine) as session:
        verdict = anchors.verify(session, kept)
    assert verdict.missed == kept[1]
    assert "written anew" in verdict.reason


@pytest.mark.promise("EVD-01")
def test_a_tail_that_was_cut_off_is_noticed_and_counted_by_an_anchor(central_engine: Engine, database_url: str) -> None:
    """Mutant: an anchor further than the chain is passed over."""
    for number in range(5):
        note(central_engine, number)
    kept = [anchor_now(central_engine)]
    with psycopg.connect(database_url) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("DELETE FROM audit_event WHERE id > 3")
    with read_session(central_engine) as session:
        verdict = anchors.verify(session, kept)
    assert not verdict.good
    assert verdict.reason == "2 rows or more were cut off the end"


def test_each_nights_anchor_is_added_only_while_the_trail_fits_the_earlier_ones(
    central_engine: Engine, database_url: str, tmp_path: Path
) -> None:
    """Mutant: an anchor of a trail that was cut is added all the same, and hides the cut from the next night."""
    file = tmp_path / "anchors"
    for number in range(3):
        note(central_engine, number)
        with read_session(central_engine) as session:
            assert not anchors.renew(session, file, now=NOW)[0]
    with psycopg.connect(database_url) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("DELETE FROM audit_event WHERE id = 3")
    with read_session(central_engine) as session:
        wrong, _ = anchors.renew(session, file, now=NOW)
    assert "cut off the end" in wrong
    assert [one.rows for one in anchors.read_anchors(file)] == [1, 2, 3]


@pytest.mark.parametrize(
    "line", ["", "2026-11-23 5", "yesterday 5 " + "ab" * 32, "2026-11-23T03:00:00Z x " + "ab" * 32]
)
def test_a_line_that_is_no_anchor_is_refused(line: str) -> None:
    with pytest.raises(anchors.BadAnchor, match="is no anchor"):
        anchors.read_line(line)


def test_an_anchor_reads_back_as_it_was_written() -> None:
    kept = anchors.Anchor(NOW.replace(microsecond=0), 7, bytes(range(32)))
    assert anchors.read_line(kept.line()) == kept
