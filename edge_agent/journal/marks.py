"""Since when central holds what it acknowledged: only what it has held for a whole keep window may be deleted.

An event's own time says when it happened, not when central got it, and a clock may have been wrong. A mark is how far
central was at a reading of our clock; it is ripe once the keep window has certainly passed since. When central was put
back (its epoch rose) every mark is void: a backup made meanwhile may lack what it held before and holds again.
Pure but for the two functions that read and write the row.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import apsw
import msgspec

from edge_agent.clock import Reading
from edge_agent.journal.proof import proof

MARKS_A_WINDOW = 8
"""So many at most ripen in one keep window: rows stay up to an eighth longer than they must."""
_COMPARED = ("synced", "holdover")
"""Clock states whose error is a bound."""


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """Central had acknowledged everything up to `durable` when the clock read `reading`."""

    durable: int
    reading: Reading


def has_passed(then: Reading, now: Reading, span: timedelta) -> bool:
    """Whether `span` has certainly passed: by the boot clock, else between two clocks that were compared."""
    if then.boot_id == now.boot_id:
        return timedelta(microseconds=(now.boottime_ns - then.boottime_ns) // 1000) >= span
    if then.state not in _COMPARED or now.state not in _COMPARED:
        return False
    return now.at - then.at - timedelta(milliseconds=now.error_ms + then.error_ms) >= span


def ripe(marks: Sequence[Mark], now: Reading, *, keep: timedelta) -> int:
    """Return the last number that central has held for `keep`, 0 for none."""
    return max((mark.durable for mark in marks if has_passed(mark.reading, now, keep)), default=0)


def marked(marks: Sequence[Mark], now: Reading, *, durable: int, keep: timedelta) -> list[Mark]:
    """Return the marks that are needed from now on, with a new one when it is time.

    A mark of an earlier boot whose clock nobody ever compared would never ripen: it counts from now.
    """
    done = ripe(marks, now, keep=keep)
    kept = [mark for mark in marks if done < mark.durable <= durable]
    kept = [Mark(mark.durable, now) if _is_adrift(mark.reading, now) else mark for mark in kept]
    last = kept[-1] if kept else None
    if durable > max(done, last.durable if last else 0) and (
        last is None or has_passed(last.reading, now, keep / MARKS_A_WINDOW)
    ):
        kept.append(Mark(durable, now))
    return kept


def _is_adrift(then: Reading, now: Reading) -> bool:
    return then.boot_id != now.boot_id and then.state not in _COMPARED


def read_marks(writer: apsw.Connection) -> list[Mark]:
    """Read what is marked. A row that the disk changed marks nothing: all is kept for another window."""
    try:
        row = writer.execute("SELECT marks FROM journal_marks").fetchone()
        held, _, text = str(row[0]).partition(" ") if row is not None else ("", "", "[]")
        return msgspec.json.decode(text, type=list[Mark]) if row is None or held == proof([text]) else []
    except (msgspec.DecodeError, UnicodeDecodeError):
        return []


def store_marks(writer: apsw.Connection, marks: Sequence[Mark]) -> None:
    """Commit the marks."""
    text = msgspec.json.encode(marks).decode()
    writer.execute("INSERT OR REPLACE INTO journal_marks VALUES (1, ?)", (f"{proof([text])} {text}",))
