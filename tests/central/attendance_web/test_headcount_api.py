from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text

from central.kit.clock import SystemClock
from central.kit.db import read_session, write_session
from simulators.filled_site import FilledSite, add_doubt, enter, quarantine_one
from simulators.servers import wait_until

HEADCOUNT = "/api/v1/sites/site-07/headcount"
ClientFor = Callable[..., httpx.Client]


def audited(engine: Engine, tag: str) -> list[Any]:
    with read_session(engine) as session:
        sql = text("SELECT actor, subject, detail FROM audit_event WHERE tag = :tag ORDER BY id")
        return list(session.execute(sql, {"tag": tag}))


def test_the_headcount_says_how_many_how_sure_and_what_may_be_missing(
    client_for: ClientFor, site_engine: Engine, filled: FilledSite
) -> None:
    add_doubt(site_engine, filled, now=SystemClock().now())
    found = client_for("site:headcount:read").get(HEADCOUNT).json()
    assert found["inside"] == 39
    assert found["inside"] == found["certain"] + found["probable"] + found["unknown"]
    assert (found["unknown_cards"], found["refused"]) == (1, 1)
    not_received = sum(terminal["not_received_at_most"] for terminal in found["terminals"])
    assert not_received == found["not_received"] == 9
    assert found["at_most_holds"] is True
    assert found["at_most"] == found["inside"] + 1 + 1 + not_received
    assert sum(share["inside"] for share in found["by"]["employer"]) == 39
    assert found["as_of"].endswith("Z")


def test_the_headcount_holds_no_name(client_for: ClientFor, site_engine: Engine, filled: FilledSite) -> None:
    enter(site_engine, filled, name="비밀이름", now=SystemClock().now())
    answer = client_for("site:headcount:read").get(HEADCOUNT)
    assert "비밀이름" not in answer.text
    assert "people" not in answer.json()


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        (HEADCOUNT, "site:people:read"),
        (f"{HEADCOUNT}/stream", "site:people:read"),
        ("/api/v1/sites/site-07/people", "site:headcount:read"),
        ("/api/v1/sites/site-07/taps", "site:headcount:read"),
        ("/api/v1/quarantine", "site:headcount:read"),
        ("/sites/site-07/headcount.csv", "site:headcount:read"),
    ],
)
def test_each_address_needs_its_own_permission(client_for: ClientFor, path: str, scope: str) -> None:
    assert client_for(scope).get(path).status_code == 403
    assert client_for(scope).get(path, headers={"authorization": ""}).status_code == 401


def test_a_site_of_others_is_not_even_known(client_for: ClientFor) -> None:
    assert client_for("site:headcount:read").get("/api/v1/sites/site-99/headcount").status_code == 404


def test_an_unchanged_headcount_is_not_sent_again(
    client_for: ClientFor, site_engine: Engine, filled: FilledSite
) -> None:
    client = client_for("site:headcount:read")
    first = client.get(HEADCOUNT)
    tag = {"if-none-match": first.headers["etag"]}
    assert client.get(HEADCOUNT, headers=tag).status_code == 304
    enter(site_engine, filled, name="새 사람", now=SystemClock().now())
    wait_until(lambda: client.get(HEADCOUNT, headers=tag).status_code == 200, what="the change to be seen")


def test_names_need_their_permission_and_each_look_is_audited_once_a_minute(
    client_for: ClientFor, site_engine: Engine, filled: FilledSite
) -> None:
    client = client_for("site:people:read")
    for _ in range(3):
        people = client.get("/api/v1/sites/site-07/people").json()["people"]
    assert len(people) == 40
    assert {"name", "employer", "trade", "last_zone", "last_at", "confidence", "reasons"} <= set(people[0])
    looks = audited(site_engine, "people:look")
    assert len(looks) == 1
    assert looks[0].subject == f"site:{filled.site_id}"
    assert looks[0].detail == {"people": 40, "workers": sorted(filled.worker_ids)}


def test_an_instant_without_an_offset_is_refused_with_an_example(client_for: ClientFor) -> None:
    answer = client_for("site:headcount:read").get(HEADCOUNT, params={"true_at": "2026-11-22T09:00:00"})
    assert answer.status_code == 422
    assert "+09:00" in answer.json()["detail"]


def test_a_past_instant_is_answered(client_for: ClientFor) -> None:
    client = client_for("site:headcount:read")
    answer = client.get(HEADCOUNT, params={"true_at": "2026-11-22T09:00:00+09:00"})
    assert answer.status_code == 200
    assert set(answer.json()) == set(client.get(HEADCOUNT).json())


def events(lines: Iterator[str]) -> Iterator[tuple[str, Any]]:
    kind = ""
    for line in lines:
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield kind, json.loads(line.removeprefix("data: "))


def test_the_stream_tells_the_state_then_each_change_then_that_it_is_alive(
    client_for: ClientFor, site_engine: Engine, filled: FilledSite
) -> None:
    with client_for("site:headcount:read").stream("GET", f"{HEADCOUNT}/stream") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        heard = events(answer.iter_lines())
        kind, first = next(heard)
        assert (kind, first["inside"]) == ("headcount", 40)
        enter(site_engine, filled, name="새 사람", now=SystemClock().now())
        kind, second = next(pair for pair in heard if pair[0] == "headcount")
        assert second["inside"] == 41
        assert second["people_version"] != first["people_version"]
        kind, alive = next(heard)
        assert kind == "alive"
        assert alive["as_of"] > second["as_of"]


