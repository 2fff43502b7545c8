"""The first stages of a terminal's examination: session, taps, silence, roster, incident, commands."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from simulators.tck.contract import HEARTBEAT_S, Voice
from simulators.tck.hands import CannotHold

if TYPE_CHECKING:
    from simulators.tck.terminal_bench import TerminalBench
    from simulators.tck.trace import Key, Tap

HEARTBEAT_SLACK_S = 2.0
SILENT_TAPS = 3
ROSTERS_APART = 50


def session(bench: TerminalBench) -> None:
    """Wait for the first connection, and look at its heartbeats."""
    bench.central.say_state()
    bench.connected()
    first = bench.fence()
    heard = bench.trace.of("heartbeat")
    if not first:
        found = "no heartbeat" if not heard else "one heartbeat and no other"
        bench.ledger.judge("INC-01.4", False, expected=f"one every {HEARTBEAT_S:.0f} s", found=found)
        return
    bench.fence()
    beats = bench.trace.of("heartbeat")
    gaps = [after.at_s - before.at_s for before, after in pairwise(beats)]
    longest = max(gaps, default=0.0)
    bench.ledger.judge(
        "INC-01.4",
        longest <= HEARTBEAT_S + HEARTBEAT_SLACK_S,
        expected=f"at most {HEARTBEAT_S:.0f} s between heartbeats",
        found=f"{longest:.1f} s",
    )


def taps(bench: TerminalBench) -> None:
    """Hold cards of every kind, and look at what was shown and recorded."""
    applied = bench.with_roster()
    allowed, barred, unknown = bench.deck.allowed[0], bench.deck.barred[0], bench.deck.fresh_unknown()
    wanted = [
        (bench.hold(allowed), "accepted"),
        (bench.hold(allowed), "repeat"),
        (bench.hold(barred), "barred"),
        (bench.hold(unknown), "unknown_card"),
        (bench.hold(bench.deck.allowed[1], "out"), "accepted"),
    ]
    if bench.hand.claims:
        proved = bench.hold(bench.deck.allowed[2], method="desfire_ev2", assurance=3, keyver=1)
        wanted.append((proved, "accepted"))
    _pull_away(bench)
    if "muster" in bench.hand.directions:
        wanted.append((bench.hold(bench.deck.allowed[2], "muster"), "accepted"))
    else:
        bench.ledger.cannot(["INC-03.3"], "the terminal has no reader for the roll call: give --reader muster=…")
    keys = bench.arrived([tap for tap, _ in wanted], "the events of the first taps")
    if len(keys) < len(wanted):
        refused = [tap.answer for tap, _ in wanted if not tap.answer.promises]
        bench.ledger.judge(
            "INC-01.6", False, expected="every card recorded and answered", found=f"not recorded: {refused[:3]}"
        )
        return
    _judge_decisions(bench, [(tap, decision, key) for (tap, decision), key in zip(wanted, keys, strict=True)], applied)


def _pull_away(bench: TerminalBench) -> None:
    try:
        answer = bench.hand.pull_away(bench.hand.directions[0])
    except CannotHold as exc:
        bench.ledger.cannot(["RDR-01.1"], str(exc))
        return
    bench.arrived(bench.trace.taps, "the events of the taps so far")
    bench.fence()
    more = len(bench.tap_keys()) - sum(1 for tap in bench.trace.taps if tap.answer.promises)
    bench.ledger.judge(
        "RDR-01.1",
        not (answer.shown == "green" or answer.seq) and more <= 0,
        expected="red or a word, and no event",
        found=f"answered {answer}, {more} taps more recorded than answered",
    )


def _judge_decisions(bench: TerminalBench, judged: list[tuple[Tap, str, Key]], applied: bool) -> None:  # noqa: FBT001 - a finding
    for tap, decision, key in judged:
        event = bench.event(key)
        data = event.get("data") or {}
        found = str(data.get("decision"))
        if decision == "repeat":
            direction = data.get("direction")
            holds = found == "repeat" and direction == tap.direction
            bench.ledger.judge("INC-01.6", holds, expected="decision repeat", found=f"{found}, direction {direction}")
        else:
            bench.ledger.judge(
                "INC-01.6",
                data.get("direction") == tap.direction and found != "repeat",
                expected=f"direction {tap.direction}, no repeat",
                found=f"direction {data.get('direction')}, decision {found}",
            )
            bench.ledger.judge(
                "INC-02.1",
                applied and found == decision,
                expected=f"decision {decision} under roster {bench.roster_version}, named in the heartbeat",
                found=f"decision {found} under roster {data.get('rosterver')}, named in a heartbeat: {applied}",
            )
        if tap.direction == "muster":
            holds = event.get("type") == "ccs.muster.v1" and data.get("direction") == "muster"
            bench.ledger.judge(
                "INC-03.3", holds, expected="ccs.muster.v1, direction muster", found=f"{event.get('type')}, {data}"
            )


def silence(bench: TerminalBench) -> None:
    """Let the broker take three taps, and central say nothing but falsehoods about them."""
    numbers = ["DUR-03.1", "DUR-03.3", "DUR-03.4", "DUR-04.2", "DUR-04.3"]
    bench.with_roster()
    bench.settled()
    bench.central.answers = False
    held = [bench.hold(bench.deck.fresh_unknown()) for _ in range(SILENT_TAPS)]
    keys = bench.arrived(held, "three taps")
    before = bench.covered(numbers)
    if before is None or len(keys) < SILENT_TAPS:
        bench.ledger.cannot(numbers, "the three taps were not recorded")
        return
    head = max(bench.trace.events[bench.central.journal_id])
    bench.ledger.judge(
        "DUR-03.1",
        head - before >= SILENT_TAPS,
        expected="the three taps that only the broker has taken still count as unacknowledged",
        found=f"{head - before} of {head} events unacknowledged",
    )
    _falsehoods(bench, head, before)
    bench.silent_keys = keys
    bench.central.acknowledge(have=[[keys[-1].seq, keys[-1].seq]], durable=bench.central.durable_said)
    bench.fence()
    bench.silent_mark = bench.trace.head


def _falsehoods(bench: TerminalBench, head: int, before: int) -> None:
    central = bench.central
    stranger = str(uuid.uuid4())
    proof = central.hash_at(central.journal_id, head)

    def unmoved(number: str, said: str) -> None:
        nonlocal before
        was, now = before, bench.covered([number])
        if now is not None:
            before = now
            bench.ledger.judge(
                number, now == was, expected=f"{was} events acknowledged, as before", found=f"{now} after {said}"
            )

    central.acknowledge(stranger, durable=head, hash=proof, have=[])
    unmoved("DUR-03.3", f"an ack for journal {stranger}")
    sessions = len(bench.trace.sessions)
    for payload in (b"{", b"[]", json.dumps({"journal_id": central.journal_id, "durable": "many"}).encode()):
        central.say("ack", payload)
    unmoved("DUR-03.4", "malformed acks")
    bench.ledger.judge(
        "DUR-03.4",
        len(bench.trace.sessions) == sessions,
        expected="the connection stands",
        found=f"{len(bench.trace.sessions) - sessions} new connections",
    )
    central.acknowledge(durable=head, have=[], epoch=central.epoch - 1)
    unmoved("DUR-04.2", f"an ack of everything in epoch {central.epoch - 1} after one in {central.epoch}")
    central.acknowledge(durable=max(0, central.durable_said - 1), have=[])
    unmoved("DUR-04.3", "an ack with a lower durable in the same epoch")


def roster(bench: TerminalBench) -> None:
    """Send rosters that must be taken and rosters that must not."""
    if not bench.with_roster():
        bench.ledger.cannot(bench.ledger.open("roster"), "the first roster was not taken, see INC-02.1")
        return
    central = bench.central
    extra, removed = bench.deck.allowed[-1], bench.deck.allowed[-3]
    forger = replace(central.voice, key=Ed25519PrivateKey.generate())
    forged = central.roster(bench.roster_version + 10, entries=bench.entries(extra))
    central.say_roster(forged, voice=forger)
    _judge_roster(bench, "INC-02.3", {bench.deck.allowed[-2]: "unknown_card"})
    older = central.roster(bench.roster_version - 1, entries=bench.entries(extra))
    bench.broker.publish(central.roster_topic, central.voice.sign(older))
    _judge_roster(bench, "INC-02.4", {bench.deck.fresh_unknown(): "unknown_card"})
    one = next(entry for entry in bench.entries(extra) if entry["token"] == bench.token(extra))
    base, bench.roster_version = bench.roster_version, bench.roster_version + 1
    delta = central.roster(bench.roster_version, base=base, entries=[one], removed=[bench.token(removed)])
    central.say_roster(delta)
    _judge_roster(bench, "INC-02.2", {extra: "accepted", removed: "unknown_card"})
    _gap(bench)


def _judge_roster(bench: TerminalBench, number: str, wanted: dict[bytes, str]) -> None:
    """Compare the version in force, and what cards are told; where they differ, start again from a whole roster."""
    version = bench.roster_version
    found = bench.fence().get("roster_version", "unknown")
    if found != version and bench.holds_roster(version):
        found = version
    held = [(bench.hold(card), decision) for card, decision in wanted.items()]
    keys = bench.arrived([tap for tap, _ in held], "the taps under the new roster")
    told = [str((bench.event(key).get("data") or {}).get("decision")) for key in keys]
    holds = bench.ledger.judge(
        number,
        (found == version or bench.blind) and _as_wanted(bench, told, [decision for _, decision in held]),
        expected=f"roster {version} in force, decisions {[decision for _, decision in held]}",
        found=f"roster {found}, decisions {told}",
    )
    if not holds:
        bench.roster_version += ROSTERS_APART
        bench.central.say_roster(bench.central.roster(bench.roster_version, entries=bench.entries()))
        bench.holds_roster(bench.roster_version)


def _as_wanted(bench: TerminalBench, told: list[str], wanted: list[str]) -> bool:
    """Compare decisions. An operator has few cards, so an unknown one may come again within the minute."""
    allowed = [{one, "repeat"} if one == "unknown_card" and not bench.hand.many else {one} for one in wanted]
    return len(told) == len(allowed) and all(one in choice for one, choice in zip(told, allowed, strict=True))


def _gap(bench: TerminalBench) -> None:
    """Send a delta on a version that nobody holds, with a whole roster retained behind it."""
    central, broker = bench.central, bench.broker
    last = bench.roster_version + 6
    whole = central.voice.sign(central.roster(last, entries=bench.entries()))
    broker.retain(central.roster_topic, whole)
    bench.roster_version = last

    def asked() -> int:
        return max((one.subscribed.get(central.roster_topic, 0) for one in bench.trace.sessions[-1:]), default=0)

    before = asked()
    central.say_roster(central.roster(last, base=last - 1, removed=[bench.token(bench.deck.allowed[0])]))
    again = bench.trace.wait(lambda: asked() > before, bench.patience.answer_s)
    taken = again and bench.holds_roster(last)
    bench.ledger.judge(
        "INC-02.5",
        taken,
        expected=f"a new SUBSCRIBE for {central.roster_topic}, then roster {last}",
        found=f"subscribed again: {again}, roster {bench.trace.last('heartbeat').get('roster_version')}",
    )


def incident(bench: TerminalBench) -> None:
    """Open an incident, garble it, end it, and hold cards meanwhile."""
    live = {"id": f"tck-{uuid.uuid4()}", "kind": "test", "since": "2026-01-01T00:00:00Z"}
    bench.central.say_incident(json.dumps(live).encode())
    bench.fence()
    held = [bench.hold(bench.deck.fresh_unknown())]
    _judge_recorded(bench, "INC-03.1", held, "while an incident is open")
    for payload in (b"{", b'{"id":5}', b"null"):
        bench.central.say_incident(payload)
    bench.fence()
    _judge_recorded(bench, "INC-03.2", [bench.hold(bench.deck.fresh_unknown())], "after malformed incidents")
    bench.central.say_incident(b"")
    bench.fence()
    _judge_recorded(bench, "INC-03.1", [bench.hold(bench.deck.fresh_unknown())], "after its end")


def _judge_recorded(bench: TerminalBench, number: str, held: list[Tap], when: str) -> None:
    keys = bench.arrived(held, f"a tap {when}") if all(tap.answer.promises for tap in held) else []
    answers = [tap.answer for tap in held]
    bench.ledger.judge(number, bool(keys), expected=f"the card is answered and recorded {when}", found=f"{answers}")


def commands(bench: TerminalBench) -> None:
    """Send a good command, an expired one and a forged one."""
    good, late, forged = (f"tck-{uuid.uuid4()}" for _ in range(3))
    forger = Voice(Ed25519PrivateKey.generate(), bench.central.voice.name)
    bench.central.say_command(forged, expires_in=timedelta(hours=1), voice=forger)
    bench.central.say_command(good, expires_in=timedelta(hours=1))
    bench.central.say_command(late, expires_in=timedelta(hours=-1))
    bench.trace.wait(lambda: {good, late} <= set(_replies(bench)), bench.patience.answer_s)
    bench.fence()
    replies = _replies(bench)
    answer = replies.get(good, {})
    explained = answer.get("ok") is True or bool(answer.get("detail"))
    bench.ledger.judge(
        "IDT-01.4",
        good in replies and explained,
        expected=f"a reply with id {good}, ok or with a sentence",
        found=f"{answer or 'none'}",
    )
    answer = replies.get(late, {})
    bench.ledger.judge(
        "IDT-01.5",
        answer.get("ok") is False and bool(answer.get("detail")),
        expected="a reply with ok false and a sentence",
        found=f"{answer or 'none'}",
    )
    found = f"{replies.get(forged) or 'none'}"
    bench.ledger.judge("IDT-01.6", forged not in replies, expected="no reply", found=found)


def _replies(bench: TerminalBench) -> dict[str, dict[str, Any]]:
    return {str(one.body.get("id")): one.body for one in bench.trace.of("reply")}
