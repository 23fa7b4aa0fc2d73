"""PostgreSQL's LISTEN and NOTIFY: other processes hear at once that the change log has grown.

Nothing relies on them: whoever follows the log polls as well. SQLite has nothing of the kind.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog
from sqlalchemy import text

from gateway.store.database import Database
from gateway.store.errors import StoreFailed

RECONNECT_S: Final = 1.0
"""Between two attempts to listen."""

_NOTIFY: Final = text("SELECT pg_notify(:channel, :position)")

log = structlog.get_logger(__name__)


class Notifications:
    """Tells other processes of new positions, and hears of theirs."""

    def __init__(self, database: Database) -> None:
        """Nothing is opened yet."""
        self._database = database

    async def listen(self, epoch: bytes, heard: Callable[[], None]) -> None:
        """Call `heard` whenever the log has grown, until cancelled. On SQLite return at once."""
        while not self._database.is_sqlite:
            try:
                async with self._database.listening(_channel(epoch)) as notifications:
                    heard()  # what came before this connection was open
                    async for _ in notifications:
                        heard()
            except StoreFailed as error:
                log.warning("not listening to the change log; polling", cause=error.cause)
            await asyncio.sleep(RECONNECT_S)

    async def notify(self, epoch: bytes, position: int) -> None:
        """Tell other processes where the log stands. A failure is passed over: they poll."""
        if self._database.is_sqlite:
            return

        async def work() -> None:
            async with self._database.writing() as connection:
                parameters = {"channel": _channel(epoch), "position": str(position)}
                await connection.execute(_NOTIFY, parameters)

        try:
            await self._database.finish(work())
        except StoreFailed as error:
            log.warning("a notification was not sent", cause=error.cause)


def _channel(epoch: bytes) -> str:
    """Return the channel of one log: schemas of one database share their channels."""
    return f"change_log_{epoch.hex()}"
