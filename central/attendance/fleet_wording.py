"""What codes of terminals mean in words, for the fleet's pages and files. `_` marks sentences for translation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from central.attendance.wording import FRESHNESS, word
from central.kit.i18n import date_time, gettext

if TYPE_CHECKING:
    from collections.abc import Mapping

    from central.attendance.fleet import Judged


def _(message: str) -> str:
    return message


BYTES_A_GB = 1_000_000_000
MS_A_S = 1_000
TROUBLES: Mapping[str, str] = {
    "silent": _("Silent"),
    "reader_lost": _("Reader lost"),
    "faulty": _("Faulty"),
    "stale": _("Not heard for two minutes"),
    "disk_low": _("Disk nearly full"),
    "clock_off": _("Clock is off"),
    "behind": _("Far behind"),
    "waiting": _("Not yet in service"),
    "fine": _("Fine"),
}
STATES: Mapping[str, str] = {
    "registered": _("Registered"),
    "installed": _("Installed"),
    "tested": _("Tested"),
    "in_service": _("In service"),
    "faulty": _("Faulty"),
    "removed": _("Removed"),
}
STEPS: Mapping[str, str] = {
    "install": _("Install"),
    "pass_test": _("Passed its test"),
    "put_in_service": _("Put in service"),
    "report_fault": _("Report a fault"),
    "repair": _("Repaired"),
    "remove": _("Remove"),
}
STEP_HINTS: Mapping[str, str] = {
    "pass_test": _("Without a test worker's tap since it was installed, write how it was tested."),
    "report_fault": _("What is wrong, for whoever repairs it."),
}
CLOCKS: Mapping[str, str] = {
    "synced": _("Synchronised"),
    "holdover": _("Running on"),
    "rtc": _("Battery clock"),
    "unset": _("Not set"),
}
WAYS: Mapping[str, str] = {
    "in": _("Entries"),
    "out": _("Exits"),
    "in_out": _("Entries and exits, a reader each"),
    "tap": _("Both, with one reader"),
    "muster": _("The roll call"),
}
ORDERS: Mapping[str, str] = {
    "worst": _("Worst first"),
    "site": _("By site"),
    "behind": _("Furthest behind first"),
    "heard": _("Longest unheard first"),
    "version": _("Oldest version first"),
}
COLUMNS = (
    _("Site"),
    _("Code of the site"),
    _("Terminal"),
    _("Code"),
    _("State"),
    _("Trouble"),
    _("Connection"),
    _("Last heard"),
    _("Records behind"),
    _("Clock"),
    _("Clock off by (s)"),
    _("Readers lost"),
    _("Free disk (GB)"),
    _("Version"),
    _("Last tap"),
)
"""Of the file."""


def gigabytes(size: int | None) -> str:
    """Write bytes as gigabytes, nothing for None."""
    return "" if size is None else f"{size / BYTES_A_GB:,.1f}"


def seconds(offset_ms: int | None) -> str:
    """Write milliseconds as seconds with their sign, nothing for None."""
    return "" if offset_ms is None else f"{offset_ms / MS_A_S:+.1f}"


def troubles(language: str, one: Judged) -> str:
    """Say everything that is wrong with a terminal."""
    return "; ".join(word(language, TROUBLES, code) for code in one.troubles)


def line(language: str, one: Judged) -> list[str]:
    """Write a terminal as the file's cells."""
    row = one.row
    return [
        row.site_name,
        row.site,
        row.label,
        row.code,
        word(language, STATES, row.state),
        troubles(language, one),
        word(language, FRESHNESS, one.freshness),
        date_time(row.heard_at, row.timezone) if row.heard_at else "",
        str(row.behind),
        word(language, CLOCKS, row.clock_state),
        seconds(row.clock_offset_ms),
        f"{row.readers_lost}/{row.readers}" if row.readers else "",
        gigabytes(row.free_bytes),
        row.version,
        date_time(row.last_tap_at, row.timezone) if row.last_tap_at else "",
    ]


def heads(language: str) -> list[str]:
    """Name the file's columns."""
    return [gettext(language, name) for name in COLUMNS]
