"""Somebody sets a terminal's clock while it runs: no tap is refused, none is lost, and who is inside stays right."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import psycopg
import pytest

from simulators.wallclock import WallClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from simulators.estate import Estate

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.xdist_group("faults-network")]

GATES = ("gate-01", "gate-02")
CLOCKS_THAT_CANNOT_BE = frozenset({"time_unbelievable"})


@pytest.fixture
def clock(tmp_path: Path) -> Iterator[WallClock]:
    with WallClock(tmp_path) as made:
        yield made


def since(instant: datetime) -> timedelta:
    return instant - datetime.now(UTC)


@pytest.mark.promise("DUR-05")
def test_whatever_the_wall_clock_is_set_to_each_tap_counts_once_and_in_its_order(
    estate: Estate, clock: WallClock
) -> None:
    """Mutant: a terminal's own taps ordered by its clock."""
    site = estate.site("clock-1", GATES, workers=40, more_mqtt="heartbeat_s = 1")
    for gate, terminal in site.terminals.items():
        if gate == GATES[0]:
            terminal.program.env.update(clock.env)
        terminal.start()
    try:
        wrong, right = (site.crowd(gate) for gate in GATES)
        right.tap(5)
        for state, to in (
            ("synced", timedelta(0)),
            ("synced", timedelta(hours=1)),
            ("unsynced", timedelta(days=-1)),
            ("unsynced", since(datetime(1970, 1, 2, tzinfo=UTC))),
            ("unsynced", since(datetime(2099, 1, 1, tzinfo=UTC))),
            ("kernel", timedelta(0)),
        ):
            clock.say(state)  # type: ignore[arg-type]  # literals
            clock.move(to)
            wrong.tap(7)
            right.tap(3)
        wrong.terminal.program.kill()
        clock.move(timedelta(minutes=-10))
        wrong.terminal.start()
        wrong.tap(7)
        assert {shown.decision for shown in wrong.not_green} <= {"unknown_card"}, "no tap is refused for its clock"
        estate.wait_settled([wrong, right])
        complaints = estate.complaints(site, [wrong, right], expected_anomalies=CLOCKS_THAT_CANNOT_BE)
        assert complaints == []
        times = written(estate, site.seeded.terminals[GATES[0]])
        assert any(at < datetime(1971, 1, 1, tzinfo=UTC) for at in times), "it did live by the wrong clock"
        assert any(at > datetime(2098, 1, 1, tzinfo=UTC) for at in times)
    finally:
        site.stop()


def written(estate: Estate, terminal_id: int) -> list[datetime]:
    """The times that stand in a terminal's own records."""
    with psycopg.connect(estate.database_url) as connection:
        rows = connection.execute("SELECT bytes FROM attendance_event WHERE terminal_id = %s", (terminal_id,))
        return [datetime.fromisoformat(msgspec.json.decode(content)["time"]) for (content,) in rows]
