"""The later stages of a terminal's examination: resending, a new epoch, an outage, kill -9, a false hash, farewell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulators.tck.contract import hash_of
from simulators.tck.hands import CannotHold
from simulators.tck.terminal_bench import Stuck
from simulators.tck.trace import Key, Shown

if TYPE_CHECKING:
    from simulators.tck.terminal_bench import TerminalBench

FEW_TAPS = 3
BURST_TAPS = 5
NARROW_WINDOW = 10


def resend(bench: TerminalBench) -> None:
    """Wait until what central was silent about comes again; then acknowledge everything."""
    keys = bench.silent_keys
    if keys:
        outstanding, held = keys[:-1], keys[-1]

        def again() -> bool:
            return all(len(bench.trace.sendings.get(key, ())) > 1 for key in outstanding)

        came = bench.trace.wait(again, bench.patience.resend_s)
        bench.ledger.judge(
            "DUR-02.2",
            came,
            expected=f"events {[key.seq for key in outstanding]} again within {bench.patience.resend_s:.0f} s",
            found="they came again" if came else "they did not",
        )
        if came:
            _spared(bench, outstanding, held)
    else:
        bench.ledger.cannot(["DUR-02.2", "DUR-02.4"], "the three taps were not recorded")
    if bench.blind:
        bench.ledger.cannot(["DUR-03.2"], "no heartbeat came in which it could be seen")
        bench.settled()
        return
    done = bench.settled()
    left = bench.trace.last("heartbeat").get("unacknowledged")
    bench.ledger.judge("DUR-03.2", done, expected="unacknowledged 0", found=f"unacknowledged {left}")


def _spared(bench: TerminalBench, outstanding: list[Key], held: Key) -> None:
    """Behind the ack that named it in `have`, an event stays where it is while the others come again."""

    def others_again() -> bool:
        return all(bench.trace.sent_after(key, bench.silent_mark) for key in outstanding)

    if not bench.trace.wait(others_again, bench.patience.resend_s):
        bench.ledger.cannot(["DUR-02.4"], "nothing else was sent again behind the ack that named it")
        return
    bench.fence()  # it was sent last, so its turn would come a little later
    repeated = bench.trace.sent_after(held, bench.silent_mark)
    bench.ledger.judge(
        "DUR-02.4",
        not repeated,
        expected=f"event {held.seq}, which `have` names, is not sent again",
        found="it was" if repeated else "it was not",
    )


def epoch(bench: TerminalBench) -> None:
    """Be a central that was restored from an empty backup."""
    bench.settled()
    if not bench.trace.taps:
        bench.arrived([bench.hold(bench.deck.fresh_unknown()) for _ in range(FEW_TAPS)], "three taps")
        bench.settled()
    mark = bench.trace.head
    journal_id = bench.central.journal_id
    keys = [Key(journal_id, seq) for seq in sorted(bench.trace.events.get(journal_id, {}))]
    bench.central.restore()

    def all_again() -> bool:
        return all(bench.trace.sent_after(key, mark) for key in keys)

    came = bench.trace.wait(all_again, bench.patience.resend_s)
    missing = [key.seq for key in keys if not bench.trace.sent_after(key, mark)]
    bench.ledger.judge(
        "DUR-04.1",
        came and bool(keys),
        expected=f"all {len(keys)} events again",
        found=f"{len(keys) - len(missing)} came; missing {missing[:20]}",
    )
    bench.settled()


def outage(bench: TerminalBench) -> None:
    """Be gone while many cards are held; come back with a narrow window."""
    bench.settled()
    bench.broker.stop()
    count = bench.patience.backlog_taps if bench.hand.many else FEW_TAPS
    held = [bench.hold(bench.deck.fresh_unknown()) for _ in range(count)]
    refused = [tap.answer for tap in held if not tap.answer.promises]
    bench.ledger.judge(
        "DUR-01.3",
        not refused,
        expected=f"{count} cards answered and recorded without a broker",
        found=f"{len(refused)} were not, the first: {refused[:1]}",
    )
    sessions = len(bench.trace.sessions)
    bench.central.answers = False
    bench.broker.receive_maximum, bench.broker.withhold = NARROW_WINDOW, True
    bench.broker.start()
    try:
        bench.connected(after_session=sessions)
        bench.fence()
    finally:
        bench.broker.receive_maximum, bench.broker.withhold = 20, False
    peaks = [one.unacknowledged_peak for one in bench.trace.sessions if one.receive_maximum == NARROW_WINDOW]
    bench.ledger.judge(
        "DUR-08.4",
        max(peaks) <= NARROW_WINDOW,
        expected=f"at most {NARROW_WINDOW} messages without PUBACK",
        found=f"{max(peaks)}",
    )
    held.append(bench.hold(bench.deck.fresh_unknown()))
    bench.central.answers = True
    bench.central.acknowledge()
    try:
        keys = bench.arrived(held, "the backlog", timeout_s=bench.patience.resend_s)
    except Stuck as exc:
        bench.ledger.judge("DUR-08.1", False, expected=f"all {len(held)} taps of the outage", found=str(exc))
        _live_lane(bench)
        return
    bench.ledger.judge("DUR-08.1", True, expected=f"all {len(held)} taps of the outage", found=f"{len(keys)}")
    _live_lane(bench)
    bench.settled()


def _live_lane(bench: TerminalBench) -> None:
    carried = bench.trace.of("live")
    if not carried:
        bench.ledger.cannot(["DUR-08.5"], "it sent nothing on `live`, which is its right")
        return
    lane = {one.number for one in carried}
    keys = [key for key, numbers in bench.trace.sendings.items() if lane & set(numbers)]
    changed = [key.seq for key in keys if not _linked(bench, key)]
    changed += [key.seq for key, _, _ in bench.trace.conflicts if key in keys]
    found = f"other bytes under numbers {sorted(set(changed))[:5]}" if changed else f"{len(keys)} events unchanged"
    bench.ledger.judge("DUR-08.5", not changed, expected="the stored bytes", found=found)


def _linked(bench: TerminalBench, key: Key) -> bool:
    """Whether the following event, where it is here, names the hash of these bytes."""
    following = Key(key.journal_id, key.seq + 1)
    return not bench.has(following) or bench.event(following).get("prevhash") == bench.central.hash_at(*key)


def kill(bench: TerminalBench) -> None:
    """Kill -9 just behind an answer, twice: once with a broker, once without."""
    if not bench.subject.can_kill:
        why = "the kit cannot kill and restart the terminal: give --run, or --kill and --start"
        bench.ledger.cannot(bench.ledger.open("kill"), why)
        return
    bench.with_roster()
    bench.settled()
    bench.central.answers = False
    silent = bench.arrived([bench.hold(bench.deck.fresh_unknown()) for _ in range(FEW_TAPS)], "three taps")
    believed = (bench.central.durable_said, bench.central.epoch)
    mark, journal_id, sessions = bench.trace.head, bench.central.journal_id, len(bench.trace.sessions)
    highest = max(bench.trace.events[journal_id])
    bench.broker.stop()  # what is answered now can only be on the terminal's own disk
    burst = [bench.hold(bench.deck.fresh_unknown()) for _ in range(BURST_TAPS)]
    bench.restart()
    bench.broker.start()
    highest = max([highest, *(tap.answer.seq for tap in burst)])
    birth = bench.connected(after_session=sessions)
    said = (birth.get("durable", 0), birth.get("epoch", 0))
    bench.ledger.judge(
        "DUR-04.4",
        said == believed or birth.get("journal_id") != journal_id,
        expected=f"durable {believed[0]}, epoch {believed[1]}",
        found=f"durable {said[0]}, epoch {said[1]}",
    )
    _after_the_kill(bench, silent, burst, mark)
    _numbering(bench, journal_id, highest)
    bench.settled()
    _alone_after_a_restart(bench)


def _after_the_kill(bench: TerminalBench, silent: list[Key], burst: list, mark: int) -> None:  # type: ignore[type-arg]
    came = bench.trace.wait(lambda: all(bench.trace.sent_after(key, mark) for key in silent), bench.patience.resend_s)
    bench.ledger.judge(
        "DUR-03.1",
        came,
        expected=f"events {[key.seq for key in silent]}, which only the broker had taken, again after the restart",
        found="they came" if came else "they did not",
    )
    promised = sum(1 for tap in burst if tap.answer.promises)
    if not promised:
        bench.ledger.cannot(["DUR-01.2"], "no card was answered without a broker, see DUR-01.3")
        return
    try:
        keys = bench.arrived(burst, "the taps answered before kill -9", timeout_s=bench.patience.resend_s)
    except Stuck as exc:
        bench.ledger.judge("DUR-01.2", False, expected=f"the {promised} taps answered before it", found=str(exc))
        return
    lost = [tap.answer.seq for tap, key in zip(burst, keys, strict=False) if not _is_of(bench, key, tap.identity)]
    bench.ledger.judge(
        "DUR-01.2",
        promised == BURST_TAPS and not lost,
        expected=f"all {BURST_TAPS} taps answered before it",
        found=f"{promised} answered; not the same card under {lost}"
        if lost
        else f"{promised} answered, {len(keys)} came",
    )


def _is_of(bench: TerminalBench, key: Key, identity: bytes) -> bool:
    subject = str(bench.event(key).get("subject", ""))
    return not identity or subject == f"card:{bench.token(identity)}" or not subject.startswith("card:")


def _numbering(bench: TerminalBench, journal_id: str, highest: int) -> None:
    """Hold a card after the restart: its number must be a new one."""
    (key,) = bench.arrived([bench.hold_when_ready(bench.deck.fresh_unknown())], "a tap after the restart") or [
        Key("", 0)
    ]
    again = [one for one, _, _ in bench.trace.conflicts]
    goes_on = key.journal_id == journal_id and key.seq > highest
    begins = key.journal_id not in {journal_id, ""} and 1 in bench.trace.events[key.journal_id]
    bench.ledger.judge(
        "DUR-02.3",
        (goes_on or begins) and not again,
        expected=f"a number above {highest} in journal {journal_id}, or a new journal from 1",
        found=f"number {key.seq} in journal {key.journal_id}; numbers given twice: {[one.seq for one in again][:10]}",
    )


def _alone_after_a_restart(bench: TerminalBench) -> None:
    bench.broker.stop()
    bench.restart()
    tap = bench.hold_when_ready(bench.deck.allowed[1])
    sessions = len(bench.trace.sessions)
    bench.broker.start()
    bench.connected(after_session=sessions)
    keys = bench.arrived([tap], "the tap without a broker", timeout_s=bench.patience.resend_s)
    decision = (bench.event(keys[0]).get("data") or {}).get("decision") if keys else tap.answer.error
    bench.ledger.judge(
        "INC-02.6",
        decision == "accepted",
        expected=f"accepted, under roster {bench.roster_version} from before",
        found=f"{decision}",
    )
    bench.settled()


def fork(bench: TerminalBench) -> None:
    """Acknowledge everything under a hash that is not the terminal's. Nothing may follow: it may stop sending."""
    bench.settled()
    bench.central.answers = False
    keys = bench.arrived([bench.hold(bench.deck.fresh_unknown())], "one tap")
    before = bench.covered(["DUR-06.3"])
    if before is None or not keys:
        bench.ledger.cannot(["DUR-06.3"], "the tap was not recorded")
        return
    head = max(bench.trace.events[bench.central.journal_id])
    for rise in (0, 1):
        bench.central.acknowledge(
            durable=head, have=[], hash=hash_of(b"another journal"), epoch=bench.central.epoch + rise
        )
        now = bench.covered(["DUR-06.3"])
        bench.ledger.judge(
            "DUR-06.3",
            now == before,
            expected=f"{before} events acknowledged, as before",
            found=f"{now} after an ack with another event's hash",
        )
    _stopped(bench)


