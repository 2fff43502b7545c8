"""What codes of attendance mean in words, for pages and exports. `_` marks the English sentences for translation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from central.kit.i18n import date_time, gettext
from central.registry import rules as registry

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from central.attendance.headcount import Headcount


def _(message: str) -> str:
    return message


_HOURS_FROM_MIN = 120
IN_THE_FUTURE = _("The instant is still to come. Choose one that has passed, or leave it empty for now.")
CONFIDENCES: Mapping[str, str] = {
    "certain": _("Certain"),
    "probable": _("Probable"),
    "unknown": _("Unknown"),
}
STANDINGS: Mapping[str, str] = {
    "inside": _("Inside"),
    "visitor": _("Visitor or driver"),
    "unknown_card": _("Unknown card"),
    "refused": _("Refused at the gate"),
}
FRESHNESS: Mapping[str, str] = {
    "fresh": _("Fresh"),
    "stale": _("Stale"),
    "offline": _("Offline"),
    "never": _("Never heard"),
    "out_of_service": _("Out of service"),
    "not_recorded": _("Not recorded"),
}
REASONS: Mapping[str, str] = {
    "over_14_hours": _("Entered more than 14 hours ago"),
    "exit_terminal_silent": _("A terminal that records exits is silent"),
    "exit_terminal_stale": _("A terminal that records exits has not spoken for two minutes"),
    "exit_terminal_backlog": _("A terminal that records exits holds records not yet received"),
    "no_exit_terminal": _("No terminal here records exits"),
    "freshness_not_recorded": _("How fresh the terminals were then is not recorded"),
    "exit_missing_before_entry": _("The exit before this entry is missing"),
    "exit_time_uncertain": _("An exit may have been before the entry: its terminal's clock does not tell"),
    "entry_time_uncertain": _("When this entry was is known only roughly"),
    "exit_weaker_than_entry": _("An exit was proven less well than the entry, so it does not count"),
    "card_has_no_holder": _("Nobody is registered for this card"),
    "refused_at_gate": _("Refused at the gate, and may have walked in all the same"),
}
BEYOND: Mapping[tuple[bool, bool], str] = {
    (False, True): _(", and whoever passed %(terminal)s since %(at)s"),
    (False, False): _(", and whoever passed %(terminal)s"),
    (True, True): _(", and whoever passed %(count)s silent terminals since %(at)s"),
    (True, False): _(", and whoever passed %(count)s silent terminals"),
}
"""Who comes on top of `at_most`, by whether several terminals are silent and whether each was ever heard."""
ASSURANCES: Mapping[int, str] = {
    3: _("Card authenticated"),
    2: _("Card checked by its counter"),
    1: _("Card checked by its code"),
    0: _("Card number only"),
    -1: _("Card failed its check"),
}
QUARANTINE: Mapping[str, str] = {
    "malformed_batch": _("The batch is not readable"),
    "batch_too_long": _("The batch is longer than allowed"),
    "malformed_event": _("The event is not readable"),
    "unknown_terminal": _("The terminal is not registered"),
    "source_mismatch": _("The event names another sender than its topic"),
    "foreign_journal": _("The journal belongs to another terminal"),
    "id_mismatch": _("The event's id does not fit its journal and sequence"),
    "forked": _("Another record is already stored under this number"),
}


def word(language: str, table: Mapping[str, str], code: str) -> str:
    """Say a code in words; one that has none is shown as it is."""
    return gettext(language, table[code]) if code in table else code


def reasons(language: str, codes: tuple[str, ...]) -> list[str]:
    """Say each reason as a sentence."""
    return [word(language, REASONS, code) for code in codes]


def about(language: str, time: str, error_min: int | None) -> str:
    """Say a time and how far it may be off: nothing when that is under a minute (TIM-01)."""
    if error_min == 0:
        return time
    if error_min is None:
        return gettext(language, "%(time)s (clock not compared)", time=time)
    if error_min < _HOURS_FROM_MIN:
        return gettext(language, "about %(time)s ±%(minutes)s min", time=time, minutes=error_min)
    return gettext(language, "about %(time)s ±%(hours)s h", time=time, hours=-(-error_min // 60))


def not_received(language: str, found: Headcount) -> str:
    """Say how many records terminals still hold: a number, a lower one while one is silent, or that nobody can say."""
    number = f"{found.not_received:,}"
    if found.at_most_holds:
        return number
    if found.not_received:
        return gettext(language, "at least %(count)s", count=number)
    return gettext(language, "cannot be said")


def beyond(language: str, found: Headcount, *, timezone: str) -> str:
    """Say, after the number of `at_most`, who comes on top of it; empty when nobody does."""
    silent = found.unsaid
    if not silent:
        return ""
    if any(terminal.freshness == "not_recorded" for terminal in silent):
        return gettext(language, ", and whoever's taps had not been received by then")
    heard = [terminal.heard_at for terminal in silent if terminal.heard_at is not None]
    dated = len(heard) == len(silent)
    said = {
        "terminal": silent[0].name or silent[0].code,
        "count": len(silent),
        "at": _short(min(heard), today=found.as_of, timezone=timezone) if dated else "",
    }
    return gettext(language, BEYOND[len(silent) > 1, dated], **said)


def _short(at: datetime, *, today: datetime, timezone: str) -> str:
    """Write an instant as the site's wall clock, with its date when that is another day."""
    day, _space, clock = date_time(at, timezone).partition(" ")
    return clock if date_time(today, timezone).startswith(day) else f"{day} {clock}"


def assurance(language: str, level: int) -> str:
    """Say how well a card was proven."""
    return gettext(language, ASSURANCES[level]) if level in ASSURANCES else str(level)


def trade(language: str, code: str) -> str:
    """Name a trade of the registry's list; one that is not on it is shown as it is."""
    found = registry.trades().get(code)
    if found is None:
        return code
    return found.ko if language == "ko" else found.en
