"""Records whose database a test may disturb."""

import os
from collections.abc import Iterator

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from tests.resilience.store.cluster import BINARIES, Cluster, clustered
from tests.resilience.store.states import LISTENERS


@pytest.fixture(scope="session")
def _server() -> Iterator[Cluster]:
    """Return the server of all tests of this process; without one fail in CI, else skip."""
    if not BINARIES and not os.environ.get("CI"):
        pytest.skip("no PostgreSQL server here: apt-get install postgresql")
    with clustered() as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def _no_listeners() -> Iterator[None]:
    yield
    while LISTENERS:
        event.remove(Engine, "begin", LISTENERS.pop())


@pytest.fixture
def cluster(_server: Cluster) -> Iterator[Cluster]:
    """Return a server that runs, with an empty database."""
    _server.sql("DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    yield _server
    _server.thaw()
