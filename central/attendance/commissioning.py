"""A terminal's steps, with what attendance knows: whether a test worker's card has been read there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from central.attendance import fleet_repository
from central.kit.db import psycopg_of
from central.registry import terminals
from central.registry.schemas import TerminalView

if TYPE_CHECKING:
    from datetime import datetime

    from central.kit.db import ReadSession, WriteSession


def test_tap_at(session: ReadSession | WriteSession, *, terminal_id: int, since: datetime) -> datetime | None:
    """Say when a test worker's card was last accepted at a terminal, since an instant."""
    return fleet_repository.test_tap_at(psycopg_of(session), terminal_id=terminal_id, since=since)


def step_terminal(
    session: WriteSession, *, site_id: int, code: str, event: str, note: str, actor: str, now: datetime
) -> TerminalView:
    """Move a site's terminal along its life; passing the test takes a test worker's tap, or a note that says how."""
    row = terminals.terminal(session, site_id=site_id, code=code)
    read_at = None
    if event == terminals.PASS_TEST:
        since = terminals.installed_at(session, row=row)
        read_at = test_tap_at(session, terminal_id=row.id or 0, since=since)
    moved = terminals.step(session, row=row, event=event, note=note, test_tap_at=read_at, actor=actor, now=now)
    return TerminalView.model_validate(moved.model_dump())
