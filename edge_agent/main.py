"""Composition root of the terminal: configuration to journal, drivers, loops. Nothing else builds objects."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from edge_agent.clock import SystemClock
from edge_agent.config import load_card_key, load_public_key
from edge_agent.journal.record import DiskErred, JournalFailed, JournalFull, JournalLimits, JournalUnusable
from edge_agent.journal.store import Journal
from edge_agent.logs import get_log
from edge_agent.loops.board import Board
from edge_agent.loops.commands import Commands
from edge_agent.loops.downlink import DownlinkLoop
from edge_agent.loops.gate import STUCK_S_MAX, ClosedGate, Gate
from edge_agent.loops.heartbeat import HeartbeatLoop
from edge_agent.loops.herald import Herald
from edge_agent.loops.incident_store import IncidentStore
from edge_agent.loops.keeper import KeeperLoop
from edge_agent.loops.roster_store import RosterStore
from edge_agent.loops.screens import Screens
from edge_agent.loops.uplink import UplinkLoop
from edge_agent.readers.base import ReaderConfig
from edge_agent.readers.catalog import open_reader
from edge_agent.supervisor import Loop, Supervisor
from edge_agent.tap.roster import RosterView
from edge_agent.timekeeping import AnchorFile, ClockWatch
from edge_agent.transport.mqtt import BrokerAddress, MqttLink
from edge_agent.wire.messages import BOOT

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from pathlib import Path
    from typing import TextIO

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from structlog.typing import FilteringBoundLogger

    from edge_agent.config import Config
    from edge_agent.readers.base import Reader
    from edge_agent.supervisor import Heart

JOURNAL_FILE = "journal.db"
ANCHOR_FILE = "clock.json"
ROSTER_FILE = "roster.jsonl"
INCIDENT_FILE = "incident.json"
LINK_STALE_S_MAX = 300.0
"""Connecting may wait for name servers that do not answer, and for each of a broker's addresses: that ends no gate."""
DISK_STALE_S_MAX = 120.0
OPEN_TRIES = 3
"""How often a disk that errs is asked for the journal at once: opening syncs some 20 times, and workers wait."""
REFUSING_S = 20.0
"""For how long a terminal without a journal answers every card red before it ends to be started afresh."""


@dataclass(frozen=True, slots=True)
class Agent:
    """A built terminal. Without a journal it refuses every card, for a while."""

    supervisor: Supervisor
    journal: Journal | None
    log: FilteringBoundLogger

    def run(self) -> bool:
        """Run until stopped; return whether all went well. The journal is closed afterwards."""
        try:
            return self.supervisor.run()
        finally:
            if self.journal is not None:
                self.journal.close()
            self.log.info("agent_stopped")


def build(config: Config, *, console: TextIO | None = None) -> Agent:
    """Build a terminal from its configuration.

    Raise `BadConfig`, `ReaderUnusable` or `KeyFileUnusable` when only a person can mend it, else `FileUnreadable`.
    """
    log = get_log(site=config.settings.terminal.site, terminal=config.settings.terminal.code)
    parts = _Parts(config, log, console)
    try:
        journal = open_journal(config, parts.clock)
    except JournalUnusable as exc:
        return parts.refusing(str(exc))
    try:
        return parts.recording(journal)
    except JournalFailed as exc:
        journal.close()
        return parts.refusing(str(exc))


def journal_path(config: Config) -> Path:
    """Where this terminal's journal lies."""
    return config.data_dir / JOURNAL_FILE


def journal_limits(config: Config) -> JournalLimits:
    """Turn the configured sizes into the journal's limits."""
    settings = config.settings.journal
    return JournalLimits(
        keep_window=timedelta(days=settings.keep_days),
        bytes_max=settings.bytes_max,
        reserve_bytes=settings.reserve_bytes,
        floor_bytes=2 * settings.reserve_bytes,
    )


def _insist(opened: Callable[[], Journal], *, tries: int) -> Journal:
    """Open a journal whose disk may err for a moment; at once, and not for ever."""
    try:
        return opened()
    except DiskErred:
        if tries <= 1:
            raise
    return _insist(opened, tries=tries - 1)


