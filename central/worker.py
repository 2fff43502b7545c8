"""Composition root of the worker: broker to database, acknowledgements and rosters back. Any number may run."""

from __future__ import annotations

import gc
import socket
import threading
from typing import TYPE_CHECKING

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from prometheus_client import CollectorRegistry

from central.attendance.intake import Inbox, IngestLoop, Metrics
from central.attendance.roster import Signer
from central.attendance.rostering import RosterLoop
from central.kit.clock import SystemClock
from central.kit.config import BadSetting
from central.kit.metrics import serve_metrics
from central.kit.mqtt import MqttConnection, Will
from central.kit.mqtt_packets import Inbound
from edge_agent.wire.codec import decode, encode
from edge_agent.wire.messages import CentralState
from edge_agent.wire.topics import CENTRAL_STATE, all_terminals, shared

if TYPE_CHECKING:
    from central.kit.clock import Clock
    from central.kit.config import Settings
    from edge_agent.wire.topics import TerminalKind

KINDS_OF_WORK: tuple[TerminalKind, ...] = ("events", "live", "birth", "heartbeat", "state")
STOP_S_MAX = 10.0
COLLECTOR_THRESHOLDS = (50_000, 20, 20)
"""New objects before the youngest are looked at, and looks before the next older ones are."""

_log = structlog.get_logger()


class Worker:
    """One worker: the connection to the broker, the ingest loop and the roster loop."""

    def __init__(self, settings: Settings, *, name: str, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._settings = settings
        self.registry = CollectorRegistry()
        self._metrics = Metrics(self.registry)
        self._inbox = Inbox(messages_max=settings.ingest_pending_messages_max)
        self._mqtt = MqttConnection(
            settings,
            client_id=f"ccs-worker-{name}",
            subscriptions=[*map(shared_work, KINDS_OF_WORK), CENTRAL_STATE],
            receive=self._receive,
            connected=self._on_connected,
            will=Will(CENTRAL_STATE, self._state(online=False)),
        )
        self._loop = IngestLoop(
            settings, clock=self._clock, inbox=self._inbox, postman=self._mqtt, metrics=self._metrics
        )
        self._loop.on_epoch = lambda _epoch: self._say_online()
        signer = load_signer(settings)
        self._rosters = None
        if signer is None:
            _log.warning("rosters_off", reason="CCS_SIGNING_KEY_FILE is not set: gates get no roster from this worker")
        else:
            self._rosters = RosterLoop(settings.database_url, clock=self._clock, signer=signer, send=self._send_roster)

    def run(self, stop: threading.Event) -> None:
        """Work until `stop`, then leave in order: what is committed is acknowledged, the rest stays with the broker."""
        threads = []
        if self._rosters is not None:
            threads.append(threading.Thread(target=self._rosters.run, args=(stop,), name="rosters", daemon=True))
        port = self._settings.metrics_port
        with serve_metrics(port, registry=self.registry, alive=self._loop.wrong, ready=self.unready):
            for thread in threads:
                thread.start()
            self._mqtt.start()
            try:
                self._loop.run(stop)
            finally:
                self._inbox.close()
                # Another worker that still lives answers this with its own "online".
                self._mqtt.publish_and_wait(CENTRAL_STATE, self._state(online=False), retain=True)
                self._mqtt.stop()
                for thread in threads:
                    thread.join(STOP_S_MAX)

    def unready(self) -> str:
        """Say why this worker cannot do its work now, or nothing."""
        if not self._mqtt.up:
            return f"the broker at {self._settings.mqtt_url.rpartition('@')[2]} does not answer"
        return self._loop.unready()

    def _receive(self, messages: list[Inbound]) -> None:
        work = []
        for message in messages:
            if message.topic == CENTRAL_STATE:
                self._on_central_state(message)
            else:
                work.append(message)
        dropped = self._inbox.put_all(work)
        if dropped:
            self._metrics.dropped.inc(dropped)

    def _on_central_state(self, message: Inbound) -> None:
        """Another worker's will says that ingest is down: it is not, we are here."""
        self._mqtt.acknowledge([message])
        try:
            state = decode(message.payload, CentralState)
        except ValueError:
            state = None
        if state is None or not state.online:
            self._say_online()

    def _on_connected(self) -> None:
        self._say_online()
        if self._rosters is not None:
            self._rosters.repeat_all()

    def _say_online(self) -> None:
        self._mqtt.publish(CENTRAL_STATE, self._state(online=True), retain=True)

    def _state(self, *, online: bool) -> bytes:
        loop = getattr(self, "_loop", None)
        return encode(CentralState(online=online, epoch=loop.epoch if loop else 0, at=self._clock.now()))

    def _send_roster(self, topic: str, payload: bytes, retain: bool) -> bool:  # noqa: FBT001 - `RosterLoop` calls it
        return self._mqtt.publish_and_wait(topic, payload, retain=retain)


def shared_work(kind: TerminalKind) -> str:
    """Name the shared subscription by which workers divide one kind of message: a group of its own for each kind.

    MQTT knows a group by its name and its filter. rumqttd knows it by the name alone, with one place in the stream for
    all the filters of that name: messages of one kind then make it pass over those of another.
    """
    return shared(f"ingest-{kind}", all_terminals(kind))


def load_signer(settings: Settings) -> Signer | None:
    """Read the key that signs rosters; None when none is set; raise `BadSetting` when it cannot be used."""
    path = settings.signing_key_file
    if path is None:
        return None
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as exc:
        raise BadSetting(f"CCS_SIGNING_KEY_FILE {path} cannot be read as a PEM private key: {exc}") from exc
    if not isinstance(key, Ed25519PrivateKey):
        raise BadSetting(f"CCS_SIGNING_KEY_FILE {path} holds a {type(key).__name__}: expected an Ed25519 key")
    return Signer(key, settings.signing_key_id)


def calm_collector() -> None:
    """Let the collector of cycles look rarely: a batch makes tens of thousands of objects and not one cycle.

    As it is, it looks at all of them over and over, for a third of the time of reading.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTOR_THRESHOLDS)


def run_worker(settings: Settings, stop: threading.Event, *, name: str | None = None) -> None:
    """Run a worker until `stop`. `name` must differ between workers and stay the same over a restart."""
    calm_collector()
    Worker(settings, name=name or socket.gethostname()).run(stop)
