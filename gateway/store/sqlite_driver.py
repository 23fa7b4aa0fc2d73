"""aiosqlite with one turn of its thread for each statement, instead of four.

SQLAlchemy has the cursor made, the statement executed, its rows fetched and the cursor closed in
turns of their own, and these are most of what a small statement costs.
"""

import sqlite3
from collections import deque
from typing import Any, Final

import aiosqlite
from sqlalchemy.dialects.sqlite.aiosqlite import (
    AsyncAdapt_aiosqlite_connection,
    AsyncAdapt_aiosqlite_cursor,
    AsyncAdapt_aiosqlite_dbapi,
)


class _Cursor(AsyncAdapt_aiosqlite_cursor):
    """Holds the rows of a statement, whose real cursor is closed already."""

    __slots__ = ()
    _awaitable_cursor_close = False

    def _make_new_cursor(self, _: Any) -> Any:
        return None  # the statement makes it

    def _aenter_cursor(self, cursor: Any) -> Any:
        return cursor

    async def _execute_async(self, operation: Any, parameters: Any) -> None:
        await self._run("execute", operation, () if parameters is None else parameters)

    async def _executemany_async(self, operation: Any, seq_of_parameters: Any) -> None:
        await self._run("executemany", operation, seq_of_parameters)

    async def _run(self, method: str, operation: Any, parameters: Any) -> None:
        driver: Any = self._connection

        def run() -> tuple[sqlite3.Cursor, list[Any]]:
            cursor = driver._conn.cursor()  # noqa: SLF001  # as SQLAlchemy does
            try:
                getattr(cursor, method)(operation, parameters)
                rows = cursor.fetchall() if cursor.description else []
            finally:
                cursor.close()
            return cursor, rows

        async with self._adapt_connection._execute_mutex:  # noqa: SLF001  # of the base class
            self._cursor, rows = await driver._execute(run)  # noqa: SLF001  # aiosqlite's only way
        self._rows = deque(rows)

    def close(self) -> None:
        self._rows.clear()


class _Connection(AsyncAdapt_aiosqlite_connection):
    __slots__ = ()
    _cursor_cls = _Cursor


class _Driver(AsyncAdapt_aiosqlite_dbapi):
    def connect(self, *arg: Any, **kw: Any) -> _Connection:
        return _Connection(self, super().connect(*arg, **kw)._connection)  # noqa: SLF001


DRIVER: Final = _Driver(aiosqlite, sqlite3)
"""The `module` of an engine."""
