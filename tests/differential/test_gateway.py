"""Both executors answer the same over the gateway's own schema, and ask the providers the same."""

import asyncio
import gc
import math
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

import pytest
from structlog.testing import capture_logs

from gateway.context import RequestContext, Scope
from gateway.http.pages.examples import examples
from gateway.limits.settings import LimitSettings
from gateway.loaders.request_loaders import RequestLoaders
from gateway.reads import source_rows
from gateway.reads.customer_lists import CustomerLists
from gateway.store.store import Store
from resolvers.execution import plan_compiler
from resolvers.execution.executor import Executor, OperationResult
from resolvers.schema import SCHEMA
from tests.differential.both import assert_equal, in_dicts, is_valid
from tests.differential.operations import Maker, Operation
from tests.differential.providers import KNOWN, Known, Remembered, remembered
from tests.sizes import size

RUNS = size("DIFFERENTIAL_RUNS", 240, 11_000)
GROUPS = 6
CORE = SCHEMA._schema  # noqa: SLF001  # as gateway.asgi
NOW = datetime(2026, 11, 22, tzinfo=UTC)


class Still(datetime):
    """A clock that stands still."""

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        """Return always the same."""
        return NOW.astimezone(tz)


@dataclass
class World:
    """The gateway's schema over remembered providers."""

    operations: Executor
    providers: Mapping[str, Remembered]
    known: Known
    store: Store | None = None
    lists: CustomerLists | None = None

    def context(self) -> RequestContext:
        """Open a context of its own for one run; calls count from here."""
        for each in self.providers.values():
            each.calls = Counter()
        return RequestContext(
            self.providers,
            Scope("request", math.inf),
            ("de",),
            NOW,
            self.store,
            customer_lists=self.lists,
        )

    def disturb(self, seed: int, faults: int, *, slow: bool) -> None:
        """Let calls fail, and answers come out of order."""
        for each in self.providers.values():
            each.seed, each.faults, each.slow = seed, faults, slow
            each.reliable = ()

    async def compare(self, operation: Operation) -> None:
        """Run an operation through both executors: equal results by equal calls, but for one case.

        The rows of a list that has arrived are not read again by id. From a reply to the next read
        graphql-core takes other numbers of steps than the plan, so a list may arrive just before a
        read by id with one, and just after it with the other, which then makes a call that the
        first is spared. If that call fails, only the other notices. So where one was spared calls,
        both must be equal without such lists; and with them, once these calls succeed.
        """
        document = self.operations.document(operation.text)
        assert document.plan(operation.name, operation.variables) is not None, operation.text
        await self._planned(operation)  # from here on every reply is remembered, and comes at once
        ours, theirs = await self._planned(operation), await self._on_graphql_core(operation)
        spared = (theirs.calls - ours.calls) | (ours.calls - theirs.calls)
        if not spared:
            _assert_equal(ours, theirs, operation)
            return
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(RequestLoaders, "prime_customers", _prime_nothing)
            patch.setattr(RequestLoaders, "prime_segments", _prime_nothing)
            _assert_equal(
                await self._planned(operation), await self._on_graphql_core(operation), operation
            )
        for key, provider in self.providers.items():
            provider.reliable = {call for owner, call in spared if owner == key}
        ours, theirs = await self._planned(operation), await self._on_graphql_core(operation)
        both = theirs.calls & ours.calls
        _assert_equal(ours._replace(calls=both), theirs._replace(calls=both), operation)

    async def _planned(self, operation: Operation) -> "Run":
        """Run the compiled plan."""
        return await self._run(self.operations.run, operation)

    async def _on_graphql_core(self, operation: Operation) -> "Run":
        return await self._run(self.operations.run_on_graphql_core, operation)

    async def _run(self, execute: Any, operation: Operation) -> "Run":
        document = self.operations.document(operation.text)
        result = await execute(document, operation.variables, operation.name, self.context())
        calls = Counter[Any]()
        for key, each in self.providers.items():
            calls.update({(key, call): number for call, number in each.calls.items()})
        return Run(in_dicts(result), calls)


class Run(NamedTuple):
    """What one executor did."""

    result: OperationResult
    calls: Counter[Any]
    """By provider and call."""


def _assert_equal(ours: Run, theirs: Run, operation: Operation) -> None:
    if assert_equal(ours.result, theirs.result, operation):
        assert ours.calls == theirs.calls, operation


def _prime_nothing(_loaders: RequestLoaders, _rows: Any) -> None:
    pass


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """Return the gateway over the sandbox, at a time that stands still."""
    monkeypatch.setattr(source_rows, "datetime", Still)
    operations = Executor(CORE, LimitSettings(cost=10**9))
    providers = await remembered()
    context = RequestContext(providers, Scope("request", math.inf), (), NOW)
    known_objects = await operations.run(operations.document(KNOWN), None, None, context)
    yield World(operations, providers, Known(in_dicts(known_objects).body["data"]))
    await asyncio.gather(*(each.close() for each in providers.values()))


QUERIES = [each for each in examples() if "\nquery " in each["query"]]


@pytest.mark.parametrize("example", QUERIES, ids=lambda each: each["name"])
async def test_examples(world: World, example: Any) -> None:
    """GraphiQL's example queries: the same answers by the same calls."""
    await world.compare(Operation(example["query"], {}, None))


LACKING = """{ segments(first: 100) { nodes {
  customersCount { count } assignments(first: 1) { nodes { kind } }
  customers(first: 1) { nodes { id } } items(first: 1) { totalCount }
} } }"""


async def test_what_a_provider_lacks(world: World) -> None:
    """Null without an error, by either executor."""
    document = world.operations.document(LACKING)
    ours = await world.operations.run(document, None, None, world.context())
    theirs = await world.operations.run_on_graphql_core(document, None, None, world.context())

    assert in_dicts(ours).body == theirs.body
    assert "errors" not in ours.body
    stuut = dict.fromkeys(("customersCount", "assignments", "customers", "items"))
    rows = theirs.body["data"]["segments"]["nodes"]
    assert [row for row in rows if row["customers"] is None] == [stuut] * 8


# graphql-core leaves coroutines behind where a null takes an object with it.
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("group", range(GROUPS))
async def test_generated_operations(
    world: World, group: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Generated operations over healthy and failing providers."""
    if group % 2:
        monkeypatch.setattr(plan_compiler, "MIN_STRUCTS", 0)  # all rows that may be are structs
    # Only a gateway with its store has a change log and webhooks; a comparison's time is its own.
    maker = Maker(
        CORE,
        world.known.choose,
        partial(is_valid, world.operations),
        depth=6,
        width=4,
        without=frozenset({"asOf", "changes", "changesCursor", "webhooks"}),
    )
    with capture_logs():
        for seed in range(group, RUNS, GROUPS):
            variation = seed // GROUPS
            world.disturb(seed, (0, 0, 20, 60)[variation % 4], slow=variation % 8 > 3)
            await world.compare(maker.make(seed))
    gc.collect()  # what graphql-core left behind is this test's
