"""A gateway whose rules link the sandbox's people, with an index of its own."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.store.database_url import database_url
from tests.e2e.persons.asking import linking
from tests.e2e.serving import Front


@pytest.fixture
def store_file(empty_store: Path) -> Path:
    """Return the file of an empty store, to copy."""
    path = database_url(None, {"XDG_STATE_HOME": str(empty_store)}).path
    assert path is not None
    return path


@pytest.fixture
def url(tmp_path: Path, store_file: Path) -> str:
    """Return where this test's store is."""
    file = tmp_path / "gateway.db"
    shutil.copy(store_file, file)
    return f"sqlite:///{file}"


@pytest.fixture
def other_url(tmp_path: Path, store_file: Path) -> str:
    """Return where a second store is."""
    file = tmp_path / "other.db"
    shutil.copy(store_file, file)
    return f"sqlite:///{file}"


@pytest.fixture
async def front(url: str) -> AsyncIterator[Front]:
    """Return the front door of a gateway that is signed in and has read nobody."""
    async with linking(url) as result:
        yield result
