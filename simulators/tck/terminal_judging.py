"""Judges everything that was seen of a terminal, purely: each rule looks at the trace and says what does not fit."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING

from simulators.tck import contract, time_rules
from simulators.tck.contract import hash_of, read_time, source
from simulators.tck.evidence import TAPS, Evidence
from simulators.tck.packets import MQTT_5
from simulators.tck.trace import Key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from simulators.tck.checks import Ledger

SHOWN_BY_DECISION = {
    "accepted": {"green"},
    "repeat": {"green", "amber"},
    "unknown_card": {"amber"},
    "barred": {"red"},
    "auth_failed": {"red"},
}
"""A repetition of an unknown card may go on being amber."""
ASSURANCE_MAX = {"id_only": 0, "felica_mac": 1, "ntag424_sdm": 2, "desfire_ev2": 3}
FOUND_MAX = 3


def _arrived(seen: Evidence) -> Iterator[str]:
    cards = {seen.subject(tap) for tap in seen.trace.taps if tap.identity}
    for tap, event in seen.matched:
        yield ""
        if event is None or event.get("type") not in TAPS:
            yield f"no event for a card answered {tap.answer.shown} under number {tap.answer.seq}"
        elif tap.identity and event.get("subject") in cards - {seen.subject(tap)}:
            yield f"number {tap.answer.seq} holds another card than the one that it was answered to"


def _same_bytes(seen: Evidence) -> Iterator[str]:
    yield from ("" for _ in seen.events)
    for key, first, later in seen.trace.conflicts:
        yield f"number {key.seq}: first {first[:60]!r}… ({hash_of(first)[:12]}), later {hash_of(later)[:12]}"


def _at_qos_1(seen: Evidence) -> Iterator[str]:
    for one in seen.trace.heard:
        if one.kind in {"events", "live", "birth", "state", "reply"}:
            yield "" if one.qos == 1 else f"{one.kind} at QoS {one.qos}"


def _no_gap(seen: Evidence) -> Iterator[str]:
    for journal_id, events in seen.trace.events.items():
        yield ""
        missing = sorted(set(range(1, max(events) + 1)) - set(events))
        if missing:
            yield f"journal {journal_id}: {len(missing)} numbers never came, {missing[:10]}"


def _in_order(seen: Evidence) -> Iterator[str]:
    first_sent: dict[str, int] = {}
    known: set[Key] = set()
    carried: dict[int, list[Key]] = {}
    for key, numbers in seen.trace.sendings.items():
        for number in numbers:
            carried.setdefault(number, []).append(key)
    for one in seen.trace.heard:
        keys = carried.get(one.number, [])
        if one.kind in {"events", "live"} and keys:
            yield ""
            if not _ascending(one.payload):
                yield f"batch {one.number} on {one.kind} is not in order of number"
        if one.kind == "events":
            for key in sorted(set(keys) - known):
                if key.seq < first_sent.get(key.journal_id, 0):
                    yield f"number {key.seq} was first sent behind {first_sent[key.journal_id]}"
                first_sent[key.journal_id] = max(key.seq, first_sent.get(key.journal_id, 0))
        known.update(keys)


def _ascending(payload: bytes) -> bool:
    numbers = [str(event.get("sequence")) for event in json.loads(payload) if isinstance(event, dict)]
    return all(before < after for before, after in pairwise(numbers))


def _taps_in_order(seen: Evidence) -> Iterator[str]:
    named = [tap.answer for tap in seen.trace.taps if tap.answer.seq]
    for before, after in pairwise(named):
        yield ""
        if before.journal_id == after.journal_id and after.seq <= before.seq:
            yield f"a card answered later has number {after.seq}, one answered earlier {before.seq}"


def _chained(seen: Evidence) -> Iterator[str]:
    for key, event in seen.events:
        before = seen.trace.events[key.journal_id].get(key.seq - 1)
        wanted = contract.ZEROS if key.seq == 1 else hash_of(before) if before is not None else None
        if wanted is not None:
            said = event.get("prevhash")
            yield (
                "" if said == wanted else f"number {key.seq} says {str(said)[:16]}…, its predecessor is {wanted[:16]}…"
            )


def _heads(seen: Evidence) -> Iterator[str]:
    for one in seen.trace.of("birth"):
        birth = one.body
        head, said = birth.get("head_seq"), birth.get("head_hash")
        raw = seen.trace.events.get(str(birth.get("journal_id")), {}).get(head if isinstance(head, int) else -1)
        wanted = contract.ZEROS if head == 0 else hash_of(raw) if raw is not None else None
        if wanted is not None:
            yield "" if said == wanted else f"head {head} with hash {str(said)[:16]}…, that event's is {wanted[:16]}…"


def _fitting(seen: Evidence) -> Iterator[str]:
    for key, event in seen.events:
        wrong = seen.schemas.complaints("event", seen.trace.events[key.journal_id][key.seq])
        if event.get("id") != f"{key.journal_id}-{event.get('sequence')}":
            wrong.append(f"id is {event.get('id')!r}")
        yield f"number {key.seq}: {'; '.join(wrong)}" if wrong else ""


def _small_enough(seen: Evidence) -> Iterator[str]:
    sizes: dict[int, int] = {}
    for numbers in seen.trace.sendings.values():
        for number in numbers:
            sizes[number] = sizes.get(number, 0) + 1
    for one in seen.trace.heard:
        if one.kind in {"events", "live"}:
            count, size = sizes.get(one.number, 0), len(one.payload)
            fits = count <= contract.EVENTS_A_BATCH_MAX and size <= contract.BATCH_BYTES_MAX
            yield "" if fits else f"a batch of {count} events and {size} bytes"
    for key, _ in seen.events:
        size = len(seen.trace.events[key.journal_id][key.seq])
        yield "" if size <= contract.EVENT_BYTES_MAX else f"number {key.seq} has {size} bytes"


def _batches(seen: Evidence) -> Iterator[str]:
    yield from (f"message {number}: {what}" for number, what in seen.trace.unplaced)
    for one in seen.trace.heard:
        if one.kind in {"events", "live"}:
            yield "" if one.content_type == contract.BATCH_TYPE else f"content type {one.content_type!r}"


def _proven(seen: Evidence) -> Iterator[str]:
    for tap, event in seen.matched:
        found = ((event or {}).get("data") or {}).get("credential") or {}
        method, assurance = found.get("method"), found.get("assurance")
        if event is None:
            continue
        if tap.claims and (method, assurance) != (tap.claims["method"], tap.claims["assurance"]):
            yield f"{method} with assurance {assurance} for a card that proved {tap.claims}"
        elif isinstance(assurance, int) and assurance > ASSURANCE_MAX.get(str(method), 3):
            yield f"{method} with assurance {assurance}"
        else:
            yield ""


def _tokens(seen: Evidence) -> Iterator[str]:
    for tap, event in seen.matched:
        if event is not None and tap.identity:
            said = event.get("subject")
            yield "" if said == seen.subject(tap) else f"{said} for card {tap.identity.hex()}, not {seen.subject(tap)}"


def _no_identity(seen: Evidence) -> Iterator[str]:
    identities = {tap.identity.hex() for tap in seen.trace.taps if tap.identity}
    for one in seen.trace.heard:
        text = one.payload.decode(errors="replace").lower() if identities else ""
        shown = next((identity for identity in identities if identity in text), "")
        yield f"{shown} in a message on {one.topic}" if shown else ""


def _own_topics(seen: Evidence) -> Iterator[str]:
    for one in seen.trace.heard:
        if one.topic.startswith("ccs/"):
            yield "" if one.kind in contract.SPOKEN else f"a message on {one.topic}"


def _own_source(seen: Evidence) -> Iterator[str]:
    wanted = source(seen.trace.site, seen.trace.terminal)
    for key, event in seen.events:
        yield "" if event.get("source") == wanted else f"number {key.seq}: {event.get('source')}, not {wanted}"


def _subscriptions(seen: Evidence) -> Iterator[str]:
    site, terminal = seen.trace.site, seen.trace.terminal
    wanted = {contract.topic(site, terminal, kind) for kind in contract.HEARD}
    wanted |= {f"{contract.ROOT}/{site}/roster", f"{contract.ROOT}/{site}/incident", contract.CENTRAL_STATE}
    for session in seen.sessions:
        asked = {name for name, qos in session.filters if qos >= 1}
        yield ""
        if wanted - asked:
            yield f"not subscribed at QoS 1 to {sorted(wanted - asked)}"
        wider = {name for name, _ in session.filters if name.split("/")[0] in {"ccs", "#", "+"}} - wanted
        if wider:
            yield f"subscribed to {sorted(wider)}"


def _first_word(seen: Evidence) -> Iterator[str]:
    for session in seen.sessions:
        first = next(one for one in seen.trace.heard if one.session == session.number)
        yield "" if first.kind == "birth" else f"connection {session.number} begins with {first.topic}"
    for one in seen.trace.of("birth"):
        yield "; ".join(seen.schemas.complaints("birth", one.payload))


def _wills(seen: Evidence) -> Iterator[str]:
    wanted = contract.topic(seen.trace.site, seen.trace.terminal, "state")
    for one in seen.trace.of("birth"):
        will = seen.trace.sessions[one.session - 1].will
        if will is None:
            yield f"connection {one.session} has no will"
            continue
        if (will.topic, will.qos, will.retain) != (wanted, 1, True):
            yield f"the will is for {will.topic} at QoS {will.qos}, retained: {will.retain}"
        wrong = seen.schemas.complaints("terminal-state", will.payload)
        said = json.loads(will.payload) if not wrong else {}
        if wrong or said["online"] or said["boot_id"] != one.body.get("boot_id"):
            yield f"the will says {will.payload[:120]!r}, boot {one.body.get('boot_id')} expected; {'; '.join(wrong)}"
        elif read_time(said["at"]) > read_time(str(one.body["at"])):
            yield f"the will is of {said['at']}, later than its birth at {one.body['at']}"
        else:
            yield ""


def _online(seen: Evidence) -> Iterator[str]:
    for session in seen.sessions:
        said = [one for one in seen.trace.heard if one.session == session.number]
        states = [one for one in said if one.kind == "state"]
        for one in states:
            wrong = seen.schemas.complaints("terminal-state", one.payload)
            yield "; ".join(wrong) or ("" if one.retain else f"state {one.payload[:60]!r} is not retained")
        if len(said) > FOUND_MAX and not any(one.body.get("online") is True for one in states):
            yield f"connection {session.number}: no state online among {len(said)} messages"


def _heartbeats_fit(seen: Evidence) -> Iterator[str]:
    for one in seen.trace.of("heartbeat"):
        yield "; ".join(seen.schemas.complaints("heartbeat", one.payload))


def _heartbeats_light(seen: Evidence) -> Iterator[str]:
    for one in seen.trace.of("heartbeat"):
        yield "" if one.qos == 0 else f"a heartbeat at QoS {one.qos}"


def _colours(seen: Evidence) -> Iterator[str]:
    for tap, event in seen.matched:
        data = (event or {}).get("data") or {}
        decision, shown = data.get("decision"), data.get("shown")
        if event is None:
            continue
        if shown not in SHOWN_BY_DECISION.get(str(decision), {shown}):
            yield f"{decision} was recorded as {shown}"
        else:
            yield "" if tap.answer.shown == shown else f"shown {tap.answer.shown}, recorded {shown}"


def _replies_fit(seen: Evidence) -> Iterator[str]:
    for one in seen.trace.of("reply"):
        yield "; ".join(seen.schemas.complaints("reply", one.payload))


def _speaks_mqtt(seen: Evidence) -> Iterator[str]:
    for session in seen.trace.sessions:
        yield "" if session.protocol == MQTT_5 else f"a connection with protocol version {session.protocol}"
        yield from session.complaints


RULES: dict[str, Callable[[Evidence], Iterator[str]]] = {
    "DUR-01.1": _arrived,
    "DUR-02.1": _same_bytes,
    "DUR-03.5": _at_qos_1,
    "DUR-05.1": _no_gap,
    "DUR-05.2": _in_order,
    "DUR-05.3": _taps_in_order,
    "DUR-06.1": _chained,
    "DUR-06.2": _heads,
    "DUR-06.4": _fitting,
    "DUR-08.2": _small_enough,
    "DUR-08.3": _batches,
    "TIM-01.1": time_rules.boottime_rises,
    "TIM-01.2": time_rules.clocks_agree,
    "TIM-01.3": time_rules.clockepoch_rises,
    "TIM-01.4": time_rules.true_time,
    "CRD-01.1": _proven,
    "CRD-01.2": _tokens,
    "PRV-01.1": _no_identity,
    "IDT-01.1": _own_topics,
    "IDT-01.2": _own_source,
    "IDT-01.3": _subscriptions,
    "IDT-01.4": _replies_fit,
    "INC-01.1": _first_word,
    "INC-01.2": _wills,
    "INC-01.3": _online,
    "INC-01.4": _heartbeats_fit,
    "INC-01.5": _heartbeats_light,
    "INC-01.7": _colours,
    "INC-01.9": _speaks_mqtt,
}
"""Number to rule. A rule yields an empty word for each thing that fits, and a sentence for each that does not."""


def judge(seen: Evidence, ledger: Ledger, *, numbers: set[str]) -> None:
    """Enter what the rules say; a rule that saw nothing enters nothing."""
    for number, rule in RULES.items():
        if number not in numbers:
            continue
        said = list(rule(seen))
        wrong = [sentence for sentence in said if sentence]
        if said:
            more = f" (and {len(wrong) - FOUND_MAX} more)" if len(wrong) > FOUND_MAX else ""
            found = "; ".join(wrong[:FOUND_MAX]) + more if wrong else f"{len(said)} looked at"
            ledger.judge(number, not wrong, expected="no exception among all that was seen", found=found)