def _stopped(bench: TerminalBench) -> None:
    """Hold one card more. It is left out of what must arrive: whether a terminal goes on by itself is its maker's."""
    mark, events = bench.trace.head, len(bench.tap_keys())
    try:
        answer = bench.hand.hold(bench.deck.fresh_unknown(), bench.hand.directions[0])
    except CannotHold as exc:
        answer = Shown(error=str(exc))
    bench.fence()
    sent = len(bench.tap_keys()) - events
    again = len(bench.trace.of("events", after=mark)) + len(bench.trace.of("live", after=mark))
    bench.ledger.judge(
        "DUR-06.5",
        answer.promises and not sent and not again,
        expected="the card is recorded, and no batch is sent",
        found=f"{answer}, {again} batches",
    )


def farewell(bench: TerminalBench) -> None:
    """Ask the terminal to end, and hear its last words."""
    if not bench.subject.can_stop:
        why = "the kit cannot end the terminal: give --run or --stop"
        bench.ledger.cannot(["INC-01.8"], why)
        return
    number = bench.trace.sessions[-1].number
    bench.subject.stop()
    session = bench.trace.sessions[number - 1]
    bench.trace.wait(lambda: session.said_goodbye, BURST_TAPS)
    last = [one for one in bench.trace.heard if one.session == number][-1]
    offline = last.kind == "state" and last.body.get("online") is False and last.retain
    bench.ledger.judge(
        "INC-01.8",
        offline and session.said_goodbye,
        expected="state offline, retained, then DISCONNECT",
        found=f"last message on {last.topic}: {last.payload[:100]!r}, retained {last.retain};"
        f" DISCONNECT: {session.said_goodbye}",
    )
