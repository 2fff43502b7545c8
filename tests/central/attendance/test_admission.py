from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from central.attendance.admission import ZERO_HASH, Admission, Cursor, Held, admit, lookups
from central.attendance.arrival import (
    Arrival,
    Refusal,
    read_batch,
    read_carefully,
    read_event,
    read_tap,
)
from central.attendance.timekeeping import BOUNDED, CLAIMED, MEASURED, believe
from edge_agent.wire.codec import encode_event, event_hash, join_batch
from edge_agent.wire.messages import TAP, Credential, TapData

JOURNAL = "01980000-0000-7000-8000-000000000001"
SOURCE = "urn:ccs:site-07:gate-03"
NOW = datetime(2026, 11, 22, 0, 41, 4, tzinfo=UTC)
DATA = TapData("in", "r1", "gate", Credential("desfire_ev2", 3, 2), "accepted", "green", 1)


def event(  # the parts that tests vary
    seq: int,
    *,
    prev: str = "0" * 64,
    at: datetime = NOW,
    clock: str = "synced",
    mark: int = 0,
    data: TapData = DATA,
) -> bytes:
    return encode_event(
        type_=TAP,
        site="site-07",
        terminal="gate-03",
        journal_id=JOURNAL,
        seq=seq,
        at=at,
        boot_id="b",
        boottime_ns=mark,
        clock_state=clock,
        clock_error_ms=5,
        clock_epoch=1,
        prev_hash=prev,
        data=data,
        token="ab" * 16,
    )


def chain(count: int) -> list[bytes]:
    events: list[bytes] = []
    for seq in range(1, count + 1):
        events.append(event(seq, prev=event_hash(events[-1]) if events else "0" * 64))
    return events


def arrive(raw: bytes) -> Arrival:
    return read_event(raw, source=SOURCE)


class Store:
    """What the database would hold of one journal."""

    def __init__(self) -> None:
        self.cursor = Cursor()
        self.held: dict[int, Held] = {}
        self.stored: dict[int, bytes] = {}
        self.kept_aside: set[tuple[int, str]] = set()
        self.anomalies: set[tuple[str, int]] = set()

    def take(self, raws: list[bytes]) -> Admission:
        arrivals = [arrive(raw) for raw in raws]
        wanted = lookups(self.cursor, arrivals)
        result = admit(self.cursor, arrivals, {seq: self.held[seq] for seq in wanted})
        for one in result.store:
            assert one.seq not in self.stored
            self.stored[one.seq] = one.raw
            self.held[one.seq] = Held(one.hash, one.prev)
        for one, reason, _ in result.quarantine:
            self.kept_aside.add((one.seq, reason))
            if reason != "forked":
                self.held[one.seq] = Held(one.hash, None)
        self.anomalies.update((kind, seq) for kind, seq, _ in result.anomalies)
        self.cursor = result.cursor
        return result

    def answer(self) -> object:
        return self.cursor, self.stored, self.kept_aside, self.anomalies


@st.composite
def journals_with_faults(draw: st.DrawFn) -> list[bytes]:
    """A journal of up to 14 records: some lost, some with a broken link, some not well-formed."""
    events: list[bytes] = []
    prev = "0" * 64
    for seq in range(1, draw(st.integers(1, 14)) + 1):
        raw = event(seq, prev="f" * 64 if draw(st.integers(0, 7)) == 0 else prev)
        if draw(st.integers(0, 7)) == 0:
            raw = raw.replace(b'"direction":"in"', b'"direction":"up"')
        events.append(raw)
        prev = event_hash(raw)
    return [raw for raw in events if draw(st.integers(0, 6)) != 0]


@pytest.mark.promise("DUR-02")
@pytest.mark.promise("DUR-06")
@given(journals_with_faults(), st.data())
def test_the_same_events_in_any_order_split_and_repetition_end_the_same(
    events: list[bytes], data: st.DataObject
) -> None:
    """Mutant: storing a repeated key again, or reporting a broken chain only when records come in order."""
    straight = Store()
    straight.take(events)
    repeats = data.draw(st.lists(st.sampled_from(events), max_size=6)) if events else []
    arrival = data.draw(st.permutations(events + repeats))
    tangled = Store()
    position = 0
    while position < len(arrival):
        size = data.draw(st.integers(1, 5))
        tangled.take(list(arrival[position : position + size]))
        position += size
    assert tangled.answer() == straight.answer()


