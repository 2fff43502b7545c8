"""Passwords: Argon2id, a few at a time, because each hash takes a quarter of a second and 64 MiB."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING

from pwdlib import PasswordHash
from pwdlib.exceptions import PwdlibError
from pwdlib.hashers.argon2 import Argon2Hasher

from central.identity.password_rules import PASSWORD_CHARS_MAX, check_password
from central.kit.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Sequence

HASHES_AT_ONCE_MAX = 2
HASHES_WAITING_MAX = 16


class SignInBusy(AppError):
    """More people are signing in than passwords can be checked."""

    status = 503
    code = "sign_in_busy"


class Passwords:
    """Hashes and checks in a capped pool with a bounded queue; beyond it, refuses at once."""

    def __init__(self) -> None:
        self._hasher = PasswordHash((Argon2Hasher(),))
        self._pool = ThreadPoolExecutor(HASHES_AT_ONCE_MAX, thread_name_prefix="password")
        self._places = threading.BoundedSemaphore(HASHES_AT_ONCE_MAX + HASHES_WAITING_MAX)

    def hash(self, password: str, *, about: Sequence[str]) -> str:
        """Return the encoded hash of a new password; refuse a bad one. `about`: its owner's address and name."""
        with self._place():
            return self._pool.submit(self._hash, password, about).result()

    def _hash(self, password: str, about: Sequence[str]) -> str:
        check_password(password, about=about)
        return self._hasher.hash(password)

    def matches(self, password: str, encoded: str | None) -> bool:
        """Check a password against a hash, or (None) spend the same time on nobody's, so that timing tells nothing."""
        if len(password) > PASSWORD_CHARS_MAX:
            return False
        with self._place():
            return self._pool.submit(self._verify, password, encoded).result()

    def _verify(self, password: str, encoded: str | None) -> bool:
        try:
            return self._hasher.verify(password, encoded or self._nobodys()) and encoded is not None
        except PwdlibError:
            return False

    def _nobodys(self) -> str:
        return _nobodys_hash(self._hasher)

    def _place(self) -> _Place:
        return _Place(self._places)


class _Place:
    """One place in the queue."""

    def __init__(self, places: threading.BoundedSemaphore) -> None:
        self._places = places

    def __enter__(self) -> None:
        if not self._places.acquire(blocking=False):
            raise SignInBusy("many people are signing in at this moment: try again in a few seconds")

    def __exit__(self, *_: object) -> None:
        self._places.release()


@cache
def _nobodys_hash(hasher: PasswordHash) -> str:
    return hasher.hash("the password of nobody")


@cache
def passwords() -> Passwords:
    """Return the process's pool."""
    return Passwords()
