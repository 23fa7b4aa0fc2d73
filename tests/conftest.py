"""What all tests share."""

import asyncio
import gc
import os
import shutil
from collections.abc import Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from gateway.store.database_url import database_url
from gateway.store.store import Store
from resolvers.execution.executor import Executor
from tests.semantic_nulls import Observation, observing
from tests.sizes import sample

# Examples have deadlines by default, which a busy machine misses.
hypothesis.settings.register_profile(
    "without deadlines", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("without deadlines")


def pytest_configure() -> None:
    """Collect no garbage while tests and modules are collected: it would take a fifth of that."""
    gc.disable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run a sample of each test's cases (`CASES=4`) where another run has all of them."""
    most = os.environ.get("CASES")
    if most:
        chosen = sample([(_sampled_as(each), each) for each in items], int(most))
        left = set(items).difference(chosen)
        config.hook.pytest_deselected(items=[each for each in items if each in left])
        items[:] = chosen


def _sampled_as(item: pytest.Item) -> str:
    """Return what the cases of one test have in common."""
    every_case = item.get_closest_marker("every_case")
    return item.nodeid if every_case else item.nodeid.partition("[")[0]


def pytest_collection_finish() -> None:
    """Leave thousands of tests and modules out of garbage collection, which would take long."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    gc.enable()


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


@pytest.fixture(scope="session")
def store_file(empty_store: Path) -> Path:
    """Return the file of an empty store, to copy."""
    path = database_url(None, {"XDG_STATE_HOME": str(empty_store)}).path
    assert path is not None
    return path


@pytest.fixture
def store_url(tmp_path: Path, store_file: Path) -> str:
    """Return where an empty store of this test's own is."""
    file = tmp_path / "gateway.db"
    shutil.copy(store_file, file)
    return f"sqlite:///{file}"


class States:
    """Copies of an empty state directory. Most tests write nothing: the next has the same."""

    def __init__(self, empty: Path, folder: Path) -> None:
        """Make copies of `empty` in this folder."""
        self._empty = empty
        self._folder = folder
        self._paths: Sequence[Path] = ()
        """The latest copy and all that is in it."""
        self._copies = 0

    def unused(self) -> Path:
        """Return one that nothing was written to."""
        if not self._paths or any(map(_is_changed, self._paths)):
            self._copies += 1
            state = self._folder / str(self._copies)
            shutil.copytree(self._empty, state)
            self._paths = (state, *state.rglob("*"))
            for path in self._paths:
                os.utime(path, (0, 0))
        return self._paths[0]


def _is_changed(path: Path) -> bool:
    try:
        return path.stat().st_mtime_ns != 0
    except FileNotFoundError:
        return True


@pytest.fixture(scope="session")
def states(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> States:
    """Return the state directories of this process's tests."""
    return States(empty_store, tmp_path_factory.mktemp("states"))


@pytest.fixture(autouse=True)
def _own_state(states: States, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep each test's store apart from the user's and from other tests'."""
    monkeypatch.setenv("XDG_STATE_HOME", str(states.unused()))


@pytest.fixture(autouse=True, scope="session")
def _trust_made_once() -> Iterator[None]:
    """Read trusted certificates once: each client takes 20 ms for them, and many poll a server."""
    with pytest.MonkeyPatch.context() as patch:
        once = cache(httpx.create_ssl_context)
        patch.setattr("httpx._transports.default.create_ssl_context", once)
        yield


class Statements(dict[Any, Any]):
    """The compiled statements of all engines of one kind of database.

    SQLAlchemy's own keys begin with an engine's own dialect.
    """

    def get(self, key: Any, default: Any = None) -> Any:
        """Return a statement."""
        return super().get((key[0].name, *key[1:]), default)

    def __setitem__(self, key: Any, statement: Any) -> None:
        """Keep a statement."""
        super().__setitem__((key[0].name, *key[1:]), statement)


@pytest.fixture(autouse=True, scope="session")
def _statements_compiled_once() -> Iterator[None]:
    """Compile each SQL statement once: every test opens a store, which has engines of its own."""
    with pytest.MonkeyPatch.context() as patch:
        shared = partial(create_async_engine, execution_options={"compiled_cache": Statements()})
        patch.setattr("gateway.store.database.create_async_engine", shared)
        yield


@pytest.fixture(autouse=True, scope="session")
def _observed_responses() -> Iterator[list[Observation]]:
    """Compare every response made in this process with what `@semanticNonNull` promises."""
    broken: list[Observation] = []

    def see(observation: Observation) -> None:
        if observation.breaks_the_promise:
            broken.append(observation)

    with pytest.MonkeyPatch.context() as patch:
        for name in ("begin", "run_on_graphql_core", "deliver"):
            patch.setattr(Executor, name, observing(getattr(Executor, name), see))
        yield broken


@pytest.fixture(autouse=True)
def _no_null_without_its_error(_observed_responses: list[Observation]) -> Iterator[None]:
    """Fail a test if a response has a null that `@semanticNonNull` excludes."""
    yield
    broken = _observed_responses.copy()
    _observed_responses.clear()
    assert broken == []
