"""Read the change log for one request."""

from gateway.changes.feed import ChangeFeed
from gateway.changes.streams import ChangeStream
from gateway.domain.change_log import Change, ChangeFilter, Cursor, Visibility
from gateway.errors import GatewayError
from gateway.request_scope import Scope
from gateway.store.change_log import ChangeLog, ChangePage, parse


class ChangeReader:
    """Reads pages of changes, after dropping this process's caches of what they show."""

    def __init__(self, log: ChangeLog, feed: ChangeFeed | None, scope: Scope) -> None:
        """Read within the request's deadline."""
        self._log = log
        self._feed = feed
        self._scope = scope

    async def cursor(self) -> str:
        """Return the cursor of the newest entry."""
        self._scope.note_freshness(0)
        return (await self._log.position(self._scope.deadline)).text

    async def page(
        self, first: int, after: str | None, wanted: ChangeFilter, visible: Visibility
    ) -> ChangePage:
        """Return the changes after a cursor, or from the oldest entry.

        Raises `CursorExpired`, and `BadInput` if `after` is not a cursor.
        """
        self._scope.note_freshness(0)
        start = None if after is None else parse(after)
        page = await self._log.read(start, wanted, visible, first, self._scope.deadline)
        await self._reach(page.end)
        return page

    async def change(self, cursor: str, visible: Visibility) -> Change | None:
        """Return a change if it still exists and the caller may see it."""
        self._scope.note_freshness(0)
        position = Cursor.parse(cursor)
        if position is None:
            return None
        change = await self._log.change(position, self._scope.deadline)
        if change is None or not visible.shows(change):
            return None
        await self._reach(change.cursor)
        return change

    async def follow(
        self, after: str | None, wanted: ChangeFilter, visible: Visibility
    ) -> ChangeStream:
        """Return the changes behind a cursor, or from now on.

        Raises `BadInput` for a text that is no cursor, and `CursorExpired`.
        """
        if self._feed is None:
            raise GatewayError("This gateway was opened without its change feed.")
        deadline = self._scope.deadline
        start = await self._log.position(deadline) if after is None else parse(after)
        stream = ChangeStream(self._log, self._feed, start, wanted, visible)
        if after is not None:
            await stream.scan()
        return stream

    async def _reach(self, cursor: Cursor) -> None:
        if self._feed is not None:
            await self._feed.reach(cursor)
