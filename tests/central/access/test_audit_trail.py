"""The audit trail as those see it who may: a real server, real looks in it."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

import httpx
import pytest
from python_calamine import CalamineWorkbook
from sqlalchemy import Engine, text

from central.identity.permissions import Role
from central.kit.db import read_session
from simulators.two_worlds import World


@pytest.fixture
def as_role(
    access_web: object, people_of: dict[Role, int], session_for: Callable[[int], str]
) -> Callable[[Role], httpx.Client]:
    def make(role: Role) -> httpx.Client:
        cookies = {"ccs_session": session_for(people_of[role]), "ccs_language": "en"}
        return httpx.Client(base_url=access_web.url, cookies=cookies, timeout=60)  # type: ignore[attr-defined]  # a WebServer

    return make


def test_whose_data_was_looked_at_by_whom_is_found_on_the_page_in_the_api_and_in_files(
    as_role: Callable[[Role], httpx.Client], worlds: tuple[World, World], access_engine: Engine
) -> None:
    """Mutants: a look does not say whose data it showed; an export leaves no trace."""
    worker = worlds[0].ids["worker_prime"]
    with as_role(Role.CONTRACTOR) as contractor:
        assert contractor.get(f"/workers/{worker}").status_code == 200
    with as_role(Role.SYSTEM_OPERATOR) as operator:
        for path in ("/audit", f"/audit?whose={worker}", "/audit?whose=prime-own", "/audit?who=contractor&what=worker"):
            shown = operator.get(path)
            assert shown.status_code == 200, shown.text
            assert f"/workers/{worker}" in shown.text, path
            assert "contractor" in shown.text
        assert "No act fits" in operator.get("/audit?whose=999999").text
        found = operator.get("/api/v1/audit", params={"whose": worker, "what": "worker:look"}).json()["items"]
        assert [(one["actor_name"], one["subject"]) for one in found] == [("contractor", f"/workers/{worker}")]
        assert worker in found[0]["detail"]["workers"]
        lines = list(csv.reader(io.StringIO(operator.get("/audit.csv?what=worker:look").content.decode("utf-8-sig"))))
        assert [line[2] for line in lines[1:]] == ["contractor"]
        sheet = CalamineWorkbook.from_filelike(io.BytesIO(operator.get("/audit.xlsx").content)).get_sheet_by_index(0)
        assert sheet.to_python()[0][0] == "When"
        assert operator.get("/audit?from_on=yesterday").status_code == 422
        assert operator.get("/audit?what=worker:eat").status_code == 422
        assert operator.get("/audit?after=x").status_code == 422
    with read_session(access_engine) as session:
        tags = list(session.execute(text("SELECT tag FROM audit_event WHERE tag LIKE 'audit:%' ORDER BY id")).scalars())
    assert tags.count("audit:export") == 2
    assert "audit:look" in tags


def test_pages_of_the_trail_join_without_a_gap(
    as_role: Callable[[Role], httpx.Client], worlds: tuple[World, World]
) -> None:
    with as_role(Role.CONTRACTOR) as contractor:
        for kind in ("prime", "sub"):
            for part in ("", "/papers", "/bars", "/labour-contracts"):
                contractor.get(f"/api/v1/workers/{worlds[0].ids[f'worker_{kind}']}{part}")
    with as_role(Role.SYSTEM_OPERATOR) as operator:
        given = {"what": "worker:look", "limit": "3"}
        seen: list[int] = []
        cursor: str | None = ""
        while cursor is not None:
            part = operator.get("/api/v1/audit", params=given | {"cursor": cursor}).json()
            seen += [one["id"] for one in part["items"]]
            cursor = part["next_cursor"]
    assert len(seen) == 8
    assert seen == sorted(seen, reverse=True)


def test_an_auditor_of_one_body_is_not_shown_everybodys_trail(as_role: Callable[[Role], httpx.Client]) -> None:
    with as_role(Role.AUDITOR) as auditor:
        assert auditor.get("/audit", headers={"accept": "text/html"}).status_code == 403
