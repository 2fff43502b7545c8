"""The terminal's screens: the kiosk page and, on a console, lines of text. None of them can hold up or stop a tap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from edge_agent.output.base import KioskState, ScreenEvent
from edge_agent.supervisor import Loop

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from typing import TextIO

    from edge_agent.clock import Clock
    from edge_agent.config import Config
    from edge_agent.loops.board import Board
    from edge_agent.output.base import Display, ScreenKind
    from edge_agent.supervisor import Heart

RESTARTS_MAX = 1_000_000
"""A broken screen is tried again for ever: a terminal without one still records."""
STALE_S_MAX = 60.0


class Screens:
    """Every configured screen, as displays for the gate and loops for the supervisor."""

    def __init__(self, config: Config, *, board: Board, clock: Clock, console: TextIO | None) -> None:
        self._board = board
        self._clock = clock
        self.unacknowledged: Callable[[], int] = lambda: 0
        self.displays: list[Display] = []
        self.loops: list[Loop] = []
        if config.settings.kiosk is not None:
            self._add_kiosk(config)
        if console is not None:
            self._add_console(console, config.settings.terminal.time_zone)

    def tell(self, kind: ScreenKind) -> None:
        """Let every screen look at the terminal's state again."""
        event = ScreenEvent(kind=kind, at=self._clock.read().at)
        for display in self.displays:
            display.show(event)

    def state(self) -> KioskState:
        """Say how the terminal is, for the screens' quiet lines and the gate's list."""
        board = self._board
        roster = board.roster
        return KioskState(
            link_up=board.link_up,
            unacknowledged=self.unacknowledged(),
            forked=board.forked,
            roster_version=roster.version,
            roster_at=roster.issued_at,
            inside=roster.inside_list(),
            incident=board.incident,
            readers=board.reader_states(),
            clock_state=self._clock.read().state,
        )

    def _add_kiosk(self, config: Config) -> None:
        from edge_agent.output.kiosk import Kiosk

        terminal, settings = config.settings.terminal, config.settings.kiosk
        if settings is None:
            return
        kiosk = Kiosk(
            settings.host,
            settings.port,
            terminal_name=terminal.name,
            languages=settings.languages,
            state=self.state,
            now=lambda: self._clock.read().at,
            sound=settings.sound,
            time_zone=terminal.time_zone,
        )
        self.displays.append(kiosk)
        self._loop("kiosk", kiosk)

    def _add_console(self, console: TextIO, time_zone: str) -> None:
        from edge_agent.output.text import TextDisplay

        display = TextDisplay(console, colour=console.isatty(), time_zone=time_zone)
        self.displays.append(display)
        self._loop("console", display)

    def _loop(self, name: str, screen: Screen) -> None:
        def run(stop: threading.Event, heart: Heart) -> None:
            screen.run(stop, heart.beat)

        self.loops.append(Loop(name, run, stale_s_max=STALE_S_MAX, restarts_max=RESTARTS_MAX))


class Screen(Protocol):
    """What a screen needs to be run."""

    def run(self, stop: threading.Event, beat: Callable[[], None]) -> None:
        """Serve until `stop`."""
        ...
