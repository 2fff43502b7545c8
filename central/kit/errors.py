"""Errors are sentences with a class and a status: what is wrong, and what to do."""

from __future__ import annotations

from typing import ClassVar


class AppError(Exception):
    """A refusal that a person or a client is told about. Subclasses stand beside the code that raises them.

    `code` is stable and machine-readable (RFC 9457 `type` suffix); the message is one sentence and says what to do.
    """

    status: ClassVar[int] = 400
    code: ClassVar[str] = "bad_request"

    def __init__(self, message: str, **extensions: object) -> None:
        super().__init__(message)
        self.message = message
        self.extensions = extensions


class NotFound(AppError):
    """The thing does not exist, or the asker may not know that it does (404 before 403)."""

    status = 404
    code = "not_found"


class Conflict(AppError):
    """The change contradicts what is already recorded."""

    status = 409
    code = "conflict"


class Invalid(AppError):
    """The request is malformed; `errors` lists field and reason."""

    status = 422
    code = "invalid"
