"""`data` of the events that are no taps. Central keeps them as they are; these types say what our terminal writes."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from edge_agent.wire.messages import (
    BOOT,
    CLOCK_ANCHOR,
    CLOCK_STEP,
    JOURNAL,
    MUSTER,
    READER,
    ROSTER_APPLIED,
    TAP,
    ClockState,
    Cursor,
    JournalIdText,
    Seq,
    ShortText,
    TapData,
    Utc,
)


class BootData(Struct, frozen=True):
    """The agent started: what it runs and the hash of its configuration file."""

    versions: dict[str, str]
    config_hash: ShortText


class ReaderData(Struct, frozen=True, omit_defaults=True):
    """A reader was lost, or answers again. `left_out` counts its changes before this one that were not recorded."""

    reader: Annotated[str, Meta(min_length=1, max_length=40)]
    state: Literal["found", "lost"]
    detail: ShortText = ""
    left_out: Cursor = 0


class RosterAppliedData(Struct, frozen=True):
    """From here on, taps are decided with this version of the roster."""

    version: Cursor


class ClockAnchorData(Struct, frozen=True):
    """The clock became synchronised: with `boottimens`, earlier times of this boot can be computed."""

    error_ms: Cursor
    was: ClockState


class ClockStepData(Struct, frozen=True):
    """The wall clock jumped against the boot clock; `clockepoch` has risen to `epoch`."""

    from_: Utc = field(name="from")
    to: Utc
    epoch: Cursor


class JournalData(Struct, frozen=True, omit_defaults=True):
    """`full`: taps are refused until there is room. `recovered`: this journal follows one that could not be read on.

    `first` to `last` of `journal_id` is the range that may be lost; `readable` of them were still readable.
    """

    what: Literal["full", "recovered"]
    free_bytes: Cursor | None = None
    used_bytes: Cursor | None = None
    journal_id: JournalIdText | None = None
    first: Seq | None = None
    last: Cursor | None = None
    reason: ShortText | None = None
    file: ShortText | None = None
    readable: Cursor | None = None


DATA_TYPES: dict[str, type[Struct]] = {
    TAP: TapData,
    MUSTER: TapData,
    BOOT: BootData,
    READER: ReaderData,
    ROSTER_APPLIED: RosterAppliedData,
    CLOCK_ANCHOR: ClockAnchorData,
    CLOCK_STEP: ClockStepData,
    JOURNAL: JournalData,
}
"""Event type to the type of its `data`. `ccs.correction.v1` has a name and no fields yet; others are kept."""
