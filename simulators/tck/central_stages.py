"""The stages of a central's examination about evidence: order, repetition, gaps, forks, mistakes, strangers."""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, Any

from simulators.tck.central_bench import Missing, stranger_token
from simulators.tck.central_checks import API
from simulators.tck.contract import EVENTS_A_BATCH_MAX, ZEROS, join_batch
from simulators.tck.played_terminal import Journal

if TYPE_CHECKING:
    from simulators.tck.central_bench import CentralBench
    from simulators.tck.played_terminal import PlayedTerminal

HAVE_MAX = 1000
REPEAT_EVERY_S = 5.0


def greeting(bench: CentralBench) -> None:
    """Be born with a journal that central has never seen."""
    first, journal = bench.first, bench.journal()
    for _ in range(3):
        journal.tap(stranger_token(), decision="unknown_card")
    _state(bench)
    first.say("birth", journal.birth())
    ack = bench.acked(journal, 0)
    bench.ledger.judge(
        "DUR-03.52",
        ack.get("hash") == ZEROS and ack.get("have") == [],
        expected="durable 0, 64 zeros, have []",
        found=f"{ack}",
    )
    bench.ledger.judge(
        "DUR-03.56",
        all(one.get("durable") == 0 for one in first.of(journal)),
        expected="durable 0 while nothing was sent, although the birth names a head of 3",
        found=f"{first.of(journal)[-1]}",
    )
    before = len(first.of(journal))
    began = time.monotonic()
    while len(first.of(journal)) == before and time.monotonic() - began < bench.patience.repeat_s:
        first.say("heartbeat", journal.heartbeat(3), qos=0)
        first.wait(lambda: len(first.of(journal)) > before, REPEAT_EVERY_S)
    took = time.monotonic() - began
    bench.ledger.judge(
        "DUR-03.53",
        len(first.of(journal)) > before,
        expected="another ack while heartbeats name 3 unacknowledged events",
        found=f"{len(first.of(journal)) - before} more within {took:.0f} s",
    )
    first.send(journal)
    bench.acked(journal, 3)


def _state(bench: CentralBench) -> None:
    first = bench.first
    first.wait(lambda: bool(first.states), bench.patience.ack_s)
    first.ask_again()
    retained = first.wait(lambda: any(kept for kept, _ in first.states), bench.patience.ack_s)
    payload = first.states[-1][1] if first.states else b""
    wrong = bench.schemas.complaints("central-state", payload) if payload else ["nothing is retained"]
    online = not wrong and json.loads(payload)["online"]
    bench.ledger.judge(
        "IDT-01.54",
        retained and bool(online),
        expected="retained, online",
        found=f"retained {retained}, {payload[:100]!r} {'; '.join(wrong)}",
    )
    if not first.incidents:
        bench.ledger.cannot(["INC-03.51"], "nothing is retained as incident")
    for incident in first.incidents:
        wrong = bench.schemas.complaints("incident", incident) if incident else []
        bench.ledger.judge(
            "INC-03.51", not wrong, expected="empty, or an incident", found=f"{incident[:100]!r} {wrong}"
        )


def order(bench: CentralBench) -> None:
    """Send in order, then another journal backwards."""
    journal, terminal = bench.journal(), bench.first
    for _ in range(5):
        journal.tap(stranger_token(), decision="unknown_card")
    terminal.send(journal)
    ack = bench.acked(journal, 5)
    hash_fits = ack.get("hash") == journal.hash_at(5) and ack.get("have") == []
    bench.ledger.judge(
        "DUR-03.51", hash_fits, expected=f"durable 5 with hash {journal.hash_at(5)}, have []", found=f"{ack}"
    )
    if bench.door is None:
        bench.ledger.cannot(["DUR-03.54"], API)
    else:
        seen = sorted(tap["seq"] for tap in bench.door.taps(journal))
        bench.ledger.judge("DUR-03.54", seen == [1, 2, 3, 4, 5], expected="five taps at once", found=f"numbers {seen}")
    _backwards(bench)


def _backwards(bench: CentralBench) -> None:
    journal = bench.journal()
    for _ in range(12):
        journal.tap(stranger_token(), decision="unknown_card")
    for at in (10, 7, 4, 1):
        bench.first.send(journal, at, at + 2)
        if at == 10:  # noqa: PLR2004 - the last three of twelve
            held = bench.acked(journal, 0).get("have")
            bench.ledger.judge("DUR-05.51", held == [[10, 12]], expected="have [[10, 12]]", found=f"have {held}")
    ack = bench.acked(journal, 12)
    fits = ack.get("hash") == journal.head_hash() and ack.get("have") == []
    bench.ledger.judge("DUR-05.51", fits, expected="durable 12, its hash, have []", found=f"{ack}")


