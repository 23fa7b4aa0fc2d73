"""What all tests share."""

import asyncio
import shutil
from pathlib import Path

import pytest

from gateway.store.database_url import database_url
from gateway.store.store import Store


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the state directory of a gateway that has just been started for the first time.

    Creating a store takes as long as many a test.
    """
    state = tmp_path_factory.mktemp("empty") / "state"

    async def create() -> None:
        place = database_url(None, {"XDG_STATE_HOME": str(state)})
        store = await Store.open(place, connect_timeout_s=60)
        await store.close()

    asyncio.run(create())
    return state


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep each test's store apart from the user's and from other tests'."""
    state = tmp_path / "state home"
    shutil.copytree(empty_store, state)
    monkeypatch.setenv("XDG_STATE_HOME", str(state))
