"""The log: one structured line per event, on standard error, without personal data.

Confidential values are recognised by their types (`confidential`): ids of people become digests,
foreign text is left out. Exceptions are logged without their messages, which may quote values.
"""

import logging
import secrets
import sys
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from gateway.observability.confidential import Foreign, Personal
from gateway.observability.settings import LogSettings
from gateway.observability.trace_context import TRACED

FOREIGN_LOGGERS = ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi")
"""Loggers with handlers of their own for standard error."""

COMPLETE_LOGS = frozenset({"audit", "requests"})
"""Loggers whose lines are written whatever `log.level` is."""


def start_log(settings: LogSettings) -> None:
    """Log one line per event: readable on a terminal, JSON elsewhere.

    Warnings and errors of libraries are logged in the same form.
    """
    structlog.configure(
        processors=processors(settings, on_terminal=sys.stderr.isatty()),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, handlers=[_LibraryHandler()], force=True)
    for name in FOREIGN_LOGGERS:
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True


def processors(settings: LogSettings, *, on_terminal: bool) -> Sequence[Processor]:
    """Return the processors that turn an event into a line, in order."""
    shown: Sequence[Processor] = [structlog.processors.JSONRenderer()]
    if on_terminal:
        shown = [printable, structlog.dev.ConsoleRenderer()]
    return [
        AtLeast(settings.level),
        structlog.processors.add_log_level,
        name_trace,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        Redactor(settings),
        *shown,
    ]


class AtLeast:
    """Drop events below a level, except for logs that the operator wants complete."""

    def __init__(self, level: str) -> None:
        """Keep this level and those above it."""
        levels = logging.getLevelNamesMapping()
        self._least = levels[level.upper()]
        self._levels = {name.lower(): value for name, value in levels.items()}

    def __call__(self, _: WrappedLogger, method: str, event: EventDict) -> EventDict:
        """Return the event. Raises `DropEvent`."""
        is_low = self._levels.get(method, logging.CRITICAL) < self._least
        if is_low and event.get("logger") not in COMPLETE_LOGS:
            raise structlog.DropEvent
        return event


def name_trace(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Add the id of the trace that the running request is part of."""
    request = TRACED.get()
    trace_id = None if request is None else request.trace_id
    if trace_id is not None:
        event["trace_id"] = trace_id
    return event


class Redactor:
    """Replace confidential values."""

    def __init__(self, settings: LogSettings) -> None:
        """Replace nothing if the settings allow personal data."""
        self._shows_all = settings.personal_data
        key = settings.digest_key
        secret = secrets.token_bytes(32) if key is None else key.get_secret_value().encode()
        self._key = blake2b(secret).digest()

    def __call__(self, _: WrappedLogger, __: str, event: EventDict) -> EventDict:
        """Return the event without confidential values."""
        error = _exception(event.pop("exc_info", None))
        shown = {name: self._shown(value) for name, value in event.items()}
        if error is not None:
            shown["exception"] = "\n".join(outline(error, with_messages=self._shows_all))
        return {name: value for name, value in shown.items() if value is not None}

    def _shown(self, value: Any) -> Any:
        if isinstance(value, Personal):
            return value.id if self._shows_all else self.digest(value.id)
        if isinstance(value, Foreign):
            return value.text if self._shows_all else None
        if isinstance(value, list | tuple):
            return [self._shown(each) for each in value]
        return value

    def digest(self, text: str) -> str:
        """Return the digest of an id, keyed so that ids cannot be guessed from it."""
        coded = text.encode("utf-8", "surrogatepass")
        return "#" + blake2b(coded, key=self._key, digest_size=8).hexdigest()


def outline(error: BaseException, *, with_messages: bool = False) -> Iterator[str]:
    """Yield the types of an exception and of its causes, each with its traceback."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        name = f"{type(each).__module__}.{type(each).__qualname__}"
        yield f"{name}: {each}" if with_messages else name
        trace = each.__traceback__
        while trace is not None:
            code = trace.tb_frame.f_code
            yield f"  {code.co_filename}:{trace.tb_lineno} {code.co_qualname}"
            trace = trace.tb_next
        waiting.append(each.__cause__ or (None if each.__suppress_context__ else each.__context__))
        if isinstance(each, BaseExceptionGroup):
            waiting += reversed(each.exceptions)


def printable(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Escape control characters, which callers can put into ids."""
    return {
        name: ascii(value)
        if isinstance(value, str) and not value.isprintable() and name != "exception"
        else value
        for name, value in event.items()
    }


def _exception(exc_info: Any) -> BaseException | None:
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return _exception(exc_info[1])
    return sys.exception() if exc_info else None


class _LibraryHandler(logging.Handler):
    """Forward the records of libraries, with their text as `Foreign`."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        # Why the server does not start must be visible, and no request can be quoted yet.
        is_startup = (record.name, record.module) == ("uvicorn.error", "on")
        text = record.getMessage().strip()
        structlog.get_logger().log(
            record.levelno,
            text if is_startup else "a library reports",
            logger=record.name,
            at=f"{record.module}:{record.lineno}",
            text=None if is_startup else Foreign(text),
            exc_info=record.exc_info,
        )
