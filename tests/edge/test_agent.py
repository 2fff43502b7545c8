"""The terminal as a real process: cards at its socket readers, a real Mosquitto, a central that only listens."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from msgspec import defstruct

from edge_agent.wire.codec import event_hash
from edge_agent.wire.ids import card_token
from edge_agent.wire.messages import BATCH_CONTENT_TYPE, Command, Incident, Inside, Roster, RosterEntry
from simulators.listening_central import ListeningCentral
from simulators.processes import Keys, TerminalProgram, make_keys
from simulators.servers import MosquittoBroker, wait_until
from simulators.socket_card import SocketHand, hold_once

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.system

SITE = "site-07"
GATE = "gate-03"


def card(number: int) -> bytes:
    return b"\x04" + number.to_bytes(6, "big")


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return make_keys(tmp_path / "keys")


@pytest.fixture
def gate(tmp_path: Path, mosquitto: MosquittoBroker, keys: Keys) -> Iterator[TerminalProgram]:
    terminal = TerminalProgram(SITE, GATE, tmp_path / "gate", mosquitto.url, keys)
    yield terminal
    terminal.program.stop()


@pytest.fixture
def central(mosquitto: MosquittoBroker) -> Iterator[ListeningCentral]:
    with ListeningCentral(mosquitto.url) as listening:
        yield listening


def cursor(gate: TerminalProgram) -> tuple[int, int]:
    """What the terminal knows to be acknowledged, and what it holds."""
    with sqlite3.connect(f"file:{gate.folder / 'data' / 'journal.db'}?mode=ro", uri=True) as journal:
        (durable,) = journal.execute("SELECT durable FROM journal_cursor").fetchone()
        (head,) = journal.execute("SELECT max(seq) FROM journal_event").fetchone()
    return durable, head


def rows(gate: TerminalProgram) -> dict[int, bytes]:
    with sqlite3.connect(f"file:{gate.folder / 'data' / 'journal.db'}?mode=ro", uri=True) as journal:
        return dict(journal.execute("SELECT seq, bytes FROM journal_event").fetchall())


def said(gate: TerminalProgram, event: str) -> list[dict[str, object]]:
    lines = gate.program.log.read_text().splitlines()
    found = [json.loads(line) for line in lines if line.startswith("{")]
    return [line for line in found if line.get("event") == event]


def all_acknowledged(gate: TerminalProgram) -> bool:
    durable, head = cursor(gate)
    return durable == head


def test_a_tap_travels_as_the_journals_own_bytes_in_order_with_an_unbroken_chain(
    gate: TerminalProgram, central: ListeningCentral
) -> None:
    gate.start()
    with SocketHand(gate.reader("in").port) as hand:
        answers = [hand.hold(card(number)) for number in range(20)]
    assert [answer.shown for answer in answers] == ["amber"] * 20, "nobody is on a roster that never came"
    wait_until(lambda: all_acknowledged(gate), what="everything to be acknowledged")
    held = central.held()
    assert held.events == rows(gate)
    assert held.order == sorted(held.order)
    assert held.chain_breaks() == []
    kinds = [event.type for event in held.decoded()]
    assert kinds[0] == "ccs.boot.v1"
    assert kinds.count("ccs.tap.v1") == 20
    assert kinds.count("ccs.reader.v1") == 2
    assert {one.content_type for one in central.messages("events")} == {BATCH_CONTENT_TYPE}


def test_the_birth_is_said_first_and_leaving_is_said_last(gate: TerminalProgram, central: ListeningCentral) -> None:
    gate.start()
    wait_until(lambda: bool(central.states()), what="the terminal to be online")
    assert [one.kind for one in central.heard][:2] == ["birth", "state"], central.heard
    (birth,) = central.births()
    assert central.heard[0].kind == "birth"
    assert birth.head_seq >= 1
    assert birth.versions["agent"]
    assert central.states()[-1].online
    gate.program.stop()
    wait_until(lambda: not central.states()[-1].online, what="the farewell")
    assert gate.program.child is not None
    assert gate.program.child.returncode == 0
    assert central.states()[-1].boot_id == birth.boot_id


def test_a_killed_terminal_is_said_to_be_away_by_its_will(gate: TerminalProgram, central: ListeningCentral) -> None:
    gate.start()
    wait_until(lambda: bool(central.states()), what="the terminal to be online")
    gate.program.kill()
    wait_until(lambda: not central.states()[-1].online, what="the will")


def test_a_heartbeat_says_how_the_terminal_is(gate: TerminalProgram, central: ListeningCentral) -> None:
    config = gate.folder / "terminal.toml"
    config.write_text(config.read_text().replace("[mqtt]", "[mqtt]\nheartbeat_s = 1"))
    gate.start()
    wait_until(lambda: len(central.heartbeats()) >= 2, what="two heartbeats")
    beat = central.heartbeats()[-1]
    assert beat.head_seq == cursor(gate)[1]
    assert beat.unacknowledged == 0
    assert beat.free_bytes > 0
    assert set(beat.readers) == {"r1", "r2"}
    assert all(age is not None for age in beat.readers.values())


@pytest.mark.promise("DUR-03")
def test_taps_without_a_broker_are_kept_and_sent_when_it_comes_back(
    gate: TerminalProgram, mosquitto: MosquittoBroker
) -> None:
    """Mutant: the uplink loop hands a batch to the client while there is no connection and forgets it."""
    mosquitto.stop()
    gate.start()
    taken = [hold_once(gate.reader("in").port, card(number)) for number in range(5)]
    assert all(answer.seq for answer in taken)
    mosquitto.start()
    with ListeningCentral(mosquitto.url) as central:
        wait_until(lambda: all_acknowledged(gate), what="the kept taps to be acknowledged")
        assert central.held().events == rows(gate)
        mosquitto.stop()
        more = [hold_once(gate.reader("out").port, card(number)) for number in range(5)]
        mosquitto.start()
        wait_until(lambda: all_acknowledged(gate), what="the second outage to be made good")
        assert {answer.seq for answer in more} <= set(central.held().events)
        assert central.held().chain_breaks() == []


@pytest.mark.promise("DUR-03")
def test_what_a_wiped_broker_had_taken_is_sent_again(gate: TerminalProgram, mosquitto: MosquittoBroker) -> None:
    """Mutant: a PUBACK moves the cursor. The broker acknowledges into the void: nobody has subscribed yet."""
    gate.start()
    for number in range(5):
        assert hold_once(gate.reader("in").port, card(number)).seq
    wait_until(lambda: bool(said(gate, "link_up")), what="the terminal to be connected")
    assert cursor(gate)[0] == 0
    mosquitto.kill()
    mosquitto.wipe()
    mosquitto.start()
    with ListeningCentral(mosquitto.url) as central:
        wait_until(lambda: all_acknowledged(gate), what="the lost taps to be sent again")
        assert central.held().events == rows(gate)


@pytest.mark.promise("DUR-01")
def test_every_green_survives_the_terminal_being_killed_mid_stream(
    gate: TerminalProgram, central: ListeningCentral, keys: Keys
) -> None:
    """Mutant: the gate answers before `append` returns."""
    people = [(card(number), f"홍길{number}") for number in range(200)]
    entries = [RosterEntry(token=card_token(keys.card_key_bytes, uid), worker=name, name=name) for uid, name in people]
    now = datetime(2026, 11, 22, tzinfo=UTC)
    central.say_roster(Roster(site=SITE, version=1, issued_at=now, entries=entries), keys.signing_key)
    gate.start()
    wait_until(lambda: bool(said(gate, "roster_applied")), what="the roster")
    green: dict[int, bytes] = {}
    for round_ in range(3):
        with SocketHand(gate.reader("in").port) as hand:
            for uid, _ in people[round_ * 60 : round_ * 60 + 60]:
                answer = hand.hold(uid)
                assert answer.shown == "green"
                green[answer.seq] = uid
        gate.program.kill()
        gate.start()
    wait_until(lambda: all_acknowledged(gate), what="everything to be acknowledged")
    held = central.held()
    assert held.events == rows(gate)
    assert held.chain_breaks() == []
    assert central.forks == []
    by_seq = {int(event.sequence): event.subject for event in held.decoded()}
    assert {seq: by_seq[seq] for seq in green} == {
        seq: f"card:{card_token(keys.card_key_bytes, uid)}" for seq, uid in green.items()
    }


def test_a_roster_is_applied_kept_over_a_restart_and_named_in_the_journal(
    gate: TerminalProgram, central: ListeningCentral, keys: Keys, mosquitto: MosquittoBroker
) -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC)
    known, barred = (card_token(keys.card_key_bytes, card(number)) for number in (1, 2))
    first = Roster(site=SITE, version=7, issued_at=now, entries=[RosterEntry(token=known, worker="w1", name="김철수")])
    gate.start()
    central.say_roster(first, keys.signing_key)
    wait_until(lambda: len(said(gate, "roster_applied")) == 1, what="the roster")
    entry = RosterEntry(token=barred, worker="w2", name="이영희", barred="안전교육 미이수")
    inside = Inside(person="worker:w1", name="김철수", since=now)
    delta = Roster(site=SITE, version=8, base=7, issued_at=now, entries=[entry], inside=[inside])
    central.say_roster(delta, keys.signing_key, retain=False)
    wait_until(lambda: len(said(gate, "roster_applied")) == 2, what="the delta")
    gate.program.stop()
    mosquitto.stop()
    gate.start()
    shown = [hold_once(gate.reader("in").port, card(number)).shown for number in (1, 2, 3)]
    assert shown == ["green", "red", "amber"]
    mosquitto.start()
    wait_until(lambda: all_acknowledged(gate), what="everything to be acknowledged")
    applied = [
        json.loads(bytes(event.data)) for event in central.held().decoded() if event.type == "ccs.roster.applied.v1"
    ]
    assert applied == [{"version": 7}, {"version": 8}]


def test_a_roster_under_another_key_is_refused_and_the_old_one_kept(
    gate: TerminalProgram, central: ListeningCentral, keys: Keys, tmp_path: Path
) -> None:
    """Mutant: the signature is not checked."""
    now = datetime(2026, 11, 22, tzinfo=UTC)
    token = card_token(keys.card_key_bytes, card(1))
    roster = Roster(site=SITE, version=7, issued_at=now, entries=[RosterEntry(token=token, worker="w1", name="김철수")])
    gate.start()
    central.say_roster(roster, keys.signing_key)
    wait_until(lambda: bool(said(gate, "roster_applied")), what="the roster")
    forged = make_keys(tmp_path / "thief").signing_key
    central.say_roster(Roster(site=SITE, version=9, issued_at=now), forged)
    wait_until(lambda: bool(said(gate, "roster_refused")), what="the refusal")
    (refusal,) = said(gate, "roster_refused")
    assert refusal["kept_version"] == 7
    assert "does not verify" in str(refusal["reason"])
    assert hold_once(gate.reader("in").port, card(1)).shown == "green"


def test_a_delta_on_another_version_is_refused_and_the_full_roster_asked_for(
    gate: TerminalProgram, central: ListeningCentral, keys: Keys
) -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC)
    gate.start()
    wait_until(lambda: bool(central.births()), what="the terminal to be connected")
    central.say_roster(Roster(site=SITE, version=12, base=11, issued_at=now), keys.signing_key, retain=False)
    wait_until(lambda: bool(said(gate, "roster_gap")), what="the gap to be seen")
    central.say_roster(Roster(site=SITE, version=12, issued_at=now), keys.signing_key)
    wait_until(lambda: bool(said(gate, "roster_applied")), what="the full roster")


def test_an_incident_opens_and_closes(gate: TerminalProgram, central: ListeningCentral) -> None:
    gate.start()
    wait_until(lambda: bool(central.births()), what="the terminal to be connected")
    central.say_incident(SITE, Incident(id="i-1", kind="drill", since=datetime(2026, 11, 22, tzinfo=UTC)))
    wait_until(lambda: len(said(gate, "incident")) == 1, what="the incident")
    central.say_incident(SITE, None)
    wait_until(lambda: len(said(gate, "incident")) == 2, what="its end")
    assert [line["kind"] for line in said(gate, "incident")] == ["drill", "closed"]


def test_an_incident_that_was_open_is_shown_by_a_terminal_that_starts_without_a_network(
    gate: TerminalProgram, mosquitto: MosquittoBroker
) -> None:
    """Mutant: the incident is held in memory only."""
    with ListeningCentral(mosquitto.url) as central:
        gate.start()
        wait_until(lambda: bool(central.births()), what="the terminal to be connected")
        central.say_incident(SITE, Incident(id="i-1", kind="live", since=datetime(2026, 11, 22, tzinfo=UTC)))
        wait_until(lambda: len(said(gate, "incident")) == 1, what="the incident")
    mosquitto.stop()
    gate.program.kill()
    gate.start()
    (still,) = said(gate, "incident_still_open")
    assert (still["id"], still["kind"]) == ("i-1", "live")


def test_a_command_is_answered_honestly_and_one_that_is_not_centrals_not_at_all(
    gate: TerminalProgram, central: ListeningCentral, keys: Keys, tmp_path: Path
) -> None:
    """Mutant: the signature of a command is not checked."""
    soon, past = datetime.now(UTC) + timedelta(minutes=5), datetime(2026, 1, 1, tzinfo=UTC)
    gate.start()
    wait_until(lambda: bool(central.births()), what="the terminal to be connected")
    forged = make_keys(tmp_path / "thief").signing_key
    ours = {"site": SITE, "terminal": GATE}
    central.say_command(SITE, GATE, Command(id="c-0", name="replay", expires_at=soon, **ours), forged)
    central.say_command(SITE, GATE, Command(id="c-1", name="replay", expires_at=soon, **ours), keys.signing_key)
    central.say_command(SITE, GATE, Command(id="c-2", name="doctor", expires_at=past, **ours), keys.signing_key)
    names = [("id", str), ("name", str), ("expires_at", datetime), ("site", str), ("terminal", str)]
    later = defstruct("Later", names)
    central.say_command(SITE, GATE, later("c-3", "self_destruct", soon, SITE, GATE), keys.signing_key)
    wait_until(lambda: len(central.replies()) == 3, what="the replies")
    assert [(reply.id, reply.ok) for reply in central.replies()] == [("c-1", False), ("c-2", False), ("c-3", False)]
    unable, late, unheard = (reply.detail for reply in central.replies())
    assert unable.startswith("'replay' is not supported by this version (agent ")
    assert late.startswith("expired at 2026-01-01T00:00:00.000Z; this terminal's clock says ")
    assert unheard.startswith("'self_destruct' is not supported")
    (refused,) = said(gate, "command_refused")
    assert "does not verify" in str(refused["reason"])


@pytest.mark.promise("DUR-06")
def test_an_acknowledgement_of_other_bytes_is_an_alarm_and_moves_nothing(
    gate: TerminalProgram, mosquitto: MosquittoBroker
) -> None:
    """Mutant: the hash of an acknowledgement is not compared."""
    with ListeningCentral(mosquitto.url, answers=False) as central:
        gate.start()
        wait_until(lambda: bool(central.journals), what="the first events")
        (journal_id,) = central.journals
        held = central.held()
        ack = {"journal_id": journal_id, "durable": 1, "have": [], "epoch": 0}
        other = event_hash(held.events[1] + b" ")
        central.say_raw_ack(SITE, GATE, ack | {"hash": other})
        wait_until(lambda: bool(said(gate, "forked_journal")), what="the alarm")
        assert cursor(gate)[0] == 0


def test_a_message_that_cannot_be_understood_is_logged_and_changes_nothing(
    gate: TerminalProgram, central: ListeningCentral
) -> None:
    gate.start()
    wait_until(lambda: bool(central.births()), what="the terminal to be connected")
    central.say_raw_ack(SITE, GATE, {"journal_id": 5})
    wait_until(lambda: bool(said(gate, "message_not_understood")), what="the complaint")
    assert hold_once(gate.reader("in").port, card(1)).seq


def test_a_repeated_card_is_kept_and_marked_also_over_a_restart(gate: TerminalProgram) -> None:
    gate.start()
    port = gate.reader("in").port
    assert hold_once(port, card(1)).decision == "unknown_card"
    gate.program.kill()
    gate.start()
    again = hold_once(port, card(1))
    assert again.decision == "repeat"
    assert again.seq
    assert hold_once(gate.reader("out").port, card(1)).decision == "unknown_card", "the other reader is another tap"


def test_a_typo_in_the_terminal_file_is_answered_with_file_key_and_the_key_meant(gate: TerminalProgram) -> None:
    config = gate.folder / "terminal.toml"
    config.write_text(config.read_text().replace("card_key_file", "card_keyfile"))
    with pytest.raises(RuntimeError, match="stopped while starting"):
        gate.start()
    assert gate.program.child is not None
    assert gate.program.child.returncode == 78
    sentence = f"{config}: keys.card_keyfile: found an unknown key; did you mean 'card_key_file'?"
    assert sentence in gate.program.tail()


def test_a_data_folder_that_cannot_be_written_is_answered_red_by_a_terminal_that_runs(gate: TerminalProgram) -> None:
    """As on a memory card that its kernel made read-only. Mutant: end when the folder cannot be made."""
    (gate.folder / "data").write_text("a file where the folder should be")
    gate.start()
    answer = hold_once(gate.reader("in").port, card(1))
    assert (answer.shown, answer.decision, answer.seq) == ("red", "not_recorded", 0)
    (complaint,) = said(gate, "journal_unusable")
    assert "check the disk and who may write to it" in str(complaint["reason"])


def test_without_a_usable_journal_every_card_is_red_and_said_not_to_be_recorded(gate: TerminalProgram) -> None:
    """Mutant: a terminal without a journal answers amber."""
    folder = gate.folder / "data"
    folder.mkdir(parents=True)
    (folder / "journal.db").mkdir()
    gate.start()
    answer = hold_once(gate.reader("in").port, card(1))
    assert (answer.shown, answer.decision, answer.seq) == ("red", "not_recorded", 0)
    assert said(gate, "journal_unusable")


def test_a_second_agent_on_the_same_journal_refuses_to_record(gate: TerminalProgram, tmp_path: Path) -> None:
    gate.start()
    second = TerminalProgram(SITE, GATE, tmp_path / "second", gate.broker, gate.keys)
    config = second.folder / "terminal.toml"
    config.write_text(config.read_text().replace(str(second.folder / "data"), str(gate.folder / "data")))
    try:
        second.start()
        assert hold_once(second.reader("in").port, card(1)).shown == "red"
    finally:
        second.program.kill()


def test_a_taken_screen_port_costs_the_screen_and_nothing_else(gate: TerminalProgram, tmp_path: Path) -> None:
    gate.start()
    second = TerminalProgram(SITE, "gate-04", tmp_path / "second", gate.broker, gate.keys, kiosk_port=gate.kiosk_port)
    try:
        second.start()
        wait_until(lambda: bool(said(second, "loop_failed")), what="the complaint about the screen")
        assert hold_once(second.reader("in").port, card(1)).shown == "amber"
    finally:
        second.program.stop()