def repetition(bench: CentralBench) -> None:
    """Send everything twice, overlapping, and on both lanes."""
    journal, terminal = bench.journal(), bench.first
    for _ in range(6):
        journal.tap(stranger_token(), decision="unknown_card")
    terminal.send(journal, 1, 4)
    bench.acked(journal, 4)
    before = len(terminal.of(journal))
    terminal.send(journal, 1, 4)
    again = terminal.wait(lambda: len(terminal.of(journal)) > before, bench.patience.ack_s)
    said = terminal.of(journal)[-1]
    bench.ledger.judge(
        "DUR-02.51",
        again and said.get("durable") == 4 and said.get("hash") == journal.hash_at(4),  # noqa: PLR2004 - four were sent
        expected="another ack with durable 4",
        found=f"{said}" if again else "no other ack",
    )
    terminal.send(journal, 3, 6, lane="live")
    terminal.send(journal, 2, 5)
    terminal.send(journal)
    bench.acked(journal, 6)
    bench.fence()
    if bench.door is None:
        bench.ledger.cannot(["DUR-02.52"], API)
        return
    seen = sorted(tap["seq"] for tap in bench.door.taps(journal))
    bench.ledger.judge(
        "DUR-02.52", seen == [1, 2, 3, 4, 5, 6], expected="each of six taps once", found=f"numbers {seen}"
    )


def gaps(bench: CentralBench) -> None:
    """Leave numbers out: one, then more than an ack can name."""
    journal, terminal = bench.journal(), bench.first
    for _ in range(5):
        journal.tap(stranger_token(), decision="unknown_card")
    terminal.say("birth", journal.birth())
    terminal.send(journal, 1, 2)
    terminal.send(journal, 4, 5)
    terminal.wait(lambda: any(ack.get("have") for ack in terminal.of(journal)), bench.patience.ack_s)
    said = terminal.of(journal)[-1]
    bench.ledger.judge(
        "DUR-06.51",
        said.get("durable") == 2 and said.get("have") == [[4, 5]] and said.get("hash") == journal.hash_at(2),  # noqa: PLR2004 - before the gap
        expected="durable 2 with its hash, have [[4, 5]]",
        found=f"{said}",
    )
    terminal.say("heartbeat", journal.heartbeat(1), qos=0)
    door = bench.door
    if door is None:
        bench.ledger.cannot(["DUR-06.52"], API)
    else:

        def missing() -> int:
            found = [one for one in door.headcount()["terminals"] if one["code"] == terminal.code]
            return int(found[0]["not_received_at_most"] or 0) if found else 0

        bench.see(lambda: missing() > 0)
        bench.ledger.judge("DUR-06.52", missing() >= 1, expected="at least 1 not received", found=f"{missing()}")
    terminal.send(journal, 3, 3)
    bench.acked(journal, 5)
    _many_gaps(bench)


def _many_gaps(bench: CentralBench) -> None:
    journal, terminal, count = bench.journal(), bench.first, bench.patience.gaps
    for _ in range(2 * count):
        journal.append("com.example.door.v1", {"open": True})
    every_second = journal.records[1::2]
    for at in range(0, count, EVENTS_A_BATCH_MAX):
        terminal.say("events", join_batch(every_second[at : at + EVENTS_A_BATCH_MAX]))
    bench.fence()
    widest = max((len(ack.get("have") or ()) for ack in terminal.of(journal)), default=0)
    deadline = time.monotonic() + bench.patience.ack_s
    while terminal.of(journal)[-1].get("durable") != 2 * count and time.monotonic() < deadline:
        terminal.send(journal, int(terminal.of(journal)[-1]["durable"]) + 1)
        bench.fence()
    last = terminal.of(journal)[-1].get("durable")
    bench.ledger.judge(
        "DUR-06.57",
        widest <= HAVE_MAX and last == 2 * count,
        expected=f"at most {HAVE_MAX} ranges, and durable {2 * count} once everything was sent",
        found=f"{widest} ranges, durable {last}",
    )


def forks(bench: CentralBench) -> None:
    """Send other bytes under a number that is held, and a link that does not fit."""
    journal, terminal = bench.journal(), bench.first
    for _ in range(3):
        journal.tap(stranger_token(), decision="unknown_card")
    terminal.send(journal)
    bench.acked(journal, 3)
    other = json.loads(journal.records[2]) | {"time": "2026-01-01T00:00:00.000Z"}
    raw = json.dumps(other).encode()
    before = len(terminal.of(journal))
    terminal.say("events", join_batch([raw]))
    terminal.wait(lambda: len(terminal.of(journal)) > before, bench.patience.ack_s)
    said = terminal.of(journal)[-1]
    aside = _aside(bench, "forked", journal)
    bench.ledger.judge(
        "DUR-06.53",
        said.get("hash") == journal.hash_at(3) and aside,
        expected="the ack carries the first hash" + (", the later bytes in quarantine as forked" if bench.door else ""),
        found=f"{said}, in quarantine: {aside}",
    )
    journal.tap(stranger_token(), decision="unknown_card", prevhash="a" * 64)
    journal.tap(stranger_token(), decision="unknown_card")
    terminal.send(journal, 4, 5)
    try:
        bench.acked(journal, 5)
    except Missing as exc:
        bench.ledger.judge("DUR-06.54", False, expected="durable 5", found=str(exc))
        return
    bench.ledger.judge("DUR-06.54", True, expected="durable 5", found="durable 5")


