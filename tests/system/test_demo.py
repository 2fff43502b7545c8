"""The demo as a person starts it: a process, its addresses, a day that central follows, a card held by hand, Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest

from simulators.servers import accepts, free_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.xdist_group("demo")]
START_S_MAX = 150.0
DAY_S_MAX = 90.0


@dataclass
class StartedDemo:
    child: subprocess.Popen[str]
    folder: Path

    @property
    def facts_path(self) -> Path:
        return self.folder / "running.json"

    def wait(self) -> dict[str, Any]:
        def ready() -> bool:
            if self.child.poll() is not None:
                raise AssertionError(f"the demo ended: {self.child.communicate()}")
            return self.facts_path.exists()

        wait_until(ready, what="the demo", timeout_s=START_S_MAX)
        facts: dict[str, Any] = json.loads(self.facts_path.read_text())
        return facts

    def end(self, number: signal.Signals) -> tuple[int, str]:
        self.child.send_signal(number)
        out, _ = self.child.communicate(timeout=90)
        return self.child.returncode, out


def start(folder: Path, *arguments: str) -> StartedDemo:
    # Ports of its own for each folder: what an earlier demo leaves to end is never taken for this one's.
    base = 20_000 + zlib.crc32(str(folder).encode()) % 1_000 * 10
    ports = () if "--web-port" in arguments else ("--port-base", str(base))
    command = [sys.executable, "-m", "simulators.cli", "demo", "--data", str(folder), *ports, *arguments]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return StartedDemo(child, folder)


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that PostgreSQL can reach under root too, so that nothing is put elsewhere."""
    with tempfile.TemporaryDirectory(prefix="ccs-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def demos() -> Iterator[list[StartedDemo]]:
    started: list[StartedDemo] = []
    yield started
    for demo in started:
        if demo.child.poll() is None:
            demo.child.terminate()
            demo.child.communicate(timeout=90)


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def assert_nothing_is_left(facts: dict[str, Any]) -> None:
    wait_until(lambda: not any(lives(pid) for pid in facts["pids"]), what="every child to end")
    ports = [int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", json.dumps(facts))]
    assert len(set(ports)) == 7
    assert not [port for port in ports if accepts(port)]


def hold(facts: dict[str, Any], card: str, reader: str) -> dict[str, Any]:
    answer: dict[str, Any] = httpx.post(facts["hand"] + "api/hold", json={"card": card, "reader": reader}).json()
    return answer


def central(facts: dict[str, Any], path: str) -> Any:
    return (
        httpx.get(facts["web"] + path, headers={"Authorization": f"Bearer {facts['token']}"}).raise_for_status().json()
    )


def state(facts: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(facts["hand"] + "api/state").json()
    return found


def names(facts: dict[str, Any]) -> set[str]:
    return {person["name"] for person in central(facts, "/api/v1/sites/demo-site/people")["people"]}


def settled(facts: dict[str, Any]) -> bool:
    headcount = central(facts, "/api/v1/sites/demo-site/headcount")
    right = state(facts)
    return (headcount["inside"], headcount["unknown_cards"]) == (right["inside"], right["unknown_cards"])


def visitor(facts: dict[str, Any]) -> dict[str, Any]:
    people = httpx.get(facts["hand"] + "api/site").json()["people"]
    found: dict[str, Any] = next(person for person in people if person["role"] == "visitor")
    return found


def field(page: str, name: str) -> str:
    """Return the value of a form's hidden field."""
    found = re.search(rf'name="{name}" value="([^"]+)"', page)
    assert found is not None, page
    return found[1]


def sees_own_days(facts: dict[str, Any]) -> None:
    """Sign a worker in on a phone, with the code of the text that the demo's page shows."""
    someone = visitor(facts)
    with httpx.Client(follow_redirects=True, headers={"Accept": "text/html"}, timeout=30) as phone:
        page = phone.get(facts["links"]["worker"])
        asked = {"csrf_token": field(page.text, "csrf_token"), "number": someone["number"]}
        page = phone.post(str(page.url), data=asked)
        wait_until(lambda: bool(state(facts)["texts"]), what="the text with the code")
        text = state(facts)["texts"][0]
        assert text["to"] == someone["name"]
        code = re.search(r"\b\d{6}\b", text["text"])
        assert code is not None
        given = {"csrf_token": field(page.text, "csrf_token"), "ticket": field(page.text, "ticket"), "code": code[0]}
        page = phone.post(f"{facts['web']}/me/sign-in/code", data=given)
        assert (page.status_code, page.url.path) == (200, "/me")


def comes_in(facts: dict[str, Any], role: str) -> None:
    """Sign in as one of the demo's people: their home names the site."""
    email, password = facts["accounts"][role]
    with httpx.Client(
        base_url=facts["web"], follow_redirects=True, headers={"Accept": "text/html"}, timeout=30
    ) as browser:
        form = browser.get("/sites/demo-site").text
        fields = {"csrf_token": field(form, "csrf_token"), "email": email, "password": password}
        page = browser.post("/sign-in", data=fields | {"next": "/"})
        assert (page.status_code, page.url.path) == (200, "/"), role
        assert "/sites/demo-site" in page.text, role


def test_a_day_is_played_followed_and_gone_on_with(place: Path, demos: list[StartedDemo]) -> None:
    folder = place / "demo"
    demos.append(start(folder, "--workers", "14", "--speed", "2400"))
    facts = demos[0].wait()
    for address in (facts["hand"], *[facts["links"][code] for code in ("gate-01", "gate-02", "gate-03")]):
        assert httpx.get(address).status_code == 200

    for role in facts["accounts"]:
        comes_in(facts, role)
    sees_own_days(facts)
    wait_until(lambda: bool(state(facts)["finished"]), what="the day to be over", timeout_s=DAY_S_MAX)
    wait_until(lambda: settled(facts), what="central to say what is right")
    assert state(facts)["inside"] > 0, "somebody forgot to tap out"

    someone = visitor(facts)
    assert someone["name"] not in names(facts)
    answer = hold(facts, someone["key"], "gate-02/r1")
    held_s = time.monotonic()
    assert (answer["shown"], answer["decision"]) == ("green", "accepted")
    wait_until(lambda: someone["name"] in names(facts), what="the name on the headcount")
    print(f"from the answer at the gate to the name: {(time.monotonic() - held_s) * 1000:.0f} ms")
    wait_until(lambda: settled(facts), what="central to say what is right")

    status, out = demos[0].end(signal.SIGINT)
    assert status == 0, out
    assert "Stopped. The data stays" in out
    assert all(email in out for email, _ in facts["accounts"].values())
    assert not demos[0].facts_path.exists()
    assert_nothing_is_left(facts)

    demos.append(start(folder, "--no-play"))
    again = demos[1].wait()
    assert again["accounts"] == facts["accounts"]
    assert state(again)["day"] == 2
    wait_until(lambda: settled(again), what="the second start to know what the first did")
    assert someone["name"] in names(again)
    with psycopg.connect(again["database"]) as connection:
        counted = connection.execute("SELECT count(*) FROM registry_worker").fetchone()
        aside = connection.execute("SELECT topic, reason, detail FROM attendance_quarantine").fetchall()
    assert counted == (16,), "registered once: 14 workers, a visitor, a test card"
    assert aside == [], "terminals speak to a central that knows them"
    status, out = demos[1].end(signal.SIGTERM)
    assert status == 0, out
    assert_nothing_is_left(again)


def test_a_part_that_dies_is_named_with_its_log_and_everything_else_is_stopped(
    place: Path, demos: list[StartedDemo]
) -> None:
    demos.append(start(place / "demo", "--workers", "12", "--no-play"))
    facts = demos[0].wait()
    _central, gate, *_ = facts["pids"]
    os.kill(gate, signal.SIGKILL)
    out, _ = demos[0].child.communicate(timeout=90)
    assert demos[0].child.returncode == 1
    assert "gate-01 ended by itself with status -9; the end of" in out
    assert "agent_started" in out
    assert_nothing_is_left(facts)


def test_killing_the_demo_itself_leaves_no_orphans(place: Path, demos: list[StartedDemo]) -> None:
    folder = place / "demo"
    demos.append(start(folder, "--workers", "12", "--no-play"))
    facts = demos[0].wait()
    second = start(folder)
    out, _ = second.child.communicate(timeout=60)
    assert second.child.returncode == 1
    assert f"another demo (process {demos[0].child.pid}) runs in" in out
    demos[0].child.kill()
    demos[0].child.communicate()
    assert_nothing_is_left(facts)


def test_a_taken_port_is_explained_before_anything_starts(place: Path) -> None:
    port = free_port()
    with a_server_on(port):
        demo = start(place / "demo", "--web-port", str(port))
        out, _ = demo.child.communicate(timeout=60)
    assert demo.child.returncode == 1
    assert f"port {port} (for web) is taken: choose others with --port-base or --web-port" in out
    assert not (place / "demo" / "postgres").exists()


def a_server_on(port: int) -> Any:
    import socket

    return socket.create_server(("127.0.0.1", port))
