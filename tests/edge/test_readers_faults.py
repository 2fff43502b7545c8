"""RDR-01: unplugged reader, killed pcscd, card pulled mid-read. Recovered within 10 s, nothing missed or doubled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from edge_agent.readers.base import (
    RECOVERY_S_MAX,
    Answer,
    CardSeen,
    CardUnreadable,
    ReaderEvent,
    ReaderFound,
    ReaderLost,
)
from simulators.card import StorageCard, VpcdHand
from simulators.pcscd import PrivatePcscd
from simulators.reader_bench import UIDS, NfcBench, PcscBench, Running
from simulators.servers import wait_until

pytestmark = pytest.mark.system

RESTARTS_MAX = 5
"""Until the driver looks at a reader on which the card lies already: a virtual one is empty for a moment."""


@dataclass
class FatefulCard(StorageCard):
    """A card during whose reading something happens."""

    fate: Callable[[], None] = field(default=lambda: None)

    def answer(self, apdu: bytes) -> bytes:
        self.fate()
        return super().answer(apdu)


def recovered(running: Running, kind: type[ReaderFound | ReaderLost | CardSeen], count: int) -> None:
    wait_until(
        lambda: len(running.of(kind)) >= count,
        what=f"{count} {kind.__name__} within the promised time, in {running.events}",
        timeout_s=RECOVERY_S_MAX,
    )


@pytest.mark.promise("RDR-01")
def test_killed_pcscd_is_used_again_once_it_is_back(pcsc_bench: PcscBench) -> None:
    """Mutant: keep the PC/SC context over a failure (`SCardEstablishContext` once, before the loop)."""
    with Running(pcsc_bench.open()) as running:
        for round_ in (1, 2, 3):
            recovered(running, ReaderFound, round_)
            pcsc_bench.hold(UIDS[0])
            recovered(running, CardSeen, round_)
            pcsc_bench.take_away()
            pcsc_bench.pcscd.kill()
            recovered(running, ReaderLost, round_)
            pcsc_bench.pcscd.start()
        recovered(running, ReaderFound, 4)
    assert list(running.story()) == ["ReaderFound", "CardSeen", "ReaderLost"] * 3 + ["ReaderFound"]


@pytest.mark.promise("RDR-01")
def test_pcscd_killed_while_it_reads_a_card_loses_no_tap_silently(pcscd: PrivatePcscd) -> None:
    """Mutant: return from the failed read without a `CardUnreadable`."""
    hand = VpcdHand(pcscd.ports[0])
    with Running(PcscBench(pcscd).open()) as running:
        running.wait_for(ReaderFound)
        hand.hold(FatefulCard(UIDS[0], fate=pcscd.kill))
        recovered(running, ReaderLost, 1)
        hand.take_away()
        pcscd.start()
        recovered(running, ReaderFound, 2)
        hand.hold(StorageCard(UIDS[0]))
        recovered(running, CardSeen, 1)
    hand.take_away()
    assert list(running.story()) == ["ReaderFound", "CardUnreadable", "ReaderLost", "ReaderFound", "CardSeen"]


@pytest.mark.promise("RDR-01")
def test_pcscd_killed_while_a_tap_is_stored_leaves_that_tap_once(pcsc_bench: PcscBench) -> None:
    """Mutant: take the lamp command that then fails for a failed read, and tell the stored tap as unreadable."""

    class Killing(Running):
        def _emit(self, event: ReaderEvent) -> Answer | None:
            if isinstance(event, CardSeen) and not self.cards:
                pcsc_bench.pcscd.kill()
            return super()._emit(event)

    with Killing(pcsc_bench.open()) as running:
        pcsc_bench.hold(UIDS[0])
        recovered(running, ReaderLost, 1)
        pcsc_bench.take_away()
        pcsc_bench.pcscd.start()
        pcsc_bench.hold(UIDS[1])
        recovered(running, CardSeen, 2)
    assert list(running.story()) == ["ReaderFound", "CardSeen", "ReaderLost", "ReaderFound", "CardSeen"]


@pytest.mark.promise("RDR-01")
def test_unplugged_reader_is_used_again_once_it_is_back(pcsc_bench: PcscBench) -> None:
    """Mutant: take a reader's state UNKNOWN for an empty reader, and wait for a card for ever."""
    with Running(pcsc_bench.open()) as running:
        for round_ in (1, 2):
            recovered(running, ReaderFound, round_)
            pcsc_bench.hold(UIDS[0])
            recovered(running, CardSeen, round_)
            pcsc_bench.lose()
            recovered(running, ReaderLost, round_)
            pcsc_bench.restore()
        recovered(running, ReaderFound, 3)
    assert list(running.story()) == ["ReaderFound", "CardSeen", "ReaderLost"] * 2 + ["ReaderFound"], running.events


