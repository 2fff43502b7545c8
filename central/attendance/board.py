"""The headcount kept ready: one reading and one rendering a change, whoever asks and however many watch.

Nothing here is truth: every figure is rebuilt from the database, at a notification or when it is a second old, so any
number of web processes answer alike. When the database cannot be read nothing is sent, and watchers see silence.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from prometheus_client import Counter as MetricCounter
from prometheus_client import Gauge
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from central.attendance import service
from central.attendance.listing import tally
from central.kit.db import read_session
from central.kit.errors import AppError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from sqlalchemy import Engine

    from central.attendance.headcount import Headcount
    from central.kit.clock import Clock
    from central.kit.ids import SiteId

AGE_S_MAX = 1.0
"""Older than this is read again before it is answered."""
PAUSE_S_MIN = 0.05
"""Readings of one site are at least this far apart, however many changes come."""
TICK_S = 3.0
"""A watched site is read at least this often: freshness ages without any notification."""
STREAM_S_MAX = 300.0
"""A stream ends after this long, and the browser comes back at once: connections spread over the processes anew."""
RIGHTS_PAUSE_S = 0.2
"""Between two rounds of asking who may still watch, however many sign-ins and sign-outs there are."""
QUEUE_MESSAGES_MAX = 8
WATCHERS_MAX = 2_000
SITES_MAX = 2_000
RETRY_MS = 1_000

_log = structlog.get_logger()
_WATCHING = Gauge("ccs_headcount_watchers", "Streams of headcounts that are open in this process")
_READINGS = MetricCounter("ccs_headcount_readings", "Headcounts read from the database")
_CUT_OFF = MetricCounter("ccs_headcount_watchers_cut_off", "Watchers dropped because they took too long")


class TooManyWatchers(AppError):
    """This process already serves as many streams as it may."""

    status = 503
    code = "too_many_watchers"


@dataclass(frozen=True, slots=True)
class Shown:
    """One reading of one site, rendered: `body` is the JSON answer without names, `event` the same for a stream."""

    headcount: Headcount
    body: bytes
    zipped: bytes
    etag: str
    """Of everything but `as_of`: equal when nothing changed but the time."""
    event: bytes
    read_s: float
    """Monotonic, when the reading began."""


Right = Callable[[], Awaitable[bool]]
"""Answers whether whoever watches may still do so."""


async def always() -> bool:
    """Answer for a watcher within the process, whose right nobody can revoke."""
    return True


@dataclass(slots=True)
class _Site:
    shown: Shown | None = None
    changed_s: float = 0.0
    """Monotonic, when the last change was notified."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    watchers: dict[asyncio.Queue[bytes | None], Right] = field(default_factory=dict)
    feed: asyncio.Task[None] | None = None


def plain(headcount: Headcount) -> dict[str, Any]:
    """Lay a headcount out for the API: no name in it. `people_version` changes whenever the list of people does."""
    people = msgspec.json.encode(headcount.people)
    return {
        "site": headcount.site,
        "as_of": headcount.as_of,
        "inside": headcount.inside,
        "certain": headcount.certain,
        "probable": headcount.probable,
        "unknown": headcount.unknown,
        "visitors": headcount.visitors,
        "unknown_cards": headcount.unknown_cards,
        "refused": headcount.refused,
        "not_received": headcount.not_received,
        "at_most": headcount.at_most,
        "at_most_holds": headcount.at_most_holds,
        "people_version": hashlib.sha256(people).hexdigest()[:16],
        "by": {
            "employer": _by(headcount, "employer"),
            "trade": _by(headcount, "trade"),
            "zone": _by(headcount, "last_zone"),
        },
        "terminals": headcount.terminals,
    }


def _by(headcount: Headcount, attribute: str) -> list[dict[str, Any]]:
    return [{"name": name, "inside": count} for name, count in tally(headcount.people, attribute)]


def render(headcount: Headcount, *, read_s: float) -> Shown:
    """Render a reading once for everybody."""
    content = plain(headcount)
    body = msgspec.json.encode(content)
    etag = hashlib.sha256(msgspec.json.encode(content | {"as_of": None})).hexdigest()[:24]
    event = b"id: %b\nevent: headcount\ndata: %b\n\n" % (etag.encode(), body)
    return Shown(headcount, body, gzip.compress(body, 5, mtime=0), f'W/"{etag}"', event, read_s)


def _alive(shown: Shown) -> bytes:
    """Tell watchers that nothing changed and when that was seen; a comment keeps proxies awake as well."""
    return b": alive\nevent: alive\ndata: %b\n\n" % msgspec.json.encode({"as_of": shown.headcount.as_of})


