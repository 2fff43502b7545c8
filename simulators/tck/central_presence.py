"""The stages of a central's examination about people: presence, clocks, backlog, freshness, roster; then crash."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from simulators.tck.central_bench import LOOK_S, Missing, stranger_token
from simulators.tck.central_checks import API
from simulators.tck.contract import open_signed, read_time, time_text

if TYPE_CHECKING:
    from simulators.tck.central_bench import CentralBench, CentralDoor, Person
    from simulators.tck.played_terminal import Journal, PlayedTerminal

BACK = timedelta(hours=1)
NEWEST = 4
SAME_TIME_S = 0.01
ASK_S = 3.0
STAYS_S = 1.0
"""How long a terminal must stay what it is to be believed."""


def presence(bench: CentralBench) -> None:
    """Come in and go out, well and badly proven, with a clock that runs backwards, and as nobody."""
    door = bench.door
    if door is None:
        bench.ledger.cannot(bench.ledger.open("presence"), API)
        return
    journal, terminal = bench.journal(), bench.first
    stays, leaves, weak, backwards = (bench.person() for _ in range(4))
    unknown_before, at_most_before = _unknown(door)
    for one in (stays, leaves, weak):
        journal.tap(one.token)
    journal.tap(leaves.token, "out")
    journal.tap(weak.token, "out", assurance=0)
    journal.tap(backwards.token)
    journal.tap(backwards.token, "out", at=datetime.now(UTC) - BACK, clockepoch=2)
    journal.tap(stranger_token(), decision="unknown_card", clockepoch=3)
    terminal.say("birth", journal.birth())
    terminal.send(journal)
    bench.acked(journal, 8)
    came, left = bench.inside(stays, True), bench.inside(leaves, False)
    bench.ledger.judge(
        "INC-01.51", came and left, expected="the one inside, the other not", found=f"in: {came}, out: {left}"
    )
    bench.ledger.judge(
        "CRD-01.51", bench.inside(weak, True), expected="still inside", found=f"inside: {sorted(door.inside())}"
    )
    gone = bench.inside(backwards, False)
    bench.ledger.judge("DUR-05.52", gone, expected="out, by the later number", found=f"inside: {not gone}")
    bench.see(lambda: _unknown(door)[0] > unknown_before)
    unknown, at_most = _unknown(door)
    bench.ledger.judge(
        "INC-01.52",
        unknown == unknown_before + 1 and at_most > at_most_before,
        expected=f"{unknown_before + 1} unknown cards, more than {at_most_before} at most",
        found=f"{unknown} unknown cards, {at_most} at most",
    )
    text = json.dumps(door.headcount(), ensure_ascii=False)
    named = "Conformance " in text.replace("Conformance kit", "").replace("Conformance builder", "")
    bench.ledger.judge("PRV-01.51", not named, expected="no worker's name", found=f"a name: {named}")


def _unknown(door: CentralDoor) -> tuple[int, int]:
    found = door.headcount()
    return int(found["unknown_cards"]), int(found["at_most"])


def clocks(bench: CentralBench) -> None:
    """Tap with a true clock, and with clocks of 1970, 2099, and none."""
    journal, terminal = bench.journal(), bench.first
    said = datetime.now(UTC)
    journal.tap(stranger_token(), decision="unknown_card", at=said)
    strange = [datetime(1970, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC), said]
    states = ["synced", "synced", "unset"]
    for epoch, (at, state) in enumerate(zip(strange, states, strict=True), 2):
        journal.tap(
            stranger_token(), decision="unknown_card", at=at, clockstate=state, clockepoch=epoch, bootid=f"b{epoch}"
        )
    terminal.send(journal)
    try:
        bench.acked(journal, 4)
    except Missing as exc:
        bench.ledger.judge("TIM-01.51", False, expected="all four acknowledged", found=str(exc))
        return
    if bench.door is None:
        bench.ledger.judge("TIM-01.51", True, expected="all four acknowledged", found="durable 4")
        bench.ledger.cannot(["TIM-01.52"], API)
        return
    taps = {tap["seq"]: tap for tap in bench.door.taps(journal)}
    bases = [taps.get(seq, {}).get("time_basis") for seq in (2, 3, 4)]
    bench.ledger.judge(
        "TIM-01.51",
        None not in bases and "measured" not in bases,
        expected="all counted, none measured",
        found=f"bases {bases}",
    )
    first = taps.get(1, {})
    kept = abs((read_time(first["occurred_at"]) - said).total_seconds()) < SAME_TIME_S if first else False
    bench.ledger.judge(
        "TIM-01.52",
        kept and first.get("time_basis") == "measured",
        expected=f"{time_text(said)}, measured",
        found=f"{first.get('occurred_at')}, {first.get('time_basis')}",
    )


def backlog(bench: CentralBench) -> None:
    """Return with a backlog, newest first."""
    journal, terminal = bench.journal(), bench.first
    people: list[Person] = [bench.person() for _ in range(NEWEST)] if bench.door else []
    count = bench.patience.backlog
    for _ in range(count):
        journal.append("com.example.door.v1", {"open": True})
    for one in people:
        journal.tap(one.token)
    terminal.say("birth", journal.birth())
    total = len(journal.records)
    terminal.send(journal, max(1, total - 63), total, lane="live")
    if bench.door is None:
        bench.ledger.cannot(["DUR-08.51"], API)
    else:
        came = all(bench.inside(one, True) for one in people)
        durable = terminal.of(journal)[-1].get("durable") if terminal.of(journal) else 0
        bench.ledger.judge(
            "DUR-08.51",
            came and durable == 0,
            expected=f"{NEWEST} people inside with durable 0",
            found=f"inside: {came}, durable {durable}",
        )
    terminal.send(journal)
    try:
        bench.acked(journal, total)
    except Missing as exc:
        bench.ledger.judge("DUR-08.52", False, expected=f"durable {total}", found=str(exc))
        return
    bench.ledger.judge("DUR-08.52", True, expected=f"durable {total}", found=f"durable {total}")


def freshness(bench: CentralBench) -> None:
    """Be born, be declared dead by an old will, then say goodbye."""
    door, second = bench.door, bench.second
    if door is None:
        bench.ledger.cannot(bench.ledger.open("freshness"), API)
        return
    journal = bench.journal(second)

    def freshness_now() -> str:
        found = door.headcount()
        mine = [one for one in found["terminals"] if one["code"] == second.code]
        return str(mine[0]["freshness"]) if mine and found.get("as_of") and mine[0].get("heard_at") else "not named"

    second.say("birth", journal.birth())
    second.say("state", _state(journal.boot_id, online=True), retain=True)
    fresh = bench.see(lambda: freshness_now() == "fresh")
    old = time_text(datetime.now(UTC) - BACK)
    second.say("state", _state("an-earlier-boot", online=False, at=old), retain=True)
    bench.fence()  # over the other terminal: a birth of this one would put it right again
    deadline = time.monotonic() + STAYS_S
    while (still := freshness_now()) == "fresh" and time.monotonic() < deadline:
        time.sleep(LOOK_S)
    bench.ledger.judge(
        "INC-01.54", still == "fresh", expected="fresh in spite of an earlier boot's will", found=f"{still}"
    )
    second.say("state", _state(journal.boot_id, online=False), retain=True)
    left = bench.see(lambda: freshness_now() not in {"fresh", "not named"})
    bench.ledger.judge(
        "INC-01.53",
        fresh and left,
        expected="as_of, heard_at; fresh behind the birth, not fresh behind the farewell",
        found=f"fresh: {fresh}, then {freshness_now()}",
    )


def _state(boot_id: str, *, online: bool, at: str = "") -> dict[str, Any]:
    return {"online": online, "boot_id": boot_id, "at": at or time_text(datetime.now(UTC))}


def roster(bench: CentralBench) -> None:
    """Read the retained roster as a terminal that comes now, and follow it while somebody comes in and goes out."""
    terminal = bench.first
    terminal.ask_again()
    if not terminal.wait(lambda: any(retained for retained, _ in terminal.rosters), bench.patience.see_s):
        bench.ledger.judge("INC-02.51", False, expected="a retained roster", found="none")
        return
    payload = next(payload for retained, payload in terminal.rosters if retained)
    wrong, body = _opened(bench, payload)
    bench.ledger.judge(
        "INC-02.51",
        not wrong and body.get("base") is None and body.get("site") == terminal.site,
        expected=f"a whole roster of {terminal.site}, signed",
        found="; ".join(wrong) or f"version {body.get('version')}, base {body.get('base')}, site {body.get('site')}",
    )
    if bench.public_key is None:
        bench.ledger.cannot(["INC-02.51"], "give --public-key to check the signature")
    wanted = {person.token for person in bench.people}
    bench.see(lambda: wanted <= _entries(bench))
    missing = wanted - _entries(bench)
    bench.ledger.judge(
        "INC-02.52",
        not missing,
        expected=f"{len(wanted)} cards",
        found=f"{len(missing)} missing, the first {sorted(missing)[:1]}" if missing else "all of them",
    )
    _follow(bench)


def _opened(bench: CentralBench, payload: bytes) -> tuple[list[str], dict[str, Any]]:
    wrong = bench.schemas.complaints("signed", payload)
    if wrong:
        return wrong, {}
    try:
        body = open_signed(payload, bench.public_key)
    except (ValueError, KeyError) as exc:
        return [str(exc)], {}
    return bench.schemas.complaints("roster", json.dumps(body).encode()), body


def _view(bench: CentralBench) -> tuple[dict[str, Any], list[str]]:
    """Fold everything heard on the roster topic as a terminal does; also what did not fit."""
    view: dict[str, Any] = {"version": 0, "entries": set(), "inside": set()}
    wrong: list[str] = []
    for _, payload in list(bench.first.rosters):
        bad, body = _opened(bench, payload)
        wrong += bad
        version, base = body.get("version", 0), body.get("base")
        entries = {one["token"] for one in body.get("entries", [])}
        inside = {one["person"] for one in body.get("inside", [])}
        if bad or version <= view["version"]:
            continue
        if base is None:
            view = {"version": version, "entries": entries, "inside": inside}
        elif base == view["version"]:
            kept = view["entries"] - set(body.get("removed", [])), view["inside"] - set(body.get("inside_removed", []))
            view = {"version": version, "entries": kept[0] | entries, "inside": kept[1] | inside}
        else:
            wrong.append(f"a delta on version {base} while {view['version']} was the last one sent")
    return view, wrong


def _entries(bench: CentralBench) -> set[str]:
    return set(_view(bench)[0]["entries"])


def _follow(bench: CentralBench) -> None:
    person, journal = bench.person(), bench.journal()
    before = _view(bench)[0]
    journal.tap(person.token)
    bench.first.send(journal)
    bench.acked(journal, 1)
    came = bench.see(lambda: len(_view(bench)[0]["inside"] - before["inside"]) > 0)
    new = _view(bench)[0]["inside"] - before["inside"]
    journal.tap(person.token, "out")
    bench.first.send(journal, 2)
    bench.acked(journal, 2)
    left = bench.see(lambda: not new & _view(bench)[0]["inside"])
    view, wrong = _view(bench)
    bench.ledger.judge(
        "INC-02.53",
        came and left and not wrong and view["version"] > before["version"],
        expected="the person appears and disappears, under rising versions",
        found="; ".join(wrong) or f"appeared: {came}, disappeared: {left}, {before['version']} to {view['version']}",
    )


def backup(bench: CentralBench) -> None:
    """Believe more than central holds, as after a restore from an older backup."""
    journal, terminal = bench.journal(), bench.first
    for _ in range(3):
        journal.tap(stranger_token(), decision="unknown_card")
    terminal.send(journal, 1, 1)
    epoch = int(bench.acked(journal, 1).get("epoch", 0))
    before = len(terminal.of(journal))
    terminal.say("birth", journal.birth(durable=3, epoch=epoch))
    terminal.wait(lambda: len(terminal.of(journal)) > before, bench.patience.ack_s)
    said = terminal.of(journal)[-1]
    bench.ledger.judge(
        "DUR-04.52",
        len(terminal.of(journal)) > before and int(said.get("epoch", 0)) > epoch and said.get("durable") == 1,
        expected=f"durable 1 under an epoch above {epoch}",
        found=f"{said}",
    )
    terminal.send(journal, 2)
    bench.acked(journal, 3)


def crash(bench: CentralBench) -> None:
    """Have central and its database killed; then ask where every journal stands."""
    if bench.crash is None:
        why = "give --crash: a command that kills central and its database and starts them again"
        bench.ledger.cannot(["DUR-03.55"], why)
        return
    journal, terminal = bench.journal(), bench.first
    for _ in range(200):
        journal.tap(stranger_token(), decision="unknown_card")
    terminal.send(journal)
    terminal.wait(lambda: bool(terminal.of(journal)), bench.patience.ack_s)
    before = {(played, one.journal_id): _best(played.of(one)) for played, one in bench.journals}
    bench.crash()
    lost = [
        sentence
        for played, one in bench.journals
        if (sentence := _lost(bench, played, one, before[played, one.journal_id]))
    ]
    bench.ledger.judge(
        "DUR-03.55",
        not lost,
        expected=f"{len(before)} journals held as far as they were acknowledged",
        found="; ".join(lost[:3]) or "all of them",
    )


def _lost(bench: CentralBench, played: PlayedTerminal, journal: Journal, before: int) -> str:
    """Ask for a journal until central answers: by a birth, then by heartbeats; say what is missing, or nothing."""
    seen = len(played.of(journal))
    if not before:
        return ""
    played.say("birth", journal.birth())
    deadline = time.monotonic() + bench.patience.repeat_s
    while not played.wait(lambda: len(played.of(journal)) > seen, ASK_S) and time.monotonic() < deadline:
        played.say("heartbeat", journal.heartbeat(1), qos=0)
    if len(played.of(journal)) == seen:
        return f"{journal.journal_id}: no answer to its birth and heartbeats"
    now = int(played.of(journal)[-1].get("durable", 0))
    return f"{journal.journal_id}: {before} before, {now} now" if now < before else ""


def _best(acks: list[dict[str, Any]]) -> int:
    return max((int(ack.get("durable", 0)) for ack in acks), default=0)
