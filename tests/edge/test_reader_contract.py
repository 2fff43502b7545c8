"""One contract, run on every driver with its real parts: pcscd and a virtual card, nfcpy's UDP driver, a TCP socket."""

from __future__ import annotations

import pytest

from edge_agent.readers.base import CardSeen, CardUnreadable, ReaderFound, ReaderLost
from simulators.reader_bench import NfcBench, PcscBench, ReaderBench, Running
from simulators.servers import wait_until

pytestmark = pytest.mark.system

STOP_S_MAX = 5.0
"""Far above the contract's two seconds: a loaded machine is no broken contract, a driver that never ends is."""


def test_a_card_is_seen_with_its_identity_and_credential(reader_bench: ReaderBench) -> None:
    with Running(reader_bench.open()) as running:
        running.wait_for(ReaderFound)
        reader_bench.hold(reader_bench.identities[0])
        seen = running.wait_for(CardSeen)
    assert isinstance(seen, CardSeen)
    assert (seen.reader, seen.identity) == ("r1", reader_bench.identities[0])
    assert (seen.credential.method, seen.credential.assurance, seen.authentic) == ("id_only", 0, True)


def test_the_reader_is_found_before_anything_is_read(reader_bench: ReaderBench) -> None:
    with Running(reader_bench.open()) as running:
        reader_bench.hold(reader_bench.identities[0])
        running.wait_for(CardSeen)
    assert list(running.story()) == ["ReaderFound", "CardSeen"]


def test_the_same_card_presented_twice_is_two_events(reader_bench: ReaderBench) -> None:
    with Running(reader_bench.open()) as running:
        for count in (1, 2):
            reader_bench.hold(reader_bench.identities[0])
            running.wait_for(CardSeen, count)
            reader_bench.take_away()
            let_it_notice_the_empty_field(reader_bench)
    assert [card.identity for card in running.cards] == [reader_bench.identities[0]] * 2


def test_a_card_that_stays_is_read_once(reader_bench: ReaderBench) -> None:
    """Shown by what comes next: the other card is the second event, with nothing of the first in between."""
    first, other = reader_bench.identities
    with Running(reader_bench.open()) as running:
        reader_bench.hold(first)
        running.wait_for(CardSeen)
        watch_it_lie_there(reader_bench)
        reader_bench.take_away()
        let_it_notice_the_empty_field(reader_bench)
        reader_bench.hold(other)
        running.wait_for(CardSeen, 2)
    assert [card.identity for card in running.cards] == [first, other]


def test_a_card_pulled_mid_read_is_told_and_the_next_read_works(reader_bench: ReaderBench) -> None:
    with Running(reader_bench.open()) as running:
        running.wait_for(ReaderFound)
        reader_bench.pull_mid_read(reader_bench.identities[0])
        unreadable = running.wait_for(CardUnreadable)
        reader_bench.hold(reader_bench.identities[1])
        running.wait_for(CardSeen)
    assert isinstance(unreadable, CardUnreadable)
    assert "pulled away" in unreadable.reason
    assert list(running.story()) == ["ReaderFound", "CardUnreadable", "CardSeen"]
    assert running.cards[0].identity == reader_bench.identities[1]


def test_the_answer_goes_back_where_the_reader_can_show_it(reader_bench: ReaderBench) -> None:
    with Running(reader_bench.open(), colour="amber") as running:
        reader_bench.hold(reader_bench.identities[0])
        running.wait_for(CardSeen)
        expected = [] if isinstance(reader_bench, NfcBench) else ["amber"]
        wait_until(lambda: reader_bench.shown() == expected, what="the colour to be shown")


def test_a_driver_shows_that_it_turns_whatever_lies_there(reader_bench: ReaderBench) -> None:
    """While the reader is gone, without a card, with one that stays: only a device that hangs stops the beat."""
    reader_bench.lose()
    with Running(reader_bench.open()) as running:
        running.wait_for(ReaderLost)
        let_it_beat(running)
        reader_bench.restore()
        running.wait_for(ReaderFound)
        let_it_beat(running)
        reader_bench.hold(reader_bench.identities[0])
        running.wait_for(CardSeen)
        let_it_beat(running)


def let_it_beat(running: Running) -> None:
    before = running.beats
    wait_until(lambda: running.beats > before + 2, what="three more beats")


def test_losing_the_reader_and_finding_it_again_are_events(reader_bench: ReaderBench) -> None:
    reader_bench.lose()
    with Running(reader_bench.open()) as running:
        lost = running.wait_for(ReaderLost)
        reader_bench.restore()
        running.wait_for(ReaderFound)
        reader_bench.hold(reader_bench.identities[0])
        running.wait_for(CardSeen)
    assert isinstance(lost, ReaderLost)
    assert lost.reason
    assert list(running.story()) == ["ReaderLost", "ReaderFound", "CardSeen"]


def test_stop_ends_the_driver_and_frees_its_reader(reader_bench: ReaderBench) -> None:
    for _ in range(2):
        with Running(reader_bench.open()) as running:
            running.wait_for(ReaderFound)
            running.stop.set()
            running.thread.join(STOP_S_MAX)
            assert not running.thread.is_alive()


def test_stop_ends_a_driver_that_has_no_reader(reader_bench: ReaderBench) -> None:
    reader_bench.lose()
    with Running(reader_bench.open()) as running:
        running.wait_for(ReaderLost)
        running.stop.set()
        running.thread.join(STOP_S_MAX)
        assert not running.thread.is_alive()
    reader_bench.restore()


def let_it_notice_the_empty_field(bench: ReaderBench) -> None:
    """Wait until the reader or its driver has looked at the empty field and knows that the card left."""
    if isinstance(bench, PcscBench):
        bench.pcscd.wait_until_empty()
    if isinstance(bench, NfcBench):
        looks = bench.hand.silences
        wait_until(lambda: bench.hand.silences >= looks + 3, what="the driver to look at the empty field")


def watch_it_lie_there(bench: ReaderBench) -> None:
    """Wait until the driver has looked at the lying card a few times."""
    if isinstance(bench, NfcBench):
        answers = bench.hand.answers
        wait_until(lambda: bench.hand.answers >= answers + 6, what="the driver to look at the card again")
