"""The demo: everything real on this machine, started by one command without root, and nothing left behind.

PostgreSQL and a broker from wheels, central and three terminals as processes of their own; a day of taps through their
socket readers; a page to hold cards by hand. Stops all of it on Ctrl-C, and says why when a part dies.
"""

from __future__ import annotations

import json
import signal
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psycopg

from edge_agent.main import ROSTER_FILE
from simulators.central_api import ApiRefused, CentralApi
from simulators.demo_ground import (
    TAIL_CHARS_MAX,
    DemoCannotRun,
    Ground,
    Memory,
    ProgramDied,
    choose_ports,
    create_anew,
    remembered,
)
from simulators.demo_page.app import PageServer
from simulators.demo_site import (
    SITE,
    TERMINAL_NAMES,
    add_accounts,
    cards_known,
    open_doors,
    register_people,
    register_site,
    schema_digest,
)
from simulators.people import make_roll
from simulators.player import DayPlayer, Hands, TapLog
from simulators.processes import CentralProgram, Program, TerminalProgram, make_keys
from simulators.servers import EmbeddedBroker, PostgresServer, ServerUnavailable, accepts, wait_until
from simulators.site_day import READERS
from simulators.sms import SENDER, SmsGateway

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from simulators.people import Roll

DATABASE = "ccs"
START_S_MAX = 60.0
ROSTER_S_MAX = 30.0
_POLL_S = 0.2
STOP_THREAD_S_MAX = 15.0
_WATCH_S = 1.0


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What a person may choose."""

    data: Path
    speed: float = 60.0
    workers: int | None = None
    """None: as last time, else 200."""
    seed: int | None = None
    """None: as last time, else 1."""
    port_base: int | None = None
    web_port: int | None = None
    fresh: bool = False
    play: bool = True


class Reporter:
    """Hears what the demo does; the command line shows it."""

    def step(self, sentence: str) -> None:
        """One part of the start begins."""

    def registering(self, done: int, total: int) -> None:
        """So many of so many entries are registered."""

    def trouble(self, sentence: str) -> None:
        """Something went wrong and is tried again."""


@dataclass
class Watch:
    """What central's headcount last said, beside the right answer; read by whoever shows it."""

    inside: int | None = None
    at_most: int | None = None
    problem: str = ""


