"""Logs as one JSON object a line (or readable text), on standard error, with the event ids that let one be followed."""

from __future__ import annotations

import logging
import sys

import structlog


def configure_logs(log_format: str, *, process: str) -> None:
    """Set up the logs of this process, those of libraries included (from warnings upwards).

    `log_format` is `json` or `text`; `process` is on every line.
    """

    def name_process(_logger: object, _method: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
        line["process"] = process
        return line

    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        name_process,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
        if log_format == "text"
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    library_lines = logging.StreamHandler(sys.stderr)
    library_lines.setFormatter(structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared))
    logging.basicConfig(level=logging.WARNING, handlers=[library_lines], force=True)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