def _aside(bench: CentralBench, reason: str, journal: Journal | None = None) -> bool:
    """Whether something is in quarantine for a reason; true where that cannot be seen."""
    door = bench.door
    if door is None:
        return True
    name = journal.journal_id if journal else None
    return bench.see(
        lambda: any(row["reason"] == reason and (name is None or row["journal_id"] == name) for row in door.aside())
    )


def mistakes(bench: CentralBench) -> None:
    """Send what cannot be read, in every way that the contract names."""
    journal, terminal = bench.journal(), bench.first
    journal.tap(stranger_token(), decision="unknown_card")
    journal.append("ccs.tap.v1", {"direction": 7}, subject=f"card:{stranger_token()}")
    journal.append("ccs.boot.v1", {"versions": {}, "config_hash": ""}, id=f"{uuid.uuid4()}-{3:020d}")
    journal.append("ccs.boot.v1", {"versions": {}, "config_hash": ""}, source="urn:ccs:elsewhere:gate-99")
    journal.tap(stranger_token(), decision="unknown_card")
    terminal.send(journal)
    try:
        ack = bench.acked(journal, 5)
    except Missing as exc:
        bench.ledger.judge("DUR-06.56", False, expected="durable 5, past what cannot be counted", found=str(exc))
    else:
        fits = ack.get("hash") == journal.hash_at(5)
        bench.ledger.judge("DUR-06.56", fits, expected="durable 5 with its hash", found=f"{ack}")
    unique = stranger_token()
    terminal.say("events", f"{{{unique}".encode())
    terminal.say("events", join_batch([journal.records[0]] * (EVENTS_A_BATCH_MAX + 1)))
    terminal.say("birth", json.dumps({"journal_id": 5, "tck": unique}).encode())
    bench.fence()
    if bench.door is None:
        bench.ledger.cannot(["DUR-06.55"], API)
        return
    wanted = {"malformed_event", "id_mismatch", "source_mismatch"}
    missing = sorted(reason for reason in wanted if not _aside(bench, reason, journal))
    wanted |= {"malformed_batch", "batch_too_long", "malformed_message"}
    missing += [one for one in ("malformed_batch", "batch_too_long", "malformed_message") if not _aside(bench, one)]
    found = f"missing {missing}" if missing else "all of them"
    bench.ledger.judge("DUR-06.55", not missing, expected=f"in quarantine: {sorted(wanted)}", found=found)


def strangers(bench: CentralBench) -> None:
    """Be a terminal that nobody registered, and one that sends another's records."""
    stranger, journal = bench.stranger, Journal(bench.stranger.site, bench.stranger.code)
    journal.tap(stranger_token(), decision="unknown_card")
    stranger.say("birth", journal.birth())
    stranger.send(journal)
    bench.fence()
    aside = _aside(bench, "unknown_terminal")
    bench.ledger.judge(
        "IDT-01.51",
        not stranger.acks and aside,
        expected="no ack" + (", and a row in quarantine" if bench.door else ""),
        found=f"acks {stranger.acks[:2]}, in quarantine: {aside}",
    )
    _foreign_journal(bench)
    _foreign_source(bench)


def _foreign_journal(bench: CentralBench) -> None:
    mine, second = bench.journal(), bench.second
    mine.tap(stranger_token(), decision="unknown_card")
    bench.first.send(mine)
    bench.acked(mine, 1)
    theirs = Journal(second.site, second.code, journal_id=mine.journal_id, records=list(mine.records))
    theirs.tap(stranger_token(), decision="unknown_card")
    second.send(theirs, 2, 2)
    bench.fence(second)
    said: list[dict[str, Any]] = second.of(theirs)
    bench.first.say("birth", mine.birth())
    bench.fence()
    held = bench.first.of(mine)[-1].get("durable")
    bench.ledger.judge(
        "IDT-01.52",
        not said and held == 1,
        expected="no ack for the second terminal, durable 1 for the first",
        found=f"second: {said[:2]}, first: durable {held}",
    )


def _foreign_source(bench: CentralBench) -> None:
    if bench.door is None:
        bench.ledger.cannot(["IDT-01.53"], API)
        return
    journal, person = bench.journal(), bench.person()
    other: PlayedTerminal = bench.second
    journal.tap(person.token, source=f"urn:ccs:{other.site}:{other.code}")
    journal.tap(stranger_token(), decision="unknown_card")
    bench.first.send(journal)
    bench.fence()
    counted = person.worker_id in bench.door.inside()
    bench.ledger.judge("IDT-01.53", not counted, expected="the tap is not counted", found=f"inside: {counted}")
