"""The main job, with nothing faked but the plastic: a card on a PC/SC reader, and a name on a phone's screen."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, Page, expect

from central.identity.accounts import Scope, create_user
from central.kit.db import make_engine, write_session
from simulators.card import StorageCard, VpcdHand
from simulators.pcscd import PrivatePcscd
from simulators.processes import CentralProgram, TerminalProgram, make_keys
from simulators.seeding import seed_site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulators.servers import MosquittoBroker

PASSWORD = "correct horse battery staple"
expect.set_options(timeout=30_000)  # a busy machine draws a page late, not wrong
PCSC_READER = """
[[readers]]
name = "pcsc"
driver = "pcsc"
address = "{name}"
direction = "in"
zone = "gate-01"
"""


@pytest.fixture
def pcscd(tmp_path: Path) -> Iterator[PrivatePcscd]:
    daemon = PrivatePcscd(tmp_path / "pcscd")
    daemon.start()
    yield daemon
    daemon.stop()


@pytest.fixture
def phone(chromium: Browser) -> Iterator[Page]:
    page = chromium.new_page(viewport={"width": 360, "height": 740}, locale="en-GB")
    yield page
    page.close()


@pytest.mark.system
@pytest.mark.timeout(240)
def test_a_card_on_a_reader_becomes_a_name_on_the_officers_phone(
    tmp_path: Path, database_url: str, mosquitto: MosquittoBroker, pcscd: PrivatePcscd, phone: Page
) -> None:
    keys = make_keys(tmp_path / "keys")
    site = seed_site(database_url, card_key=keys.card_key_bytes, workers=2)
    engine = make_engine(database_url, pool_size=1)
    with write_session(engine) as session:
        create_user(
            session, email="officer@example.org", name="Officer", password=PASSWORD, language="en",
            role="safety_officer", scope=Scope(),
            actor="system:test", now=datetime.now(UTC),
        )  # fmt: skip
    engine.dispose()
    web = CentralProgram("web", tmp_path / "central", database_url, mosquitto.url, keys)
    worker = CentralProgram("worker", tmp_path / "central", database_url, mosquitto.url, keys)
    terminal = TerminalProgram(
        "site-07", "gate-01", tmp_path / "gate-01", mosquitto.url, keys,
        more_readers=PCSC_READER.format(name=pcscd.readers[0]), env=dict(pcscd.environment),
    )  # fmt: skip
    programs = (web, worker, terminal)
    try:
        for program in programs:
            program.start()
        phone.goto(f"{web.url}/sites/site-07")
        phone.get_by_label("E-mail address").fill("officer@example.org")
        phone.get_by_label("Password").fill(PASSWORD)
        phone.get_by_role("button", name="Sign in").click()
        expect(phone.locator("[data-figure=inside]")).to_have_text("0")

        with VpcdHandOn(pcscd.ports[0], StorageCard(site.identities[0])):
            expect(phone.get_by_text("Worker 0001")).to_be_visible(timeout=30_000)
            expect(phone.locator("[data-figure=inside]")).to_have_text("1")
    finally:
        for program in reversed(programs):
            program.program.stop()


class VpcdHandOn:
    """A card held to a slot for the length of a block."""

    def __init__(self, port: int, card: StorageCard) -> None:
        self.hand = VpcdHand(port)
        self.card = card

    def __enter__(self) -> None:
        self.hand.hold(self.card)

    def __exit__(self, *_: object) -> None:
        self.hand.take_away()
