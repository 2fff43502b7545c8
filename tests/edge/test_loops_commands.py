"""What is signed for one terminal is for that terminal only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from edge_agent.clock import Reading
from edge_agent.loops.commands import Asked, refusal

NOW = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)
US = ("site-07", "gate-03")


def asked(*, site: str | None = "site-07", terminal: str | None = "gate-03", late: bool = False) -> Asked:
    expires_at = NOW - timedelta(seconds=1) if late else NOW + timedelta(seconds=1)
    return Asked(id="c-1", name="replay", expires_at=expires_at, site=site, terminal=terminal)


def refused(command: Asked, *, state: str = "synced") -> str:
    return refusal(command, Reading(NOW, 0, "boot", state, 0, 0), us=US, version="1")  # type: ignore[arg-type]


@pytest.mark.parametrize(("site", "terminal"), [("site-08", "gate-03"), ("site-07", "gate-04")])
def test_a_command_for_another_terminal_is_not_this_ones_whatever_topic_it_came_on(site: str, terminal: str) -> None:
    assert refused(asked(site=site, terminal=terminal)) == f"it is for {site}/{terminal}; this is site-07/gate-03"


@pytest.mark.parametrize("named", [(None, None), ("site-07", None), (None, "gate-03")])
def test_a_command_that_names_nobody_is_for_nobody(named: tuple[str | None, str | None]) -> None:
    assert refused(asked(site=named[0], terminal=named[1])).startswith("it names no terminal")


def test_an_expired_command_is_refused_by_a_clock_that_was_ever_set_only() -> None:
    assert refused(asked(late=True)).startswith("expired at")
    assert refused(asked(late=True), state="unset").startswith("'replay' is not supported")
    assert refused(asked()).startswith("'replay' is not supported")
