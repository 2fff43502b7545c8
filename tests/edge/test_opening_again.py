"""A disk that errs while the terminal starts: asked again at once, and refused by name when it goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from edge_agent.clock import SystemClock
from edge_agent.config import load_config
from edge_agent.journal.record import DiskErred, JournalUnusable
from edge_agent.journal.store import Journal
from edge_agent.main import OPEN_TRIES, open_journal
from simulators.processes import TerminalProgram, make_keys

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_mock import MockerFixture

    from edge_agent.config import Config

SITE, GATE = "site-07", "gate-03"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    gate = TerminalProgram(SITE, GATE, tmp_path / "gate", "mqtt://127.0.0.1:1", make_keys(tmp_path / "keys"))
    return load_config(gate.folder / "terminal.toml")


def erring(mocker: MockerFixture, error: Exception, *, times: int) -> list[int]:
    """Let opening fail so many times, then be as it is; return a list that grows by each time."""
    asked: list[int] = []
    whole = Journal.open

    def opened(*args: Any, **named: Any) -> Journal:
        asked.append(len(asked))
        if len(asked) <= times:
            raise error
        return whole(*args, **named)

    mocker.patch.object(Journal, "open", opened)
    return asked


def test_a_disk_that_errs_for_a_moment_closes_no_gate(config: Config, mocker: MockerFixture) -> None:
    erring(mocker, DiskErred("disk I/O error"), times=OPEN_TRIES - 1)
    journal = open_journal(config, SystemClock())
    assert journal.head.seq == 0
    journal.close()


def test_a_disk_that_goes_on_erring_is_refused_after_few_tries(config: Config, mocker: MockerFixture) -> None:
    asked = erring(mocker, DiskErred("disk I/O error"), times=10)
    with pytest.raises(JournalUnusable):
        open_journal(config, SystemClock())
    assert len(asked) == OPEN_TRIES


def test_what_no_second_try_mends_is_said_at_once(config: Config, mocker: MockerFixture) -> None:
    asked = erring(mocker, JournalUnusable("not yours"), times=10)
    with pytest.raises(JournalUnusable):
        open_journal(config, SystemClock())
    assert len(asked) == 1
