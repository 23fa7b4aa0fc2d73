"""Work that waits for a connection."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from gateway.store.database import CONNECTIONS, Database
from gateway.store.database_url import database_url
from gateway.store.errors import StoreFailed, StoreState
from gateway.store.store import Store

PAGE = 4096
Open = Callable[[Database], AbstractAsyncContextManager[Any]]


@pytest.mark.parametrize("transaction", [Database.reading, Database.writing])
async def test_when_none_can_be_opened(tmp_path: Path, transaction: Open) -> None:
    """Each fails with the cause, instead of waiting in vain for one that another gives back."""
    path = tmp_path / "gateway.db"
    location = database_url(f"sqlite:///{path}", {})
    await (await Store.open(location)).close()
    with path.open("r+b") as file:
        file.seek(PAGE)
        file.write(b"\xa5" * (path.stat().st_size - PAGE))
    database = Database(location)

    async def work() -> None:
        async with transaction(database) as connection:
            await connection.execute(text("SELECT * FROM alembic_version"))

    deadline = asyncio.get_running_loop().time() + 5
    running = (database.read(work(), deadline) for _ in range(3 * CONNECTIONS))
    ended = await asyncio.gather(*running, return_exceptions=True)
    assert [each.state for each in ended if isinstance(each, StoreFailed)] == (
        [StoreState.DAMAGED] * 3 * CONNECTIONS
    )
    await database.close()
