"""Hands, the day player and the hand page, against real socket readers."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING

import httpx
import pytest

from edge_agent.readers.base import Answer, CardSeen, ReaderConfig, ReaderEvent
from edge_agent.readers.remote import SocketReader
from simulators.demo_page.app import PageServer
from simulators.people import Roll, make_roll
from simulators.player import DayPlayer, Hands, Held, NobodyAnswers, TapLog
from simulators.servers import accepts, free_port, wait_until
from simulators.site_day import READERS, plan_day
from simulators.sms import SmsGateway, Text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Gates:
    """The site's socket readers; each card is recorded, and shown green, or red while `broken`."""

    def __init__(self) -> None:
        self.addresses = {reader.key: ("127.0.0.1", free_port()) for reader in READERS}
        self.seen: list[tuple[str, bytes]] = []
        self.broken = threading.Event()
        self._numbers = itertools.count(1)
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(reader.key,)) for reader in READERS]

    def _run(self, key: str) -> None:
        host, port = self.addresses[key]
        reader = SocketReader(ReaderConfig(key, "socket", f"{host}:{port}", "in", "z"))
        reader.run(lambda event: self._answer(key, event), self._stop, lambda: None)

    def _answer(self, key: str, event: ReaderEvent) -> Answer | None:
        if not isinstance(event, CardSeen):
            return None
        if self.broken.is_set():
            return Answer("red", "not_recorded", "", 0, "not recorded")
        self.seen.append((key, event.identity))
        return Answer("green", "accepted", "j", next(self._numbers), "welcome")

    def start(self) -> None:
        for thread in self._threads:
            thread.start()
        wait_until(lambda: all(accepts(port) for _, port in self.addresses.values()), what="the readers")

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(10)


@pytest.fixture
def gates() -> Iterator[Gates]:
    made = Gates()
    made.start()
    yield made
    made.stop()


@pytest.fixture
def roll() -> Roll:
    return make_roll(seed=1, workers=12)


def player_of(gates: Gates, roll: Roll, log: TapLog, *, speed: float = 30_000.0) -> DayPlayer:
    return DayPlayer(roll, Hands(gates.addresses), log, speed=speed)


@pytest.mark.system
def test_a_day_is_played_in_its_order_and_logged(gates: Gates, roll: Roll, tmp_path: Path) -> None:
    log = TapLog(tmp_path / "taps", roll)
    player = player_of(gates, roll, log)
    player.play(threading.Event())
    day = plan_day(roll)
    assert player.finished.is_set()
    assert gates.seen == [(tap.reader, tap.card.identity) for tap in day.taps]
    assert log.count == len(day.taps)
    log.close()
    player.hands.close()


@pytest.mark.system
def test_an_interrupted_day_goes_on_where_it_stopped(gates: Gates, roll: Roll, tmp_path: Path) -> None:
    stop = threading.Event()
    log = TapLog(tmp_path / "taps", roll)
    first = player_of(gates, roll, log)
    first.on_tap = lambda *_: stop.set() if log.next_index == 5 else None
    first.play(stop)
    log.close()
    first.hands.close()
    with (tmp_path / "taps").open("a") as file:
        file.write('{"torn')
    again = TapLog(tmp_path / "taps", roll)
    assert (again.day, again.next_index, again.count) == (1, 5, 5)
    second = player_of(gates, roll, again)
    second.play(threading.Event())
    day = plan_day(roll)
    assert gates.seen == [(tap.reader, tap.card.identity) for tap in day.taps]
    third = player_of(gates, roll, again)
    assert again.day == 2
    assert third.day == plan_day(roll, day=2)
    again.close()
    second.hands.close()


@pytest.mark.system
def test_a_worker_whose_tap_is_not_recorded_holds_the_card_again(gates: Gates, roll: Roll, tmp_path: Path) -> None:
    gates.broken.set()
    troubles: list[str] = []

    def mend(sentence: str) -> None:
        troubles.append(sentence)
        gates.broken.clear()

    log = TapLog(tmp_path / "taps", roll)
    stop = threading.Event()
    player = player_of(gates, roll, log)
    player.on_trouble = mend
    player.on_tap = lambda *_: stop.set()
    player.play(stop)
    assert "not recorded" in troubles[0]
    assert log.count == 1
    assert len(gates.seen) == 1
    log.close()
    player.hands.close()


