"""A gateway whose rules link the sandbox's people, with an index of its own."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.store.database_url import database_url
from gateway.store.store import Store
from tests.e2e.persons.asking import linking
from tests.e2e.serving import Front


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an empty store, which takes longer to make than to copy."""
    file = tmp_path_factory.mktemp("empty") / "gateway.db"

    async def create() -> None:
        store = await Store.open(database_url(f"sqlite:///{file}", {}))
        await store.close()

    asyncio.run(create())
    return file


@pytest.fixture
def url(tmp_path: Path, empty_store: Path) -> str:
    """Return where this test's store is."""
    file = tmp_path / "gateway.db"
    shutil.copy(empty_store, file)
    return f"sqlite:///{file}"


@pytest.fixture
def other_url(tmp_path: Path, empty_store: Path) -> str:
    """Return where a second store is."""
    file = tmp_path / "other.db"
    shutil.copy(empty_store, file)
    return f"sqlite:///{file}"


@pytest.fixture
async def front(url: str) -> AsyncIterator[Front]:
    """Return the front door of a gateway that is signed in and has read nobody."""
    async with linking(url) as result:
        yield result
