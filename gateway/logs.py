"""The log: one structured line an event, on standard error."""

import sys

import structlog


def start_log() -> None:
    """Log one line an event: for people on a terminal, JSON elsewhere."""
    shown = structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else None
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([] if shown else [structlog.processors.format_exc_info]),
            shown or structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
