from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine

from central.attendance import board as board_module
from central.attendance import service
from central.attendance.board import QUEUE_MESSAGES_MAX, HeadcountBoard, TooManyWatchers, plain, render
from central.attendance.headcount import Headcount, Person
from central.kit.clock import SystemClock
from central.kit.ids import SiteId
from simulators.filled_site import FilledSite, enter

NOON = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)


def one(name: str, *, standing: Any = "inside", employer: str = "한빛") -> Person:
    return Person(
        person=f"worker:{name}",
        worker_id=1,
        name=name,
        employer=employer,
        trade="rebar",
        confidence="certain",
        reasons=(),
        since_at=NOON,
        last_at=NOON,
        last_zone="zone-01",
        last_terminal="gate-01",
        assurance=3,
        standing=standing,
    )


def counted(*people: Person, as_of: datetime = NOON) -> Headcount:
    return Headcount("site-07", as_of, len(people), len(people), 0, 0, 0, 0, len(people), (), people)


def test_the_tag_ignores_the_time_and_nothing_else() -> None:
    first = render(counted(one("a")), read_s=0.0)
    later = render(counted(one("a"), as_of=NOON.replace(hour=4)), read_s=9.0)
    other = render(counted(one("b")), read_s=0.0)
    assert first.etag == later.etag != other.etag
    assert first.body != later.body


def test_shares_count_only_who_is_inside() -> None:
    content = plain(counted(one("a"), one("b", employer=""), one("c", standing="refused")))
    assert content["by"]["employer"] == [{"name": "", "inside": 1}, {"name": "한빛", "inside": 1}]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often the database was read."""
    found: list[int] = []
    real = service.site_headcount

    def reading(session: Any, **given: Any) -> Headcount:
        found.append(1)
        return real(session, **given)

    monkeypatch.setattr(board_module.service, "site_headcount", reading)
    return found


def test_a_thousand_askers_at_once_cost_one_reading(site_engine: Engine, filled: FilledSite, reads: list[int]) -> None:
    async def ask() -> set[bytes]:
        board = HeadcountBoard(site_engine, SystemClock())
        shown = await asyncio.gather(*(board.current(SiteId(filled.site_id)) for _ in range(1_000)))
        return {one.body for one in shown}

    assert len(asyncio.run(ask())) == 1
    assert len(reads) == 1


def test_while_the_first_reading_is_under_way_nothing_is_at_hand(site_engine: Engine, filled: FilledSite) -> None:
    async def ask() -> tuple[bool, bool]:
        board = HeadcountBoard(site_engine, SystemClock())
        first = asyncio.create_task(board.current(SiteId(filled.site_id)))
        await asyncio.sleep(0)
        early = board.ready(SiteId(filled.site_id)) is None
        shown = await first
        return early, board.ready(SiteId(filled.site_id)) is shown

    assert asyncio.run(ask()) == (True, True)


def test_a_notified_change_is_read_before_the_next_answer(site_engine: Engine, filled: FilledSite) -> None:
    async def ask() -> tuple[int, int]:
        board = HeadcountBoard(site_engine, SystemClock())
        before = await board.current(SiteId(filled.site_id))
        await asyncio.sleep(board_module.PAUSE_S_MIN)
        enter(site_engine, filled, name="새 사람", now=SystemClock().now())
        board.changed(str(filled.site_id))
        return before.headcount.inside, (await board.current(SiteId(filled.site_id))).headcount.inside

    assert asyncio.run(ask()) == (40, 41)


async def follow(stream: AsyncIterator[bytes], until: Callable[[bytes], bool]) -> bytes:
    async for message in stream:
        if until(message):
            return message
    raise AssertionError("the stream ended before the message came")


def test_one_change_is_rendered_once_for_every_watcher(
    site_engine: Engine, filled: FilledSite, reads: list[int]
) -> None:
    async def watch() -> set[bytes]:
        board = HeadcountBoard(site_engine, SystemClock())
        site_id = SiteId(filled.site_id)
        streams = [await board.watch(site_id) for _ in range(50)]
        for stream in streams:
            await anext(stream)
        read_before = len(reads)
        following = [asyncio.create_task(follow(stream, lambda m: b'"inside":41' in m)) for stream in streams]
        enter(site_engine, filled, name="새 사람", now=SystemClock().now())
        board.changed(str(filled.site_id))
        heard = await asyncio.wait_for(asyncio.gather(*following), 20)
        assert len(reads) == read_before + 1
        board.close()
        return set(heard)

    assert len(asyncio.run(watch())) == 1


def test_a_change_within_the_pause_after_a_reading_is_not_kept_for_the_next_tick(
    site_engine: Engine, filled: FilledSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutant: the feed takes what the pause calls fresh enough."""

    async def wakes_early(_delay_s: float) -> None:
        """As a timer may, by a moment."""

    async def scenario() -> bytes:
        monkeypatch.setattr(board_module, "TICK_S", 60.0)
        monkeypatch.setattr(board_module, "PAUSE_S_MIN", 0.9)
        board = HeadcountBoard(site_engine, SystemClock())
        stream = await board.watch(SiteId(filled.site_id))
        await anext(stream)
        monkeypatch.setattr(asyncio, "sleep", wakes_early)
        enter(site_engine, filled, name="새 사람", now=SystemClock().now())
        board.changed(str(filled.site_id))
        changed = await asyncio.wait_for(follow(stream, lambda m: b'"inside":41' in m), 10)
        board.close()
        return changed

    assert b"event: headcount" in asyncio.run(scenario())


def test_a_watcher_who_takes_nothing_is_cut_off_and_the_others_go_on(
    site_engine: Engine, filled: FilledSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board_module, "TICK_S", 0.01)

    async def watch() -> tuple[int, int]:
        board = HeadcountBoard(site_engine, SystemClock())
        slow = await board.watch(SiteId(filled.site_id))
        quick = await board.watch(SiteId(filled.site_id))
        await anext(slow)
        await anext(quick)
        for _ in range(QUEUE_MESSAGES_MAX + 3):
            await asyncio.wait_for(anext(quick), 20)
        left_over = [message async for message in slow]
        still = len([await asyncio.wait_for(anext(quick), 20)])
        board.close()
        return len(left_over), still

    assert asyncio.run(watch()) == (0, 1)


def test_more_watchers_than_allowed_are_told_to_wait(
    site_engine: Engine, filled: FilledSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board_module, "WATCHERS_MAX", 1)

    async def watch() -> None:
        board = HeadcountBoard(site_engine, SystemClock())
        first = await board.watch(SiteId(filled.site_id))
        await anext(first)
        try:
            with pytest.raises(TooManyWatchers, match="try again"):
                await board.watch(SiteId(filled.site_id))
        finally:
            board.close()

    asyncio.run(watch())