@dataclass
class Demo:
    """A running demo. `start`, then `watch` until it returns, then `stop`, whatever happened before."""

    options: DemoOptions
    reporter: Reporter = field(default_factory=Reporter)
    links: dict[str, str] = field(default_factory=dict, init=False)
    watch_state: Watch = field(default_factory=Watch, init=False)
    started_s: float = field(default=0.0, init=False)
    """How long the start took."""
    _stops: list[Callable[[], None]] = field(default_factory=list, init=False)
    _stopping: threading.Event = field(default_factory=threading.Event, init=False)
    _programs: list[Program] = field(default_factory=list, init=False)

    # -- start

    def start(self) -> None:
        """Start everything; raise `DemoCannotRun`, `ServerUnavailable` or `ProgramDied`. Call `stop` in any case."""
        began_s = time.monotonic()
        self.ground = Ground(self.options.data)
        self.ground.take(fresh=self.options.fresh)
        self._stops.append(self.ground.release)
        self.memory = self._remember()
        self.roll: Roll = make_roll(seed=self.memory.seed, workers=self.memory.workers)
        self._start_broker()
        self._start_database()
        self._start_central()
        # Terminals come to a central that listens and knows them: what they say before that is put aside or said again.
        if self.memory.seeded:
            self._start_gates()
        else:
            self._seed()
        self._await_gates()
        self._await_rosters()
        self._await_hearing()
        self._start_hands()
        self._write_running()
        self.started_s = time.monotonic() - began_s

    def _remember(self) -> Memory:
        options = self.options
        memory = remembered(self.ground, seed=options.seed, workers=options.workers)
        memory.ports = choose_ports(memory.ports, port_base=options.port_base, web_port=options.web_port)
        memory.write(self.ground.memory_path)
        return memory

    def _start_broker(self) -> None:
        self.reporter.step("The broker")
        folder = self.ground.folder
        self.broker = EmbeddedBroker(
            folder / "broker", port=self.memory.ports["broker"], log=folder / "logs" / "broker.log", dies_with_us=True
        )
        self._stops.append(self.broker.stop)
        self.broker.start()
        self._keys = make_keys(folder / "keys")
        self._stops.append(self._stop_programs)

    def _start_gates(self) -> None:
        self.reporter.step("Three terminals")
        self.terminals = [self._terminal(code, name) for code, name in TERMINAL_NAMES.items()]
        for terminal in self.terminals:
            self._start_program(terminal.program)

    def _await_gates(self) -> None:
        ports = [(terminal.code, reader.port) for terminal in self.terminals for reader in terminal.readers]
        ports += [(terminal.code, terminal.kiosk_port) for terminal in self.terminals]
        for name, port in ports:
            self._await(lambda port=port: accepts(port), what=f"{name} on port {port}")  # type: ignore[misc]

    def _start_program(self, program: Program) -> None:
        program.dies_with_us = True
        program.start()
        self._programs.append(program)

    def _start_database(self) -> None:
        self.reporter.step("PostgreSQL")
        self.postgres = PostgresServer(
            self.ground.postgres,
            port=self.memory.ports["postgres"],
            settings={"shared_buffers": "64MB"},
            log=self.ground.folder / "logs" / "postgres.log",
            dies_with_us=True,
        )
        self._stops.insert(0, self.postgres.stop)  # the last to stop: central still writes while it ends
        self.postgres.start()
        self._prepare_database()

    @property
    def database_url(self) -> str:
        """The address of the demo's database."""
        return self.postgres.url(DATABASE)

    def _prepare_database(self) -> None:
        """Create and migrate the database; a seeding that was cut short starts over from an empty one."""
        schema = schema_digest()
        if self.memory.seeded and self.memory.schema == schema:
            return
        from central.kit.migrate import upgrade  # heavy, and a second start does without

        with psycopg.connect(self.postgres.url(), autocommit=True) as connection:
            if not self.memory.seeded:
                create_anew(connection, DATABASE)
        upgrade(self.database_url)
        self.memory.schema = schema
        if not self.memory.seeded:
            self.memory.token = open_doors(self.database_url, self.memory.accounts)
        self.memory.write(self.ground.memory_path)

    def _start_central(self) -> None:
        self.reporter.step("Central")
        self.gateway = SmsGateway()  # the texts that it takes stand on the page to hold cards
        self._stops.append(self.gateway.__exit__)
        self.gateway.__enter__()
        central = CentralProgram(
            role="all",
            folder=self.ground.folder / "logs",
            database_url=self.database_url,
            broker=self.broker.url,
            keys=self._keys,
            name="central",
            web_port=self.memory.ports["web"],
        )
        central.program.env |= {"CCS_SECRET_KEY": self.memory.secret_key, "CCS_MQTT_SESSION_S": "0"}
        central.program.env |= {"CCS_SMS_URL": self.gateway.url, "CCS_SMS_FROM": SENDER}
        self.web_url = central.url
        self._start_program(central.program)
        self._await(lambda: accepts(central.web_port), what=f"central on port {central.web_port}")

    def _terminal(self, code: str, name: str) -> TerminalProgram:
        readers = [reader for reader in READERS if reader.terminal == code]
        return TerminalProgram(
            site=SITE,
            code=code,
            folder=self.ground.folder / "terminals" / code,
            broker=self.broker.url,
            keys=self._keys,
            directions=tuple(reader.direction for reader in readers),
            name=name,
            zone=readers[0].zone,
            kiosk_port=self.memory.ports[code],
        )

    def _await(self, condition: Callable[[], bool], *, what: str, timeout_s: float = START_S_MAX) -> None:
        """Wait for a condition; raise `ProgramDied` as soon as a part dies, `DemoCannotRun` when it takes too long."""

        def met() -> bool:
            self.check()
            return condition()

        try:
            wait_until(met, what=what, timeout_s=timeout_s)
        except TimeoutError as exc:
            logs = self.ground.folder / "logs"
            raise DemoCannotRun(f"{exc}: see the logs in {logs} and {self.ground.folder / 'terminals'}") from exc

    def _seed(self) -> None:
        self.reporter.step("The site in the registry")
        with CentralApi(self.web_url, self.memory.token) as api:
            try:
                employers = register_site(api, self.roll)
                self._start_gates()
                self.reporter.step(f"{len(self.roll.people)} people in the registry")
                register_people(api, self.roll, employers, progress=self.reporter.registering)
            except (ApiRefused, ConnectionError) as exc:
                raise DemoCannotRun(f"central does not take the demo's registry: {exc}") from exc
        add_accounts(self.database_url, self.memory.accounts, employers)
        self.memory.seeded = True
        self.memory.write(self.ground.memory_path)

    def _await_rosters(self) -> None:
        """Wait until each terminal knows everybody's card: before that, people would be strangers at the gate."""
        self.reporter.step("The terminals learn who may enter")
        cards = sum(1 + (person.temporary is not None) for person in self.roll.people)
        key = self.ground.folder / "keys" / "central-public.pem"
        rosters = [terminal.folder / "data" / ROSTER_FILE for terminal in self.terminals]
        self._await(
            lambda: all(cards_known(roster, key) >= cards for roster in rosters),
            what=f"every terminal to know {cards} cards",
            timeout_s=ROSTER_S_MAX,
        )

    def _await_hearing(self) -> None:
        """Wait until central hears every terminal, so that the day does not begin on a headcount that lags."""
        self.reporter.step("Central hears the terminals")
        problem = "it does not hear them"
        with CentralApi(self.web_url, self.memory.token) as api:

            def hears() -> bool:
                nonlocal problem
                try:
                    terminals = api.get(f"/api/v1/sites/{SITE}/headcount")["terminals"]
                except (ApiRefused, ConnectionError) as exc:
                    problem = str(exc)
                    return False
                return len(terminals) > 0 and all(terminal["freshness"] == "fresh" for terminal in terminals)

            try:
                self._await(hears, what="central to hear every terminal")
            except DemoCannotRun as exc:
                raise DemoCannotRun(f"{exc} ({problem})") from exc

    def _start_hands(self) -> None:
        self.reporter.step("The page to hold cards")
        addresses = {
            f"{terminal.code}/{reader.name}": ("127.0.0.1", reader.port)
            for terminal in self.terminals
            for reader in terminal.readers
        }
        hands = Hands(addresses)
        log = TapLog(self.ground.folder / "taps.jsonl", self.roll)
        self._stops += [log.close, hands.close]
        try:
            self.player = DayPlayer(self.roll, hands, log, speed=self.options.speed, on_trouble=self.reporter.trouble)
        except ValueError as exc:
            raise DemoCannotRun(str(exc)) from exc
        self.links |= {"headcount": f"{self.web_url}/sites/{SITE}", "worker": f"{self.web_url}/me"}
        for terminal in self.terminals:
            self.links[terminal.code] = f"http://127.0.0.1:{terminal.kiosk_port}/"
        page = PageServer(self, self.memory.ports["hand"])
        self._stops.append(page.stop)
        page.start(wait_until)

    @property
    def hand_url(self) -> str:
        """The page to hold cards by hand."""
        return f"http://127.0.0.1:{self.memory.ports['hand']}/"

    def _write_running(self) -> None:
        """Say for other programs where everything is; gone when the demo is."""
        path = self.ground.folder / "running.json"
        facts = {
            "web": self.web_url,
            "hand": self.hand_url,
            "links": self.links,
            "site": SITE,
            "token": self.memory.token,
            "accounts": {account.role: [account.email, account.password] for account in self.memory.accounts},
            "database": self.database_url,
            "broker": self.broker.url,
            "pids": [program.child.pid for program in self._programs if program.child]
            + [pid for pid in (self.postgres.pid, self.broker.pid) if pid],
        }
        draft = path.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(facts, indent=1))
        draft.replace(path)
        self._stops.append(lambda: path.unlink(missing_ok=True))

    # -- run

    def run(self, show: Callable[[Demo], None]) -> None:
        """Play the day and keep everything running; `show` is called a few times a second. Ends by an exception."""
        threads = [threading.Thread(target=self._watch, name="watch", daemon=True)]
        if self.options.play:
            threads.append(threading.Thread(target=self.player.play, args=(self._stopping,), name="play", daemon=True))
        for thread in threads:
            thread.start()
            self._stops.append(lambda thread=thread: thread.join(STOP_THREAD_S_MAX))  # type: ignore[misc]
        self._stops.append(self._stopping.set)
        while True:
            self.check()
            show(self)
            time.sleep(_POLL_S)

    def _watch(self) -> None:
        """Ask central every second who is inside, so that the answer can be shown beside the right one."""
        with CentralApi(self.web_url, self.memory.token) as api:
            while not self._stopping.wait(_WATCH_S):
                try:
                    headcount = api.get(f"/api/v1/sites/{SITE}/headcount")
                    self.watch_state = Watch(int(headcount["inside"]), int(headcount["at_most"]))
                except (ApiRefused, ConnectionError, KeyError, TypeError) as exc:
                    self.watch_state = Watch(problem=str(exc))

    def check(self) -> None:
        """Raise `ProgramDied` when a part is no longer running."""
        for program in self._programs:
            if program.child is not None and not program.running:
                raise ProgramDied(program.name, program.child.returncode, program.log, program.tail())
        servers = (("PostgreSQL", getattr(self, "postgres", None)), ("the broker", getattr(self, "broker", None)))
        for name, server in servers:
            if server is not None and server.pid is not None and not server.running:
                raise ProgramDied(name, None, server.log, server.log.read_text(errors="replace")[-TAIL_CHARS_MAX:])

    # -- stop

    def stop(self) -> None:
        """Stop everything, last started first. Leaves the data folder and nothing else; safe to call twice."""
        while self._stops:
            self._stops.pop()()

    def _stop_programs(self) -> None:
        for program in self._programs:
            if program.child is not None and program.running:
                program.child.send_signal(signal.SIGTERM)
        for program in reversed(self._programs):
            program.stop()


__all__ = ["Demo", "DemoCannotRun", "DemoOptions", "ProgramDied", "Reporter", "ServerUnavailable"]
