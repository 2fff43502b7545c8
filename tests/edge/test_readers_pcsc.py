"""What only PC/SC readers do: cards that prove themselves, names, lamps, other programs on the same reader."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.cards.key_file import FileKeyStore
from edge_agent.readers.base import CardSeen, CardUnreadable, ReaderConfig, ReaderFound, ReaderLost
from edge_agent.readers.catalog import open_reader
from edge_agent.readers.pcsc import choose
from edge_agent.readers.signals import signal_for
from edge_agent.wire.messages import Credential
from simulators.card import DesfireCard, StorageCard, VpcdHand
from simulators.pcscd import PrivatePcscd
from simulators.reader_bench import UIDS, PcscBench, Running

pytestmark = pytest.mark.system


@pytest.fixture
def keys(tmp_path: Path) -> FileKeyStore:
    path = tmp_path / "card_keys.toml"
    path.touch(mode=0o600)
    path.write_text(
        'application = "f58110"\nkey_number = 0\nsystem_id = "73656f756c31"\n'
        '[[master_key]]\nversion = 3\nkey = "000102030405060708090a0b0c0d0e0f"\n'
    )
    return FileKeyStore(path)


def seen_with(pcscd: PrivatePcscd, keys: FileKeyStore | None, card: StorageCard) -> CardSeen:
    hand = VpcdHand(pcscd.ports[0])
    config = ReaderConfig("r1", "pcsc", pcscd.readers[0], "in", "gate-a")
    with Running(open_reader(config, keys=keys), colour="red") as running:
        hand.hold(card)
        running.wait_for(CardSeen)
    hand.take_away()
    return running.cards[0]


def test_a_desfire_card_proves_itself_through_pcscd(pcscd: PrivatePcscd, keys: FileKeyStore) -> None:
    card = DesfireCard(UIDS[0], key=keys.card_key(UIDS[0], 3).key, key_version=3)
    seen = seen_with(pcscd, keys, card)
    assert (seen.identity, seen.credential, seen.authentic) == (UIDS[0], Credential("desfire_ev2", 3, 3), True)


def test_a_desfire_card_with_another_key_is_seen_as_not_authentic(pcscd: PrivatePcscd, keys: FileKeyStore) -> None:
    seen = seen_with(pcscd, keys, DesfireCard(UIDS[0], key=bytes(16), key_version=3))
    assert (seen.identity, seen.credential.assurance, seen.authentic) == (UIDS[0], 0, False)


def test_a_storage_card_at_a_reader_with_keys_is_known_by_its_number(pcscd: PrivatePcscd, keys: FileKeyStore) -> None:
    seen = seen_with(pcscd, keys, StorageCard(UIDS[0]))
    assert (seen.credential, seen.authentic) == (Credential("id_only", 0), True)


def test_a_phone_is_told_and_not_recorded(pcsc_bench: PcscBench) -> None:
    with Running(pcsc_bench.open()) as running:
        pcsc_bench.hold(bytes.fromhex("08a1b2c3"))
        unreadable = running.wait_for(CardUnreadable)
    assert isinstance(unreadable, CardUnreadable)
    assert "phone" in unreadable.reason
    assert not running.cards


def test_a_card_held_while_another_program_has_the_reader_is_read_once_it_lets_go(pcsc_bench: PcscBench) -> None:
    pcsc_bench.hold(UIDS[0])
    greedy = (
        "import sys; from smartcard.scard import *\n"
        "context = SCardEstablishContext(SCARD_SCOPE_USER)[1]\n"
        "while SCardConnect(context, sys.argv[1], SCARD_SHARE_EXCLUSIVE, SCARD_PROTOCOL_ANY)[0]:\n"
        "    SCardGetStatusChange(context, 100, [(sys.argv[1], SCARD_STATE_EMPTY)])\n"
        "print('taken', flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", greedy, pcsc_bench.pcscd.readers[0]]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == b"taken\n"
        with Running(pcsc_bench.open()) as running:
            unreadable = running.wait_for(CardUnreadable)
            other.stdin.close()
            running.wait_for(CardSeen)
    assert isinstance(unreadable, CardUnreadable)
    assert "Sharing violation" in unreadable.reason
    assert list(running.story()) == ["ReaderFound", "CardUnreadable", "CardSeen"]


def test_a_reader_is_found_by_part_of_its_name(pcscd: PrivatePcscd) -> None:
    with Running(open_reader(ReaderConfig("r1", "pcsc", "00 01", "in", "gate-a"))) as running:
        found = running.wait_for(ReaderFound)
    assert isinstance(found, ReaderFound)
    assert found.detail == pcscd.readers[1]


@pytest.mark.parametrize(("address", "sentence"), [("Gate A", "2 readers match"), ("Gate B", "no reader matches")])
def test_a_name_that_does_not_say_which_reader_is_a_lost_reader(
    pcscd: PrivatePcscd, address: str, sentence: str
) -> None:
    with Running(open_reader(ReaderConfig("r1", "pcsc", address, "in", "gate-a"))) as running:
        lost = running.wait_for(ReaderLost)
    assert isinstance(lost, ReaderLost)
    assert sentence in lost.reason
    assert pcscd.readers[0] in lost.reason


def test_an_empty_name_takes_the_first_reader() -> None:
    assert choose("", ["one 00 00", "two 00 00"]) == ("one 00 00", "")


def test_a_whole_name_wins_over_a_longer_one_that_contains_it() -> None:
    assert choose("gate", ["gate two", "gate"]) == ("gate", "")


def test_two_readers_of_one_machine_do_not_disturb_each_other(pcscd: PrivatePcscd) -> None:
    benches = [PcscBench(pcscd, slot=slot) for slot in (0, 1)]
    with Running(benches[0].open()) as first, Running(benches[1].open()) as second:
        for bench, uid in zip(benches, UIDS, strict=True):
            bench.hold(uid)
        first.wait_for(CardSeen)
        second.wait_for(CardSeen)
    for bench in benches:
        bench.take_away()
    assert ([card.identity for card in first.cards], [card.identity for card in second.cards]) == (
        [UIDS[0]],
        [UIDS[1]],
    )


def test_a_reader_without_a_lamp_that_we_know_is_left_alone() -> None:
    assert signal_for("Identiv uTrust 3700 F CL Reader", "green") is None
