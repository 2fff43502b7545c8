"""What only nfcpy's readers do: phones, frames that make no sense, cards that cannot be asked twice."""

from __future__ import annotations

import errno

import pytest

from edge_agent.readers.base import CardSeen, CardUnreadable, ReaderConfig, ReaderFound, ReaderLost
from edge_agent.readers.nfc import NfcReader
from simulators.nfc_tag import FelicaTag, Tag, TypeATag
from simulators.reader_bench import UIDS, NfcBench, Running

pytestmark = pytest.mark.system


@pytest.mark.parametrize(
    "tag",
    [
        TypeATag(bytes.fromhex("08a1b2c3")),
        TypeATag(UIDS[0], sel_res=0x60),
        FelicaTag(bytes.fromhex("01fe000102030405")),
    ],
)
def test_a_phone_is_told_and_not_recorded(tag: Tag) -> None:
    with NfcBench() as bench, Running(bench.open()) as running:
        bench.hand.hold(tag)
        unreadable = running.wait_for(CardUnreadable)
    assert isinstance(unreadable, CardUnreadable)
    assert "phone" in unreadable.reason
    assert not running.cards


@pytest.mark.parametrize("tag", [TypeATag(UIDS[0], sel_res=0x20), TypeATag(bytes.fromhex("a1b2c3d4"), sel_res=0x08)])
def test_a_card_that_has_no_harmless_question_is_read_by_its_number(tag: TypeATag) -> None:
    with NfcBench() as bench, Running(bench.open()) as running:
        bench.hand.hold(tag)
        running.wait_for(CardSeen)
    assert running.cards[0].identity == tag.uid


def test_a_frame_that_makes_nfcpy_fail_is_a_lost_reader_that_comes_back() -> None:
    class Garbled(TypeATag):
        def answer(self, command: bytes) -> bytes | None:
            return b"\x00" if command == b"\x26" else super().answer(command)

    with NfcBench() as bench, Running(bench.open()) as running:
        bench.hand.hold(Garbled(UIDS[0]))
        running.wait_for(ReaderLost)
        bench.hold(UIDS[1])
        running.wait_for(CardSeen)
    assert running.cards[0].identity == UIDS[1]
    assert len(running.of(ReaderFound)) == len(running.of(ReaderLost)) + 1


def test_a_reader_that_is_not_there_is_lost_with_its_path_and_what_to_do() -> None:
    def absent(_: str) -> object:
        raise OSError(errno.ENODEV, "No such device")

    config = ReaderConfig("r1", "nfc", "usb:054c:06c3", "in", "gate-a")
    with Running(NfcReader(config, open_frontend=absent)) as running:
        lost = running.wait_for(ReaderLost)
    assert isinstance(lost, ReaderLost)
    assert "usb:054c:06c3" in lost.reason
    assert "plug it in" in lost.reason
    assert list(running.story()) == ["ReaderLost"]


def test_a_card_held_on_after_it_did_not_answer_is_read_as_soon_as_it_does() -> None:
    """Mutant: the card counts as seen, and the worker who was told to hold it still waits for ever."""

    class Shaky(TypeATag):
        """Answers that it is there, but not yet what it holds."""

        asked = 0

        def answer(self, command: bytes) -> bytes | None:
            if command.startswith(b"\x30"):
                self.asked += 1
                if self.asked <= 7:
                    return None
            return super().answer(command)

    tag = Shaky(UIDS[0])
    with NfcBench() as bench, Running(bench.open()) as running:
        bench.hand.hold(tag)
        running.wait_for(CardSeen)
    assert list(running.story()) == ["ReaderFound", "CardUnreadable", "CardSeen"]
    assert running.cards[0].identity == UIDS[0]
