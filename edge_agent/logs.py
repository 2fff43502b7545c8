"""Structured logs on standard error, one JSON object a line. Never a card's identity, never a worker's name."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure_logs(*, level: str = "info", form: str = "json") -> None:
    """Set up logging once for the process. `form` is `json` or `text`."""
    structlog = _structlog()
    renderer = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
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


def get_log(**values: object) -> FilteringBoundLogger:
    """Return a logger that carries `values` in every line."""
    log: FilteringBoundLogger = _structlog().get_logger()
    return log.bind(**values)


def _structlog() -> Any:  # noqa: ANN401 - a module
    """Import structlog without its optional rich tracebacks: a terminal has 60 MB, and they take six."""
    hidden = "rich" not in sys.modules
    if hidden:
        sys.modules["rich"] = None  # type: ignore[assignment]  # the documented way to make an import fail
    try:
        import structlog
    finally:
        if hidden:
            del sys.modules["rich"]
    return structlog
