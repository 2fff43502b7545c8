"""How many failed sign-ins are too many: by account and address together, by account, by address. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from central.kit.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Mapping

WINDOW = timedelta(minutes=15)
PAIR_FAILURES_MAX = 5
EMAIL_FAILURES_MAX = 30
ADDRESS_FAILURES_MAX = 60
CODE_FAILURES_MAX = 5
"""Of one person, whatever the session."""
OUTSIDE_WAYS_MAX = 60
"""Begun from one address towards providers of single sign-on."""
RECOVERY_EMAIL_MAX = 3
RECOVERY_ADDRESS_MAX = 20


class TooManyAttempts(AppError):
    """Too many sign-ins failed lately."""

    status = 429
    code = "too_many_attempts"


@dataclass(frozen=True, slots=True)
class Subjects:
    """What one attempt counts against. A stranger cannot lock an owner out from elsewhere with five guesses."""

    pair: str
    email: str
    address: str

    @property
    def all(self) -> tuple[str, str, str]:
        """Return all three."""
        return self.pair, self.email, self.address


def subjects_of(email: str, address: str) -> Subjects:
    """Name what an attempt counts against; `email` is normalised."""
    both = hashlib.sha256(f"{email}\n{address}".encode()).hexdigest()
    return Subjects(f"pair:{both}", f"email:{email}", f"address:{address}")


def check(subjects: Subjects, failures: Mapping[str, int]) -> None:
    """Pass, or raise `TooManyAttempts` saying when to try again."""
    limits = {
        subjects.pair: PAIR_FAILURES_MAX,
        subjects.email: EMAIL_FAILURES_MAX,
        subjects.address: ADDRESS_FAILURES_MAX,
    }
    check_limits(limits, failures)


def check_limits(limits: Mapping[str, int], failures: Mapping[str, int]) -> None:
    """Pass while every subject is below its limit, or raise `TooManyAttempts`."""
    if any(failures.get(subject, 0) >= limit for subject, limit in limits.items()):
        raise TooManyAttempts(
            "too many sign-ins failed: try again in 15 minutes, or ask a system operator for help",
            retry_after_s=int(WINDOW.total_seconds()),
        )
