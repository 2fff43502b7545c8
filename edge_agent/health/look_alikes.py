"""Readers told apart only by a number that follows the order of plugging in: after a power cut they may be swapped."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

from edge_agent.health.probe import Check

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_agent.config import ReaderSettings

_PCSC_NUMBERS = re.compile(r"(?:^|\s+)(?P<reader>[0-9A-F]{2})(?P<slot>\s+[0-9A-F]{2})?$")
"""What pcsc-lite puts behind a reader's name: the first number that was free when it came, and which of its slots."""
_KERNEL_NUMBERS = re.compile(r"(?<=^tty:USB)\d+|(?<=^tty:ACM)\d+|(?<=^usb):\d{3}:\d{3}$", re.IGNORECASE)
"""What the kernel counts: serial adapters, and USB devices by bus and number."""


def look_alikes(readers: Sequence[ReaderSettings], seen: Mapping[str, str]) -> list[Check]:
    """Find readers of different directions that may come back as one another.

    `seen` has the name by which the driver found a reader, where it was found.
    """
    pairs = [
        (one.name, other.name)
        for one, other in itertools.combinations(readers, 2)
        if one.direction != other.direction and _may_swap(one, other, seen)
    ]
    remedy = (
        "plugged in anew, entry and exit may be swapped: use two models, addresses with the readers' serial numbers, "
        "or another driver or port for one of them"
    )
    return [
        Check("directions", "doubtful", f"readers {one} and {other} are told apart by a number of plugging in", remedy)
        for one, other in pairs
    ]


def _may_swap(one: ReaderSettings, other: ReaderSettings, seen: Mapping[str, str]) -> bool:
    if one.driver != other.driver:
        return False
    if one.driver == "pcsc":
        names = [seen.get(reader.name, reader.address) for reader in (one, other)]
        if _is_one_device(*names):
            return False
        models = [_PCSC_NUMBERS.sub("", name) for name in names]
        wanted = [_PCSC_NUMBERS.sub("", reader.address) for reader in (one, other)]
        return wanted[0] in models[1] or wanted[1] in models[0]
    return _KERNEL_NUMBERS.sub("", one.address) == _KERNEL_NUMBERS.sub("", other.address)


def _is_one_device(name: str, other: str) -> bool:
    """Whether two names are slots of one reader, which keep their order."""
    one, two = _PCSC_NUMBERS.search(name), _PCSC_NUMBERS.search(other)
    slots = one is not None and two is not None and one["slot"] and two["slot"]
    return bool(slots) and _PCSC_NUMBERS.sub(r" \g<reader>", name) == _PCSC_NUMBERS.sub(r" \g<reader>", other)
