"""What is committed after its caller was told that nothing is sent is taken back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncTransaction

from gateway.store.deadlines import current
from gateway.store.errors import StoreFailed, StoreState
from gateway.store.store import Store
from gateway.store.write_intents import Settlement
from tests.unit.store.shop_writes import (
    CONFIRMED,
    begin,
    overdue,
    settle,
    shown,
    soon,
    wanted,
    write,
)


class SlowCommits:
    """Commits that wait, as those of a frozen server do, until the deadline has passed.

    The deadline is made to pass: on a busy machine one of a second may end before the commit.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let all wait that end from now on."""
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()
        begin_of = AsyncConnection.begin
        slow = self

        def waiting(connection: AsyncConnection) -> object:
            @asynccontextmanager
            async def transaction() -> AsyncIterator[AsyncTransaction]:
                async with begin_of(connection) as opened:
                    yield opened
                    slow.begun.set()
                    if work := current():
                        work.give_up()
                    await slow.may_end.wait()

            return transaction()

        monkeypatch.setattr(AsyncConnection, "begin", waiting)


async def test_a_write(record: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The customer is as before, recovery has nothing to send, and the next write goes on."""
    await write(record, wanted("ada", "old"))
    with monkeypatch.context() as patched:
        slow = SlowCommits(patched)
        with pytest.raises(StoreFailed) as raised:
            await begin(record, wanted("ada", "new"), deadline=soon(60))
        assert slow.begun.is_set()
        assert raised.value.state is StoreState.FROZEN
    slow.may_end.set()
    # The next write begins when the late one was taken back, and finds what was before it.
    after = await begin(record, wanted("ada", "newer"), deadline=soon(30))
    assert await settle(record, after.claim, Settlement.NOT_APPLIED) == set()
    assert await shown(record, "ada") == (CONFIRMED, {"old"})
    assert await overdue(record) == {}
    await write(record, wanted("ada", "newest"))


async def test_a_key(record: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key is free again, and is run once."""
    runs = []

    async def run() -> bytes:
        runs.append(1)
        return b"done"

    with monkeypatch.context() as patched:
        slow = SlowCommits(patched)
        with pytest.raises(StoreFailed):
            await record.once("key", "input", run, soon(60))
        assert slow.begun.is_set()
    slow.may_end.set()
    assert await record.once("key", "input", run, soon(20)) == b"done"
    assert runs == [1]
