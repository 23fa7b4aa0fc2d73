"""Notify other processes that the change log has grown, with PostgreSQL's LISTEN and NOTIFY.

Notifications only save time: readers of the log poll as well. SQLite has no notifications.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog
from sqlalchemy import text

from gateway.store.database import Database
from gateway.store.errors import StoreFailed

RECONNECT_S: Final = 1.0
"""Seconds between two attempts to listen."""

_NOTIFY: Final = text("SELECT pg_notify(:channel, :position)")

log = structlog.get_logger(__name__)


class Notifications:
    """Sends the log's position to other processes, and listens for theirs."""

    def __init__(self, database: Database) -> None:
        """Open nothing yet."""
        self._database = database

    async def listen(self, epoch: bytes, callback: Callable[[], None]) -> None:
        """Call `callback` when the log has grown, until cancelled. On SQLite, return at once."""
        while not self._database.is_sqlite:
            try:
                async with self._database.listening(_channel(epoch)) as notifications:
                    callback()  # the log may have grown before this connection was open
                    async for _ in notifications:
                        callback()
            except StoreFailed as error:
                log.warning("not listening to the change log; polling", cause=error.cause)
            await asyncio.sleep(RECONNECT_S)

    async def notify(self, epoch: bytes, position: int) -> None:
        """Send the log's newest position to other processes. A failure is logged: they poll."""
        if self._database.is_sqlite:
            return

        async def work() -> None:
            async with self._database.writing() as connection:
                parameters = {"channel": _channel(epoch), "position": str(position)}
                await connection.execute(_NOTIFY, parameters)

        try:
            await self._database.finish(work())
        except StoreFailed as error:
            log.warning("notification of the change log not sent", cause=error.cause)


def _channel(epoch: bytes) -> str:
    """Return the channel of one log: all schemas of a database share their channels."""
    return f"change_log_{epoch.hex()}"