@pytest.mark.promise("RDR-01")
def test_reader_unplugged_while_it_reads_a_card_loses_no_tap_silently(pcscd: PrivatePcscd) -> None:
    """Mutant: return from the failed read without a `CardUnreadable`."""

    def pull_cable() -> None:
        pcscd.pull_cable()
        raise ConnectionError("no power, no answer")

    hand = VpcdHand(pcscd.ports[0])
    with Running(PcscBench(pcscd).open()) as running:
        running.wait_for(ReaderFound)
        hand.hold(FatefulCard(UIDS[0], fate=pull_cable))
        recovered(running, ReaderLost, 1)
        hand.take_away()
        pcscd.plug()
        recovered(running, ReaderFound, 2)
        hand.hold(StorageCard(UIDS[0]))
        recovered(running, CardSeen, 1)
    hand.take_away()
    assert list(running.story()) == ["ReaderFound", "CardUnreadable", "ReaderLost", "ReaderFound", "CardSeen"]


@pytest.mark.promise("RDR-01")
def test_a_card_pulled_mid_read_again_and_again_is_told_each_time(pcsc_bench: PcscBench) -> None:
    """Mutant: emit `CardUnreadable` only once until a card was read."""
    with Running(pcsc_bench.open()) as running:
        running.wait_for(ReaderFound)
        for round_ in range(1, 6):
            pcsc_bench.pull_mid_read(UIDS[0])
            running.wait_for(CardUnreadable, round_)
            pcsc_bench.hold(UIDS[1])
            recovered(running, CardSeen, round_)
            # A card that goes while its lamp is being lit is dropped without a look at the slot, and the daemon would
            # take the next card for the same one.
            wait_until(lambda lit=round_: len(pcsc_bench.shown()) == lit, what="the lamp")  # type: ignore[misc]
            pcsc_bench.take_away()
            pcsc_bench.pcscd.wait_until_empty()
    assert list(running.story()) == ["ReaderFound", *["CardUnreadable", "CardSeen"] * 5]


@pytest.mark.promise("RDR-01")
def test_a_card_that_lies_on_the_reader_while_pcscd_restarts_is_read_again_and_not_lost(pcscd: PrivatePcscd) -> None:
    """The second reading is told to have lain there, and the gate marks it a repeat; hiding it might hide a real tap.

    Mutant: the driver forgets over a lost daemon that a card was there.
    """
    hand = VpcdHand(pcscd.ports[0])
    with Running(PcscBench(pcscd).open()) as running:
        hand.hold(StorageCard(UIDS[0]))
        recovered(running, CardSeen, 1)
        for restart in range(1, RESTARTS_MAX + 1):
            pcscd.kill()
            recovered(running, ReaderLost, restart)
            pcscd.start()
            hand.hold(StorageCard(UIDS[0]))
            recovered(running, CardSeen, 1 + restart)
            if running.cards[-1].lay_there:  # else the driver looked while the new reader was still without it
                break
        hand.take_away()
        pcscd.wait_until_empty()
        hand.hold(StorageCard(UIDS[0]))
        recovered(running, CardSeen, 2 + restart)
    hand.take_away()
    assert {card.identity for card in running.cards} == {UIDS[0]}
    assert [card.lay_there for card in running.cards[-2:]] == [True, False]


@pytest.mark.promise("RDR-01")
def test_an_nfc_reader_whose_cable_comes_off_is_opened_again() -> None:
    """Mutant: expect only nfcpy's own errors around `sense`, so that a vanished USB device ends the driver."""
    with NfcBench() as bench, Running(bench.open()) as running:
        for round_ in (1, 2):
            recovered(running, ReaderFound, round_)
            bench.hold(UIDS[0])
            recovered(running, CardSeen, round_)
            bench.take_away()
            bench.lose()
            recovered(running, ReaderLost, round_)
            bench.restore()
        recovered(running, ReaderFound, 3)
    assert list(running.story()) == ["ReaderFound", "CardSeen", "ReaderLost"] * 2 + ["ReaderFound"], running.events
