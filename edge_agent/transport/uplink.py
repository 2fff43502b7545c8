"""The uplink protocol, without sockets, threads or clocks: what to send next, what to send again, and when.

Inputs are method calls with the time in monotonic seconds; each returns the outputs to carry out, in order. Two lanes:
`events` sends the oldest outstanding records upwards, `live` the newest downwards while a backlog exists; they meet in
the middle. A broker's acknowledgement frees the send window; only central's moves the journal's cursor. Nothing here
deletes anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from edge_agent.transport.ranges import Ranges
from edge_agent.wire.codec import join_batch
from edge_agent.wire.messages import BATCH_BYTES_MAX, EVENTS_A_BATCH_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_agent.wire.messages import Ack

Lane = Literal["events", "live"]
AlarmKind = Literal["forked_journal", "unreadable_records", "refused_by_broker", "foreign_ack"]

_BATCH_FRAME_BYTES = EVENTS_A_BATCH_MAX + 2
"""Brackets and commas around the events of a batch."""
_RESERVED_SENDS = 5
"""Of the broker's receive maximum, kept for birth, state, replies and one batch of fresh records."""
_ALARMS_REMEMBERED_MAX = 1000


class SentRecord(Protocol):
    """One journal record: its number and its bytes."""

    @property
    def seq(self) -> int:
        """Number in the journal, from 1 without a gap."""
        ...

    @property
    def bytes(self) -> bytes:
        """The event's own bytes."""
        ...


class Source(Protocol):
    """The journal as the protocol sees it."""

    @property
    def journal_id(self) -> str:
        """Whose numbers these are."""
        ...

    @property
    def head_seq(self) -> int:
        """The newest number, 0 when there is none."""
        ...

    @property
    def durable(self) -> int:
        """The cursor: central's database holds everything up to here."""
        ...

    @property
    def have(self) -> Sequence[tuple[int, int]]:
        """Ranges beyond the cursor that central holds as well."""
        ...

    def read(self, after: int, *, events_max: int, bytes_max: int) -> Sequence[SentRecord]:
        """Return the next records beyond `after`, in order; at least one when there is one."""
        ...

    def acknowledge(self, ack: Ack) -> str | None:
        """Move the cursor; return None, or a sentence when the acknowledgement contradicts our own chain."""
        ...


@dataclass(frozen=True, slots=True)
class UplinkLimits:
    """Every limit of the protocol."""

    batches_in_flight_max: int = 8
    """Batches that the broker has not acknowledged."""
    outstanding_events_max: int = 2048
    """Events sent that central has not acknowledged: a broker that takes all must not be flooded."""
    outstanding_events_min: int = 256
    """What may be outstanding never shrinks below this …"""
    easy_ack_s: float = 0.5
    prompt_ack_s: float = 2.0
    """… grows while central takes no longer than the first, and halves when it takes longer than the second: a thousand
    terminals that come back together must not pile up at the broker what they would only send again."""
    fresh_events_max: int = 512
    """More of them, for records newer than anything sent: a backlog must not hold up today's taps."""
    resend_after_s: float = 20.0
    """Sent and neither covered by an acknowledgement: send again; doubles while nothing moves …"""
    resend_after_s_max: float = 320.0
    """… up to this."""
    resend_offline_s: float = 1800.0
    """The same while central says that it is away: its queue at the broker must not fill with repetitions."""
    rejoin_s: float = 5.0
    """After a reconnect, how long central's answer to our birth may take before what was on the way is sent again."""
    ask_again_s: float = 900.0
    """Records that the journal could not give are asked for once more after this: a page that was misread once, or
    healed by being written again, must not keep its events here until the next restart."""
    puback_s_max: float = 60.0
    """A broker silent about a batch for longer has lost it: connect anew."""


@dataclass(frozen=True, slots=True)
class Announce:
    """Send the birth; always the first output after a connect."""


