"""The roster on disk: believed only under central's signature, whole after a power cut, brought forward by deltas."""

from __future__ import annotations

import errno
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agent.loops.roster_store import RosterStore
from edge_agent.tap.roster import RosterForeign, RosterGap, RosterOld, RosterView
from edge_agent.wire.codec import BadSignature, sign
from edge_agent.wire.messages import Roster, RosterEntry

if TYPE_CHECKING:
    from pathlib import Path

KEY = Ed25519PrivateKey.generate()
NOW = datetime(2026, 11, 22, tzinfo=UTC)


def signed(version: int, *, base: int | None = None, site: str = "site-07", key: Ed25519PrivateKey = KEY) -> bytes:
    entry = RosterEntry(token=f"{version:032x}", worker=f"w{version}", name="김철수")
    return sign(Roster(site=site, version=version, base=base, issued_at=NOW, entries=[entry]), key=key, key_id="c1")


@pytest.fixture
def store(tmp_path: Path) -> RosterStore:
    return RosterStore(tmp_path / "roster.jsonl", site="site-07", key=KEY.public_key())


def versions_after(store: RosterStore, *payloads: bytes) -> list[int]:
    view, _ = store.load()
    found = []
    for payload in payloads:
        view = store.accept(view, payload)
        found.append(view.version)
    return found


def test_a_full_roster_and_its_deltas_are_there_after_a_restart(store: RosterStore) -> None:
    assert versions_after(store, signed(5), signed(6, base=5), signed(7, base=6)) == [5, 6, 7]
    view, complaint = store.load()
    assert (view.version, len(view.entries), complaint) == (7, 3, None)


def test_a_new_full_roster_replaces_what_was_there(store: RosterStore) -> None:
    versions_after(store, signed(5), signed(6, base=5), signed(9))
    view, _ = store.load()
    assert (view.version, len(view.entries)) == (9, 1)


def test_the_same_version_again_writes_nothing(store: RosterStore, tmp_path: Path) -> None:
    versions_after(store, signed(5))
    before = (tmp_path / "roster.jsonl").stat()
    assert versions_after(store, signed(5)) == [5]
    assert (tmp_path / "roster.jsonl").stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize(
    ("payload", "refusal"),
    [
        (signed(9, key=Ed25519PrivateKey.generate()), BadSignature),
        (signed(4), RosterOld),
        (signed(9, base=8), RosterGap),
        (signed(9, site="site-08"), RosterForeign),
        (b"not json", ValueError),
        (b'{"body":"{}","key":"c1","sig":"!"}', BadSignature),
    ],
)
def test_what_is_refused_leaves_the_file_as_it_was(
    store: RosterStore, payload: bytes, refusal: type[Exception]
) -> None:
    versions_after(store, signed(5))
    view, _ = store.load()
    with pytest.raises(refusal):
        store.accept(view, payload)
    assert store.load()[0].version == 5


def test_without_the_key_of_central_nothing_is_believed(tmp_path: Path) -> None:
    store = RosterStore(tmp_path / "roster.jsonl", site="site-07", key=None)
    with pytest.raises(BadSignature, match="no public key of central is configured"):
        store.accept(RosterView("site-07"), signed(5))


def test_a_line_torn_by_a_power_cut_is_left_out_and_said(store: RosterStore, tmp_path: Path) -> None:
    versions_after(store, signed(5), signed(6, base=5))
    file = tmp_path / "roster.jsonl"
    file.write_bytes(file.read_bytes()[:-20])
    view, complaint = store.load()
    assert view.version == 5
    assert complaint is not None
    assert "line 2 and what follows is left out" in complaint
    assert versions_after(store, signed(6, base=5)) == [6], "the next delta goes behind a whole line"
    assert store.load()[0].version == 6


def test_a_card_written_into_the_file_by_hand_is_not_let_in(store: RosterStore, tmp_path: Path) -> None:
    """Mutant: the file is read back without its signatures."""
    versions_after(store, signed(5))
    file = tmp_path / "roster.jsonl"
    file.write_bytes(file.read_bytes().replace(f"{5:032x}".encode(), f"{6:032x}".encode()))
    view, complaint = store.load()
    assert view.version == 0
    assert complaint is not None
    assert "does not verify" in complaint


def test_a_roster_that_the_disk_does_not_take_is_in_force_and_said_not_to_be_stored(
    store: RosterStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = store.accept(RosterView("site-07"), signed(5))
    before = (tmp_path / "roster.jsonl").read_bytes()
    with monkeypatch.context() as full:
        full.setattr("edge_agent.loops.roster_store.os.fsync", no_room)
        view = store.accept(view, signed(6, base=5))
    assert view.version == 6
    assert "No space left" in store.trouble
    assert (tmp_path / "roster.jsonl").read_bytes() == before, "no torn line stays behind"
    view = store.accept(view, signed(7, base=6))
    assert (view.version, store.load()[0].version) == (7, 5), "a delta on a version that is not stored is not stored"
    view = store.accept(view, signed(8))
    assert (store.trouble, store.load()[0].version) == ("", 8)


def test_a_damaged_file_on_a_full_disk_does_not_keep_the_terminal_from_starting(
    store: RosterStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A terminal that does not start answers nobody."""
    store.accept(RosterView("site-07"), signed(5))
    with (tmp_path / "roster.jsonl").open("ab") as file:
        file.write(b'{"torn')
    monkeypatch.setattr("edge_agent.loops.roster_store.os.fsync", no_room)
    view, complaint = store.load()
    assert view.version == 5
    assert complaint is not None
    assert "could not be put right (No space left on device)" in complaint


def test_a_roster_file_that_cannot_be_read_is_a_complaint_and_an_empty_roster(
    store: RosterStore, tmp_path: Path
) -> None:
    (tmp_path / "roster.jsonl").mkdir()
    view, complaint = store.load()
    assert view.version == 0
    assert complaint is not None
    assert "cannot be read (Is a directory)" in complaint


def test_what_is_kept_of_the_workers_names_is_for_the_agent_only(store: RosterStore, tmp_path: Path) -> None:
    store.accept(RosterView("site-07"), signed(5, base=0))
    assert (tmp_path / "roster.jsonl").stat().st_mode & 0o077 == 0


def no_room(_descriptor: int) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")
