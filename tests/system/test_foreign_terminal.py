"""A terminal that shares no code with ours, against a real broker, database, worker and web."""

from __future__ import annotations

import ast
import base64
import hashlib
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from central.identity.accounts import create_token
from central.kit.db import make_engine, write_session
from simulators.central_api import CentralApi
from simulators.processes import CentralProgram, Keys, make_keys
from simulators.seeding import SeededSite, identity, seed_site
from simulators.servers import MosquittoBroker, wait_until

sys.path.insert(0, str(Path(__file__).parent))  # test folders are no packages
from foreign_terminal import ZEROS, ForeignTerminal

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]

SITE, GATE = "site-07", "gate-01"


class Bench:
    """Broker, database and central as processes, a registered site, and an API client."""

    def __init__(self, folder: Path, database_url: str, broker: MosquittoBroker) -> None:
        self.folder, self.broker = folder, broker
        self.keys: Keys = make_keys(folder / "keys")
        self.site: SeededSite = seed_site(database_url, card_key=self.keys.card_key_bytes, workers=5)
        self.worker = CentralProgram("worker", folder / "central", database_url, broker.url, self.keys)
        self.web = CentralProgram("web", folder / "central", database_url, broker.url, self.keys)
        engine = make_engine(database_url, pool_size=1)
        with write_session(engine) as session:
            _, secret = create_token(
                session,
                name="a machine",
                scopes=["site:headcount:read", "site:people:read", "site:tap:read", "attendance:quarantine:read"],
                site=None,
                expires_at=None,
                actor="system:test",
                now=datetime.now(UTC),
            )
        engine.dispose()
        self.api = CentralApi(self.web.url, secret)

    def terminal(self, name: str = "journal", code: str = GATE) -> ForeignTerminal:
        return ForeignTerminal(
            site=SITE,
            code=code,
            port=self.broker.port,
            card_key=self.keys.card_key_bytes,
            journal=self.folder / f"{name}.jsonl",
        )

    def headcount(self) -> dict[str, Any]:
        return dict(self.api.get(f"/api/v1/sites/{SITE}/headcount"))

    def names(self) -> set[str]:
        return {person["name"] for person in self.api.get(f"/api/v1/sites/{SITE}/people")["people"]}

    def quarantined(self) -> set[str]:
        return {row["reason"] for row in self.api.get("/api/v1/quarantine")["items"]}


@pytest.fixture
def bench(tmp_path: Path, database_url: str, mosquitto: MosquittoBroker) -> Iterator[Bench]:
    bench = Bench(tmp_path, database_url, mosquitto)
    try:
        bench.worker.start()
        bench.web.start()
        yield bench
    finally:
        bench.api.close()
        bench.web.program.stop()
        bench.worker.program.stop()


def acknowledged(terminal: ForeignTerminal) -> bool:
    return terminal.durable == len(terminal.records)


def test_it_shares_no_code_with_ours() -> None:
    tree = ast.parse((Path(__file__).parent / "foreign_terminal.py").read_text())
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    others = {name.partition(".")[0] for name in modules} - sys.stdlib_module_names
    assert others == {"paho"}


def test_it_sends_taps_and_sees_its_ack_and_the_headcount(bench: Bench) -> None:
    terminal = bench.terminal()
    terminal.connect()
    terminal.until(lambda: terminal.acks, what="the answer to its birth")
    assert (terminal.acks[0]["durable"], terminal.acks[0]["hash"]) == (0, ZEROS)

    terminal.append("ccs.boot.v1", {"versions": {"foreign": "3.1"}, "config_hash": ""})
    for number in range(3):
        terminal.tap(bench.site.identities[number], "in")
    terminal.tap(identity(999), "in", decision="unknown_card")
    terminal.tap(bench.site.identities[2], "out")
    terminal.send()
    terminal.until(lambda: acknowledged(terminal), what="an ack of everything")
    assert terminal.alarm == ""
    assert terminal.acks[-1]["hash"] == hashlib.sha256(terminal.records[-1]).hexdigest()
    assert terminal.acks[-1]["have"] == []

    terminal.beat()
    wait_until(lambda: bench.headcount()["inside"] == 2, what="two people inside")
    found = bench.headcount()
    assert (found["unknown_cards"], found["at_most"]) == (1, 3)
    assert {"Worker 0001", "Worker 0002"} <= bench.names()
    terminal.disconnect()