@dataclass(frozen=True, slots=True)
class Publish:
    """Send one batch on a lane; report the broker's answer with `puback(handle)`."""

    lane: Lane
    handle: int
    payload: bytes
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something a person must know; said once for each occurrence."""

    kind: AlarmKind
    detail: str


@dataclass(frozen=True, slots=True)
class Reconnect:
    """Drop the connection and make a new one."""

    reason: str


Output: TypeAlias = Announce | Publish | Alarm | Reconnect


@dataclass(slots=True)
class _Sent:
    first: int
    last: int
    sent_at: float
    due_at: float | None = None
    """When it is sent again; None while the broker has not acknowledged it."""


class Uplink:
    """One terminal's sender. Not thread-safe: one loop owns it."""

    def __init__(self, source: Source, limits: UplinkLimits | None = None) -> None:
        self._source = source
        self._limits = limits or UplinkLimits()
        self._connected = False
        self._window = self._limits.batches_in_flight_max
        self._handles = 0
        self._in_flight: dict[int, _Sent] = {}
        self._awaiting: list[_Sent] = []
        self._unreadable = Ranges()
        self._asks_again_at: float | None = None
        self._resend_s = self._limits.resend_after_s
        self._slower_at = 0.0  # until then, what falls due is of the same round of silence
        self._alarmed: set[tuple[str, str]] = set()
        self._live_turn = True
        self._top_sent = 0
        self._central_away = False
        self._allowance = min(self._limits.outstanding_events_max, 2 * self._limits.outstanding_events_min)
        self._slowed_at: float | None = None
        self._forked = False

    @property
    def forked(self) -> bool:
        """Whether central's last word contradicts our chain: nothing more is sent until it agrees again."""
        return self._forked

    @property
    def unacknowledged(self) -> int:
        """Count of records that central's database is not known to hold."""
        held = sum(last - first + 1 for first, last in self._source.have)
        return max(0, self._source.head_seq - self._source.durable - held)

    @property
    def to_be_asked_for(self) -> int:
        """Count of records that the journal could not give, and that it is asked for again in a while."""
        return sum(last - first + 1 for first, last in self._unreadable.as_list()) if self._asks_again_at else 0

    def connected(self, now: float, *, receive_maximum: int = 65_535) -> list[Output]:
        """Start on a fresh connection: birth first, then records within the broker's receive maximum."""
        self._connected = True
        self._window = max(1, min(self._limits.batches_in_flight_max, receive_maximum - _RESERVED_SENDS))
        self._in_flight.clear()
        self._live_turn = True
        self._central_away = False
        self._hurry(now, self._limits.rejoin_s)
        return [Announce(), *self._fill(now)]

    def disconnected(self) -> list[Output]:
        """Forget what the broker had not acknowledged: it will be sent again."""
        self._connected = False
        self._in_flight.clear()
        return []

    def appended(self, now: float) -> list[Output]:
        """Take note of new records in the journal."""
        return self._fill(now)

    def puback(self, handle: int, now: float, *, refused: str | None = None) -> list[Output]:
        """Take the broker's answer to a batch. A handle of an earlier connection changes nothing."""
        sent = self._in_flight.pop(handle, None)
        if sent is None:
            return []
        if not self._held().covers(sent.first, sent.last):
            sent.due_at = now + (self._limits.resend_offline_s if self._central_away else self._resend_s)
            self._awaiting.append(sent)
        alarms = self._alarm("refused_by_broker", f"the broker refused a batch: {refused}") if refused else []
        return [*alarms, *self._fill(now)]

    def acknowledged(self, ack: Ack, now: float) -> list[Output]:
        """Take central's acknowledgement: the journal checks it and moves its cursor."""
        if ack.journal_id != self._source.journal_id:
            return self._alarm("foreign_ack", f"central acknowledged journal {ack.journal_id}, which is not ours")
        before = (self._source.durable, tuple(self._source.have))
        refusal = self._source.acknowledge(ack)
        if refusal is not None:
            # Two files wrote the same numbers. What we sent on would be quarantined, or taken for the other's sequel.
            self._forked = True
            return self._alarm("forked_journal", refusal)
        self._forked = self._forked and self._source.durable != ack.durable
        self._central_away = False
        if (self._source.durable, tuple(self._source.have)) != before:
            self._resend_s, self._slower_at = self._limits.resend_after_s, now
            self._hurry(now, self._resend_s)  # what waits since the silence waits no longer than what is sent now
            held = self._held()
            covered = [sent for sent in self._awaiting if held.covers(sent.first, sent.last)]
            self._awaiting = [sent for sent in self._awaiting if not held.covers(sent.first, sent.last)]
            self._pace(covered, now)
        return self._fill(now)

    def _pace(self, covered: list[_Sent], now: float) -> None:
        """Let more be outstanding while central keeps up, and half as much, once a round, when it does not."""
        if not covered:
            return
        took_s = now - min(sent.sent_at for sent in covered)
        if took_s <= self._limits.easy_ack_s:
            events = sum(sent.last - sent.first + 1 for sent in covered)
            grown = self._allowance + (events if self._slowed_at is None else EVENTS_A_BATCH_MAX)
            self._allowance = min(self._limits.outstanding_events_max, grown)
        elif took_s > self._limits.prompt_ack_s and (self._slowed_at is None or now - self._slowed_at >= took_s):
            self._allowance = max(self._limits.outstanding_events_min, self._allowance // 2)
            self._slowed_at = now

    def central(self, now: float, *, online: bool) -> list[Output]:
        """Take note of whether central's ingest runs. While it is away, what the broker holds is left alone."""
        came_back, self._central_away = self._central_away and online, not online
        if came_back:
            self._resend_s, self._slower_at = self._limits.resend_after_s, now
            self._hurry(now, self._limits.rejoin_s)
        elif not online:
            for sent in self._awaiting:
                sent.due_at = now + self._limits.resend_offline_s
        return []

    def tick(self, now: float) -> list[Output]:
        """Do what is due. Call at `wakes_at`, or more often."""
        late = [sent for sent in self._in_flight.values() if now - sent.sent_at >= self._limits.puback_s_max]
        if late and self._connected:
            self.disconnected()
            return [Reconnect(f"the broker has not acknowledged a batch for {self._limits.puback_s_max:.0f} s")]
        waiting = [sent for sent in self._awaiting if sent.due_at is None or sent.due_at > now]
        if len(waiting) < len(self._awaiting) and self._connected:
            self._awaiting = waiting
            if now >= self._slower_at:
                self._resend_s = min(self._resend_s * 2, self._limits.resend_after_s_max)
                self._slower_at = now + self._resend_s
        return self._fill(now)

    def wakes_at(self) -> float | None:
        """Say when `tick` has something to do, or None while only an input can change anything."""
        if not self._connected:
            return None
        dues = [sent.due_at for sent in self._awaiting if sent.due_at is not None]
        dues += [sent.sent_at + self._limits.puback_s_max for sent in self._in_flight.values()]
        if self._asks_again_at is not None:
            dues.append(self._asks_again_at)
        return min(dues, default=None)

    def _hurry(self, now: float, within_s: float) -> None:
        """Give central a moment to say what it holds, then send the rest again."""
        due_at = now + within_s
        for sent in self._awaiting:
            sent.due_at = due_at if sent.due_at is None else min(sent.due_at, due_at)

    def _held(self) -> Ranges:
        held = Ranges([(1, self._source.durable), *self._source.have])
        for first, last in self._unreadable.as_list():
            held.add(first, last)
        return held

    def _fill(self, now: float) -> list[Output]:
        outputs: list[Output] = []
        if not self._connected or self._forked:
            return outputs
        if self._asks_again_at is not None and now >= self._asks_again_at:
            self._unreadable, self._asks_again_at = Ranges(), None
        covered = self._held()
        outstanding = 0
        for sent in (*self._in_flight.values(), *self._awaiting):
            covered.add(sent.first, sent.last)
            outstanding += sent.last - sent.first + 1
        while step := self._send_next(covered, outstanding, now):
            outputs += step
            outstanding += sum(one.last - one.first + 1 for one in step if isinstance(one, Publish))
        if self._asks_again_at is None and self._unreadable.as_list():
            self._asks_again_at = now + self._limits.ask_again_s
        return outputs

    def _send_next(self, covered: Ranges, outstanding: int, now: float) -> list[Output]:
        start, head = self._source.durable + 1, self._source.head_seq
        low = covered.lowest_gap(start, head)
        high = covered.highest_gap(start, head)
        if low is None or high is None or not self._room(outstanding, fresh=high[1] > self._top_sent):
            return []
        backlog = high[1] - low[0] >= EVENTS_A_BATCH_MAX
        if backlog and (self._live_turn or high[1] > self._top_sent):
            self._live_turn = False
            return self._send_live(max(high[0], high[1] - EVENTS_A_BATCH_MAX + 1), high[1], covered, now)
        self._live_turn = True
        first, last = low[0], min(low[1], low[0] + EVENTS_A_BATCH_MAX - 1)
        records = self._read_up(first, last)
        skipped = self._give_up(first, (records[0].seq if records else last + 1) - 1, covered)
        return [*skipped, *self._send("events", records, covered, now)]

    def _room(self, outstanding: int, *, fresh: bool) -> bool:
        """Whether another batch may leave; records newer than anything sent have a little room of their own."""
        batches = self._window + (1 if fresh else 0)
        events = self._allowance + (self._limits.fresh_events_max if fresh else 0)
        return len(self._in_flight) < batches and outstanding < events

    def _send_live(self, first: int, last: int, covered: Ranges, now: float) -> list[Output]:
        """Send the end of a range; when it is too much for one batch, the newest of it."""
        records = self._read_up(first, last)
        while first < last and not (records and records[-1].seq == last):
            first += (last - first + 1) // 2
            records = self._read_up(first, last)
        if not records:
            return self._give_up(last, last, covered)
        return self._send("live", records, covered, now)

    def _read_up(self, first: int, last: int) -> list[SentRecord]:
        found = self._source.read(
            first - 1, events_max=last - first + 1, bytes_max=BATCH_BYTES_MAX - _BATCH_FRAME_BYTES
        )
        return _within_batch([record for record in found if record.seq <= last])

    def _send(self, lane: Lane, records: list[SentRecord], covered: Ranges, now: float) -> list[Output]:
        if not records:
            return []
        outputs: list[Output] = []
        first, last = records[0].seq, records[-1].seq
        for record, following in pairwise(records):
            outputs += self._give_up(record.seq + 1, following.seq - 1, covered)
        self._handles += 1
        self._in_flight[self._handles] = _Sent(first, last, now)
        self._top_sent = max(self._top_sent, last)
        covered.add(first, last)
        payload = join_batch(record.bytes for record in records)
        return [*outputs, Publish(lane, self._handles, payload, first, last)]

    def _give_up(self, first: int, last: int, covered: Ranges) -> list[Output]:
        """Skip records that the journal cannot give, loudly: the rest must still leave."""
        if last < first:
            return []
        self._unreadable.add(first, last)
        covered.add(first, last)
        return self._alarm("unreadable_records", f"the journal cannot give records {first} to {last}: they stay unsent")

    def _alarm(self, kind: AlarmKind, detail: str) -> list[Output]:
        if (kind, detail) in self._alarmed:
            return []
        if len(self._alarmed) >= _ALARMS_REMEMBERED_MAX:
            self._alarmed.clear()
        self._alarmed.add((kind, detail))
        return [Alarm(kind, detail)]


def _within_batch(records: list[SentRecord]) -> list[SentRecord]:
    """Keep the contract's batch size even when the journal gives more than was asked."""
    size, kept = _BATCH_FRAME_BYTES, 0
    for record in records[:EVENTS_A_BATCH_MAX]:
        size += len(record.bytes)
        if size > BATCH_BYTES_MAX and kept:
            break
        kept += 1
    return records[:kept]