def open_journal(config: Config, clock: SystemClock) -> Journal:
    """Open this terminal's journal and let the clock go on from its last reading; raise `JournalUnusable`."""
    terminal = config.settings.terminal
    path, limits = journal_path(config), journal_limits(config)
    opened = partial(Journal.open, path, site=terminal.site, terminal=terminal.code, clock=clock, limits=limits)
    try:
        journal = _insist(opened, tries=OPEN_TRIES)
    except OSError as exc:
        # A disk that went read-only, or a folder that is not ours: somebody must still tell the workers.
        raise JournalUnusable(
            f"the journal {path} cannot be opened: {exc}; mend the disk or who may write to it"
        ) from exc
    try:
        previous = journal.last_reading()
    except JournalFailed as exc:
        journal.close()
        raise JournalUnusable(str(exc)) from exc
    if previous is not None:
        clock.resume(previous)
    return journal


def central_key(config: Config) -> Ed25519PublicKey | None:
    """Read the key under which central signs, None when none is configured; raise `BadConfig` or `FileUnreadable`."""
    name = config.settings.keys.central_public_key_file
    return load_public_key(config.resolve(name)) if name is not None else None


def broker_address(config: Config) -> BrokerAddress:
    """Say where the broker is. Its files are read at each connection: what is wrong with them closes no gate."""
    mqtt, terminal = config.settings.mqtt, config.settings.terminal
    return BrokerAddress(
        url=mqtt.url,
        client_id=f"ccs-{terminal.site}-{terminal.code}",
        ca_file=config.resolve(mqtt.ca_file) if mqtt.ca_file else None,
        cert_file=config.resolve(mqtt.cert_file) if mqtt.cert_file else None,
        key_file=config.resolve(mqtt.key_file) if mqtt.key_file else None,
        username=mqtt.username,
        password_file=config.resolve(mqtt.password_file) if mqtt.password_file else None,
        keepalive_s=mqtt.keepalive_s,
    )


def reader_configs(config: Config) -> list[ReaderConfig]:
    """Turn the configured readers into the drivers' own form."""
    return [
        ReaderConfig(one.name, one.driver, one.address, one.direction, config.zone_of(one))
        for one in config.settings.readers
    ]


def open_readers(config: Config) -> list[Reader]:
    """Build every reader's driver; raise `ReaderUnusable`, `KeyFileUnusable` or `FileUnreadable`."""
    keys = None
    if config.settings.keys.site_keys_file is not None:
        from edge_agent.cards.key_file import FileKeyStore

        keys = FileKeyStore(config.resolve(config.settings.keys.site_keys_file))
    return [open_reader(one, keys=keys) for one in reader_configs(config)]