def test_a_session_that_breaks_loses_and_doubles_nothing(bench: Bench) -> None:
    terminal = bench.terminal()
    for number in range(5):
        terminal.tap(bench.site.identities[number], "in")
    for _ in range(100):
        terminal.append("com.example.door.v1", {"open": True})
    terminal.connect()
    terminal.send_batch(terminal.records[60:105], lane="live")
    terminal.until(lambda: terminal.have == [[61, 105]], what="the live lane in `have`")
    terminal.send_batch(terminal.records[:30])
    terminal.disconnect(orderly=False)

    again = bench.terminal()
    assert again.journal_id == terminal.journal_id
    again.connect()
    again.until(lambda: again.acks, what="the answer to its birth")
    assert again.have == [[61, 105]] or again.durable >= 30
    again.send_batch(again.records[:30])
    again.send()
    again.until(lambda: acknowledged(again), what="an ack of everything")
    assert again.alarm == ""
    wait_until(lambda: bench.headcount()["inside"] == 5, what="five people inside")
    stored = bench.api.get(f"/api/v1/sites/{SITE}/taps?limit=100")["items"]
    assert len(stored) == 5
    again.disconnect()


def test_its_mistakes_are_answered_as_the_page_says(bench: Bench) -> None:
    terminal = bench.terminal()
    terminal.connect()
    terminal.tap(bench.site.identities[0], "in")
    terminal.tap(bench.site.identities[1], "sideways")
    terminal.tap(bench.site.identities[1], "in")
    terminal.send()
    terminal.until(lambda: acknowledged(terminal), what="an ack that passes the malformed event")
    assert terminal.alarm == ""

    terminal.send_batch(terminal.records * 30)
    terminal._publish("events", b"{")
    terminal._publish("birth", b"[]")
    other = json.loads(terminal.records[0]) | {"time": "2026-01-01T00:00:00Z"}
    terminal.send_batch([json.dumps(other).encode()])
    stranger = bench.terminal("stranger", code="gate-99")
    stranger.connect()
    stranger.tap(bench.site.identities[2], "in")
    stranger.send()
    expected = {
        "malformed_event",
        "batch_too_long",
        "malformed_batch",
        "malformed_message",
        "forked",
        "unknown_terminal",
    }
    wait_until(lambda: expected <= bench.quarantined(), what=f"quarantine with {sorted(expected)}")
    assert stranger.acks == []
    assert acknowledged(terminal)
    assert terminal.alarm == ""
    wait_until(lambda: bench.headcount()["inside"] == 2, what="two people inside")
    terminal.disconnect()
    stranger.disconnect()


def test_it_can_check_the_rosters_signature_and_follow_who_is_inside(bench: Bench) -> None:
    terminal = bench.terminal()
    terminal.connect()
    terminal.until(lambda: terminal.roster is not None, what="the retained roster")
    assert terminal.roster is not None
    assert len(terminal.roster["entries"]) == 5
    terminal.tap(bench.site.identities[0], "in")
    terminal.send()
    terminal.until(lambda: terminal.roster and terminal.roster["inside"], what="the inside list")
    key = load_pem_public_key(bench.keys.public_key.read_bytes())
    assert isinstance(key, Ed25519PublicKey)
    signed = terminal.signed_roster
    key.verify(base64.b64decode(signed["sig"]), signed["body"].encode())
    assert [one["name"] for one in terminal.roster["inside"]] == ["Worker 0001"]
    terminal.disconnect()
