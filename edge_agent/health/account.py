"""As whom a terminal is examined: what root may read and write says nothing of what the agent may."""

from __future__ import annotations

import os
import pwd
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_agent.health.probe import Check

if TYPE_CHECKING:
    from pathlib import Path

SERVICE_USER = "ccs-edge"
"""Whom deploy/edge/install.sh makes, and deploy/edge/ccs-edge.service runs the agent as."""
ROOT_UID = 0


class AccountUnusable(ValueError):
    """Nobody can be examined for in this user's place; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Account:
    """One of this machine's users."""

    name: str
    uid: int
    gid: int


def stand_in(data_dir: Path, *, named: str | None) -> Account | None:
    """Become, for good, who the agent runs as; return who that is, None when only root comes into question.

    That is who is named, else the service's own user, else whose the data folder is: one that was copied here may be
    anybody's. Whoever is not root stays who they are. Raise `AccountUnusable` when there is no such user, or only root
    could look as them, or they cannot run Python.
    """
    account = _named(named) if named is not None else _found(SERVICE_USER) or _owner(data_dir)
    if account is None or account.uid == os.geteuid():
        return account
    if os.geteuid() == ROOT_UID:
        os.initgroups(account.name, account.gid)
        os.setgid(account.gid)
        os.setuid(account.uid)
        if not os.access(os.__file__, os.R_OK):
            remedy = "install the agent with a Python that every user may run, such as the system's"
            raise AccountUnusable(f"{account.name} cannot read Python itself ({sys.base_prefix}): {remedy}")
    elif named is not None:
        raise AccountUnusable(f"only root can look as {named!r}: run this with sudo, or leave --user out")
    return account


def looked_as(account: Account | None) -> Check:
    """Say as whom the checks were made, and whether that is who the agent runs as."""
    uid = os.geteuid()
    found = f"looked as {_name(uid)}"
    if account is None:
        remedy = (
            "run the agent as a user of its own, and name that user with --user: root may read what nobody else may"
        )
        return Check("user", "doubtful", found, remedy)
    if account.uid != uid:
        remedy = "run this with sudo: it then looks as that user"
        return Check("user", "doubtful", f"{found}, and the agent runs as {account.name}", remedy)
    return Check("user", "good", f"{found}, as whom the agent runs")


def _named(name: str) -> Account:
    account = _found(name)
    if account is None:
        raise AccountUnusable(f"there is no user {name!r} on this machine: correct --user")
    return account


def _found(name: str) -> Account | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _owner(data_dir: Path) -> Account | None:
    """Whose the data is; None when it is not there yet, or root's, for a folder made by hand tells nothing."""
    try:
        entry = pwd.getpwuid(data_dir.stat().st_uid)
    except (OSError, KeyError):
        return None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid) if entry.pw_uid != ROOT_UID else None


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
