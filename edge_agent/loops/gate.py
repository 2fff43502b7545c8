"""One card from reader to light: read, decide, append, answer. Green only ever follows a record on stable storage."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING, cast

from edge_agent.journal.record import EventTooLarge, JournalFailed, JournalFull
from edge_agent.loops.reader_news import ReaderNews
from edge_agent.output.base import ScreenEvent, tap_text_key
from edge_agent.output.texts import line
from edge_agent.readers.base import Answer, CardSeen, CardUnreadable, ReaderConfig, ReaderFound, ReaderLost
from edge_agent.tap.decide import REPEAT_WITHIN, Outcome, PresentedCard, RecentTaps, decide
from edge_agent.wire.ids import card_token
from edge_agent.wire.messages import MUSTER, READER, TAP, Decision, TapData

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from structlog.typing import FilteringBoundLogger

    from edge_agent.clock import Clock, Reading
    from edge_agent.journal.record import Record
    from edge_agent.journal.store import Journal
    from edge_agent.loops.board import Board
    from edge_agent.loops.reader_news import News
    from edge_agent.output.base import Display
    from edge_agent.readers.base import Reader, ReaderEvent
    from edge_agent.supervisor import Heart

NOT_RECORDED = "not_recorded"
REMEMBERED_FROM_BEFORE = timedelta(hours=1)
"""How far back a restarted agent looks for the card that may still lie on a reader."""
STUCK_S_MAX = 30.0
"""A card whose answer takes longer than this means a hung disk, a driver that turns no more a hung device."""
_REASON_CHARS_MAX = 200
_COMPARED = ("synced", "holdover")


class Gate:
    """The tap path of one terminal, shared by its readers. `appended` is called after each new record."""

    def __init__(
        self,
        *,
        journal: Journal,
        clock: Clock,
        board: Board,
        card_key: bytes,
        readers: Sequence[ReaderConfig],
        displays: Sequence[Display],
        appended: Callable[[], None],
        log: FilteringBoundLogger,
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._board = board
        self._card_key = card_key
        self._readers = {reader.name: reader for reader in readers}
        self._displays = tuple(displays)
        self._appended = appended
        self._log = log
        self._recent = RecentTaps()
        self._news = ReaderNews()
        self._news_lock = threading.Lock()
        self._remember(clock.read())

    def handle(self, event: ReaderEvent) -> Answer | None:
        """Take one reader event; for a card, return what the worker is shown once the tap is durable (or refused)."""
        try:
            if isinstance(event, CardSeen):
                return self._card(event)
            if isinstance(event, CardUnreadable):
                return self._unreadable(event)
            self._presence(event)
        except Exception as exc:  # noqa: BLE001  # tidy: broad-except whoever holds a card is answered
            self._log.error("gate_failed", reader=event.reader, reason=f"{type(exc).__name__}: {exc}", exc_info=exc)
            if isinstance(event, CardSeen | CardUnreadable):
                return self._refuse(self._readers[event.reader], self._clock.read(), f"the terminal failed: {exc}")
        return None

    def loop(self, reader: Reader) -> Callable[[threading.Event, Heart], None]:
        """Make the supervised loop of one reader."""
        return _reader_loop(reader, self.handle)

    def _remember(self, now: Reading) -> None:
        """Go on from the taps before the restart, if it can be known how long ago they were.

        Over a reboot only two clocks that were compared tell that: without a battery each day may begin at the same
        hour, and yesterday's tap must not make this morning's a repeat.
        """
        last = self._journal.last_reading()
        if last is None:
            return
        if last.boot_id == now.boot_id:
            known, back = last, REMEMBERED_FROM_BEFORE
        elif last.state in _COMPARED and now.state in _COMPARED:
            known, back = now, REPEAT_WITHIN
        else:
            return
        for tap in self._journal.recent_taps(known.at - back):
            decision, at = cast(Decision, tap.decision), _since_boot(known) - (known.at - tap.at)
            self._recent.note(token=tap.token, reader=tap.reader, direction=tap.direction, decision=decision, at=at)

    def _card(self, event: CardSeen) -> Answer:
        reading = self._clock.read()
        reader = self._readers[event.reader]
        self._board.readers[event.reader] = self._board.tapped_at = time.monotonic()
        token = card_token(self._card_key, event.identity)
        card = PresentedCard(
            token,
            event.credential,
            reader.name,
            reader.direction,
            reader.zone,
            authenticated=event.authentic,
            lay_there=event.lay_there,
        )
        at = _since_boot(reading)
        roster = self._board.roster
        outcome = decide(card, roster, self._recent, at)
        try:
            record = self._store(card, outcome, roster.version, reading)
        except (JournalFull, JournalFailed, EventTooLarge) as exc:
            return self._refuse(reader, reading, str(exc))
        if self._board.refused_taps:
            self._log.info("recording_again", refused=self._board.refused_taps)
            self._board.refused_taps = 0
        self._recent.note(token=token, reader=reader.name, direction=reader.direction, decision=outcome.decision, at=at)
        text_key = tap_text_key(outcome.decision, outcome.direction)
        self._show(
            ScreenEvent(
                kind="tap",
                at=reading.at,
                shown=outcome.shown,
                direction=outcome.direction,
                name_masked=outcome.name_masked or None,
                lang=outcome.lang,
                text_key=text_key,
                reader=reader.name,
                zone=reader.zone,
                seq=record.seq,
            )
        )
        self._appended()  # after the screen: who wakes now wants the interpreter too
        text = line(text_key, outcome.lang).title
        return Answer(outcome.shown, outcome.decision, self._journal.journal_id, record.seq, text)

    def _refuse(self, reader: ReaderConfig, reading: Reading, reason: str) -> Answer:
        self._board.refused_taps += 1
        return refuse(reader, reading, reason, self._displays, self._log)

    def _store(self, card: PresentedCard, outcome: Outcome, roster_version: int, reading: Reading) -> Record:
        muster = card.direction == "muster"
        data = TapData(
            direction=card.direction,
            reader=card.reader,
            zone=card.zone,
            credential=card.credential,
            decision=outcome.decision,
            shown=outcome.shown,
            rosterver=roster_version,
        )
        return self._journal.append(
            type_=MUSTER if muster else TAP, data=data, token=card.token, reading=reading, reserved=muster
        )

    def _unreadable(self, event: CardUnreadable) -> Answer:
        """Ask for the card again: nothing of it could be read, so there is nothing to record."""
        reader = self._readers[event.reader]
        self._board.readers[event.reader] = time.monotonic()
        self._show(
            ScreenEvent(
                kind="tap",
                at=self._clock.read().at,
                shown="red",
                direction=reader.direction,
                text_key="unreadable",
                reader=reader.name,
                zone=reader.zone,
            )
        )
        self._log.info("card_unreadable", reader=event.reader, reason=event.reason[:_REASON_CHARS_MAX])
        return Answer("red", NOT_RECORDED, "", 0, line("unreadable", "ko").title)

    def _presence(self, event: ReaderFound | ReaderLost) -> None:
        found = isinstance(event, ReaderFound)
        detail = (event.detail if isinstance(event, ReaderFound) else event.reason)[:_REASON_CHARS_MAX]
        self._board.readers[event.reader] = time.monotonic() if found else None
        self._show(
            ScreenEvent(
                kind="idle" if found else "reader_lost",
                at=self._clock.read().at,
                text_key="idle" if found else "reader_lost",
                reader=event.reader,
            )
        )
        with self._news_lock:
            news = self._news.changed(event.reader, "found" if found else "lost", detail, time.monotonic())
        if news is not None:
            self._record(news)

    def settle(self) -> None:
        """Record what flapping readers left to be said; called every few seconds, from any thread."""
        with self._news_lock:
            due = self._news.due(time.monotonic())
        for news in due:
            self._record(news)

    def _record(self, news: News) -> None:
        tell = self._log.info if news.state == "found" else self._log.error
        tell(f"reader_{news.state}", reader=news.reader, detail=news.detail, left_out=news.left_out)
        try:
            self._journal.append(type_=READER, data=news.data())
        except (JournalFull, JournalFailed) as exc:
            self._log.error("reader_event_not_recorded", reader=news.reader, state=news.state, reason=str(exc))
            return
        self._appended()

    def _show(self, event: ScreenEvent) -> None:
        for display in self._displays:
            display.show(event)


class ClosedGate:
    """The gate of a terminal without a journal: red to every card, because nothing could be kept of it."""

    def __init__(
        self,
        reason: str,
        *,
        clock: Clock,
        readers: Sequence[ReaderConfig],
        displays: Sequence[Display],
        log: FilteringBoundLogger,
    ) -> None:
        self._reason = reason
        self._clock = clock
        self._readers = {reader.name: reader for reader in readers}
        self._displays = tuple(displays)
        self._log = log

    def handle(self, event: ReaderEvent) -> Answer | None:
        """Refuse a card; everything else is only told to the log."""
        if not isinstance(event, CardSeen | CardUnreadable):
            self._log.info("reader", reader=event.reader, found=isinstance(event, ReaderFound))
            return None
        return refuse(self._readers[event.reader], self._clock.read(), self._reason, self._displays, self._log)

    def loop(self, reader: Reader) -> Callable[[threading.Event, Heart], None]:
        """Make the supervised loop of one reader."""
        return _reader_loop(reader, self.handle)


def _since_boot(reading: Reading) -> timedelta:
    return timedelta(microseconds=reading.boottime_ns // 1000)


def refuse(
    reader: ReaderConfig,
    reading: Reading,
    reason: str,
    displays: Sequence[Display],
    log: FilteringBoundLogger,
) -> Answer:
    """Refuse loudly: red, whoever it is, because nothing is stored of this card."""
    event = ScreenEvent(
        kind="not_recorded",
        at=reading.at,
        shown="red",
        direction=reader.direction,
        text_key="not_recorded",
        reader=reader.name,
        zone=reader.zone,
    )
    for display in displays:
        display.show(event)
    log.error("tap_not_recorded", reader=reader.name, reason=reason)
    return Answer("red", NOT_RECORDED, "", 0, line("not_recorded", "ko").title)


def _reader_loop(
    reader: Reader, handle: Callable[[ReaderEvent], Answer | None]
) -> Callable[[threading.Event, Heart], None]:
    """Run a reader so that neither a card nor the device may hang: either ends the agent, which then starts afresh."""

    def run(stop: threading.Event, heart: Heart) -> None:
        def emit(event: ReaderEvent) -> Answer | None:
            heart.beat()
            try:
                return handle(event)
            finally:
                heart.beat()

        reader.run(emit, stop, heart.beat)

    return run
