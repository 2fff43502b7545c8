"""Authentication against NXP's published vectors, and against the virtual card in every way it can go wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.cards.ev2 import AesKey, AuthenticationRefused, answer_challenge, check_proof, diversify
from edge_agent.cards.key_file import FileKeyStore, KeyFileUnusable
from edge_agent.cards.session import CardNotUsable, CardRead, converse, native, read_card
from edge_agent.config import FileUnreadable
from edge_agent.wire.messages import Credential
from simulators.card import DesfireCard, StorageCard

UID = bytes.fromhex("04782e21801d80")
MASTER = "00112233445566778899aabbccddeeff"
KEY_FILE = f"""
application = "f58110"
key_number = 1
system_id = "4e585020416275"
[[master_key]]
version = 2
key = "{MASTER}"
[[master_key]]
version = 1
key = "ffeeddccbbaa99887766554433221100"
"""


@pytest.fixture
def keys(tmp_path: Path) -> FileKeyStore:
    return key_store(tmp_path, KEY_FILE)


def key_store(folder: Path, text: str, mode: int = 0o600) -> FileKeyStore:
    path = folder / "card_keys.toml"
    path.write_text(text)
    path.chmod(mode)
    return FileKeyStore(path)


def card_of(keys: FileKeyStore, *, version: int = 2, tells_key_version: bool = True) -> DesfireCard:
    key = keys.card_key(UID, version).key
    return DesfireCard(UID, key=key, key_version=version, tells_key_version=tells_key_version)


def read(card: StorageCard, keys: FileKeyStore | None) -> CardRead:
    return converse(read_card(keys, lambda size: bytes(range(size))), card.answer)


def test_diversification_gives_the_key_of_an10922() -> None:
    key = diversify(bytes.fromhex(MASTER), UID, bytes.fromhex("3042f5"), bytes.fromhex("4e585020416275"))
    assert key.hex() == "a8dd63a3b89d54b37ca802473fda9175"


@pytest.mark.parametrize("system_id_bytes", [5, 22])
def test_diversification_refuses_input_that_an10922_pads_otherwise(system_id_bytes: int) -> None:
    with pytest.raises(ValueError, match="system identifier"):
        diversify(bytes(16), UID, bytes(3), bytes(system_id_bytes))


def test_mutual_authentication_gives_the_session_of_an12196() -> None:
    key = AesKey(bytes(16))
    rnd_a = bytes.fromhex("13c5db8a5930439fc3def9a4c675360f")
    rnd_b, reply = answer_challenge(key, bytes.fromhex("a04c124213c186f22399d33ac2a30215"), rnd_a)
    assert rnd_b.hex() == "b9e2fc789b64bf237cccaa20ec7e6e48"
    assert reply.hex() == "35c3e05a752e0144bac0de51c1f22c56b34408a23d8aea266cab947ea8e0118d"
    proof = bytes.fromhex("3fa64db5446d1f34cd6ea311167f5e4985b89690c04a05f17fa7ab2f08120663")
    session = check_proof(key, proof, rnd_a, rnd_b)
    assert session.transaction.hex() == "9d00c4df"
    assert session.enc_key.hex() == "1309c877509e5a215007ff0ed19ca564"
    assert session.mac_key.hex() == "4c6626f5e72ea694202139295c7a7fc7"


@given(flipped=st.integers(0, 20 * 8 - 1))
def test_a_proof_with_any_bit_changed_in_what_it_proves_is_refused(flipped: int) -> None:
    """The first 20 bytes of plain text are the transaction and our own number; a bit there changes its whole block."""
    key, rnd_a, rnd_b = AesKey(bytes(range(16))), bytes(range(16, 32)), bytes(range(32, 48))
    plain = bytearray(b"\1\2\3\4" + rnd_a[1:] + rnd_a[:1] + bytes(12))
    proof = bytearray(key.encrypt(bytes(plain)))
    proof[flipped // 8] ^= 1 << flipped % 8
    with pytest.raises(AuthenticationRefused):
        check_proof(key, bytes(proof), rnd_a, rnd_b)


@pytest.mark.parametrize("tells_key_version", [True, False])
def test_a_card_with_its_own_key_proves_itself(keys: FileKeyStore, *, tells_key_version: bool) -> None:
    card = card_of(keys, tells_key_version=tells_key_version)
    assert read(card, keys) == CardRead(UID, Credential("desfire_ev2", 3, 2))
    assert card.session is not None


def test_a_card_of_an_older_key_version_still_proves_itself(keys: FileKeyStore) -> None:
    assert read(card_of(keys, version=1), keys).credential == Credential("desfire_ev2", 3, 1)


def test_both_sides_derive_the_same_session(keys: FileKeyStore) -> None:
    card = card_of(keys)
    exchanged: list[bytes] = []

    def exchange(apdu: bytes) -> bytes:
        exchanged.append(card.answer(apdu))
        return exchanged[-1]

    converse(read_card(keys, lambda size: bytes(range(size))), exchange)
    key, rnd_a = keys.card_key(UID, 2), bytes(range(16))
    rnd_b, _ = answer_challenge(key, exchanged[-2][:-2], rnd_a)
    assert check_proof(key, exchanged[-1][:-2], rnd_a, rnd_b) == card.session


def test_a_clone_of_the_number_without_the_key_is_refused(keys: FileKeyStore) -> None:
    """CRD-01. Mutant: take the card's word for its key (skip `check_proof`)."""
    clone = DesfireCard(UID, key=bytes(16), key_version=2)
    result = read(clone, keys)
    assert (result.identity, result.credential) == (UID, Credential("desfire_ev2", 0))
    assert "91ae" in result.refused


