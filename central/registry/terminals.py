"""The life of a terminal: registered, then moved step by step through one door (`states.TERMINAL`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from central.audit import service as audit
from central.audit.tags import Tag
from central.kit.errors import Conflict, NotFound
from central.registry import notices, record_repository, repository, rules
from central.registry.models import Terminal
from central.registry.places import apply_changes
from central.registry.record_models import TerminalEvent
from central.registry.refusals import flush
from central.registry.states import TERMINAL, in_service_after

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from central.kit.db import ReadSession, WriteSession

PASS_TEST = "pass_test"  # noqa: S105 - an event


class Untested(Conflict):
    """Nobody has shown that cards are read there."""

    code = "terminal_untested"


def register_terminal(
    session: WriteSession,
    *,
    site_id: int,
    code: str,
    name: str = "",
    zone: str = "",
    readers: Sequence[Mapping[str, Any]] = (),
    actor: str,
    now: datetime,
) -> Terminal:
    """Register a terminal, at the beginning of its life; what it sent before is accepted when it sends it again."""
    checked = rules.readers(readers, zone=zone)
    row = Terminal(
        site_id=site_id,
        code=rules.code("terminal", code),
        name=name,
        zone=zone,
        readers=checked,
        in_service=False,
        state="registered",
        created_at=now,
    )
    session.add(row)
    flush(session)
    notices.tell(session, sites=[site_id])
    detail = {"site_id": site_id, "code": code, "zone": zone, "readers": checked}
    audit.record(session, actor=actor, tag=Tag.TERMINAL_CREATE, subject=f"terminal:{row.id}", detail=detail, now=now)
    return row


def amend_terminal(
    session: WriteSession, *, site_id: int, code: str, changes: Mapping[str, Any], actor: str, now: datetime
) -> Terminal:
    """Change name, zone or readers; its state has a door of its own (`step`)."""
    row = terminal(session, site_id=site_id, code=code)
    new = dict(changes)
    if new.get("readers") is not None:
        new["readers"] = rules.readers(new["readers"], zone=new.get("zone") or row.zone)
    changed = apply_changes(row, new)
    flush(session)
    notices.tell(session, sites=[site_id])
    audit.record(session, actor=actor, tag=Tag.TERMINAL_AMEND, subject=f"terminal:{row.id}", detail=changed, now=now)
    return row


def terminal(session: ReadSession | WriteSession, *, site_id: int, code: str) -> Terminal:
    """Return one terminal of a site, or raise `NotFound`."""
    row = repository.terminal_by_code(session, site_id=site_id, code=code)
    if row is None:
        raise NotFound(f"the site has no terminal {code!r}: see the site's list of terminals")
    return row


def history(session: ReadSession | WriteSession, *, terminal_id: int) -> Sequence[TerminalEvent]:
    """Return the last steps of a terminal's life, newest first."""
    return record_repository.last_terminal_events(session, terminal_id=terminal_id)


def installed_at(session: ReadSession | WriteSession, *, row: Terminal) -> datetime:
    """Return since when it stands where it stands: what was read before says nothing of the reader there now."""
    steps = history(session, terminal_id=row.id or 0)
    return next((one.at for one in steps if one.to_state == "installed"), row.created_at)


def step(
    session: WriteSession,
    *,
    row: Terminal,
    event: str,
    note: str = "",
    test_tap_at: datetime | None = None,
    actor: str,
    now: datetime,
) -> Terminal:
    """Move a terminal along its life; whether its silence counts follows from its steps.

    `pass_test` takes a test worker's tap there since it was installed (`test_tap_at`), or a note that says how it was
    tested. Of two who step at the same moment one is refused.
    """
    made = TERMINAL.step(row.state, event)
    if event == PASS_TEST and test_tap_at is None and not note.strip():
        raise Untested(
            "no test worker's card has been read here since it was installed: hold one to it,"
            " or write in the note how it was tested"
        )
    before, serves = row.state, in_service_after(event, before=row.in_service)
    if not record_repository.move_terminal(
        session, terminal_id=row.id or 0, from_state=before, to_state=made.next_state, in_service=serves
    ):
        raise Conflict("somebody else changed the terminal at this moment: look at it again")
    session.add(
        TerminalEvent(
            terminal_id=row.id or 0,
            event=event,
            from_state=before,
            to_state=made.next_state,
            at=now,
            recorded_by=actor,
            note=note.strip(),
        )
    )
    session.flush()
    session.refresh(row, ["state", "in_service"])
    notices.tell(session, sites=[row.site_id])
    detail: dict[str, Any] = {"event": event, "from": before, "to": made.next_state}
    if event == PASS_TEST:
        detail["test_tap_at"] = test_tap_at
    audit.record(session, actor=actor, tag=made.tag, subject=f"terminal:{row.id}", detail=detail, now=now)
    return row
