"""What a central must do."""

from __future__ import annotations

from simulators.tck.checks import Check

CENTRAL_CHECKS: tuple[Check, ...] = ()
