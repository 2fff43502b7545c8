"""A receipt of a tap: genuine or not, for anyone; whose, for who knows the number; keys put in another's place."""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, event
from typer.testing import CliRunner, Result

from central.cli import app
from central.kit.db import write_session
from central.kit.sealed import Seal
from central.myself import receipt_keys, receipts
from central.myself.receipts import CONTEXT, DIRECTIONS, NotAReceipt, Receipt
from simulators.clocks import HandClock
from simulators.own_site import OwnSite
from simulators.web import WebServer

HUNG, HUNGS = "26-0001", "01011110001"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
SAID = Receipt(
    key_id=1,
    journal_id=UUID(int=7),
    seq=12_345,
    event_hash=bytes(range(32)),
    occurred_at=datetime(2026, 11, 22, 22, 0, 0, 512_000, tzinfo=UTC),
    time_error_ms=None,
    direction="in",
    site="site-31",
    business_no="0123456789",
    issued_at=datetime(2026, 11, 23, 3, 0, tzinfo=UTC),
    mark=b"m" * 16,
)
INSTANTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(  # noqa: DTZ001 - given a zone here
    lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000, tzinfo=UTC)
)
STATEMENTS = st.builds(
    Receipt,
    key_id=st.integers(1, 2**32 - 1),
    journal_id=st.uuids(),
    seq=st.integers(1, 2**63 - 1),
    event_hash=st.binary(min_size=32, max_size=32),
    occurred_at=INSTANTS,
    time_error_ms=st.none() | st.integers(0, 10**8),
    direction=st.sampled_from(DIRECTIONS),
    site=st.from_regex(r"[a-z0-9-]{1,40}", fullmatch=True),
    business_no=st.just("") | st.from_regex(r"[0-9]{9}[1-9]", fullmatch=True),
    issued_at=INSTANTS,
    mark=st.binary(min_size=16, max_size=16),
)


@given(STATEMENTS)
def test_what_is_signed_is_read_back_whole_and_fits_a_qr_code(said: Receipt) -> None:
    text = receipts.sign(said, KEY)
    found = receipts.read(text)
    assert found.receipt == said
    assert receipts.genuine(found, PUBLIC)
    assert len(text) <= receipts.TEXT_CHARS_MAX


