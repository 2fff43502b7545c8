"""Signals while a program with children runs: every way of ending it leads through the same tidying, uncut."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def ending_on_signals() -> Iterator[None]:
    """Turn these signals into `KeyboardInterrupt`; inside `deaf_to_signals` nothing interrupts.

    SIGINT too: a shell that starts a program in the background has it ignored.
    """

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    previous: list[tuple[int, Any]] = [(number, signal.signal(number, interrupt)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in previous:
            signal.signal(number, handler)


@contextmanager
def deaf_to_signals() -> Iterator[None]:
    """Let an impatient second Ctrl-C not cut the tidying short; each step of it has its own limit of time."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    previous: list[tuple[int, Any]] = [(number, signal.signal(number, signal.SIG_IGN)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in previous:
            signal.signal(number, handler)
