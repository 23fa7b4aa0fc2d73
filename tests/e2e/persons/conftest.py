"""A gateway whose rules link the sandbox's people, with an index of its own."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.reads import persons
from tests.e2e.persons.asking import linking
from tests.e2e.serving import Front


@pytest.fixture(autouse=True)
def _time_for_the_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let reads be recorded on a busy machine: after a failure nothing is, for ten seconds."""
    monkeypatch.setattr(persons, "RECORD_S", 60)


@pytest.fixture
def url(store_url: str) -> str:
    """Return where this test's store is."""
    return store_url


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