def test_a_speed_of_nothing_is_refused(roll: Roll, tmp_path: Path) -> None:
    log = TapLog(tmp_path / "taps", roll)
    with pytest.raises(ValueError, match="more than 0"):
        DayPlayer(roll, Hands({}), log, speed=0)
    log.close()


def test_a_reader_that_nobody_serves_is_named() -> None:
    hands = Hands({"gate-01/r1": ("127.0.0.1", 1)})
    card = make_roll(seed=1).stray
    with pytest.raises(NobodyAnswers, match=r"gate-01/r1 at 127\.0\.0\.1:1 does not answer"):
        hands.hold("gate-01/r1", card)
    with pytest.raises(NobodyAnswers, match="choose one of gate-01/r1"):
        hands.hold("gate-09/r1", card)


class APageStory:
    def __init__(self, player: DayPlayer, roll: Roll, gateway: SmsGateway) -> None:
        self.player = player
        self.roll = roll
        self.gateway = gateway
        self.links = {"headcount": "http://127.0.0.1:1/"}


@pytest.fixture
def gateway() -> Iterator[SmsGateway]:
    with SmsGateway() as server:
        yield server


@pytest.fixture
def page(gates: Gates, roll: Roll, gateway: SmsGateway, tmp_path: Path) -> Iterator[httpx.Client]:
    log = TapLog(tmp_path / "taps", roll)
    player = player_of(gates, roll, log)
    port = free_port()
    server = PageServer(APageStory(player, roll, gateway), port)
    server.start(wait_until)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        yield client
    server.stop()
    assert not accepts(port)
    log.close()
    player.hands.close()


@pytest.mark.system
def test_the_page_holds_a_card_and_shows_the_answer(page: httpx.Client, gates: Gates, roll: Roll) -> None:
    site = page.get("/api/site").json()
    assert len(site["readers"]) == 5
    someone = next(person for person in site["people"] if person["number"] == roll.people[3].number)
    answer = page.post("/api/hold", json={"card": someone["key"], "reader": "gate-01/r1"}).json()
    assert answer["shown"] == "green"
    assert answer["seq"] == 1
    assert answer["took_ms"] > 0
    assert gates.seen == [("gate-01/r1", roll.people[3].card.identity)]
    state = page.get("/api/state").json()
    assert state["inside"] == 1
    assert state["recent"][0]["name"] == roll.people[3].name


@pytest.mark.system
def test_the_page_shows_the_newest_texts_and_whose_telephone_rang(
    page: httpx.Client, gateway: SmsGateway, roll: Roll
) -> None:
    assert page.get("/api/state").json()["texts"] == []
    gateway.texts += [Text(roll.people[3].telephone, f"code {number}") for number in range(6)]
    gateway.texts.append(Text("01099998888", "for somebody else"))
    texts = page.get("/api/state").json()["texts"]
    assert texts[0] == {"to": "01099998888", "text": "for somebody else"}
    assert texts[1:] == [{"to": roll.people[3].name, "text": f"code {number}"} for number in (5, 4, 3, 2)]


@pytest.mark.system
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 422),
        (b"[]", 422),
        (b'{"card":"ff","reader":"gate-01/r1"}', 422),
        (b'{"card":"stray","reader":"gate-09/r1"}', 422),
        (b'{"card":["stray"],"reader":"gate-01/r1"}', 422),
        (b"x" * 5000, 413),
    ],
)
def test_the_page_refuses_nonsense(page: httpx.Client, gates: Gates, body: bytes, status: int) -> None:
    answer = page.post("/api/hold", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    assert answer.json()["error"]
    assert not gates.seen


@pytest.mark.system
def test_the_page_answers_only_to_loopback_names_and_its_own_kind_of_request(page: httpx.Client, gates: Gates) -> None:
    assert page.get("/", headers={"Host": "evil.example"}).status_code == 400
    form = page.post(
        "/api/hold", content=b'{"card":"stray","reader":"gate-01/r1"}', headers={"Content-Type": "text/plain"}
    )
    assert form.status_code == 415
    assert not gates.seen
    assert "hold.js" in page.get("/").text
    assert page.get("/static/hold.css").status_code == 200


def test_a_held_card_is_recorded_only_with_a_number() -> None:
    from simulators.socket_card import Shown

    assert not Held(Shown(shown="red", decision="not_recorded"), 1.0).recorded
