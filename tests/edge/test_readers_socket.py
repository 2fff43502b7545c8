"""The socket reader: whatever arrives on its port, it answers with a sentence and goes on."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from edge_agent.readers.base import Answer, CardSeen, ReaderConfig, ReaderEvent, ReaderFound, ReaderUnusable
from edge_agent.readers.catalog import open_reader
from edge_agent.readers.remote import CLIENTS_MAX, LINE_BYTES_MAX
from edge_agent.wire.messages import Credential
from simulators.reader_bench import UIDS, Running, SocketBench
from simulators.servers import wait_until
from simulators.socket_card import SocketHand, hold_once


@pytest.fixture
def bench() -> SocketBench:
    return SocketBench()


@pytest.fixture
def running(bench: SocketBench) -> Iterator[Running]:
    with Running(bench.open()) as running:
        running.wait_for(ReaderFound)
        yield running


def test_the_answer_names_the_record(bench: SocketBench, running: Running) -> None:
    answer = hold_once(bench.port, UIDS[0])
    assert (answer.shown, answer.decision, answer.seq, answer.text) == ("green", "accepted", 1, "김*수")
    assert len(running.cards) == 1


def test_a_client_says_how_sure_it_is_of_the_card(bench: SocketBench, running: Running) -> None:
    hold_once(bench.port, UIDS[0], method="desfire_ev2", assurance=3, keyver=2, authentic=True)
    assert running.cards[0].credential == Credential("desfire_ev2", 3, 2)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (b"{", "not a card"),
        (b"\xff\xfe", "not a card"),
        (b"[]", "not a card"),
        (b'{"card":"xyz"}', "not a card"),
        (b'{"card":"' + b"00" * 33 + b'"}', "not a card"),
        (b'{"card":"\xff"}', "not a card"),
        (b'{"card":"00","assurance":4}', "not a card"),
        (b'{"card":"00","methd":"id_only"}', "methd"),
        (b"{}", 'either "card" or "unreadable"'),
        (b'{"card":"00","unreadable":"x"}', 'either "card" or "unreadable"'),
    ],
)
def test_a_malformed_line_is_answered_and_the_next_card_is_read(
    bench: SocketBench, running: Running, line: bytes, sentence: str
) -> None:
    with SocketHand(bench.port) as hand:
        assert sentence in hand.say(line).error
        assert hand.hold(UIDS[0]).shown == "green"
    assert len(running.cards) == 1


def test_a_line_without_an_end_is_cut_off(bench: SocketBench, running: Running) -> None:
    with SocketHand(bench.port) as hand:
        hand._connection.sendall(b"x" * (LINE_BYTES_MAX + 1))
        assert b"longer than" in hand._answers.readline()
        assert hand._answers.read() == b""
    assert hold_once(bench.port, UIDS[0]).shown == "green"
    assert len(running.cards) == 1


def test_one_client_too_many_is_told_so(bench: SocketBench, running: Running) -> None:
    hands = [SocketHand(bench.port) for _ in range(CLIENTS_MAX)]
    for hand in hands:
        hand.hold(UIDS[0])
    with SocketHand(bench.port) as late:
        assert b"at most" in late._answers.readline()
    for hand in hands:
        hand.close()
    wait_until(lambda: _served(bench), what="a place to become free")
    assert len(running.cards) == CLIENTS_MAX + 1


def _served(bench: SocketBench) -> bool:
    try:
        return hold_once(bench.port, UIDS[0]).shown == "green"
    except (ConnectionError, TypeError):
        return False


def test_a_client_that_leaves_before_the_answer_leaves_its_tap(bench: SocketBench, running: Running) -> None:
    with SocketHand(bench.port) as hand:
        hand._connection.sendall(b'{"card":"%s"}\n' % UIDS[0].hex().encode())
    running.wait_for(CardSeen)
    assert hold_once(bench.port, UIDS[1]).shown == "green"


def test_what_fails_behind_the_reader_reaches_its_supervisor(bench: SocketBench) -> None:
    """A client's thread must not be the only one that knows that a tap could not be handled."""
    failures: list[BaseException] = []

    def emit(event: ReaderEvent) -> Answer | None:
        if isinstance(event, CardSeen):
            raise RuntimeError("the gate is broken")  # noqa: TRY004 - what broke is no type
        return None

    def run() -> None:
        try:
            bench.open().run(emit, threading.Event(), lambda: None)
        except RuntimeError as exc:
            failures.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    with bench._hand() as hand, pytest.raises(ConnectionError):
        hand.hold(UIDS[0])
    thread.join(10)
    assert [str(failure) for failure in failures] == ["the gate is broken"]


@pytest.mark.parametrize("address", ["7401", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:99999", ":7401", "host:port"])
def test_an_address_that_is_none_is_refused_with_an_example(address: str) -> None:
    with pytest.raises(ReaderUnusable, match=r"127\.0\.0\.1:7401"):
        open_reader(ReaderConfig("r1", "socket", address, "in", "gate-a"))


def test_a_driver_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(ReaderUnusable, match="nfc, pcsc, socket"):
        open_reader(ReaderConfig("r1", "osdp", "", "in", "gate-a"))  # type: ignore[arg-type]


def test_a_driver_whose_library_is_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.delitem(sys.modules, "edge_agent.readers.pcsc", raising=False)
    monkeypatch.setitem(sys.modules, "smartcard", None)
    with pytest.raises(ReaderUnusable, match="extra 'pcsc'"):
        open_reader(ReaderConfig("r1", "pcsc", "", "in", "gate-a"))
