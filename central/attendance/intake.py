"""The ingest loop: a bounded inbox filled by the broker's thread, emptied in batches by one loop with one connection.

While PostgreSQL is away the batch in hand is tried again and nothing is acknowledged, so the broker and the terminals
keep everything; the inbox is bounded in messages and bytes, so the worker's memory is too.
"""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol

import psycopg
import structlog
from prometheus_client import Counter, Gauge, Histogram

from central.attendance import changed_cards, keeping, settling
from central.attendance.batch import EVENT_BYTES_USUAL, Message, Outcome
from central.attendance.ingest import Ingest
from central.attendance.lanes import Lanes
from central.attendance.storing import current_epoch, notify_sites
from central.kit.libpq import VANISHED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prometheus_client import CollectorRegistry

    from central.kit.clock import Clock
    from central.kit.config import Settings
    from central.kit.mqtt_packets import Inbound

PENDING_BYTES_MAX = 64 * 1024 * 1024
IDLE_S = 0.2
BACKOFF_S_MIN, BACKOFF_S_MAX = 0.1, 5.0
STATEMENT_TIMEOUT_MS_MAX = 60_000
LOCK_TIMEOUT_MS_MAX = 20_000
FROZEN_MS_MAX = 60_000
"""A worker that stands still inside a transaction (a suspended machine) loses it then, and with it its locks."""
STUCK_S_MAX = 120.0
CLOCKS_A_TURN_MAX = 20
"""Journals whose times are rebuilt between two batches: a few milliseconds each."""
DRAIN_S_MAX = 5.0
"""At the end, for what has already arrived."""

_log = structlog.get_logger()


class Postman(Protocol):
    """What the loop needs of the broker's connection."""

    def acknowledge(self, messages: Iterable[Inbound]) -> int:
        """Send PUBACKs."""
        ...

    def leave_shared(self) -> None:
        """Ask for no more messages."""
        ...

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        """Publish at QoS 1."""
        ...


