"""Takes a registered terminal into service, step by step, as whoever installs it does."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from simulators.central_api import ApiRefused

if TYPE_CHECKING:
    from simulators.central_api import CentralApi

STEPS = (("install", ""), ("pass_test", "tested by the simulator"), ("put_in_service", ""))


def take_into_service(api: CentralApi, *, site: str, code: str) -> None:
    """Install, test and start a terminal; steps that it has behind it are left out."""
    for event, note in STEPS:
        try:
            api.post(f"/api/v1/sites/{site}/terminals/{code}/events", {"event": event, "note": note})
        except ApiRefused as exc:
            if exc.status != HTTPStatus.CONFLICT:
                raise