class HeadcountBoard:
    """Readings by site, for one event loop. Call `changed` at NOTIFY ccs_site and `rights_changed` at ccs_identity."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._sites: dict[SiteId, _Site] = {}
        self._watchers = 0
        self._rights_doubted = False
        self._asking: asyncio.Task[None] | None = None

    def changed(self, payload: str) -> None:
        """Take a notification: a site's id, or anything else for every site."""
        now_s = time.monotonic()
        if payload.isdecimal():
            known = self._sites.get(int(payload))  # type: ignore[call-overload]  # SiteId is int
            touched = [known] if known else []
        else:
            touched = list(self._sites.values())
        for site in touched:
            site.changed_s = now_s
            site.changed.set()

    def rights_changed(self) -> None:
        """Ask anew who may watch; whose sign-in or role is gone sees their stream end at once."""
        self._rights_doubted = True
        if self._watchers and (self._asking is None or self._asking.done()):
            self._asking = asyncio.create_task(self._ask_rights(), name="headcount-rights")

    async def _ask_rights(self) -> None:
        while self._rights_doubted:
            self._rights_doubted = False
            for site in list(self._sites.values()):
                for queue, may_watch in list(site.watchers.items()):
                    if not await self._may(may_watch):
                        site.watchers.pop(queue, None)
                        _end(queue)
            await asyncio.sleep(RIGHTS_PAUSE_S)

    async def _may(self, may_watch: Right) -> bool:
        try:
            return await may_watch()
        except SQLAlchemyError as error:
            # No figures come either while the database is away; the question is put again as soon as it answers.
            _log.warning("right_unknown", error=str(error)[:300])
            self._rights_doubted = True
            return True

    def ready(self, site_id: SiteId) -> Shown | None:
        """Return the reading at hand when it may still be answered, else None."""
        site = self._sites.get(site_id)
        return site.shown if site is not None and _usable(site) else None

    async def current(self, site_id: SiteId, *, pausing: bool = True) -> Shown:
        """Return a reading no older than a second and no older than the last change. One reader at a time.

        `pausing` allows one that missed changes of the last moment, so that a rush of taps is not a rush of readings.
        """
        site = self._site(site_id)
        if site.shown is not None and _usable(site, pausing=pausing):
            return site.shown
        async with site.lock:
            if site.shown is not None and _usable(site, pausing=pausing):
                return site.shown
            site.shown = await run_in_threadpool(self._read, site_id)
            return site.shown

    def _read(self, site_id: SiteId) -> Shown:
        read_s = time.monotonic()
        _READINGS.inc()
        with read_session(self._engine) as session:
            headcount = service.site_headcount(session, site_id=site_id, now=self._clock.now())
        return render(headcount, read_s=read_s)

    def _site(self, site_id: SiteId) -> _Site:
        site = self._sites.get(site_id)
        if site is None:
            if len(self._sites) >= SITES_MAX:
                self._sites = {key: kept for key, kept in self._sites.items() if kept.watchers or kept.lock.locked()}
            site = self._sites[site_id] = _Site()
        return site

    async def watch(
        self, site_id: SiteId, *, may_watch: Right = always, last_event_id: str | None = None
    ) -> AsyncGenerator[bytes]:
        """Open a stream of one site: its state now, then each change. Raises before the first byte, or not at all.

        It ends at the first `rights_changed` after which `may_watch` says no.
        """
        if self._watchers >= WATCHERS_MAX:
            raise TooManyWatchers(f"this server already has {WATCHERS_MAX} viewers: try again in a minute")
        shown = await self.current(site_id)
        known = last_event_id is not None and f'W/"{last_event_id}"' == shown.etag
        return self._stream(site_id, _alive(shown) if known else shown.event, may_watch)

    async def _stream(self, site_id: SiteId, first: bytes, may_watch: Right) -> AsyncGenerator[bytes]:
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(QUEUE_MESSAGES_MAX)
        site = self._site(site_id)
        site.watchers[queue] = may_watch
        self._watchers += 1
        _WATCHING.inc()
        if site.feed is None or site.feed.done():
            site.feed = asyncio.create_task(self._feed(site_id, site), name=f"headcount-{site_id}")
        try:
            if not await self._may(may_watch):  # revoked since the guard let it in: that notice did not find us here
                return
            yield b"retry: %d\n\n" % RETRY_MS + first
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STREAM_S_MAX):
                    while (message := await queue.get()) is not None:
                        yield message
        finally:
            site.watchers.pop(queue, None)
            self._watchers -= 1
            _WATCHING.dec()

    async def _feed(self, site_id: SiteId, site: _Site) -> None:
        """Read the site at each change and at each tick, and hand the one rendering to every watcher."""
        told = site.shown.etag if site.shown else None
        while site.watchers:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(site.changed.wait(), TICK_S)
            site.changed.clear()
            since_s = time.monotonic() - (site.shown.read_s if site.shown else 0.0)
            if since_s < PAUSE_S_MIN:
                await asyncio.sleep(PAUSE_S_MIN - since_s)
            try:
                # It has paused already: what it took for fresh enough now would hide a change until the next tick.
                shown = await self.current(site_id, pausing=False)
            except (SQLAlchemyError, AppError) as error:
                _log.warning("headcount_unreadable", site_id=site_id, error=str(error)[:300])
                continue
            _hand_out(site, shown.event if shown.etag != told else _alive(shown))
            told = shown.etag

    def close(self) -> None:
        """End every stream and feed."""
        if self._asking is not None:
            self._asking.cancel()
        for site in self._sites.values():
            if site.feed is not None:
                site.feed.cancel()
            for queue in list(site.watchers):
                _end(queue)


def _usable(site: _Site, *, pausing: bool = True) -> bool:
    if site.shown is None:  # the first reading is under way
        return False
    age_s = time.monotonic() - site.shown.read_s
    if age_s > AGE_S_MAX:
        return False
    return site.shown.read_s > site.changed_s or (pausing and age_s < PAUSE_S_MIN)


def _hand_out(site: _Site, message: bytes) -> None:
    """Queue a message to every watcher; one that has not taken the last few is too slow and is cut off."""
    for queue in list(site.watchers):
        try:
            queue.put_nowait(message)
        except asyncio.QueueFull:
            _CUT_OFF.inc()
            site.watchers.pop(queue, None)
            _end(queue)


def _end(queue: asyncio.Queue[bytes | None]) -> None:
    while not queue.empty():
        queue.get_nowait()
    queue.put_nowait(None)