class Metrics:
    """Ingest's numbers for Prometheus."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.stored = Counter("ccs_events_stored", "Events committed.", registry=registry)
        self.repeated = Counter("ccs_events_repeated", "Events received again.", registry=registry)
        self.deferred = Counter("ccs_events_deferred", "Events not taken: too many gaps.", registry=registry)
        self.refolded = Counter("ccs_persons_refolded", "Persons folded from all their taps.", registry=registry)
        self.quarantined = Counter("ccs_quarantined", "Kept aside.", ["reason"], registry=registry)
        self.anomalies = Counter("ccs_anomalies", "Losses and contradictions.", ["kind"], registry=registry)
        self.dropped = Counter("ccs_heartbeats_dropped", "QoS 0 messages dropped: inbox full.", registry=registry)
        self.retries = Counter("ccs_ingest_retries", "Batches tried again.", registry=registry)
        self.acks_lost = Counter("ccs_acks_not_sent", "Acks not queued; terminals ask again.", registry=registry)
        self.batches = Histogram("ccs_ingest_batch_seconds", "Batch to commit.", registry=registry)
        self.pending = Gauge("ccs_inbox_messages", "Messages waiting.", registry=registry)
        self.epoch = Gauge("ccs_epoch", "Highest epoch of a journal.", registry=registry)

    def count(self, outcome: Outcome) -> None:
        """Add what one transaction did."""
        self.stored.inc(outcome.stored)
        self.repeated.inc(outcome.repeated)
        self.deferred.inc(outcome.deferred)
        self.refolded.inc(outcome.refolded)
        for reason, times in outcome.set_aside.items():
            self.quarantined.labels(reason).inc(times)
        for kind, times in outcome.anomalies.items():
            self.anomalies.labels(kind).inc(times)


class Inbox:
    """Messages between the broker's thread and the loop, bounded in number and bytes; `Lanes` says whose turn it is."""

    def __init__(self, *, messages_max: int, bytes_max: int = PENDING_BYTES_MAX) -> None:
        self._lanes = Lanes()
        self._messages_max, self._bytes_max = messages_max, bytes_max
        self._changed = threading.Condition()
        self._closed = False

    def __len__(self) -> int:
        return len(self._lanes)

    def put(self, message: Inbound) -> bool:
        """Add a message; wait for room for QoS 1, answer False without room for QoS 0."""
        return self.put_all([message]) == 0

    def put_all(self, messages: Iterable[Inbound]) -> int:
        """Add messages in their order; wait for room for QoS 1; return how many of QoS 0 found no room."""
        dropped = 0
        with self._changed:
            for message in messages:
                while self._full() and not self._closed and message.qos:
                    self._changed.notify_all()
                    self._changed.wait()
                if self._full() and not message.qos:
                    dropped += 1
                    continue
                self._lanes.put(message, now_s=time.monotonic())
            self._changed.notify_all()
        return dropped

    def _full(self) -> bool:
        return len(self._lanes) >= self._messages_max or self._lanes.bytes >= self._bytes_max

    def take(self, *, messages_max: int, bytes_max: int, idle_s: float) -> list[Inbound]:
        """Take what is there, at most one batch; wait `idle_s` for the first message."""
        with self._changed:
            if not len(self._lanes):
                self._changed.wait(idle_s)
            taken = self._lanes.take(messages_max=messages_max, bytes_max=bytes_max, now_s=time.monotonic())
            if taken:
                self._changed.notify_all()
            return taken

    def close(self) -> None:
        """Let nobody wait any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class IngestLoop:
    """Empties the inbox into the database until told to stop."""

    def __init__(self, settings: Settings, *, clock: Clock, inbox: Inbox, postman: Postman, metrics: Metrics) -> None:
        self._settings = settings
        self._clock = clock
        self._inbox = inbox
        self._postman = postman
        self._metrics = metrics
        self._connection: psycopg.Connection[Any] | None = None
        self._ingest: Ingest | None = None
        self._notices: list[str] = []
        self._clocks: set[int] = set()
        """Journals whose times wait to be rebuilt."""
        self._changed_cards: set[bytes] = set()
        """Cards whose taps wait to be resolved again."""
        self._backoff_s = BACKOFF_S_MIN
        self._beat = time.monotonic()
        self.on_epoch: Callable[[int], None] = lambda _epoch: None
        self.epoch = 0

    def wrong(self) -> str:
        """Say what is wrong with the loop, or nothing."""
        silent = time.monotonic() - self._beat
        return f"the ingest loop has not turned for {silent:.0f} s: restart this worker" if silent > STUCK_S_MAX else ""

    def unready(self) -> str:
        """Say why nothing can be stored now, or nothing."""
        return "" if self._connection is not None else "PostgreSQL does not answer; nothing is acknowledged meanwhile"

    def run(self, stop: threading.Event) -> None:
        """Take batches until `stop`, then what has already arrived; each is committed and acknowledged, or neither."""
        settings = self._settings
        events_max, wait_s = settings.ingest_batch_events_max, settings.ingest_batch_wait_ms / 1000
        deadline: float | None = None
        while deadline is None or (len(self._inbox) and time.monotonic() < deadline):
            if stop.is_set() and deadline is None:
                self._postman.leave_shared()
                deadline = time.monotonic() + DRAIN_S_MAX
            self._beat = time.monotonic()
            messages = self._inbox.take(
                messages_max=events_max, bytes_max=events_max * EVENT_BYTES_USUAL, idle_s=IDLE_S
            )
            if 0 < len(messages) < events_max and wait_s and not len(self._inbox):
                stop.wait(wait_s)
                messages += self._inbox.take(
                    messages_max=events_max - len(messages), bytes_max=events_max * EVENT_BYTES_USUAL, idle_s=0
                )
            self._metrics.pending.set(len(self._inbox))
            self._handle(messages, stop)
        self._close()

    def _handle(self, messages: list[Inbound], stop: threading.Event) -> None:
        """Store one batch, however often PostgreSQL goes away meanwhile, then acknowledge it."""
        first = True
        while first or not stop.is_set():
            first = False
            self._beat = time.monotonic()
            try:
                ingest = self._connect()
                self._follow_registry(ingest)
                if messages:
                    self._store(ingest, messages)
                messages = []  # committed: what fails below is no reason to store them again
                self._resolve_changed()
                self._settle_clocks()
                self._backoff_s = BACKOFF_S_MIN
            except psycopg.Error as exc:
                self._metrics.retries.inc()
                _log.warning("ingest_retry", error=str(exc).strip(), kind=type(exc).__name__, retry_s=self._backoff_s)
                self._close()
                stop.wait(self._backoff_s)
                self._backoff_s = min(self._backoff_s * 2, BACKOFF_S_MAX)
            else:
                return

    def _store(self, ingest: Ingest, messages: list[Inbound]) -> None:
        try:
            with self._metrics.batches.time():
                outcome = ingest.take([Message(one.topic, one.payload) for one in messages], now=self._clock.now())
        except psycopg.DataError as exc:
            if len(messages) == 1:
                self._refuse(ingest, messages[0], str(exc))
                return
            middle = len(messages) // 2
            self._store(ingest, messages[:middle])
            self._store(ingest, messages[middle:])
            return
        self._postman.acknowledge(messages)
        self._answer(outcome)

    def _refuse(self, ingest: Ingest, message: Inbound, detail: str) -> None:
        ingest.refuse(Message(message.topic, message.payload), detail, now=self._clock.now())
        self._metrics.quarantined.labels("refused_by_database").inc()
        _log.error("message_refused", topic=message.topic, detail=detail)
        self._postman.acknowledge([message])

    def _answer(self, outcome: Outcome) -> None:
        for topic, payload in outcome.acks:
            if not self._postman.publish(topic, payload):
                self._metrics.acks_lost.inc()
        for topic, payload in outcome.incidents:
            self._postman.publish(topic, payload)
        self._metrics.count(outcome)
        self._clocks |= outcome.clocks
        if outcome.epoch:
            _log.warning(
                "database_went_back", epoch=outcome.epoch, detail="a terminal remembers more than is held here"
            )
            self._note_epoch(max(outcome.epoch, self.epoch))
        if outcome.set_aside or outcome.anomalies:
            _log.warning("kept_aside", reasons=dict(outcome.set_aside), anomalies=dict(outcome.anomalies))
        if outcome.stored:
            _log.info("stored", events=outcome.stored, repeated=outcome.repeated, last_event=outcome.last)

    def _note_epoch(self, epoch: int) -> None:
        if epoch != self.epoch:
            self.epoch = epoch
            self._metrics.epoch.set(epoch)
            self.on_epoch(epoch)

    def _connect(self) -> Ingest:
        if self._connection is not None and self._ingest is not None:
            return self._ingest
        connection = connect(self._settings.database_url)
        self._connection = connection
        connection.add_notify_handler(lambda notice: self._notices.append(notice.payload))
        connection.execute("LISTEN ccs_registry")
        self._ingest = Ingest(connection)
        self._note_epoch(current_epoch(connection))
        self._clocks = set(settling.due(connection))
        # What was said while nobody listened here, and what a broken connection left undone.
        self._changed_cards = changed_cards.waiting(connection)
        return self._ingest

    def _follow_registry(self, ingest: Ingest) -> None:
        """Take notices of the registry: forget what is cached; the taps of the cards wait to be resolved again.

        That is after this worker's own last commit, so taps it stored under the old holder are found by it.
        """
        connection = self._connection
        if connection is None:
            return
        connection.execute("SELECT 1")
        notices, self._notices = self._notices, []
        for payload in notices:
            tokens = named_tokens(payload)
            ingest.forget(tokens)
            self._changed_cards.update(changed_cards.waiting(connection) if tokens is None else tokens)

    def _resolve_changed(self) -> None:
        """Resolve the taps of some changed cards again; the others' turn comes after the next batch."""
        if self._connection is None or not self._changed_cards:
            return
        part = sorted(self._changed_cards)[: keeping.TOKENS_A_STEP_MAX]
        changed_cards.resolve(self._connection, part)
        self._changed_cards.difference_update(part)

    def _settle_clocks(self) -> None:
        """Rebuild the times of some journals that are due; the others' turn comes after the next batch."""
        if self._connection is None or not self._clocks:
            return
        part = sorted(self._clocks)[:CLOCKS_A_TURN_MAX]
        self._clocks -= set(part)
        notify_sites(self._connection, settling.settle(self._connection, part, now=self._clock.now()))

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = self._ingest = None


def connect(database_url: str) -> psycopg.Connection[Any]:
    """Open a worker's connection: autocommit, UTC, with limits on waiting."""
    options = (
        f"-c timezone=UTC -c statement_timeout={STATEMENT_TIMEOUT_MS_MAX} -c lock_timeout={LOCK_TIMEOUT_MS_MAX}"
        f" -c idle_in_transaction_session_timeout={FROZEN_MS_MAX}"
    )
    return psycopg.connect(
        database_url, autocommit=True, options=options, application_name="ccs-worker", connect_timeout=5, **VANISHED
    )


def named_tokens(payload: str) -> list[bytes] | None:
    """Read the cards of a registry notice; None when it stands for all that are written down."""
    try:
        content = json.loads(payload)
        return [bytes.fromhex(token) for token in content["tokens"]]
    except (ValueError, KeyError, TypeError):
        return None
