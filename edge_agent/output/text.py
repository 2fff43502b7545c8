"""The screen as lines of text, for a console, a serial line display, or a terminal without a browser."""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING, TextIO
from zoneinfo import ZoneInfo

from edge_agent.output.texts import line
from edge_agent.output.view import Screen, clock_text, screen

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from edge_agent.output.base import ScreenEvent

LINES_WAITING_MAX = 64
_WAIT_S = 0.25
_MARKS = {"in": "->|", "out": "|->", "check": "OK", "again": "<>", "unknown": "?", "stop": "X", "phone": "!!"}
_BACKGROUNDS = {"green": "42;30", "amber": "43;30", "red": "41;97", "alarm": "41;97;5"}


class TextDisplay:
    """A `Display` that writes one line an event. `run` does the writing, so a blocked console holds up nobody."""

    def __init__(self, stream: TextIO, *, colour: bool, time_zone: str = "Asia/Seoul") -> None:
        self._stream = stream
        self._colour = colour
        self._zone = ZoneInfo(time_zone)
        self._waiting: queue.Queue[ScreenEvent] = queue.Queue(LINES_WAITING_MAX)
        self.dropped = 0
        """Events that were not written because the console did not take them."""

    def show(self, event: ScreenEvent) -> None:
        """Queue the event; never block and never raise."""
        try:
            self._waiting.put_nowait(event)
        except queue.Full:
            self.dropped += 1

    def run(self, stop: threading.Event, beat: Callable[[], None]) -> None:
        """Write until `stop`, and what is still waiting then."""
        while not (stop.is_set() and self._waiting.empty()):
            beat()
            try:
                event = self._waiting.get(timeout=_WAIT_S)
            except queue.Empty:
                continue
            text = self.text(event)
            if text is not None:
                self._stream.write(text + "\n")
                self._stream.flush()

    def text(self, event: ScreenEvent) -> str | None:
        """Write an event as one line in Korean and English, or None when it has nothing to say by itself."""
        drawn = screen(event, zone=self._zone)
        if drawn is not None:
            return self._tap(drawn)
        if event.kind == "reader_lost":
            ko, en = line("reader_lost", "ko"), line("reader_lost", "en")
            return (
                f"{clock_text(event.at, zone=self._zone)}  !!   {event.reader or ''}: {ko.title} / {en.title}. {en.sub}"
            )
        return None

    def _tap(self, drawn: Screen) -> str:
        said = {spoken.lang: spoken for spoken in drawn.lines}
        words = f"{said['ko'].title} / {said['en'].title}"
        if drawn.colour != "green":
            words += f". {said['ko'].sub} / {said['en'].sub}"
        text = f"{drawn.time}  {_MARKS[drawn.picture]:3}  {drawn.colour.upper():5}  {drawn.name or '-'}  {words}"
        return f"\x1b[{_BACKGROUNDS[drawn.colour]}m{text}\x1b[0m" if self._colour else text
