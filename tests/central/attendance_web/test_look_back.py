from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import httpx
import pytest
from sqlalchemy import Engine, text

from central.attendance.months import month_of
from central.kit.clock import SystemClock
from central.kit.db import write_session
from simulators.filled_site import FilledSite

ClientFor = Callable[..., httpx.Client]
HEADCOUNT = "/api/v1/sites/site-07/headcount"
SEOUL = ZoneInfo("Asia/Seoul")
IN, OUT = 0, 1

_TAP = text("""
INSERT INTO attendance_event (journal, seq, received_at, occurred_at, site_id, terminal_id, worker_id, time_basis,
  direction, decision, assurance, type, reader, zone, token, hash, bytes)
VALUES (:journal, :seq, :received, :occurred, :site, :terminal, :worker, 0, :direction, 0, 3, 'ccs.tap.v1', 'r1', 'z',
  :token, '\\x00', '\\x00')
""")


@pytest.fixture
def moment(site_engine: Engine, filled: FilledSite) -> datetime:
    """Now, on a site where one went in four hours ago and out two hours ago; the exit was received an hour late."""
    now = SystemClock().now().replace(microsecond=0)
    late = now - timedelta(hours=1)
    taps = [(IN, now - timedelta(hours=4), now - timedelta(hours=4)), (OUT, now - timedelta(hours=2), late)]
    with write_session(site_engine) as session:
        for seq, (direction, occurred, received) in enumerate(taps, 1):
            tap = {"journal": filled.journal_ids[0], "seq": seq, "occurred": occurred, "received": received}
            tap |= {"site": filled.site_id, "terminal": filled.terminal_ids[0], "worker": filled.worker_ids[0]}
            session.execute(_TAP, tap | {"direction": direction, "token": bytes(16)})
    return now


def test_what_was_true_and_what_was_known_differ_while_a_tap_is_on_its_way(
    client_for: ClientFor, moment: datetime
) -> None:
    """Mutant: take `known_at` for another name of `true_at`."""
    client = client_for("site:headcount:read")
    between = (moment - timedelta(minutes=90)).isoformat()

    def inside(**at: str) -> int:
        answer = client.get(HEADCOUNT, params=at)
        assert answer.status_code == 200, answer.text
        return int(answer.json()["inside"])

    assert inside(true_at=(moment - timedelta(hours=3)).isoformat()) == 1
    assert inside(true_at=between) == 0, "with all that is known today, the exit counts"
    assert inside(known_at=between) == 1, "then, nobody knew of the exit yet"
    assert inside(known_at=(moment - timedelta(minutes=30)).isoformat()) == 0
    assert inside(true_at=between, known_at=(moment - timedelta(minutes=30)).isoformat()) == 0
    assert inside(true_at=(moment - timedelta(hours=3)).isoformat(), known_at=between) == 1
    assert inside(true_at=(moment - timedelta(hours=5)).isoformat()) == 0


def test_a_look_back_at_what_was_known_says_nothing_of_terminals_that_they_said_later(
    client_for: ClientFor, moment: datetime
) -> None:
    """Mutant: today's freshness and backlog stand beside the count of an instant in the past."""
    between = (moment - timedelta(minutes=90)).isoformat()
    answer = client_for("site:headcount:read").get(HEADCOUNT, params={"known_at": between}).json()
    assert {one["freshness"] for one in answer["terminals"]} == {"not_recorded"}
    assert {(one["heard_at"], one["not_received_at_most"]) for one in answer["terminals"]} == {(None, None)}
    assert answer["at_most"] == answer["inside"] + answer["unknown_cards"] + answer["refused"]
    assert (answer["not_received"], answer["at_most_holds"]) == (0, False)


def test_the_page_takes_instants_on_the_sites_clock_and_keeps_them_in_every_link(
    client_for: ClientFor, moment: datetime
) -> None:
    client = client_for("site:headcount:read", "site:people:read")
    local = (moment - timedelta(minutes=90)).astimezone(SEOUL).strftime("%Y-%m-%dT%H:%M")
    page = client.get("/sites/site-07", params={"known_at": local}, headers={"accept-language": "en"}).text
    assert re.search(r'data-figure="inside">1<', page)
    assert re.search(r'data-figure="certain">0<', page), "how fresh the terminals were then is not recorded"
    assert "You are looking back." in page
    assert "data-stream" not in page
    assert f"known_at%3D{local.replace(':', '%253A')}" in page, "the other language shows the same instant"
    links = re.findall(r'href="(/sites/site-07\?[^"]*)"', page)
    assert links
    assert all("known_at=" in link for link in links), links
    exported = client.get("/sites/site-07/headcount.csv", params={"known_at": local}).text
    assert len(exported.strip().splitlines()[-1].split(",")) == 8


def test_an_instant_still_to_come_is_refused_in_the_askers_language(client_for: ClientFor, moment: datetime) -> None:
    """Mutant: fold the future: everybody seems to have stayed too long."""
    client = client_for("site:headcount:read")
    later = (moment + timedelta(hours=2)).isoformat()
    for name in ("true_at", "known_at"):
        answer = client.get(HEADCOUNT, params={name: later})
        assert answer.status_code == 422
        assert answer.json()["detail"].startswith("The instant is still to come.")
    ask = {"accept": "text/html", "accept-language": "ko"}
    assert "아직 오지 않은 시각입니다" in client.get("/sites/site-07", params={"true_at": later}, headers=ask).text


@pytest.mark.promise("INC-01")
def test_who_came_before_the_window_and_never_tapped_again_is_inside_in_the_past_too(
    client_for: ClientFor, site_engine: Engine, filled: FilledSite
) -> None:
    """Mutant: fold the window's taps only."""
    long_ago = SystemClock().now() - timedelta(days=60)
    with write_session(site_engine) as session:
        given = {"at": long_ago, "worker": filled.worker_ids[0]}
        session.execute(
            text("UPDATE attendance_presence SET since_at = :at, last_at = :at WHERE worker_id = :worker"), given
        )
    yesterday = (SystemClock().now() - timedelta(days=1)).isoformat()
    answer = client_for("site:headcount:read").get(HEADCOUNT, params={"true_at": yesterday}).json()
    assert answer["inside"] == answer["unknown"] == 1


@pytest.mark.promise("INC-01")
def test_who_stayed_longer_than_the_window_and_left_since_was_inside_in_between(
    client_for: ClientFor, site_engine: Engine, filled: FilledSite
) -> None:
    """Mutant: only the window's taps are read of somebody who has tapped since."""
    now = SystemClock().now()
    days = {"entry": 60, "exit": 1}
    with write_session(site_engine) as session:
        for seq, (what, direction) in enumerate((("entry", IN), ("exit", OUT)), 1):
            at = now - timedelta(days=days[what])
            session.execute(text("SELECT ccs_event_month(:at)"), {"at": month_of(at).from_at})
            tap = {"journal": filled.journal_ids[0], "seq": seq, "occurred": at, "received": at}
            tap |= {"site": filled.site_id, "terminal": filled.terminal_ids[0], "worker": filled.worker_ids[0]}
            session.execute(_TAP, tap | {"direction": direction, "token": bytes(16)})
    client = client_for("site:headcount:read")

    def inside(days_ago: float) -> int:
        at = (now - timedelta(days=days_ago)).isoformat()
        return int(client.get(HEADCOUNT, params={"true_at": at}).json()["inside"])

    assert [inside(days_ago) for days_ago in (70, 59, 10, 0.5)] == [0, 1, 1, 0]
