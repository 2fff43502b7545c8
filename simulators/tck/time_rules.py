"""What a terminal's clocks must agree on (TIM-01), purely."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from simulators.tck.contract import read_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulators.tck.evidence import Evidence

STEP_S = 1.0
"""The contract: a wall clock moved by more than this is a new `clockepoch`."""
TIME_SLACK_S = 0.5
APART_S = 2.0
"""How far the kit's own clock may be from true."""


def _boots(seen: Evidence) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Pair each event with its predecessor in the same journal and boot."""
    for (before, old), (after, new) in pairwise(seen.events):
        if before.journal_id == after.journal_id and old.get("bootid") == new.get("bootid"):
            yield old, new


def _boottime(event: dict[str, Any]) -> float:
    try:
        return int(str(event.get("boottimens"))) / 1e9
    except ValueError:
        return float("nan")


def boottime_rises(seen: Evidence) -> Iterator[str]:
    """Within a boot `boottimens` does not fall, but for what two readers overtake each other."""
    for old, new in _boots(seen):
        # A card's moment is read before the journal's lock is had: the readers of a gate may swap places.
        fell = _boottime(new) < _boottime(old) - STEP_S
        yield f"{new.get('sequence')}: {old.get('boottimens')} then {new.get('boottimens')}" if fell else ""


def clocks_agree(seen: Evidence) -> Iterator[str]:
    """Within a boot and a `clockepoch` both clocks go on alike."""
    for old, new in _boots(seen):
        if old.get("clockepoch") != new.get("clockepoch"):
            continue
        try:
            wall_s = (read_time(str(new["time"])) - read_time(str(old["time"]))).total_seconds()
        except (KeyError, ValueError):
            continue
        apart_s = abs(wall_s - (_boottime(new) - _boottime(old)))
        agree = not apart_s > STEP_S + TIME_SLACK_S
        yield "" if agree else f"{new.get('sequence')}: {apart_s:.1f} s apart in clockepoch {new.get('clockepoch')}"


def clockepoch_rises(seen: Evidence) -> Iterator[str]:
    """Within a boot `clockepoch` does not fall."""
    for old, new in _boots(seen):
        before, after = old.get("clockepoch"), new.get("clockepoch")
        fell = isinstance(before, int) and isinstance(after, int) and after < before
        yield f"{new.get('sequence')}: {before} then {after}" if fell else ""


def true_time(seen: Evidence) -> Iterator[str]:
    """A time that is said to be synchronised is true within its error."""
    for tap, event in seen.matched:
        if event is None or event.get("clockstate") != "synced":
            continue
        try:
            said_s = read_time(str(event["time"])).timestamp()
            error_s = float(event["clockerrms"]) / 1000 + APART_S
        except (KeyError, TypeError, ValueError):
            continue
        inside = tap.before_s - error_s <= said_s <= tap.after_s + error_s
        yield "" if inside else f"{event['time']} ± {error_s:.1f} s, {said_s - tap.before_s:+.1f} s from the tap"
