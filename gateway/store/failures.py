"""Translate every error of the database and its driver into `StoreFailed`."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import exc

from gateway.store.errors import StoreFailed, StoreState

_SQLITE_STATES = {
    sqlite3.SQLITE_BUSY: StoreState.LOCKED,
    sqlite3.SQLITE_LOCKED: StoreState.LOCKED,
    sqlite3.SQLITE_PROTOCOL: StoreState.LOCKED,
    sqlite3.SQLITE_READONLY: StoreState.READ_ONLY,
    sqlite3.SQLITE_FULL: StoreState.FULL,
    sqlite3.SQLITE_CANTOPEN: StoreState.DOWN,
    sqlite3.SQLITE_IOERR: StoreState.DOWN,
    sqlite3.SQLITE_PERM: StoreState.DENIED,
    sqlite3.SQLITE_AUTH: StoreState.DENIED,
    sqlite3.SQLITE_CORRUPT: StoreState.DAMAGED,
    sqlite3.SQLITE_NOTADB: StoreState.DAMAGED,
}
"""By primary result code: sqlite.org/rescode.html, read 2026-11-29."""

_POSTGRES_STATES = {
    "25006": StoreState.READ_ONLY,
    "53100": StoreState.FULL,
    "42501": StoreState.DENIED,
    "55P03": StoreState.LOCKED,
    "08": StoreState.DOWN,
    "28": StoreState.DENIED,
    "3D": StoreState.DOWN,
    "3F": StoreState.DENIED,
    "53": StoreState.DOWN,
    "57": StoreState.DOWN,
    "58": StoreState.DAMAGED,
    "XX": StoreState.DAMAGED,
}
"""By SQLSTATE or its class: postgresql.org/docs/current/errcodes-appendix.html, same day."""


@contextmanager
def failing() -> Iterator[None]:
    """Raise `StoreFailed` for any error of the database or its driver.

    ValueError, LookupError, TypeError and OverflowError come from decoding a value that no column
    can hold: the database is damaged.
    """
    try:
        yield
    except (
        exc.SQLAlchemyError,
        sqlite3.Error,
        OSError,
        ValueError,
        LookupError,
        TypeError,
        OverflowError,
    ) as error:
        raise failed(error) from error


def failed(error: Exception) -> StoreFailed:
    """Translate an error. The cause has no values of rows or parameters."""
    if isinstance(error, exc.TimeoutError):
        return StoreFailed(StoreState.FROZEN, "no connection became free in time")
    original = getattr(error, "orig", None) or error
    code = getattr(original, "sqlite_errorcode", None)
    if isinstance(code, int):
        # The low byte is the primary code.
        state = _SQLITE_STATES.get(code & 0xFF, StoreState.BROKEN)
        return StoreFailed(state, f"{getattr(original, 'sqlite_errorname', code)}: {original}")
    if isinstance(original, sqlite3.Error):
        return StoreFailed(StoreState.BROKEN, str(original))
    if hasattr(original, "sqlstate"):
        return _of_postgres(original)
    state = StoreState.DAMAGED if not isinstance(error, exc.SQLAlchemyError) else StoreState.BROKEN
    if isinstance(original, OSError):
        state = StoreState.DOWN
    return StoreFailed(state, type(original).__name__)


def _of_postgres(original: BaseException) -> StoreFailed:
    code = getattr(original, "sqlstate", None)
    if code is None:  # no connection, or a lost one: libpq's message has no password
        return StoreFailed(StoreState.DOWN, " ".join(str(original).split()))
    state = _POSTGRES_STATES.get(code) or _POSTGRES_STATES.get(code[:2], StoreState.BROKEN)
    # Messages of class 22 (data exception) may quote a value.
    diagnostics = getattr(original, "diag", None)
    message = None if code.startswith("22") else getattr(diagnostics, "message_primary", None)
    return StoreFailed(state, f"SQLSTATE {code}: {message or type(original).__name__}")
