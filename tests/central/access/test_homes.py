"""Each role's home answers its own first questions, about its own part only, in as many queries always."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import Engine, event, text

from central.attendance.home import HOMES, PANELS, panels_of
from central.identity.permissions import ROLE_PERMISSIONS, Role
from central.identity.policy import Actor
from central.kit.clock import SystemClock
from central.kit.db import write_session
from simulators.two_worlds import EVERYWHERE, World
from simulators.web import WebServer

HomeOf = Callable[[Role], str]


@pytest.fixture
def home_of(access_web: WebServer, people_of: dict[Role, int], session_for: Callable[..., str]) -> HomeOf:
    """Open somebody's home in English."""

    def opened(role: Role) -> str:
        cookies = {"ccs_session": session_for(user_id=people_of[role]), "ccs_language": "en"}
        with httpx.Client(base_url=access_web.url, cookies=cookies, timeout=60, verify=False) as client:
            answer = client.get("/")
        assert answer.status_code == 200, answer.text
        return answer.text

    return opened


@pytest.fixture
def busy(access_engine: Engine, worlds: tuple[World, World]) -> tuple[World, World]:
    """Both worlds have somebody inside, a silent terminal, a visitor, a paper that ends and a project that begins."""
    now = SystemClock().now()
    with write_session(access_engine) as session:
        for world in worlds:
            given = {"site": world.ids["site"], "terminal": world.ids["terminal"], "now": now, "project": world.project}
            for who in ("prime", "sub"):
                session.execute(
                    text(
                        "INSERT INTO attendance_presence (site_id, person, worker_id, state, since_at, entry_assurance,"
                        " doubts, last_at, last_journal, last_seq, last_direction, last_terminal_id, last_zone)"
                        " VALUES (:site, :person, :worker, 1, :now, 3, 0, :now, 1, 1, 0, :terminal, '')"
                    ),
                    given | {"worker": world.ids[f"worker_{who}"], "person": f"worker:{world.ids[f'worker_{who}']}"},
                )
            session.execute(
                text("UPDATE registry_project SET begins_on = :day, ends_on = :end WHERE code = :project"),
                given | {"day": (now - timedelta(days=3)).date(), "end": (now + timedelta(days=9)).date()},
            )
            session.execute(
                text("UPDATE registry_day_pass SET on_day = :day WHERE site_id = :site"),
                given | {"day": now + timedelta(hours=9)},
            )
            session.execute(
                text("UPDATE registry_worker_paper SET until_on = :day"), {"day": (now + timedelta(days=5)).date()}
            )
    return worlds


def panels(page: str) -> list[str]:
    return re.findall(r'id="panel-(\w+)"', page)


@pytest.mark.parametrize("role", list(Role))
def test_each_role_sees_its_first_question_first_and_nothing_of_anothers(
    home_of: HomeOf, busy: tuple[World, World], role: Role
) -> None:
    """Mutant: count who is inside on every site."""
    shown = home_of(role)
    whole = role in EVERYWHERE
    assert panels(shown) == [kind for kind in HOMES[role] if whole or kind not in {"aside", "acts"}]
    if role not in {Role.ASSOCIATION, Role.SYSTEM_OPERATOR}:
        assert busy[1].site not in shown
        assert busy[1].project not in shown
        assert "worker prime other" not in shown
    if role in {Role.BANK, Role.WORKER}:
        return
    assert busy[0].site in shown or busy[0].project in shown


def test_a_home_counts_what_is_there(home_of: HomeOf, busy: tuple[World, World]) -> None:
    assert busy
    contractor = re.sub(r"\s+", " ", home_of(Role.CONTRACTOR))
    for words in (
        "<b>3</b> people inside",
        "<b>2</b> papers over or ending within 30 days",
        "<b>1</b> visitors and drivers who have not left",
        "<b>1</b> terminals in trouble",
        "<b>1</b> projects under way",
        "Silent",
    ):
        assert words in contractor, words
    assert "<b>1</b> of my people inside now" in home_of(Role.SUBCONTRACTOR)
    assert "worker prime" not in home_of(Role.SUBCONTRACTOR)
    assert "<b>2</b> begun within 14 days" in home_of(Role.ASSOCIATION)
    assert "by its own connection" in home_of(Role.BANK)


def test_a_home_asks_as_often_whatever_there_is(
    home_of: HomeOf, access_app: FastAPI, busy: tuple[World, World], access_engine: Engine
) -> None:
    statements: list[str] = []
    event.listen(
        access_app.state.engine, "before_cursor_execute", lambda _c, _cu, statement, *_: statements.append(statement)
    )

    def asked(role: Role) -> int:
        home_of(role)
        statements.clear()
        home_of(role)
        return len([one for one in statements if "registry_" in one and "identity_" not in one])

    few = {role: asked(role) for role in (Role.CONTRACTOR, Role.SYSTEM_OPERATOR)}
    with write_session(access_engine) as session:
        session.execute(
            text(
                "INSERT INTO registry_terminal (site_id, code, name, zone, in_service)"
                " SELECT :site, 'more-' || n, '', '', true FROM generate_series(1, 40) n"
            ),
            {"site": busy[0].ids["site"]},
        )
    assert {role: asked(role) for role in few} == few


def test_every_panel_of_a_home_is_one_that_its_role_may_see() -> None:
    for role, kinds in HOMES.items():
        for kind in kinds:
            assert PANELS[kind] in ROLE_PERMISSIONS[role], f"{role} never sees {kind}"


def test_who_has_several_roles_sees_the_first_question_of_each_first() -> None:
    both = Actor("user:1", "x", "en", roles=frozenset({Role.SAFETY_OFFICER.value, Role.ASSOCIATION.value}))
    assert panels_of(both) == [], "nothing without a standing"
