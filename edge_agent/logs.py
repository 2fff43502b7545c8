"""Structured logs on standard error, one JSON object a line. Never a card's identity, never a worker's name."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure_logs(*, level: str = "info", form: str = "json") -> None:
    """Set up logging once for the process. `form` is `json` or `text`."""
    renderer: Any = structlog.dev.ConsoleRenderer(colors=False)
    if form == "json":
        renderer = structlog.processors.JSONRenderer(ensure_ascii=False)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def get_log(**values: object) -> structlog.typing.FilteringBoundLogger:
    """Return a logger that carries `values` in every line."""
    log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return log.bind(**values)