def test_a_card_that_accepts_anything_but_cannot_prove_itself_is_refused(keys: FileKeyStore) -> None:
    class Yes(DesfireCard):
        def _prove(self, data: bytes) -> bytes:
            return data + b"\x91\x00"

    assert "holds another key" in read(Yes(UID, key=bytes(16), key_version=2), keys).refused


@pytest.mark.parametrize("answer", [b"\x91\x00", b"\x91\xaf", bytes(15) + b"\x91\xaf", bytes(8) + b"\x91\x9d"])
def test_a_card_that_breaks_the_protocol_is_refused(keys: FileKeyStore, answer: bytes) -> None:
    class Broken(DesfireCard):
        def answer(self, apdu: bytes) -> bytes:
            return answer if apdu[1] == 0x71 else super().answer(apdu)

    result = read(Broken(UID, key_version=2), keys)
    assert result.refused
    assert result.credential.assurance == 0


def test_a_card_with_a_key_version_nobody_knows_is_refused(keys: FileKeyStore) -> None:
    assert "version 9" in read(DesfireCard(UID, key_version=9), keys).refused


def test_a_card_whose_number_gives_no_key_is_refused_like_any_that_cannot_prove_itself(tmp_path: Path) -> None:
    """Mutant: the failure ends the reader's loop, the worker gets no answer, and the sixth such card ends the agent."""
    keys = key_store(tmp_path, KEY_FILE.replace("4e585020416275", "4e5850204162"))
    short = bytes.fromhex("a1b2c3d4")
    result = read(DesfireCard(short, application=keys.application, key_version=2), keys)
    assert (result.identity, result.credential) == (short, Credential("desfire_ev2", 0))
    assert "system identifier" in result.refused


def test_a_card_without_our_application_is_known_by_its_number_only(keys: FileKeyStore) -> None:
    other = DesfireCard(UID, application=bytes.fromhex("010203"))
    assert read(other, keys) == CardRead(UID, Credential("id_only", 0))
    assert read(StorageCard(UID), keys) == CardRead(UID, Credential("id_only", 0))


def test_without_keys_a_card_is_known_by_its_number_only(keys: FileKeyStore) -> None:
    assert read(card_of(keys), None) == CardRead(UID, Credential("id_only", 0))


def test_an_application_may_be_named_the_iso_way(tmp_path: Path) -> None:
    keys = key_store(tmp_path, KEY_FILE.replace("f58110", "d2760000850101"))
    card = DesfireCard(
        UID, application=keys.application, key=keys.card_key(UID, 2).key, key_version=2, tells_key_version=False
    )
    assert read(card, keys).credential.assurance == 3


@pytest.mark.parametrize(
    ("uid", "sentence"), [(bytes.fromhex("08a1b2c3"), "phone"), (b"", "0 bytes"), (bytes(5), "5 bytes")]
)
def test_what_is_no_identity_is_not_recorded(uid: bytes, sentence: str) -> None:
    with pytest.raises(CardNotUsable, match=sentence):
        read(StorageCard(uid), None)


def test_a_card_that_never_comes_to_an_end_is_left() -> None:
    def babble() -> object:
        while True:
            yield b"\x90\xaf\x00\x00\x00"

    with pytest.raises(CardNotUsable, match="12 commands"):
        converse(babble(), lambda _: b"\x91\xaf")  # type: ignore[arg-type]


def test_the_version_of_a_card_comes_in_three_frames() -> None:
    card = DesfireCard(UID)
    frames = [card.answer(native(0x60)), card.answer(native(0xAF)), card.answer(native(0xAF))]
    assert [frame[-2:].hex() for frame in frames] == ["91af", "91af", "9100"]
    assert frames[2].startswith(UID)


def test_a_key_is_not_shown(keys: FileKeyStore) -> None:
    assert "a8dd" not in repr(keys.card_key(UID, 2))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("key_number = 1", "key_number = 99"), "key_number"),
        (("system_id", "sytem_id"), "sytem_id"),
        ((MASTER, "0011"), "master_key"),
        (('"f58110"', '"f58"'), "application"),
        (("[[master_key]]", "[[master_key"), "card_keys.toml"),
        (("f58110", "d2760000850101" + "00" * 9), "them 16 to 31"),
    ],
)
def test_a_bad_key_file_is_refused_with_its_place(tmp_path: Path, change: tuple[str, str], sentence: str) -> None:
    with pytest.raises(KeyFileUnusable, match=sentence):
        key_store(tmp_path, KEY_FILE.replace("4e585020416275", "4e585020416275" + "00" * 14).replace(*change))


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyFileUnusable, match="chmod 600"):
        key_store(tmp_path, KEY_FILE, mode=0o640)


def test_a_missing_key_file_is_named_and_may_be_there_in_a_moment(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable, match=r"nowhere\.toml: keys\.site_keys_file: cannot be read \(No such file"):
        FileKeyStore(tmp_path / "nowhere.toml")
