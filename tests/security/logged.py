"""What the gateway would write to its log."""

import contextlib
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

import structlog

from gateway.observability.logs import processors
from gateway.observability.settings import LogSettings


class Log:
    """The lines that were written."""

    def __init__(self) -> None:
        """Start with none."""
        self.file = io.StringIO()

    @property
    def text(self) -> str:
        """All of it, as it stands there."""
        return self.file.getvalue()

    @property
    def lines(self) -> Sequence[dict[str, Any]]:
        """Its lines; where it is JSON."""
        return [json.loads(line) for line in self.text.splitlines()]

    def of(self, logger: str) -> Sequence[dict[str, Any]]:
        """Return the lines of one logger, without what differs from run to run."""
        differing = {"timestamp", "level", "logger", "request_id"}
        return [
            {name: value for name, value in line.items() if name not in differing}
            for line in self.lines
            if line.get("logger") == logger
        ]


@contextlib.contextmanager
def logged(settings: LogSettings | None = None, *, on_terminal: bool = False) -> Iterator[Log]:
    """Collect what the gateway logs meanwhile, as its settings make it."""
    log, before = Log(), structlog.get_config()
    structlog.configure(
        processors=processors(settings or LogSettings(), on_terminal=on_terminal),
        logger_factory=structlog.PrintLoggerFactory(log.file),
    )
    try:
        yield log
    finally:
        structlog.configure(**before)
