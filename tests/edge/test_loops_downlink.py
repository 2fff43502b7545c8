"""What the terminal asks central for again, and how often."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agent.loops import downlink as downlinking
from edge_agent.loops.board import Board
from edge_agent.loops.downlink import MESSAGES_WAITING_MAX, DownlinkLoop
from edge_agent.loops.incident_store import IncidentStore
from edge_agent.loops.roster_store import RosterStore
from edge_agent.supervisor import Heart
from edge_agent.tap.roster import RosterView
from edge_agent.wire.codec import encode, sign
from edge_agent.wire.messages import Incident, Roster
from edge_agent.wire.topics import incident_topic, roster_topic
from simulators.servers import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

KEY = Ed25519PrivateKey.generate()
SITE = "site-07"


class Line:
    """A link that counts what is asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def ask_again(self, topic: str) -> None:
        self.asked.append(topic)


class Said:
    """A log that keeps its events, and stands for commands and the journal, which are not of interest here."""

    topic = "command"

    def __init__(self) -> None:
        self.events: list[str] = []

    def info(self, event: str, **_values: object) -> None:
        self.events.append(event)

    error = warning = debug = info

    def append(self, **_values: object) -> None:
        return


def delta(version: int, base: int | None) -> bytes:
    body = Roster(site=SITE, version=version, base=base, issued_at=datetime(2026, 11, 22, tzinfo=UTC))
    return sign(body, key=KEY, key_id="c1")


@contextmanager
def running(folder: Path) -> Iterator[tuple[DownlinkLoop, Line, Said, Board]]:
    log: Any = Said()
    line: Any = Line()
    board = Board(RosterView(SITE))
    store = RosterStore(folder / "roster.jsonl", site=SITE, key=KEY.public_key())
    loop = DownlinkLoop(
        site=SITE,
        journal=log,
        board=board,
        store=store,
        incidents=IncidentStore(folder / "incident.json"),
        commands=log,
        tell_screens=lambda _kind: None,
        appended=lambda: None,
        log=log,
    )
    loop.use(line)
    stop = threading.Event()
    thread = threading.Thread(target=loop.run, args=(stop, Heart()))
    thread.start()
    try:
        yield loop, line, log, board
    finally:
        stop.set()
        thread.join()


def test_deltas_that_cannot_be_used_ask_for_the_whole_roster_once_in_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = roster_topic(SITE)
    with running(tmp_path) as (loop, line, log, board):
        for version in range(20, 60):
            loop.post(topic, delta(version, version - 1))
        loop.post(topic, delta(100, None))
        wait_until(lambda: board.roster.version == 100, what="the whole roster")
        assert line.asked == [topic]
        assert 1 <= log.events.count("roster_gap") <= 2, "said with each question, not with each delta"
        monkeypatch.setattr(downlinking, "ASK_AGAIN_S_MIN", 0.0)
        loop.post(topic, delta(200, 150))
        wait_until(lambda: line.asked == [topic, topic], what="the next question, once its time has come")


def test_an_open_incident_is_still_open_after_a_restart_and_a_closed_one_is_not(tmp_path: Path) -> None:
    topic, kept = incident_topic(SITE), IncidentStore(tmp_path / "incident.json")
    drill = Incident(id="i-1", kind="drill", since=datetime(2026, 11, 22, tzinfo=UTC))
    assert kept.load() == (None, None)
    with running(tmp_path) as (loop, _line, _log, board):
        loop.post(topic, encode(drill))
        wait_until(lambda: board.incident == drill, what="the incident")
    assert kept.load() == (drill, None)
    with running(tmp_path) as (loop, _line, _log, board):
        board.incident = drill
        loop.post(topic, b"")
        wait_until(lambda: board.incident is None, what="its end")
    assert kept.load() == (None, None)


def test_an_incident_file_that_cannot_be_used_is_said_and_keeps_no_terminal_from_starting(tmp_path: Path) -> None:
    file = tmp_path / "incident.json"
    file.write_bytes(b'{"id":"i-1","kind":"drill","si')
    incident, complaint = IncidentStore(file).load()
    assert incident is None
    assert complaint is not None
    assert "is damaged" in complaint
    assert "could not be written" in str(IncidentStore(tmp_path / "nowhere" / "incident.json").keep(None))


def test_what_an_overfull_inbox_left_out_is_asked_for_again(tmp_path: Path) -> None:
    topic = incident_topic(SITE)
    with running(tmp_path) as (loop, line, _log, _board):
        while not loop._missed:
            for _ in range(MESSAGES_WAITING_MAX + 1):
                loop.post(topic, b"")
        wait_until(lambda: len(line.asked) >= 3, what="the questions")
        assert sorted(set(line.asked)) == sorted(loop.subscriptions)