def test_a_watcher_that_comes_back_is_not_told_again_what_it_knows(client_for: ClientFor) -> None:
    client = client_for("site:headcount:read")
    known = client.get(HEADCOUNT).headers["etag"].removeprefix('W/"').removesuffix('"')
    with client.stream("GET", f"{HEADCOUNT}/stream", headers={"last-event-id": known}) as answer:
        assert next(events(answer.iter_lines()))[0] == "alive"


def test_a_swap_of_two_people_is_a_change_although_the_number_stays(
    client_for: ClientFor, site_engine: Engine, filled: FilledSite
) -> None:
    client = client_for("site:headcount:read")
    before = client.get(HEADCOUNT).json()
    with site_engine.begin() as connection:
        gone = {"gone": filled.worker_ids[0]}
        connection.execute(text("UPDATE attendance_presence SET state = 0 WHERE worker_id = :gone"), gone)
    enter(site_engine, filled, name="새 사람", now=SystemClock().now())
    wait_until(
        lambda: client.get(HEADCOUNT).json()["people_version"] != before["people_version"], what="the swap to be seen"
    )
    assert client.get(HEADCOUNT).json()["inside"] == before["inside"]


def write_taps(engine: Engine, filled: FilledSite, *, count: int) -> None:
    sql = text(
        """
        INSERT INTO attendance_event (journal, seq, received_at, occurred_at, site_id, terminal_id, worker_id,
            time_basis, direction, decision, assurance, type, reader, zone, token, hash, bytes)
        SELECT :journal, n, now(), now(), :site, :terminal, :worker, 0, 0, 0, 3, 'ccs.tap.v1', 'r1', 'zone-01',
            decode(repeat('9f', 16), 'hex'), sha256(n::text::bytea), '{}'
        FROM generate_series(1, :count) n
        """
    )
    with engine.begin() as connection:
        for journal, terminal in zip(filled.journal_ids, filled.terminal_ids, strict=True):
            given = {"journal": journal, "terminal": terminal, "worker": filled.worker_ids[0]}
            connection.execute(sql, given | {"site": filled.site_id, "count": count})


def test_taps_are_paged_without_gap_or_repeat(client_for: ClientFor, site_engine: Engine, filled: FilledSite) -> None:
    write_taps(site_engine, filled, count=25)
    client, cursor, seen = client_for("site:tap:read"), None, []
    while True:
        asked = {"limit": 10} | ({"cursor": cursor} if cursor else {})
        page = client.get("/api/v1/sites/site-07/taps", params=asked).json()
        seen += [(tap["journal_id"], tap["seq"]) for tap in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 75
    only = client.get("/api/v1/sites/site-07/taps", params={"limit": 100, "terminal": "gate-02"}).json()["items"]
    assert {tap["terminal"] for tap in only} == {"gate-02"}
    assert len(only) == 25


@pytest.mark.parametrize("cursor", ["x", "1", "1.2.3", "-1.2", "1." + "9" * 30])
def test_a_cursor_that_is_not_ours_is_refused(client_for: ClientFor, cursor: str) -> None:
    answer = client_for("site:tap:read").get("/api/v1/sites/site-07/taps", params={"cursor": cursor})
    assert answer.status_code == 422
    assert "next_cursor" in answer.json()["detail"]


def test_quarantine_is_listed_with_reason_and_bytes(client_for: ClientFor, site_engine: Engine) -> None:
    for _ in range(3):
        quarantine_one(site_engine, now=SystemClock().now())
    client = client_for("attendance:quarantine:read", site=None)
    page = client.get("/api/v1/quarantine", params={"limit": 2}).json()
    assert len(page["items"]) == 2
    assert page["items"][0]["reason"] == "malformed_event"
    assert "yesterday" in page["items"][0]["preview"]
    rest = client.get("/api/v1/quarantine", params={"cursor": page["next_cursor"]}).json()
    assert len(rest["items"]) == 1
    assert rest["next_cursor"] is None


def test_health_and_readiness_answer_and_metrics_are_not_on_the_open_port(client_for: ClientFor) -> None:
    client = client_for("site:headcount:read")
    assert client.get("/healthz").text == "ok\n"
    assert client.get("/readyz").text == "ready\n"
    assert client.get("/metrics").status_code == 404


def test_a_process_is_not_ready_before_the_tables_are_of_its_release(
    client_for: ClientFor, site_engine: Engine
) -> None:
    """Mutant: ask only whether the database answers."""
    client = client_for("site:headcount:read")
    with write_session(site_engine) as session:
        session.execute(text("DELETE FROM alembic_version"))
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "run ccs-central migrate" in answer.text
    with write_session(site_engine) as session:
        session.execute(text("INSERT INTO alembic_version VALUES ('9999')"))
    assert client.get("/readyz").status_code == 200, "a database ahead of this release can be worked with"
