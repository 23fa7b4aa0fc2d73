"""Whatever the database or its driver raises is a `StoreFailed` that says why."""

import sqlite3
from types import SimpleNamespace

import pytest
from sqlalchemy import exc

from gateway.errors import BadInput
from gateway.store.errors import StoreFailed, StoreState
from gateway.store.failures import failing


class Postgres(Exception):
    """An error as psycopg raises it."""

    def __init__(self, code: str | None, message: str) -> None:
        """Say what the server says."""
        super().__init__(message)
        self.sqlstate = code
        self.diag = SimpleNamespace(message_primary=message)


def of_sqlite(code: int, name: str, message: str) -> sqlite3.Error:
    """Return an error of SQLite."""
    error = sqlite3.OperationalError(message)
    error.sqlite_errorcode, error.sqlite_errorname = code, name
    return error


def wrapped(original: Exception) -> Exception:
    """Return it as SQLAlchemy raises it, with a statement and personal data."""
    return exc.DBAPIError("SELECT 1", {"customer": "ada@shop.example"}, original)


@pytest.mark.parametrize(
    ("error", "state", "cause"),
    [
        (
            wrapped(of_sqlite(13, "SQLITE_FULL", "database or disk is full")),
            StoreState.FULL,
            "SQLITE_FULL: database or disk is full",
        ),
        (
            of_sqlite(266, "SQLITE_IOERR_READ", "disk I/O error"),
            StoreState.DOWN,
            "SQLITE_IOERR_READ: disk I/O error",
        ),
        (
            of_sqlite(1032, "SQLITE_READONLY_DBMOVED", "attempt to write a readonly database"),
            StoreState.READ_ONLY,
            "SQLITE_READONLY_DBMOVED: attempt to write a readonly database",
        ),
        (sqlite3.ProgrammingError("closed"), StoreState.BROKEN, "closed"),
        (
            wrapped(Postgres("53100", "could not extend file: No space left on device")),
            StoreState.FULL,
            "SQLSTATE 53100: could not extend file: No space left on device",
        ),
        (
            wrapped(Postgres("42501", "permission denied for table tags")),
            StoreState.DENIED,
            "SQLSTATE 42501: permission denied for table tags",
        ),
        (
            wrapped(Postgres("XX001", "invalid page in block 0")),
            StoreState.DAMAGED,
            "SQLSTATE XX001: invalid page in block 0",
        ),
        (
            wrapped(Postgres("57P01", "terminating connection")),
            StoreState.DOWN,
            "SQLSTATE 57P01: terminating connection",
        ),
        (
            wrapped(Postgres("22P02", 'invalid input syntax: "ada"')),
            StoreState.BROKEN,
            "SQLSTATE 22P02: Postgres",
        ),
        (
            wrapped(Postgres(None, "connection failed:\n  No route to host")),
            StoreState.DOWN,
            "connection failed: No route to host",
        ),
        (exc.TimeoutError(), StoreState.FROZEN, "no connection became free in time"),
        (exc.ResourceClosedError("closed"), StoreState.BROKEN, "ResourceClosedError"),
        (LookupError("'X' is not among the enum values"), StoreState.DAMAGED, "LookupError"),
        (
            UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"),
            StoreState.DAMAGED,
            "UnicodeDecodeError",
        ),
        (OSError(113, "No route to host"), StoreState.DOWN, "OSError"),
    ],
)
def test_state_and_cause(error: Exception, state: StoreState, cause: str) -> None:
    """State and cause are the database's; no value of a row or a parameter is among them."""
    with pytest.raises(StoreFailed) as raised, failing():
        raise error
    assert (raised.value.state, raised.value.cause) == (state, cause)
    assert raised.value.__cause__ is error
    assert str(raised.value) == (
        f"The gateway's own store cannot be used at the moment: {state.value}."
    )


def test_ours() -> None:
    """What the gateway itself refuses stays what it is."""
    with pytest.raises(BadInput), failing():
        raise BadInput("no such place")
