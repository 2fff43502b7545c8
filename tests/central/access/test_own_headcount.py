"""A subcontractor is told how many of its own people are inside, and of nobody else's (ACC-01)."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest
from sqlalchemy import Engine, text

from central.identity.permissions import Role
from central.kit.clock import SystemClock
from central.kit.db import write_session
from simulators.two_worlds import World
from simulators.web import WebServer


@pytest.fixture
def inside(access_engine: Engine, worlds: tuple[World, World]) -> World:
    """Everybody of both worlds is inside, and a card that nobody holds."""
    now = SystemClock().now()
    with write_session(access_engine) as session:
        for world in worlds:
            for person, worker in (
                *((f"worker:{world.ids[f'worker_{who}']}", world.ids[f"worker_{who}"]) for who in ("prime", "sub")),
                ("card:" + "9f" * 16, None),
            ):
                session.execute(
                    text(
                        "INSERT INTO attendance_presence (site_id, person, worker_id, state, since_at, entry_assurance,"
                        " doubts, last_at, last_journal, last_seq, last_direction, last_terminal_id, last_zone)"
                        " VALUES (:site, :person, :worker, 1, :now, 3, 0, :now, 1, 1, 0, 1, '')"
                    ),
                    {"site": world.ids["site"], "person": person, "worker": worker, "now": now},
                )
    return worlds[0]


@pytest.fixture
def client_for(
    access_web: WebServer, people_of: dict[Role, int], session_for: Callable[..., str]
) -> Callable[[Role], httpx.Client]:
    def make(role: Role) -> httpx.Client:
        cookies = {"ccs_session": session_for(user_id=people_of[role]), "ccs_language": "en"}
        return httpx.Client(base_url=access_web.url, cookies=cookies, timeout=60, verify=False)

    return make


@pytest.mark.promise("ACC-01")
def test_a_subcontractor_is_told_of_its_own_people_alone(
    inside: World, client_for: Callable[[Role], httpx.Client]
) -> None:
    """Mutant acc-01-anybodys-people: give the site's headcount to whoever has somebody there."""
    path = f"/api/v1/sites/{inside.site}/headcount"
    with client_for(Role.CONTRACTOR) as prime:
        whole = prime.get(path).json()
        assert (whole["inside"], whole["visitors"], whole["unknown_cards"]) == (3, 1, 1)
        assert "worker prime own" in prime.get(f"/sites/{inside.site}").text
    with client_for(Role.SUBCONTRACTOR) as sub:
        mine = sub.get(path).json()
        assert (mine["inside"], mine["unknown_cards"], mine["visitors"], mine["at_most"]) == (1, 0, 0, 1)
        assert [one["name"] for one in mine["by"]["employer"]] == ["sub own"]
        past = sub.get(path, params={"true_at": whole["as_of"]}).json()
        assert past["inside"] == 0, "no taps were played"
        with sub.stream("GET", f"{path}/stream") as stream:
            first = next(line for line in stream.iter_lines() if line.startswith("data:"))
        assert json.loads(first.removeprefix("data:"))["inside"] == 1
        for shown in (sub.get(f"/sites/{inside.site}").text, sub.get(f"/sites/{inside.site}/live").text):
            assert "worker sub own" in shown
            assert "prime own" not in shown
            assert "9f9f" not in shown
        assert "You see your own people only." in sub.get(f"/sites/{inside.site}").text
        listed = sub.get("/sites").text
        assert "<b>1</b>" in listed
        assert "site-other" not in listed
        assert sub.get(f"/sites/{inside.site}/headcount.csv").status_code == 403
        assert sub.get(f"/api/v1/sites/{inside.site}/people").status_code == 403
        assert sub.get("/api/v1/sites/site-other/headcount").status_code == 404