@pytest.mark.promise("EVD-01")
@given(st.integers(0, 10**6), st.integers(1, 255))
def test_one_changed_bit_anywhere_is_noticed(place: int, change: int) -> None:
    """Mutant: believe a receipt without its signature."""
    text = receipts.sign(SAID, KEY)
    data = bytearray(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    data[place % len(data)] ^= change
    changed = base64.urlsafe_b64encode(bytes(data)).rstrip(b"=").decode()
    with contextlib.suppress(NotAReceipt):
        assert not receipts.genuine(receipts.read(changed), PUBLIC)


@given(st.text(max_size=700))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(NotAReceipt):
        receipts.read(text)


def receipt_link(page: httpx.Response) -> str:
    found = re.search(r'href="(/receipts/[^"]+)"', page.text)
    assert found is not None, page.text
    return found[1]


@pytest.fixture
def receipt(phone: Callable[..., Any], own_site: OwnSite, hand_clock: HandClock) -> str:
    journal, seq = own_site.tap(HUNG, hand_clock.now() - timedelta(hours=4))
    hung = phone()
    hung.sign_in(HUNG, HUNGS)
    page = hung.get(f"/me/taps/{journal}/{seq}")
    assert "<svg" in page.text
    assert "Nguyễn Văn Hùng" in page.text
    return receipt_link(page)


def test_anyone_checks_a_receipt_and_learns_no_name(receipt: str, own_web: WebServer, own_app: Any) -> None:
    """Mutant: show whose it is."""
    asked: list[str] = []
    engine: Engine = own_app.state.engine
    event.listen(engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    answer = httpx.get(own_web.url + receipt, headers={"accept": "text/html", "accept-language": "en"})
    assert "This receipt is genuine" in answer.text
    for shown in ("site-31", "999-00-00021", "2026-11-23 08:00"):
        assert shown in answer.text
    for hidden in ("Nguyễn", "26-0001", "두레철근", "중앙체육관", "정문"):
        assert hidden not in answer.text
    read = {table for sql in asked for table in re.findall(r"FROM (\w+)", sql)}
    assert read == {"myself_receipt_key"}, "it asks for a key and for nothing else"


def test_a_forged_receipt_is_told_and_shows_nothing(receipt: str, own_web: WebServer) -> None:
    text = receipt.removeprefix("/receipts/")
    for forged in (text[:-1] + ("A" if text[-1] != "A" else "B"), "x" * 300, receipts.sign(SAID, KEY)):
        answer = httpx.get(f"{own_web.url}/receipts/{forged}", headers={"accept": "text/html", "accept-language": "en"})
        assert answer.status_code == 200
        assert "not genuine" in answer.text
        assert "site-31" not in answer.text


def test_whose_a_receipt_is_is_told_to_who_knows_the_number_a_few_times(
    receipt: str, phone: Callable[..., Any]
) -> None:
    inspector = phone()
    assert "Yes: " in inspector.post(receipt, number="26-0001").text
    for _ in range(4):
        assert "No: " in inspector.post(receipt, number="26-0003").text
    assert inspector.post(receipt, number="26-0001").status_code == 429


def test_anothers_tap_has_no_receipt(phone: Callable[..., Any], own_site: OwnSite, hand_clock: HandClock) -> None:
    journal, seq = own_site.tap("26-0003", hand_clock.now() - timedelta(hours=1))
    hung = phone()
    hung.sign_in(HUNG, HUNGS)
    assert hung.client.get(f"/me/taps/{journal}/{seq}").status_code == 404


@pytest.mark.promise("EVD-01")
def test_a_new_key_signs_and_the_old_one_verifies_until_it_is_withdrawn(
    receipt: str, own_web: WebServer, central_engine: Engine, seal: Seal, hand_clock: HandClock
) -> None:
    """Mutant: let a withdrawn key go on verifying."""

    def verdict() -> str:
        headers = {"accept": "text/html", "accept-language": "en"}
        found = re.search(r"<h1[^>]*>([^<]+)", httpx.get(own_web.url + receipt, headers=headers).text)
        assert found is not None
        return found[1]

    old = receipts.read(receipt.removeprefix("/receipts/")).receipt.key_id
    with write_session(central_engine) as session:
        new = receipt_keys.rotate(session, seal, actor="system:test", now=hand_clock.now())
    assert new != old
    assert verdict() == "This receipt is genuine"
    keys = httpx.get(f"{own_web.url}/api/v1/receipt-keys").json()["items"]
    assert [(one["id"], one["retired_at"] is None) for one in keys] == [(new, True), (old, False)]
    found = receipts.read(receipt.removeprefix("/receipts/"))
    known = base64.urlsafe_b64decode(keys[1]["public_key"] + "=")
    Ed25519PublicKey.from_public_bytes(known).verify(found.signature, CONTEXT + found.signed)
    with write_session(central_engine) as session:
        receipt_keys.withdraw(session, key_id=old, actor="system:test", now=hand_clock.now())
    assert verdict() == "This receipt is not believed any more"


def test_a_receipt_of_another_context_is_none() -> None:
    said = receipts.statement(replace(SAID, site="x"))
    text = base64.urlsafe_b64encode(said + KEY.sign(said)).rstrip(b"=").decode()
    assert not receipts.genuine(receipts.read(text), PUBLIC)


def test_the_operator_puts_keys_in_each_others_place_from_the_machine(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data.key").write_text("cd" * 32)
    monkeypatch.setenv("CCS_DATABASE_URL", database_url)
    monkeypatch.setenv("CCS_DATA_KEY_FILE", str(tmp_path / "data.key"))

    def run(*command: str) -> Result:
        return CliRunner().invoke(app, ["receipts", *command])

    assert run("rotate").exit_code == 0
    refused = run("withdraw", "1", "--yes")
    assert refused.exit_code == 1
    assert "put another in its place first" in refused.output
    assert run("rotate").exit_code == 0
    assert run("withdraw", "1", "--yes").exit_code == 0
    assert [line.split("\t")[:2] for line in run("keys").output.splitlines()] == [["2", "signs"], ["1", "withdrawn"]]
