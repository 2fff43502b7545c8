"""Whose the terminal's files are: what root leaves among them, the agent's own user could not open."""

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class NotOurs(OSError):
    """The folder is another user's; the message says as whom to work on it."""


def refuse_as_root(folder: Path) -> None:
    """Raise `NotOurs` for root in another user's folder: a file of root's there makes every card red afterwards.

    A folder that is not there yet is nobody's. Raises `OSError` when it cannot be looked at.
    """
    if os.geteuid() != 0 or not folder.exists():
        return
    owner = folder.stat().st_uid
    if owner == 0:
        return
    try:
        name = pwd.getpwuid(owner).pw_name
    except KeyError:
        name = f"#{owner}"
    message = f"{folder} belongs to {name}, who could not open what root leaves there: do this with sudo -u {name}"
    raise NotOurs(message)