@pytest.mark.promise("DUR-06")
@given(journals_with_faults(), st.data())
def test_a_break_is_said_where_two_held_neighbours_differ_with_both_hashes_and_nowhere_else(
    events: list[bytes], data: st.DataObject
) -> None:
    """Mutant: the link from a record that is held already to one that comes before it is not looked at."""
    records = {one.seq: one for one in map(arrive, events)}
    hashes = {0: ZERO_HASH} | {seq: one.hash for seq, one in records.items()}
    expected = {
        (seq, f"names {one.prev.hex()}, its predecessor is {hashes[seq - 1].hex()}")
        for seq, one in records.items()
        if one.prev is not None and seq - 1 in hashes and one.prev != hashes[seq - 1]
    }
    store, arrival = Store(), list(data.draw(st.permutations(events)))
    told = []
    while arrival:
        size = data.draw(st.integers(1, 4))
        told += [(seq, detail) for kind, seq, detail in store.take(arrival[:size]).anomalies if kind == "chain_broken"]
        del arrival[:size]
    assert sorted(told) == sorted(expected), "each once"
    for seq in range(16):
        assert store.cursor.holds(seq) == (seq in records), seq
    assert store.cursor.newest == max(records, default=0)


@pytest.mark.promise("DUR-06")
@given(st.sets(st.integers(1, 12), max_size=9))
@example({3})
def test_a_gap_is_where_the_cursor_says_it_is(lost: set[int]) -> None:
    """Mutant: taking the highest seq for durable."""
    events = chain(12)
    store = Store()
    store.take([raw for seq, raw in enumerate(events, 1) if seq not in lost])
    cursor = store.cursor
    assert cursor.durable == min(lost, default=13) - 1
    assert {seq for seq in range(1, 13) if not cursor.holds(seq)} == lost
    expected = bytes.fromhex(event_hash(events[cursor.durable - 1])) if cursor.durable else ZERO_HASH
    assert cursor.hash == expected


@pytest.mark.promise("DUR-06")
def test_other_bytes_under_a_held_key_are_a_fork_and_never_overwrite() -> None:
    """Mutant: last bytes win."""
    events = chain(3)
    other = event(2, prev=event_hash(events[0]), mark=99)
    store = Store()
    store.take(events)
    result = store.take([other])
    first, second = event_hash(events[1]), event_hash(other)
    ((_, reason, detail),) = result.quarantine
    assert (result.store, reason, result.repeated) == ([], "forked", 0)
    assert detail == f"held with hash {first}, received with {second}"
    assert result.anomalies == [("forked", 2, detail)]
    assert store.stored[2] == events[1]
    assert store.anomalies == {("forked", 2)}


@pytest.mark.promise("DUR-06")
def test_a_broken_chain_is_located_and_its_event_still_counts() -> None:
    """Mutant: not comparing prevhash."""
    events = chain(2)
    store = Store()
    store.take([*events, event(3, prev="a" * 64)])
    assert store.anomalies == {("chain_broken", 3)}
    assert store.cursor.durable == 3


def test_a_backlog_between_what_is_held_asks_the_database_for_its_edges_alone() -> None:
    """A terminal that comes back sends its newest records first and the rest from both ends."""
    events = chain(60)
    store = Store()
    store.take(events[:10])
    store.take(events[50:])

    def asks(first: int, last: int) -> set[int]:
        arrivals = [arrive(raw) for raw in events[first - 1 : last]]
        wanted = lookups(store.cursor, arrivals)
        store.take(events[first - 1 : last])
        return wanted

    assert asks(11, 20) == set(), "upwards, right behind the gap-free part"
    assert asks(41, 50) == {51}, "downwards: the link to what is held beyond"
    assert asks(21, 30) == set()
    assert asks(31, 40) == {41, 60}, "the last piece: the link, and where the gap-free part ends now"
    assert (store.cursor, store.anomalies) == (Cursor(60, bytes.fromhex(event_hash(events[-1]))), set())
    assert asks(25, 34) == set(range(24, 36)), "what comes again is compared"


def test_too_many_gaps_are_deferred_not_dropped() -> None:
    store = Store()
    result = store.take([event(2 * seq) for seq in range(1, 1011)])
    assert result.deferred == 10
    assert store.cursor.newest == 2000
    assert len(store.stored) == 1000
    assert len(store.take([event(2 * seq) for seq in range(1, 1001)]).store) == 0
    filled = store.take([event(seq) for seq in (1, 3)])
    assert (len(filled.store), filled.deferred) == (2, 0), "what closes a gap is always taken"
    again = store.take([event(2 * seq) for seq in range(1001, 1004)])
    assert (len(again.store), again.deferred, store.cursor.newest) == (2, 1, 2004)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"source": "urn:ccs:site-07:gate-04"}, "source_mismatch"),
        ({"id": "another"}, "id_mismatch"),
        ({"sequence": 5}, "malformed_event"),
        ({"sequence": "00000000000000000000"}, "malformed_event"),
        ({"sequence": "99999999999999999999"}, "malformed_event"),
        ({"time": "yesterday"}, "malformed_event"),
        ({"subject": None}, "malformed_event"),
        ({"type": "ccs.\x00.v1"}, "malformed_event"),
        ({"data": {"direction": "in"}}, "malformed_event"),
        ({"prevhash": "zz"}, "malformed_event"),
    ],
)
def test_an_event_that_contradicts_itself_says_how(change: dict[str, object], fault: str) -> None:
    broken = json.loads(event(1)) | change
    found = arrive(json.dumps(broken).encode())
    assert found.fault == fault
    assert found.detail


