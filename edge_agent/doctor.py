"""`ccs-edge doctor`: looks at everything a terminal stands on, and says what to do about what is not good."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from edge_agent.cards.key_file import KeyFileUnusable
from edge_agent.clock import SystemClock
from edge_agent.config import BadConfig, FileUnreadable, load_card_key, load_public_key
from edge_agent.health import probe
from edge_agent.health.probe import Check
from edge_agent.journal.record import JournalFailed, JournalFull, JournalUnusable
from edge_agent.journal.store import Journal
from edge_agent.journal.view import JournalView
from edge_agent.main import broker_address, journal_limits, journal_path, open_readers, reader_configs
from edge_agent.output.texts import known
from edge_agent.readers.base import ReaderFound, ReaderLost, ReaderUnusable
from edge_agent.transport.mqtt import reach

if TYPE_CHECKING:
    from edge_agent.clock import Clock
    from edge_agent.config import Config
    from edge_agent.readers.base import Answer, Reader, ReaderEvent

READER_S_MAX = 4.0


def examine(config: Config) -> list[Check]:
    """Make every check; takes a few seconds. Touches no journal, shows nothing to anybody, publishes nothing."""
    with contextlib.suppress(OSError):  # what is wrong with the folder, the checks of the disk say
        config.data_dir.mkdir(parents=True, exist_ok=True)
    clock = SystemClock()
    return [
        probe.disk_free(config.data_dir),
        probe.sync_time(config.data_dir),
        _promise(config, clock),
        _journal(config),
        probe.clock(clock.read()),
        *_keys(config),
        probe.secret_files(_secrets(config)),
        *_readers(config),
        *_screen(config),
        _broker(config),
    ]


def _promise(config: Config, clock: Clock) -> Check:
    """Open a journal of its own on the same disk, with every PRAGMA read back, and store one event in it."""
    terminal = config.settings.terminal
    try:
        with tempfile.TemporaryDirectory(dir=config.data_dir, prefix="doctor-") as folder:
            path = Path(folder) / "journal.db"
            limits = journal_limits(config)
            journal = Journal.open(path, site=terminal.site, terminal=terminal.code, clock=clock, limits=limits)
            try:
                journal.append(type_="ccs.boot.v1", data={"versions": {}, "config_hash": config.digest})
            finally:
                journal.close()
    except (JournalUnusable, JournalFailed, JournalFull, OSError) as exc:
        return Check(
            "PRAGMAs", "bad", str(exc), "put terminal.data_dir on a local disk with room (ext4, not a network)"
        )
    return Check("PRAGMAs", "good", "WAL, synchronous=FULL, read back; one event stored and synced")


def _journal(config: Config) -> Check:
    path = journal_path(config)
    if not path.exists():
        return Check("journal", "good", f"{path}: none yet, the first start makes it")
    try:
        view = JournalView(path)
    except JournalUnusable as exc:
        return Check("journal", "bad", str(exc), "start the agent: it sets a damaged file aside and says what was lost")
    try:
        complaints, head, cursor = view.quick_check(), view.head(), view.cursor()
    finally:
        view.close()
    if complaints:
        remedy = "run 'ccs-edge journal verify', keep a copy of the file, replace the disk"
        return Check("journal", "bad", f"{path}: {complaints[0]}", remedy)
    return Check("journal", "good", f"{head.seq} events, {head.seq - cursor.durable} not yet acknowledged by central")


def _keys(config: Config) -> list[Check]:
    keys = config.settings.keys
    checks = []
    try:
        load_card_key(config.resolve(keys.card_key_file))
        checks.append(Check("card key", "good", f"32 bytes in {keys.card_key_file}"))
    except (BadConfig, FileUnreadable) as exc:
        checks.append(
            Check("card key", "bad", str(exc), "copy the system key from central (the same for all terminals)")
        )
    if keys.central_public_key_file is None:
        remedy = "set keys.central_public_key_file; until then every card is unknown: amber, and kept"
        return [*checks, Check("central's key", "doubtful", "not configured", remedy)]
    try:
        load_public_key(config.resolve(keys.central_public_key_file))
        checks.append(Check("central's key", "good", f"Ed25519 in {keys.central_public_key_file}"))
    except (BadConfig, FileUnreadable) as exc:
        checks.append(Check("central's key", "bad", str(exc), "copy central's public signing key here"))
    return checks


def _secrets(config: Config) -> list[Path]:
    keys, mqtt = config.settings.keys, config.settings.mqtt
    names = (keys.card_key_file, keys.site_keys_file, mqtt.key_file, mqtt.password_file)
    return [config.resolve(name) for name in names if name is not None]


def _screen(config: Config) -> list[Check]:
    kiosk = config.settings.kiosk
    return [] if kiosk is None else [probe.fonts(known(kiosk.languages))]


def _readers(config: Config) -> list[Check]:
    try:
        drivers = open_readers(config)
    except (ReaderUnusable, KeyFileUnusable, FileUnreadable) as exc:
        return [Check("readers", "bad", str(exc), "correct [[readers]] or keys.site_keys_file, or install the driver")]
    drives = {one.name: one.driver for one in reader_configs(config)}
    return [_reader(reader, drives[reader.name]) for reader in drivers]


def _reader(reader: Reader, driver: str) -> Check:
    """Run the driver until it says whether its reader answers."""
    heard: list[ReaderEvent] = []
    known, stop = threading.Event(), threading.Event()

    def emit(event: ReaderEvent) -> Answer | None:
        if isinstance(event, ReaderFound | ReaderLost):
            heard.append(event)
            known.set()
        return None  # a card held now is not recorded, and the driver is told so

    thread = threading.Thread(target=reader.run, args=(emit, stop), daemon=True)
    thread.start()
    known.wait(READER_S_MAX)
    stop.set()
    thread.join(READER_S_MAX)
    name = f"reader {reader.name}"
    last = heard[-1] if heard else None
    if isinstance(last, ReaderFound):
        return Check(name, "good", f"{driver}: {last.detail}")
    found = last.reason if isinstance(last, ReaderLost) else f"no answer within {READER_S_MAX:.0f} s"
    remedy = "plug it in, check its address and udev rules; if the agent runs now, it holds the reader: stop it first"
    return Check(name, "bad", f"{driver}: {found}", remedy)


def _broker(config: Config) -> Check:
    address = broker_address(config)
    reason = reach(address)
    if reason is None:
        return Check("broker", "good", f"{address.url} accepts {address.client_id}")
    remedy = "check network, address, certificates and password; taps are kept here until the broker is back"
    return Check("broker", "doubtful", reason, remedy)
