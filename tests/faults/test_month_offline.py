"""A terminal comes back after thirty days without a network: 10,000 taps catch up; who is inside is right at once."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from simulators.estate import JOURNAL_FILE
from simulators.month_offline import write_month
from simulators.servers import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulators.estate import Estate, RunningSite
    from simulators.netns import NetworkNamespace

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.xdist_group("faults-network")]

GATE = "gate-01"
DAYS = 30
TAPS = int(os.environ.get("CCS_TAPS", "10000"))
WORKERS = -(-TAPS // (2 * DAYS))
STAY = WORKERS // 3
LINK_KBIT_S = 8_000
BACKLOG_S_MAX = 600 + TAPS // 200
"""So slow that the backlog takes its time, and the fresh taps must overtake it."""


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory where there is one: writing the month is not what is tested."""
    there = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="ccs-month-", dir=there))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def stored(estate: Estate, site: RunningSite) -> int:
    with psycopg.connect(estate.database_url) as connection:
        ((count,),) = connection.execute(
            "SELECT count(*) FROM attendance_event WHERE site_id = %s", (site.seeded.site_id,)
        ).fetchall()
        return int(count)


@pytest.mark.promise("DUR-08")
@pytest.mark.timeout(BACKLOG_S_MAX + 300 + TAPS // 200)
def test_after_thirty_days_offline_the_headcount_is_right_long_before_the_backlog_is_through(
    estate: Estate, cable: NetworkNamespace, memory: Path
) -> None:
    """Mutant: only the oldest are sent, so that today's entries come last."""
    url = f"mqtt://{cable.address_here}:{estate.broker.port}"
    options = {"broker": url, "place": cable, "data": memory / "data", "more_mqtt": "heartbeat_s = 1"}
    site = estate.site("month-1", (GATE,), workers=WORKERS, **options)
    cards = site.seeded.identities
    month = write_month(
        memory / "data" / JOURNAL_FILE,
        site=site.code,
        terminal=GATE,
        card_key=estate.keys.card_key_bytes,
        cards=cards,
        days=DAYS,
        stay=STAY,
    )
    assert month.taps >= TAPS - WORKERS
    cable.slow(LINK_KBIT_S)
    try:
        started_at = time.monotonic()
        site.terminals[GATE].start()
        crowd = site.crowd(GATE)
        crowd.inside |= month.inside
        crowd.hold(cards[0], "in")  # comes for the night shift, into the backlog
        owner = dict(zip(cards, site.seeded.workers, strict=True))
        expected = {owner[card] for card in crowd.inside}
        wait_until(lambda: estate.inside(site) == expected, what="the right headcount", timeout_s=300)
        right_s, by_then = time.monotonic() - started_at, stored(estate, site)
        estate.wait_settled([crowd], timeout_s=BACKLOG_S_MAX)
        all_s = time.monotonic() - started_at
        print(f"{month.taps} taps: headcount right after {right_s:.1f} s, {by_then} stored; all after {all_s:.1f} s")
        assert by_then < month.taps / 3, "the headcount was right long before the backlog was through"
        assert estate.complaints(site, [crowd]) == []
    finally:
        cable.mend()
        site.stop()