def test_one_poisoned_event_does_not_spoil_its_batch() -> None:
    events = chain(3)
    events[1] = events[1].replace(b'"assurance":3', b'"assurance":9')
    found = read_batch(join_batch(events), source=SOURCE)
    assert isinstance(found, list)
    assert [one.fault for one in found] == ["", "malformed_event", ""]
    assert found[1].seq == 2


@pytest.mark.parametrize(
    ("payload", "fault"),
    [
        (b"{", "malformed_batch"),
        (b'{"a":1}', "malformed_batch"),
        (b"[" * 100_000, "malformed_batch"),
        (b"\xff\xfe", "malformed_batch"),
        (b"[" + b",".join([b"1"] * 65) + b"]", "batch_too_long"),
        (b"[" + b" " * 200_000 + b"]", "batch_too_long"),
    ],
)
def test_a_batch_that_cannot_be_taken_apart_is_refused_with_a_reason(payload: bytes, fault: str) -> None:
    found = read_batch(payload, source=SOURCE)
    assert isinstance(found, Refusal)
    assert found.fault == fault


@pytest.mark.parametrize("data", [DATA, msgspec.structs.replace(DATA, direction="out", decision="repeat", zone="북문")])
def test_a_faultless_tap_is_read_in_one_pass_and_the_same_as_with_care(data: TapData) -> None:
    raw = event(4, data=data)
    digest = hashlib.sha256(raw).digest()
    quick = read_tap(raw, digest, source=SOURCE)
    assert quick is not None
    assert quick == read_carefully(raw, digest, source=SOURCE)


_ODD = st.one_of(
    st.sampled_from(
        [
            *("", "x", "1", "01", "a" * 64, "A" * 64, "a " * 32, "\u0661" * 20, "0" * 19 + "\n", "card:" + "AB" * 16),
            *(
                "card:" + "ab" * 15 + " ab",
                "2026-11-22T00:41:04",
                "2026-11-22T09:41:04+09:00",
                "unset",
                "1.0",
                "a\x00b",
            ),
            *("ccs.muster.v1", "ccs.boot.v1", JOURNAL.upper(), JOURNAL + "\n", "00000000000000000004\n"),
            *(
                "0" * 20,
                "9" * 20,
                "-0000000000000000001",
                "+0000000000000000001",
                "0000_0000_0000_0000_1",
                SOURCE + "x",
            ),
        ]
    ),
    st.text(max_size=70),
    st.none(),
    st.integers(-1, 2**64),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


@given(st.data())
def test_whatever_is_odd_about_an_event_the_quick_reader_never_sees_it_otherwise_than_the_careful_one(
    data: st.DataObject,
) -> None:
    """The quick one may only give up: where it answers, it answers the same."""
    content = json.loads(event(4))
    inside = data.draw(st.sampled_from([content, content["data"], content["data"]["credential"]]))
    for name in data.draw(st.lists(st.sampled_from(sorted(inside)), min_size=1, max_size=2)):
        if data.draw(st.integers(0, 4)) == 0:
            inside.pop(name, None)
        else:
            inside[name] = data.draw(_ODD)
    raw = json.dumps(content, ensure_ascii=data.draw(st.booleans())).encode("utf-8", "surrogatepass")
    digest = hashlib.sha256(raw).digest()
    careful = read_carefully(raw, digest, source=SOURCE)
    assert read_tap(raw, digest, source=SOURCE) in {None, careful}
    assert read_event(raw, source=SOURCE) == careful


@given(st.binary(max_size=300))
def test_no_bytes_crash_the_reader(payload: bytes) -> None:
    read_batch(payload, source=SOURCE)
    read_event(payload, source=SOURCE)


@pytest.mark.parametrize(
    ("at", "clock", "basis"),
    [
        (NOW, "synced", MEASURED),
        (NOW - timedelta(days=30), "holdover", MEASURED),
        (NOW + timedelta(seconds=119), "synced", MEASURED),
        (NOW - timedelta(hours=1), "rtc", CLAIMED),
        (NOW + timedelta(seconds=119), "rtc", BOUNDED),
        (NOW, "unset", BOUNDED),
        (datetime(1970, 1, 1, tzinfo=UTC), "synced", BOUNDED),
        (datetime(2099, 1, 1, tzinfo=UTC), "synced", BOUNDED),
    ],
)
def test_a_time_that_cannot_be_true_is_bounded_by_the_receipt(at: datetime, clock: str, basis: int) -> None:
    found = believe(arrive(event(1, at=at, clock=clock)), received_at=NOW)
    assert found[:2] == (NOW if basis == BOUNDED else at, basis)