class _Parts:
    """What a terminal is made of, in the order in which it can be built."""

    def __init__(self, config: Config, log: FilteringBoundLogger, console: TextIO | None) -> None:
        self.config = config
        self._log = log
        self.card_key = load_card_key(config.resolve(config.settings.keys.card_key_file))
        self.central_key = central_key(config)
        self.store = RosterStore(
            config.data_dir / ROSTER_FILE, site=config.settings.terminal.site, key=self.central_key
        )
        self.incidents = IncidentStore(config.data_dir / INCIDENT_FILE)
        self.address = broker_address(config)
        self.readers = reader_configs(config)
        self.drivers = open_readers(config)
        self.clock = SystemClock()
        self.anchors = AnchorFile(config.data_dir / ANCHOR_FILE)
        self.board = Board(RosterView(config.settings.terminal.site), {one.name: None for one in self.readers})
        self.screens = Screens(config, board=self.board, clock=self.clock, console=console)

    def recording(self, journal: Journal) -> Agent:
        """Put together a terminal that records."""
        self._trust_anchor()
        self.board.roster, complaint = self.store.load()
        if complaint:
            self._log.error("roster_damaged", detail=complaint)
        self.board.incident, complaint = self.incidents.load()
        if complaint:
            self._log.error("incident_unknown", detail=complaint)
        elif self.board.incident is not None:
            self._log.warning("incident_still_open", id=self.board.incident.id, kind=self.board.incident.kind)
        uplink, herald, loops = self._sending(journal)
        gate = Gate(
            journal=journal,
            clock=self.clock,
            board=self.board,
            card_key=self.card_key,
            readers=self.readers,
            displays=self.screens.displays,
            appended=uplink.appended,
            log=self._log,
        )
        self._say_boot(journal, herald)  # after the gate has looked at what the last run left
        self.screens.unacknowledged = lambda: uplink.unacknowledged
        keeper = KeeperLoop(journal=journal, clock=self.clock, board=self.board, log=self._log, settle=gate.settle)
        gates = [Loop(f"reader {one.name}", gate.loop(one), stale_s_max=STUCK_S_MAX) for one in self.drivers]
        keep = Loop("keeper", keeper.run, stale_s_max=DISK_STALE_S_MAX)
        return Agent(Supervisor([*gates, *loops, keep, *self.screens.loops], log=self._log), journal, self._log)

    def refusing(self, reason: str) -> Agent:
        """Put together a terminal that says red to every card, and ends after a while to be started afresh."""
        self._log.error("journal_unusable", reason=reason, detail="every card is answered red until this is mended")
        gate = ClosedGate(reason, clock=self.clock, readers=self.readers, displays=self.screens.displays, log=self._log)

        def give_up(stop: threading.Event, heart: Heart) -> None:
            heart.rest()
            if not stop.wait(REFUSING_S):
                supervisor.request_stop(failure=reason)
                stop.wait()

        gates = [Loop(f"reader {one.name}", gate.loop(one)) for one in self.drivers]
        supervisor = Supervisor([*gates, Loop("end", give_up), *self.screens.loops], log=self._log)
        return Agent(supervisor, None, self._log)

    def _sending(self, journal: Journal) -> tuple[UplinkLoop, Herald, list[Loop]]:
        terminal = self.config.settings.terminal
        herald = Herald(
            site=terminal.site,
            terminal=terminal.code,
            journal=journal,
            clock=self.clock,
            board=self.board,
            config_hash=self.config.digest,
        )
        downlink = DownlinkLoop(
            site=terminal.site,
            journal=journal,
            board=self.board,
            store=self.store,
            incidents=self.incidents,
            commands=Commands(
                herald=herald,
                clock=self.clock,
                key=self.central_key,
                announced=lambda: uplink.announced,
                log=self._log,
            ),
            tell_screens=self.screens.tell,
            appended=lambda: uplink.appended(),  # noqa: PLW0108 - made below
            log=self._log,
        )
        uplink = UplinkLoop(
            herald=herald,
            journal=journal,
            board=self.board,
            tell_screens=lambda: self.screens.tell("link"),
            pass_down=downlink.post,
            log=self._log,
        )
        topics = [*uplink.subscriptions, *downlink.subscriptions]
        link = MqttLink(self.address, topics=topics, absent=herald.absent, report=uplink.post)
        uplink.use(link)
        downlink.use(link)
        heartbeat = HeartbeatLoop(
            period_s=self.config.settings.mqtt.heartbeat_s,
            herald=herald,
            journal=journal,
            clock=self.clock,
            uplink=uplink,
            link=link,
            log=self._log,
            watch=ClockWatch(self.clock, seen=journal.last_reading(), keep_anchor=self._keep_anchor),
        )
        return (
            uplink,
            herald,
            [
                Loop("link", lambda stop, heart: link.run(stop, heart.beat), stale_s_max=LINK_STALE_S_MAX),
                Loop("uplink", uplink.run, stale_s_max=DISK_STALE_S_MAX),
                Loop("downlink", downlink.run, stale_s_max=DISK_STALE_S_MAX),
                Loop("heartbeat", heartbeat.run, stale_s_max=DISK_STALE_S_MAX),
            ],
        )

    def _trust_anchor(self) -> None:
        """Let the clock know when it was last known to be right, in this boot or before."""
        anchor = self.anchors.load()
        if anchor is not None:
            self.clock.trust(anchor)
        elif self.anchors.trouble:
            self._log.warning("clock_anchor_unusable", detail=self.anchors.trouble)

    def _keep_anchor(self) -> None:
        before = self.anchors.trouble
        self.anchors.keep(self.clock.anchor)
        if self.anchors.trouble and self.anchors.trouble != before:
            self._log.warning("clock_anchor_not_kept", detail=self.anchors.trouble)

    def _say_boot(self, journal: Journal, herald: Herald) -> None:
        try:
            record = journal.append(type_=BOOT, data=herald.boot_data())
        except (JournalFull, JournalFailed) as exc:
            self._log.error("boot_not_recorded", reason=str(exc))
            return
        self._log.info("agent_started", journal=journal.journal_id, seq=record.seq, versions=herald.versions)
