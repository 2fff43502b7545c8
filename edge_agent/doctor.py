"""`ccs-edge doctor`: looks at everything a terminal stands on, and says what to do about what is not good."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from edge_agent.cards.key_file import KeyFileUnusable
from edge_agent.clock import SystemClock
from edge_agent.config import BadConfig, FileUnreadable, load_card_key, load_public_key
from edge_agent.health import probe
from edge_agent.health.account import looked_as
from edge_agent.health.look_alikes import look_alikes
from edge_agent.health.probe import Check
from edge_agent.health.service import ask_systemd, sandbox
from edge_agent.journal.database import check_schema
from edge_agent.journal.handles import check_owner
from edge_agent.journal.record import JournalFailed, JournalFull, JournalUnusable
from edge_agent.journal.store import Journal
from edge_agent.journal.view import JournalView
from edge_agent.loops.roster_store import RosterStore
from edge_agent.main import (
    ROSTER_FILE,
    broker_address,
    central_key,
    journal_limits,
    journal_path,
    open_readers,
)
from edge_agent.output.texts import known
from edge_agent.readers.base import ReaderFound, ReaderLost, ReaderUnusable
from edge_agent.transport.mqtt import reach

if TYPE_CHECKING:
    from datetime import datetime

    from edge_agent.clock import Clock
    from edge_agent.config import Config, ReaderSettings
    from edge_agent.health.account import Account
    from edge_agent.readers.base import Answer, Reader, ReaderEvent
    from edge_agent.tap.roster import RosterView

READER_S_MAX = 4.0
ROSTER_AGE_DOUBTFUL = timedelta(days=7)
_DAMAGED = "run 'ccs-edge journal verify', keep a copy of the file, replace the disk"


def examine(config: Config, account: Account | None) -> list[Check]:
    """Make every check; takes a few seconds. Touches no journal, shows nothing to anybody, publishes nothing.

    `account` is who the agent runs as, None when that is not known.
    """
    with contextlib.suppress(OSError):  # what is wrong with the folder, the checks of the disk say
        config.data_dir.mkdir(parents=True, exist_ok=True)
    clock = SystemClock()
    reading = clock.read()
    return [
        looked_as(account),
        probe.disk_free(config.data_dir),
        probe.sync_time(config.data_dir),
        *sandbox(config.data_dir, ask_systemd()),
        _promise(config, clock),
        _journal(config),
        probe.clock(reading),
        *_keys(config),
        *_roster(config, reading.at),
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
    path, terminal = journal_path(config), config.settings.terminal
    try:
        if not path.exists():
            return Check("journal", "good", f"{path}: none yet, the first start makes it")
        view = JournalView(path)
    except (JournalUnusable, OSError) as exc:
        return Check("journal", "bad", str(exc), "start the agent: it sets a damaged file aside and says what was lost")
    try:
        check_owner(path, view, site=terminal.site, terminal=terminal.code)
        check_schema(view.schema)
        complaints, head, cursor = view.quick_check(), view.head(), view.cursor()
    except JournalUnusable as exc:
        return Check("journal", "bad", str(exc), "do what it says; until then the agent answers every card red")
    except JournalFailed as exc:
        return Check("journal", "bad", f"{path}: {exc}", _DAMAGED)
    finally:
        view.close()
    if complaints:
        return Check("journal", "bad", f"{path}: {complaints[0]}", _DAMAGED)
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


def _roster(config: Config, now: datetime) -> list[Check]:
    """Look at the roster on the disk; nothing without a key of central, whose own line says so already."""
    try:
        key = central_key(config)
    except (BadConfig, FileUnreadable):
        return []
    if key is None:
        return []
    store = RosterStore(config.data_dir / ROSTER_FILE, site=config.settings.terminal.site, key=key)
    return [judge_roster(*store.look(), now)]


def judge_roster(view: RosterView, complaint: str | None, now: datetime) -> Check:
    """Judge the newest roster that the file proves, and what is wrong with the rest of the file."""
    if view.issued_at is None:
        if complaint is not None:
            remedy = "compare central's key and terminal.site with central's: until then every card is unknown"
            return Check("roster", "bad", complaint, remedy)
        remedy = "let the terminal reach the broker, with a worker of central that has its signing key"
        return Check("roster", "doubtful", "none yet: every card is unknown (amber, and kept)", remedy)
    age = now - view.issued_at
    found = f"version {view.version}, {len(view.entries)} cards, {age.days} days old, verifies under central's key"
    if complaint is not None:
        remedy = "let the terminal reach the broker: central sends what is missing"
        return Check("roster", "doubtful", f"{found}; {complaint}", remedy)
    if age > ROSTER_AGE_DOUBTFUL:
        remedy = "let the terminal reach the broker: who was barred or hired since is not known here"
        return Check("roster", "doubtful", found, remedy)
    return Check("roster", "good", found)


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
    readers = config.settings.readers
    heard = {driver.name: _heard(driver) for driver in drivers}
    seen = {name: event.detail for name, event in heard.items() if isinstance(event, ReaderFound)}
    return [*(_reader(one, heard[one.name]) for one in readers), *look_alikes(readers, seen)]


def _heard(reader: Reader) -> ReaderFound | ReaderLost | None:
    """Run the driver until it says whether its reader answers; return what it said last."""
    heard: list[ReaderFound | ReaderLost] = []
    known, stop = threading.Event(), threading.Event()

    def emit(event: ReaderEvent) -> Answer | None:
        if isinstance(event, ReaderFound | ReaderLost):
            heard.append(event)
            known.set()
        return None  # a card held now is not recorded, and the driver is told so

    thread = threading.Thread(target=reader.run, args=(emit, stop, lambda: None), daemon=True)
    thread.start()
    known.wait(READER_S_MAX)
    stop.set()
    thread.join(READER_S_MAX)
    return heard[-1] if heard else None


def _reader(settings: ReaderSettings, last: ReaderFound | ReaderLost | None) -> Check:
    name = f"reader {settings.name}"
    if isinstance(last, ReaderFound):
        return Check(name, "good", f"{settings.driver}: {last.detail}")
    found = last.reason if last is not None else f"no answer within {READER_S_MAX:.0f} s"
    remedy = "plug it in, check its address and udev rules; if the agent runs now, it holds the reader: stop it first"
    return Check(name, "bad", f"{settings.driver}: {found}", remedy)


def _broker(config: Config) -> Check:
    address = broker_address(config)
    reason = reach(address)
    if reason is None:
        return Check("broker", "good", f"{address.url} accepts {address.client_id}")
    remedy = "check network, address, certificates and password; taps are kept here until the broker is back"
    return Check("broker", "doubtful", reason, remedy)
